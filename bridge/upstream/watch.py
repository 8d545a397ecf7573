"""All watches: lets each subscriber in with its own token, and keeps one watch for each escrow.

Core sends an escrow's events once, on a watch that was opened with the token of one of its
subscribers. Of every other one core is asked once whether it may see the escrow. When the first
one's token ends, the watch is opened again with that of another, and resumes by version.
"""

from __future__ import annotations

import asyncio
import random

from bridge.upstream.ask import Ask
from bridge.upstream.error import CoreError
from bridge.upstream.lines import Lines
from bridge.upstream.stream import Source
from bridge.upstream.watched import Viewer, Watched
from holdfast.tokens import Identity


class Watches:
    """All watches, by escrow; at most `most` of them."""

    def __init__(self, source: Source, most: int) -> None:
        self.source = source
        self._limits = source.limits
        self._most = most
        self._watches: dict[str, Watched] = {}
        # Those whose stream has broken. They leave when `are_current` is asked for.
        self._resuming: set[Watched] = set()
        self._loop = asyncio.get_running_loop()
        self._lines = Lines(source, resume=self._resume, retry=self._retry, ended=self._ended)

    def count(self) -> int:
        return len(self._watches)

    @property
    def are_current(self) -> bool:
        """Whether all are open: none waits to be asked for again."""
        self._resuming = {one for one in self._resuming if one.line is None and one.refusal is None}
        return not self._resuming

    async def close(self) -> None:
        await self._lines.close()

    async def join(self, viewer: Viewer, escrow_id: str, after: int | None) -> Watched:
        """Ask core as this user, and be a subscriber from now on, until `release`.

        The watch is then at least at the version that core had. If it is new, and few events are
        missing since `after`, it begins with those. Raises CoreError.
        """
        while True:
            known = self._watches.get(escrow_id)
            if known is None and len(self._watches) >= self._most:
                # Only who may see the escrow learns that no more fit.
                await self._lines.ask(self._ask(viewer.identity, escrow_id))
                raise CoreError("UNAVAILABLE", "This bridge has too many watches.")
            watch = known or self._begin(escrow_id)
            watch.joining += 1
            try:
                if known is None:
                    version = await self._open(watch, viewer.identity, after)
                else:
                    version = await self._lines.ask(self._ask(viewer.identity, escrow_id))
                if await watch.reached(version):
                    watch.subscribers.add(viewer)
                    return watch
            finally:
                watch.joining -= 1
                self._let_go(watch)
            if known is None:
                assert watch.refusal is not None
                raise watch.refusal

    def release(self, watch: Watched, viewer: Viewer) -> None:
        """Tell a subscriber nothing more. A watch without any is dropped `linger_s` later."""
        watch.subscribers.discard(viewer)
        self._let_go(watch)

    def _resume(self, watch: Watched) -> None:
        """Ask for a watch again, after the version that was delivered."""
        if watch.refusal is not None or watch.line or watch.asking is not None:
            return
        self._resuming.add(watch)
        viewer = next(iter(watch.subscribers), None)
        if viewer is None:
            self._end(watch, CoreError("UNAVAILABLE", "Core is unavailable. Try again."))
            return
        watch.token = viewer.identity.token
        ask = self._ask(viewer.identity, watch.key)
        ask.watch, ask.after, ask.is_known = watch, watch.version, True
        self._lines.put(ask)

    def _retry(self, watch: Watched) -> None:
        """Resume at once, and after a growing pause if it has failed before."""
        watch.failures += 1
        if watch.failures == 1:
            self._resume(watch)
            return
        limits = self._limits
        most_s = min(limits.backoff_last_s, limits.backoff_first_s * 2 ** min(watch.failures, 16))
        self._loop.call_later(random.uniform(most_s / 2, most_s), self._resume, watch)  # noqa: S311

    def _ended(self, watch: Watched, error: CoreError) -> None:
        """Refuse those with the token that core refuses, and resume with the token of another."""
        for viewer in tuple(watch.subscribers):
            if viewer.identity.token == watch.token:
                watch.subscribers.discard(viewer)
                viewer.refused(error)
        if watch.subscribers:
            self._resume(watch)
        else:
            self._end(watch, error)

    def _begin(self, escrow_id: str) -> Watched:
        watch = self._watches[escrow_id] = Watched(escrow_id, self.source)
        return watch

    async def _open(self, watch: Watched, identity: Identity, after: int | None) -> int:
        watch.token = identity.token
        ask = self._ask(identity, watch.key)
        ask.watch, ask.after = watch, after
        try:
            return await self._lines.ask(ask)
        except CoreError as error:
            self._end(watch, error)
            raise
        except asyncio.CancelledError:
            # Whoever waits for the same watch opens one of its own.
            self._end(watch, CoreError("UNAVAILABLE", "Core is unavailable. Try again."))
            raise

    def _ask(self, identity: Identity, escrow_id: str) -> Ask:
        return Ask(identity, escrow_id, self._loop.time())

    def _let_go(self, watch: Watched) -> None:
        if watch.refusal is None and not watch.subscribers and not watch.joining:
            self._loop.call_later(self._limits.linger_s, self._end_unheld, watch)

    def _end_unheld(self, watch: Watched) -> None:
        if watch.refusal is None and not watch.subscribers and not watch.joining:
            self._end(watch, CoreError("UNAVAILABLE", "Nobody watches any more."))

    def _end(self, watch: Watched, error: CoreError) -> None:
        if self._watches.get(watch.key) is watch:
            del self._watches[watch.key]
        self._lines.drop(watch)
        watch.end(error)
