"""One socket's place in all that concerns its user: the subscription to `*`.

Where the socket has a subscription to an escrow of its own, that one tells of it and this one is
silent; when it ends, this one goes on where it stopped. So each event is told once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from escrow.v1 import escrow_pb2 as pb

from bridge.browser.outbox import Outbox
from bridge.browser.subscription import Place, Subscription
from bridge.protocol import frames
from bridge.upstream.channel import CoreError
from bridge.upstream.core import Core
from bridge.upstream.follow import Follow, Follows
from holdfast.tokens import Identity


class Following:
    """Joins a follow once: a snapshot of each open escrow, the answer, then all events."""

    def __init__(
        self,
        user_id: str,
        frame_id: frames.FrameId,
        outbox: Outbox,
        follows: Follows,
        own: Callable[[str], Subscription | None],
        on_vanish: Callable[[Place, CoreError], None],
    ) -> None:
        self.escrow_id = frames.EVERYTHING
        self._user_id = user_id
        self._outbox = outbox
        self._follows = follows
        self._core: Core = follows.source.core
        # The socket's own subscription to an escrow, where there is one.
        self._own = own
        self._on_vanish = on_vanish
        self._follow: Follow | None = None
        self._is_live = False
        self._asked: list[frames.FrameId] = [frame_id]
        # Whose snapshot is still to be told.
        self._untold: dict[str, None] = {}
        # Whose snapshot is left to a subscription that is still being answered.
        self._left: set[str] = set()
        # The last version before the first that was left to such a subscription.
        self._missed: dict[str, int] = {}
        # What the socket knows of an escrow, where that is ahead of the follow.
        self._ahead: dict[str, int] = {}
        # What it knows where that is behind: it is being told the rest.
        self._behind: dict[str, int] = {}
        self._fillings: dict[str, asyncio.Task[None]] = {}

    @property
    def asked(self) -> tuple[frames.FrameId, ...]:
        return tuple(self._asked) or (None,)

    def ask_again(self, frame_id: frames.FrameId) -> None:
        """Answer another subscribe to `*`, without the snapshots, at once or with the first."""
        self._asked.append(frame_id)
        if self._is_live:
            self._answer()

    async def join(self, _identity: Identity, _after: int | None) -> None:
        """Tell each open escrow, `subscribed`, and all events from here on.

        There is no `after`: versions are each escrow's own. Raises CoreError.
        """
        follow = self._follow = self._follows.hold(self._user_id)
        await follow.opened()
        self._untold = dict.fromkeys(follow.open)
        follow.subscribers.add(self)
        while self._untold:
            await self._outbox.room()
            if self._untold:
                self._tell(next(iter(self._untold)))
        self._is_live = True
        self._answer()

    def leave(self) -> None:
        """Be told nothing more."""
        for filling in self._fillings.values():
            filling.cancel()
        if self._follow is not None:
            self._follow.subscribers.discard(self)
            self._follows.release(self._follow)
            self._follow = None

    def deliver(self, event: frames.EventFrames) -> None:
        escrow_id = event.escrow.escrow_id
        own = self._own(escrow_id)
        if own is not None:
            if not own.is_live:
                self._missed.setdefault(escrow_id, event.version - 1)
            return
        if escrow_id in self._behind or self._is_known(event):
            return
        if escrow_id in self._untold:
            self._tell(escrow_id)
        self._outbox.put(event.wire, event.count)

    def vanish(self, error: CoreError) -> None:
        self._on_vanish(self, error)

    def hand_over(self, escrow_id: str) -> int | None:
        """A subscription of its own begins: answer the version after which it has to tell."""
        filling = self._fillings.pop(escrow_id, None)
        if filling is not None:
            filling.cancel()
            told = self._missed[escrow_id] = self._behind.pop(escrow_id)
            return told
        follow = self._follow
        if follow is None or self not in follow.subscribers or escrow_id in self._untold:
            return None
        known = follow.version(escrow_id)
        return None if known is None else max(known, self._ahead.get(escrow_id, 0))

    def take_over(self, subscription: Subscription) -> None:
        """A subscription of its own has ended: go on where it stopped."""
        escrow_id, known = subscription.escrow_id, subscription.version
        missed = self._missed.pop(escrow_id, None)
        was_left = escrow_id in self._left
        self._left.discard(escrow_id)
        newest = None if self._follow is None else self._follow.version(escrow_id)
        if newest is None or escrow_id in self._untold:
            return
        if not subscription.is_live:
            if was_left:
                self._tell(escrow_id)
                return
            known = newest if missed is None else max(missed, known)
        known = max(known, self._ahead.pop(escrow_id, 0))
        if newest < known:
            self._ahead[escrow_id] = known
        elif newest > known:
            self._behind[escrow_id] = known
            self._fillings[escrow_id] = asyncio.create_task(self._fill(escrow_id))

    def _is_known(self, event: frames.EventFrames) -> bool:
        known = self._ahead.get(event.escrow.escrow_id, 0)
        if event.version >= known:
            self._ahead.pop(event.escrow.escrow_id, None)
        return event.version <= known

    def _tell(self, escrow_id: str) -> None:
        self._untold.pop(escrow_id, None)
        own = self._own(escrow_id)
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
                    self._outbox.put(ready.wire, ready.count)
                    self._behind[escrow_id] = event.version
        except CoreError as error:
            # Better all of it is told to have ended than that one event is missing. It is the
            # bridge that was refused, whatever the reason, and not the user.
            self._on_vanish(self, CoreError("UNAVAILABLE", error.message))
            return
        known = self._behind.pop(escrow_id)
        del self._fillings[escrow_id]
        if known > self._newest(escrow_id):
            self._ahead[escrow_id] = known

    def _newest(self, escrow_id: str) -> int:
        return 0 if self._follow is None else self._follow.version(escrow_id) or 0
