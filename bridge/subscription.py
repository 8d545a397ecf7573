"""One socket's place in one escrow: what it was told last, and how it gets there without a gap."""

from __future__ import annotations

from collections.abc import Callable

from escrow.v1 import escrow_pb2 as pb

from bridge import frames
from bridge.outbox import Outbox
from bridge.upstream import Core, CoreError
from bridge.watch import Watch, Watches


class Subscription:
    """Joins a watch once and is then told every event after `version`, each once and in order."""

    def __init__(
        self,
        escrow_id: str,
        frame_id: frames.FrameId,
        outbox: Outbox,
        on_vanish: Callable[[Subscription], None],
    ) -> None:
        self.escrow_id = escrow_id
        self.version = 0
        self._outbox = outbox
        self._on_vanish = on_vanish
        self._watch: Watch | None = None
        # The snapshot that core gave, while it is ahead of the shared stream.
        self._ahead: pb.Escrow | None = None
        self._live = False
        # Of the subscribe commands that wait for the answer.
        self._asked: list[frames.FrameId] = [frame_id]

    @property
    def asked(self) -> tuple[frames.FrameId, ...]:
        """The ids of the commands that still wait for their answer; one None where none does."""
        return tuple(self._asked) or (None,)

    def ask_again(self, frame_id: frames.FrameId) -> None:
        """Answer another subscribe to the same escrow: at once, or together with the first."""
        self._asked.append(frame_id)
        if self._live:
            self._answer()

    async def join(self, core: Core, watches: Watches, token: str, after: int | None) -> None:
        """Ask core as the user, tell what was missed after a version, `subscribed`, and go live.

        Where `after` lies ahead of core (a database that was restored), the snapshot is the truth.
        Raises CoreError; `leave` must follow in any case.
        """
        escrow = await core.get_escrow(self.escrow_id, token)
        watch = self._watch = watches.hold(escrow)
        if after is not None:
            escrow = await self._catch_up(core, watch, token, escrow, after)
        # From here on nothing awaits, so that no event slips in between.
        if watch.vanished:
            raise CoreError("NOT_FOUND", "no such escrow")
        self.version = max(escrow.version, watch.version)
        self._ahead = escrow if escrow.version > watch.version else None
        watch.subscribers.add(self)
        self._live = True
        self._answer()

    def leave(self, watches: Watches) -> None:
        """Be told nothing more."""
        if self._watch is not None:
            self._watch.subscribers.discard(self)
            watches.release(self._watch)
            self._watch = None

    def deliver(self, event: frames.EventFrames) -> None:
        if event.version > self.version and self._watch is not None:
            self.version = event.version
            self._outbox.put(event.wire, event.count)

    def vanish(self) -> None:
        self._on_vanish(self)

    def _answer(self) -> None:
        watch = self._watch
        assert watch is not None
        # A fan-out may be under way that has not come to us yet.
        for event in watch.since(self.version):
            self.deliver(event)
        if self._ahead is not None and self._ahead.version > watch.version:
            snapshot = frames.snapshot(self._ahead)
        else:
            self._ahead, snapshot = None, watch.snapshot()
        for frame_id in self._asked:
            self._outbox.put(
                frames.subscribed(self.escrow_id, self.version, snapshot, frame_id),
            )
        self._asked.clear()

    async def _catch_up(
        self, core: Core, watch: Watch, token: str, escrow: pb.Escrow, after: int
    ) -> pb.Escrow:
        """Tell every event after a version; answer the escrow at the last one."""
        cursor = after
        while cursor < max(watch.version, escrow.version):
            events = watch.since(cursor) or await self._read_page(core, token, cursor)
            for event in events:
                await self._outbox.room()
                self._outbox.put(event.wire, event.count)
                cursor, escrow = event.version, event.escrow
        return escrow

    async def _read_page(self, core: Core, token: str, after: int) -> list[frames.EventFrames]:
        events = await core.list_events(self.escrow_id, after, token)
        if [event.version for event in events] != list(range(after + 1, after + 1 + len(events))):
            raise CoreError("UNAVAILABLE", "core's record has a gap")
        if not events:
            raise CoreError("UNAVAILABLE", "core's record ends early")
        return [frames.event_frames(event) for event in events]
