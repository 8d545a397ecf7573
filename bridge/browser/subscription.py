"""A socket's subscription to one escrow: catches up without a gap, then sends every event.

`Subscription` is what it has in common with the subscription to `*` (following.py).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from bridge.browser.outbox import Outbox
from bridge.protocol import frames
from bridge.upstream.error import CoreError
from bridge.upstream.watch import Watches
from bridge.upstream.watched import Watched
from holdfast.tokens import Identity


class Subscription(Protocol):
    """A subscription of one socket: to one escrow, or to all escrows of its user."""

    escrow_id: str

    @property
    def asked(self) -> tuple[frames.FrameId, ...]:
        """The ids of the subscribe commands that wait for an answer; one None if none waits."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether the socket has all that core had when the stream was opened last. True before
        the first answer, which says so itself."""
        ...

    def ask_again(self, frame_id: frames.FrameId, /) -> None:
        """Answer a repeated subscribe: now, or together with the first."""

    async def join(self, identity: Identity, after: int | None, /) -> None:
        """Send the present state and go live. Raises CoreError. Call `leave` in any case."""

    def leave(self) -> None:
        """Send nothing more."""


class Offer(Enum):
    """What becomes of an event that the subscription to `*` has as well."""

    # That one sends it, and this one skips it.
    TAKEN = auto()
    # This one has sent it.
    KNOWN = auto()
    # This one sends older ones first, and perhaps this one too.
    TOO_EARLY = auto()


class Owner(Protocol):
    """Whose subscription it is. A fresh token changes the identity."""

    identity: Identity


class EscrowSubscription:
    """Joins a watch once, then sends every event after `version`, each once and in order.

    An event that the socket's subscription to `*` has sent before it counts as sent.
    """

    # A fan-out touches thousands of these.
    __slots__ = (
        "_after",
        "_asked",
        "_core",
        "_known_version",
        "_on_refused",
        "_outbox",
        "_owner",
        "_watch",
        "_watches",
        "escrow_id",
        "is_live",
        "version",
    )

    def __init__(
        self,
        owner: Owner,
        escrow_id: str,
        frame_id: frames.FrameId,
        outbox: Outbox,
        watches: Watches,
        known_version: int | None,
        on_refused: Callable[[Subscription, CoreError], None],
    ) -> None:
        self.escrow_id = escrow_id
        # The version that the socket has: of the last event that was sent, in catching up or live.
        self.version = 0
        # The version after which the events were sent. None while it is not known where to begin.
        self._after: int | None = None
        self.is_live = False
        self._owner = owner
        self._outbox = outbox
        self._watches = watches
        self._core = watches.source.core
        # The version that the socket has by its subscription to `*`: this one goes on after it.
        self._known_version = known_version
        self._on_refused = on_refused
        self._watch: Watched | None = None
        # The ids of the subscribe commands that wait for an answer.
        self._asked: list[frames.FrameId] = [frame_id]

    @property
    def asked(self) -> tuple[frames.FrameId, ...]:
        return tuple(self._asked) or (None,)

    @property
    def is_current(self) -> bool:
        if not self.is_live or self._watch is None:
            return True
        return self._watch.line is not None and self.version >= self._watch.due

    def ask_again(self, frame_id: frames.FrameId) -> None:
        self._asked.append(frame_id)
        if self.is_live:
            self._answer()

    @property
    def identity(self) -> Identity:
        return self._owner.identity

    @property
    def sent(self) -> tuple[int, int] | None:
        """Which events were sent: those after the first version, up to the second."""
        return None if self._after is None else (self._after, self.version)

    async def join(self, _identity: Identity, after: int | None) -> None:
        """Ask core as the user, send the events after `after`, then `subscribed`, and go live.

        If `after` is newer than core's version, core's database was restored: the snapshot counts.
        """
        after = self._known_version if after is None else after
        if after is not None:
            self._after = self.version = after
        watch = self._watch = await self._watches.join(self, self.escrow_id, after)
        if self._after is None or watch.version < self.version == after:
            self._after = self.version = watch.version
        await self._catch_up(watch)
        # No await from here on, so that no event comes in between.
        self.is_live = True
        self._answer()

    def leave(self) -> None:
        if self._watch is not None:
            self._watches.release(self._watch, self)
            self._watch = None

    def deliver(self, event: frames.EventFrames) -> None:
        if self.is_live and self._watch is not None:
            self._pass_on(event)
            if self._asked:
                self._answer()

    def deliver_burst(self, burst: frames.Burst) -> None:
        if not self.is_live or self._watch is None:
            return
        if self.version + 1 == burst.first:
            self.version = burst.last
            self._outbox.send(burst)
        else:
            for event in burst.events:
                self._pass_on(event)
        if self._asked:
            self._answer()

    def refused(self, error: CoreError) -> None:
        self._on_refused(self, error)

    def offer(self, version: int, *, is_live: bool) -> Offer:
        """Let the subscription to `*` send an event, if it is the next one or an older one.

        What that one sends live this one goes on after, if it does not know where to begin.
        """
        if self._after is None:
            if is_live:
                self._after, self.version = version - 1, version
        elif self._after < version <= self.version:
            return Offer.KNOWN
        elif version == self.version + 1:
            self.version = version
        elif version > self.version and not self.is_live:
            return Offer.TOO_EARLY
        return Offer.TAKEN

    def shown(self, version: int) -> tuple[int, bytes] | None:
        """Note that the subscription to `*` sends a snapshot, or answer a newer one."""
        if self._after is None:
            self._after = self.version = version
        if self._watch is None or not self.is_live or self._watch.version <= version:
            return None
        return self._watch.version, self._watch.snapshot()

    def _pass_on(self, event: frames.EventFrames) -> None:
        if event.version > self.version:
            self.version = event.version
            self._outbox.add(event)

    def _answer(self) -> None:
        watch = self._watch
        assert watch is not None
        # The watch may be delivering an event that has not reached this subscriber yet.
        for event in watch.since(self.version):
            self._pass_on(event)
        if watch.version < self.version:
            return  # The subscription to `*` was faster: the answer comes with that event.
        snapshot = watch.snapshot()
        for frame_id in self._asked:
            self._outbox.put(
                frames.subscribed(self.escrow_id, self.version, snapshot, frame_id),
            )
        self._asked.clear()

    async def _catch_up(self, watch: Watched) -> None:
        """Send every event after `version`, until the watch has no newer one."""
        while self.version != watch.version:
            if self.version > watch.version:
                # The record, or the subscription to `*`, is ahead of the watch.
                if not await watch.reached(self.version):
                    assert watch.refusal is not None
                    raise watch.refusal
                continue
            for event in watch.since(self.version) or await self._read_page(self.version):
                await self._outbox.room()
                self._pass_on(event)

    async def _read_page(self, after: int) -> list[frames.EventFrames]:
        token = self.identity.token
        events = await self._core.list_events(self.escrow_id, after, token)
        return [frames.event_frames(event) for event in events]
