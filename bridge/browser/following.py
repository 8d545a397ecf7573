"""A socket's subscription to `*`: it follows all escrows that concern its user.

The socket may also subscribe to one of these escrows. Then that subscription sends the escrow's
events and this one skips them. When that one ends, this one goes on where it stopped. So each event
is sent once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from escrow.v1 import escrow_pb2 as pb

from bridge.browser.outbox import Outbox
from bridge.browser.subscription import EscrowSubscription, Subscription
from bridge.protocol import frames
from bridge.upstream.channel import CoreError
from bridge.upstream.core import Core
from bridge.upstream.follow import Follow, Follows
from holdfast.tokens import Identity


class UserSubscription:
    """Joins a follow once: sends a snapshot of each open escrow, the answer, then all events."""

    def __init__(
        self,
        user_id: str,
        frame_id: frames.FrameId,
        outbox: Outbox,
        follows: Follows,
        to_escrow: Callable[[str], EscrowSubscription | None],
        on_refused: Callable[[Subscription, CoreError], None],
    ) -> None:
        self.escrow_id = frames.EVERYTHING
        self._user_id = user_id
        self._outbox = outbox
        self._follows = follows
        self._core: Core = follows.source.core
        # Finds the socket's subscription to one escrow.
        self._to_escrow = to_escrow
        self._on_refused = on_refused
        self._follow: Follow | None = None
        self._is_live = False
        self._asked: list[frames.FrameId] = [frame_id]
        # Escrows whose snapshot is still to be sent, in this order.
        self._unsent: dict[str, None] = {}
        # Escrows whose snapshot is left to a subscription to the escrow that is not live yet.
        self._left: set[str] = set()
        # By escrow: the version after which events were left to such a subscription.
        self._left_after: dict[str, int] = {}
        # By escrow: the version that the socket has, where it is newer than the follow's.
        self._ahead: dict[str, int] = {}
        # By escrow: the version that the socket has, where it is older. `_fill` sends the rest.
        self._behind: dict[str, int] = {}
        self._fills: dict[str, asyncio.Task[None]] = {}

    @property
    def asked(self) -> tuple[frames.FrameId, ...]:
        return tuple(self._asked) or (None,)

    @property
    def is_current(self) -> bool:
        if not self._is_live or self._follow is None:
            return True
        return self._follow.is_current and not self._fills

    def ask_again(self, frame_id: frames.FrameId) -> None:
        """Answer a repeated subscribe, without snapshots: now, or together with the first."""
        self._asked.append(frame_id)
        if self._is_live:
            self._answer()

    async def join(self, _identity: Identity, _after: int | None) -> None:
        """Send a snapshot of each open escrow, then `subscribed`, then all events.

        There is no `after`, because each escrow has versions of its own. Raises CoreError.
        """
        follow = self._follow = self._follows.hold(self._user_id)
        await follow.opened()
        self._unsent = dict.fromkeys(follow.open)
        follow.subscribers.add(self)
        while self._unsent:
            await self._outbox.room()
            if self._unsent:
                self._send_snapshot(next(iter(self._unsent)))
        self._is_live = True
        self._answer()

    def leave(self) -> None:
        """Send nothing more."""
        for fill in self._fills.values():
            fill.cancel()
        if self._follow is not None:
            self._follow.subscribers.discard(self)
            self._follows.release(self._follow)
            self._follow = None

    def deliver(self, event: frames.EventFrames) -> None:
        escrow_id = event.escrow.escrow_id
        own = self._to_escrow(escrow_id)
        if own is not None:
            if not own.is_live:
                self._left_after.setdefault(escrow_id, event.version - 1)
            return
        if escrow_id in self._behind or self._is_known(event):
            return
        if escrow_id in self._unsent:
            self._send_snapshot(escrow_id)
        self._outbox.add(event)

    def refused(self, error: CoreError) -> None:
        self._on_refused(self, error)

    def hand_over(self, escrow_id: str) -> int | None:
        """Leave an escrow to a subscription that begins; answer the version to go on after.

        None if the socket knows nothing of the escrow yet.
        """
        fill = self._fills.pop(escrow_id, None)
        if fill is not None:
            fill.cancel()
            sent = self._left_after[escrow_id] = self._behind.pop(escrow_id)
            return sent
        follow = self._follow
        if follow is None or self not in follow.subscribers or escrow_id in self._unsent:
            return None
        known = follow.version(escrow_id)
        return None if known is None else max(known, self._ahead.get(escrow_id, 0))

    def take_over(self, subscription: EscrowSubscription) -> None:
        """Go on with an escrow where a subscription to it, which has ended, stopped."""
        escrow_id, known = subscription.escrow_id, subscription.version
        left_after = self._left_after.pop(escrow_id, None)
        was_left = escrow_id in self._left
        self._left.discard(escrow_id)
        newest = None if self._follow is None else self._follow.version(escrow_id)
        if newest is None or escrow_id in self._unsent:
            return
        if not subscription.is_live:
            if was_left:
                self._send_snapshot(escrow_id)
                return
            known = newest if left_after is None else max(left_after, known)
        known = max(known, self._ahead.pop(escrow_id, 0))
        if newest < known:
            self._ahead[escrow_id] = known
        elif newest > known:
            self._behind[escrow_id] = known
            self._fills[escrow_id] = asyncio.create_task(self._fill(escrow_id))

    def _is_known(self, event: frames.EventFrames) -> bool:
        known = self._ahead.get(event.escrow.escrow_id, 0)
        if event.version >= known:
            self._ahead.pop(event.escrow.escrow_id, None)
        return event.version <= known

    def _send_snapshot(self, escrow_id: str) -> None:
        self._unsent.pop(escrow_id, None)
        own = self._to_escrow(escrow_id)
        body = None if self._follow is None else self._follow.open.get(escrow_id)
        if own is not None and own.is_live:
            own.ask_again(None)
        elif own is not None:
            self._left.add(escrow_id)
        elif body is not None:
            escrow = pb.Escrow.FromString(body)
            data = frames.snapshot(escrow)
            self._outbox.put(frames.subscribed(escrow_id, escrow.version, data, None))

    def _answer(self) -> None:
        more = self._follow is not None and self._follow.more
        for frame_id in self._asked:
            self._outbox.put(frames.subscribed_to_all(frame_id, more=more))
        self._asked.clear()

    async def _fill(self, escrow_id: str) -> None:
        try:
            while self._behind[escrow_id] < self._newest(escrow_id):
                for event in await self._core.list_events(escrow_id, self._behind[escrow_id]):
                    ready = frames.event_frames(event)
                    await self._outbox.room()
                    self._outbox.add(ready)
                    self._behind[escrow_id] = event.version
        except CoreError as error:
            # End the whole subscription, so that no event is missing from it unnoticed. Core has
            # refused the bridge and not the user: whatever its code, the user may try again.
            self._on_refused(self, CoreError("UNAVAILABLE", error.message))
            return
        known = self._behind.pop(escrow_id)
        del self._fills[escrow_id]
        if known > self._newest(escrow_id):
            self._ahead[escrow_id] = known

    def _newest(self, escrow_id: str) -> int:
        return 0 if self._follow is None else self._follow.version(escrow_id) or 0
