"""A socket's subscription to `*`: every event of all escrows that concern its user, by position.

It reads from core's record what comes after the socket's position, and then joins the follow that
all sockets of the user share. Whatever comes up to `position` the socket has been sent: who comes
back with that position misses nothing.

The socket may also subscribe to one of these escrows. Then whichever subscription has an event
first sends it, and the other one skips it. So each event is sent once, and in the escrow's order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from bridge.browser.outbox import Outbox
from bridge.browser.subscription import EscrowSubscription, Offer, Subscription
from bridge.protocol import frames
from bridge.upstream.error import CoreError
from bridge.upstream.follow import Follow, Follows
from holdfast.tokens import Identity

# Escrows whose subscription has ended and of which it is known what was sent, the newest ones.
MOST_LEFT = 256


class UserSubscription:
    """Sends snapshots or what was missed, then the answer, then every event."""

    def __init__(
        self,
        user_id: str,
        frame_id: frames.FrameId,
        outbox: Outbox,
        follows: Follows,
        to_escrow: Callable[[str], EscrowSubscription | None],
        on_refused: Callable[[Subscription, CoreError], None],
    ) -> None:
        """`user_id` is empty for everything there is."""
        self.escrow_id = frames.EVERYTHING
        self.user_id = user_id
        # The socket has been sent every event up to it.
        self.position = 0
        # The position with which it was asked for.
        self.after: int | None = None
        # Whether the first answer was sent.
        self.is_answered = False
        self._outbox = outbox
        self._follows = follows
        self._source = follows.source
        # Finds the socket's subscription to one escrow.
        self._to_escrow = to_escrow
        self._on_refused = on_refused
        self._follow: Follow | None = None
        # Whether the follow's events are sent as they come.
        self._is_live = False
        # The follow's events that wait while what is before them is read; None if they do not.
        self._held: deque[frames.EventFrames] | None = None
        self._catching: asyncio.Task[None] | None = None
        self._asked: list[frames.FrameId] = [frame_id]
        self._more = False
        # By escrow: the version of the snapshot that was sent.
        self._shown: Mapping[str, int] = {}
        # By escrow: the version that the socket has, until the follow is told of it.
        self._known: dict[str, int] = {}
        # By escrow: of which events a subscription to it that has ended has sent the frames, after
        # the first version up to the second.
        self._left: dict[str, tuple[int, int]] = {}
        # Set when a subscription to one escrow has got on.
        self._got_on = asyncio.Event()

    @property
    def asked(self) -> tuple[frames.FrameId, ...]:
        return tuple(self._asked) or (None,)

    @property
    def is_current(self) -> bool:
        if not self.is_answered:
            return True
        return self._is_live and self._follow is not None and self._follow.is_current

    def ask_again(self, frame_id: frames.FrameId) -> None:
        """Answer a repeated subscribe, without snapshots: now, or together with the first."""
        self._asked.append(frame_id)
        if self.is_answered:
            self._answer()

    async def join(self, _identity: Identity, after: int | None) -> None:
        """Send every event after a position, then `subscribed`, then all that comes.

        Without a position send a snapshot of each open escrow, then `subscribed`, then all events
        since. Raises CoreError.
        """
        self.after = after
        if self.user_id == frames.EVERYTHING:
            # The name of everything for core, who would send it to this user.
            raise CoreError("INVALID_ARGUMENT", "No escrow can name this user.")
        try:
            if after is None:
                await self._send_snapshots()
                self._answer()
            else:
                self.position = after
                await self._catch_up()
                self._answer()
        except CoreError as error:
            raise _refusal(error) from None
        await self._go_live()

    def leave(self) -> None:
        """Send nothing more."""
        self._is_live = False
        if self._catching is not None:
            self._catching.cancel()
        if self._follow is not None:
            self._follow.subscribers.discard(self)
            self._follows.release(self._follow)
            self._follow = None

    def deliver(self, event: frames.EventFrames) -> None:
        if self._held is None:
            if not self._send(event):
                self._fall_back()
        elif len(self._held) < self._source.limits.history_events:
            self._held.append(event)
        else:
            # It is further behind than these: read on from the record.
            self._pause()

    def refused(self, error: CoreError) -> None:
        self._on_refused(self, _refusal(error))

    def hand_over(self, escrow_id: str) -> int | None:
        """Answer the version of an escrow that the socket has, for a subscription that begins.

        None if that is not known.
        """
        if not self._is_live or self._follow is None:
            return None
        followed = self._follow.version(escrow_id) or 0
        _, left = self._left.get(escrow_id, (0, 0))
        return max(followed, left, self._shown.get(escrow_id, 0)) or None

    def take_over(self, ended: EscrowSubscription) -> None:
        """Remember what a subscription that has ended has sent, because the follow is behind it."""
        if ended.sent is not None:
            self._left.pop(ended.escrow_id, None)
            self._left[ended.escrow_id] = ended.sent
            if len(self._left) > MOST_LEFT:
                del self._left[next(iter(self._left))]
        self.note_joined()

    def note_joined(self) -> None:
        """Go on, if this waits for a subscription that was catching up."""
        self._got_on.set()

    async def _send_snapshots(self) -> None:
        found = await self._follows.readings.read(self.user_id)
        for escrow_id, wire in found.wires.items():
            await self._outbox.room()
            own = self._to_escrow(escrow_id)
            newer = None if own is None else own.shown(found.versions[escrow_id])
            if newer is not None:
                wire = frames.subscribed(escrow_id, *newer, None, found.position)
            self._outbox.put(wire)
        self.position, self._more, self._shown = found.position, found.more, found.versions
        self._known = dict(found.versions)

    async def _go_live(self) -> None:
        while not self._is_live:
            try:
                await self._catch_up()
            except CoreError as error:
                if not error.away:
                    self._on_refused(self, _refusal(error))
                    return
                await asyncio.sleep(self._source.limits.backoff_last_s)

    async def _catch_up(self) -> None:
        """Send what comes after `position`, and be live. No await follows the last event."""
        while not self._is_live:
            while await self._read_page():
                pass
            follow = self._hold()
            self._held = deque()
            follow.subscribers.add(self)
            while self._held is not None and self.position < follow.position:
                before = self.position
                await self._read_page()
                if self.position == before:
                    raise CoreError("UNAVAILABLE", "Core's record ends before its stream.")
            while self._held:
                event = self._held.popleft()
                await self._outbox.room()
                await self._send_in_turn(event)
            if self._held is not None:
                self._held, self._is_live = None, True
                follow.learn(self._known)
                self._known = {}

    async def _read_page(self) -> bool:
        """Send the next page of the record; answer whether there is more."""
        page = await self._source.core.read_feed(self.user_id, self.position)
        for placed in page.events:
            event = self._source.encoder.encode(placed.event, placed.position)
            await asyncio.sleep(0)
            await self._outbox.room()
            await self._send_in_turn(event)
        self.position = max(self.position, page.next_position)
        return page.has_more

    async def _send_in_turn(self, event: frames.EventFrames) -> None:
        while not self._send(event):
            self._got_on.clear()
            await self._got_on.wait()

    def _send(self, event: frames.EventFrames) -> bool:
        """Send an event, unless the socket has it; answer False if it is not its turn yet."""
        if event.position <= self.position:
            return True
        if not self._has(event):
            own = self._to_escrow(event.escrow.escrow_id)
            offer = Offer.TAKEN if own is None else own.offer(event.version, is_live=self._is_live)
            if offer is Offer.TOO_EARLY:
                return False
            if offer is Offer.TAKEN:
                self._outbox.add(event)
        self.position = event.position
        if not self._is_live:
            self._note_known(event.escrow.escrow_id, event.version)
        return True

    def _has(self, event: frames.EventFrames) -> bool:
        escrow_id = event.escrow.escrow_id
        after, until = self._left.get(escrow_id, (0, 0))
        return after < event.version <= until or event.version <= self._shown.get(escrow_id, 0)

    def _note_known(self, escrow_id: str, version: int) -> None:
        if escrow_id in self._known or len(self._known) < self._source.limits.user_escrows:
            self._known[escrow_id] = version

    def _hold(self) -> Follow:
        if self._follow is not None and self._follow.refusal is not None:
            self._follows.release(self._follow)
            self._follow = None
        if self._follow is None:
            self._follow = self._follows.hold(self.user_id, self.position)
        return self._follow

    def _pause(self) -> None:
        self._held, self._is_live = None, False
        if self._follow is not None:
            self._follow.subscribers.discard(self)

    def _fall_back(self) -> None:
        """Leave the follow until another subscription of the socket has caught up."""
        self._pause()
        self._catching = asyncio.create_task(self._go_live())

    def _answer(self) -> None:
        if self._is_live and self._follow is not None:
            self.position = max(self.position, self._follow.position)
        self.is_answered = True
        for frame_id in self._asked:
            self._outbox.put(frames.subscribed_to_all(frame_id, self.position, more=self._more))
        self._asked.clear()


def _refusal(error: CoreError) -> CoreError:
    if error.reason == "POSITION_UNKNOWN" or error.code == "INVALID_ARGUMENT":
        return error
    # Core has refused the bridge and not the user: whatever its code, the user may try again.
    return CoreError("UNAVAILABLE", error.message)
