"""A stream to one core, with many watches on it: opens them, drops them, and hears their news.

When it breaks, or its core no longer serves, all of its watches are asked for again, here or at
another core.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterator
from itertools import islice
from time import perf_counter
from typing import Protocol

import structlog
from escrow.v1 import escrow_service_pb2 as service
from google.rpc import code_pb2

from bridge.upstream.ask import Ask
from bridge.upstream.core import WatchTalk
from bridge.upstream.endpoint import Endpoint
from bridge.upstream.error import CoreError
from bridge.upstream.stream import Gap, Source
from bridge.upstream.watched import Watched

_log = structlog.get_logger("bridge.upstream.line")

# Bytes of tokens in one request; core takes 2 MiB in all.
_REQUEST_BYTES = 512 * 1024


class Keeper(Protocol):
    """Who decides what becomes of questions and watches. None of it may block."""

    def put(self, ask: Ask) -> None:
        """Ask again: the stream has broken."""

    def share_out(self) -> None:
        """Have waiting questions asked: there is room."""

    def resume(self, watch: Watched) -> None:
        """Ask for a watch again: the stream has broken."""

    def retry(self, watch: Watched) -> None:
        """Ask for a watch again, which alone has failed; after a pause if it fails again."""

    def ended(self, watch: Watched, error: CoreError) -> None:
        """Go on without the user with whose token it was opened: core refuses that one."""


class Line:
    """One stream. It is opened when anything is asked for first, and again whenever it breaks."""

    def __init__(
        self, endpoint: Endpoint, source: Source, keeper: Keeper, begun: asyncio.Event
    ) -> None:
        # Whether core answers on it.
        self.is_up = False
        self._endpoint = endpoint
        self._core = source.core
        self._limits = source.limits
        self._keeper = keeper
        self._begun = begun
        # What is to be asked.
        self._next: deque[Ask] = deque()
        # What core was asked and has not answered, and what is open, by number.
        self._asked: dict[int, Ask] = {}
        self._open: dict[int, Watched] = {}
        self._drops: list[int] = []
        self._number = self._requests = self._failures = 0
        self._is_wanted = asyncio.Event()
        self._life = asyncio.create_task(self._live())

    async def close(self) -> None:
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)

    @property
    def load(self) -> int:
        """How many watches and questions there are."""
        return len(self._next) + len(self._asked) + len(self._open)

    @property
    def has_room(self) -> bool:
        """Whether core may be asked for more now."""
        return self.is_up and len(self._next) + len(self._asked) < self._limits.asks

    def give(self, ask: Ask) -> None:
        """Ask core this."""
        ask.line = self
        self._next.append(ask)
        self._is_wanted.set()

    def forget(self, ask: Ask) -> None:
        """Want no answer any more."""
        if self._asked.pop(ask.number, None) is not None and ask.watch is not None:
            self._drop(ask.number)

    def drop(self, watch: Watched) -> None:
        """Watch no more."""
        if self._open.pop(watch.number, None) is not None:
            self._drop(watch.number)
        watch.line, watch.number = None, 0

    def move(self, most: int) -> None:
        """Have so many watches asked for again, where there are fewer."""
        for watch in list(islice(self._open.values(), most)):
            self.drop(watch)
            self._keeper.resume(watch)

    def _drop(self, number: int) -> None:
        self._drops.append(number)
        self._is_wanted.set()

    # The life of the stream.

    async def _live(self) -> None:
        while True:
            await self._begun.wait()
            while not self._core.is_useful(self._endpoint):  # noqa: ASYNC110 - it depends on others
                await asyncio.sleep(self._limits.backoff_first_s)
            try:
                async with self._core.watch_many(self._endpoint) as talk:
                    await self._talk(talk)
            except CoreError as error:
                self._note_failure(error)
            except Gap as gap:
                _log.error("events are missing from core's stream of watches", gap=str(gap))
            except Exception:
                _log.exception("the stream of watches failed")
            self._lose()
            self._failures += 1
            await asyncio.sleep(self._pause_s())

    async def _talk(self, talk: WatchTalk) -> None:
        self._requests = 0
        # What has failed first tells why, but for `_speak`, which ends in silence with the stream.
        both = [asyncio.create_task(self._hear(talk)), asyncio.create_task(self._speak(talk))]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    def _note_failure(self, error: CoreError) -> None:
        if not error.away and self._failures & (self._failures - 1) == 0:
            # Logged at the 1st, 2nd, 3rd, 5th, 9th … failure. UNIMPLEMENTED: core is too old.
            _log.error("core refuses the stream of watches", code=error.code, reason=error.reason)

    def _lose(self) -> None:
        self.is_up = False
        watches, asks = list(self._open.values()), [*self._asked.values(), *self._next]
        self._open, self._asked, self._drops = {}, {}, []
        self._next.clear()
        for ask in asks:
            if not ask.is_over:
                ask.line, ask.number = None, 0
                self._keeper.put(ask)
        for watch in watches:
            watch.line, watch.number = None, 0
            self._keeper.resume(watch)

    def _pause_s(self) -> float:
        limits = self._limits
        most_s = min(limits.backoff_last_s, limits.backoff_first_s * 2 ** min(self._failures, 16))
        return random.uniform(most_s / 2, most_s)  # noqa: S311

    # What is said.

    async def _speak(self, talk: WatchTalk) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            request = self._compose()
            if request.open or request.drop:
                self._requests += 1
                try:
                    await talk.say(request)
                except CoreError:
                    return  # The stream has ended, and `_hear` knows why.
                # What is wanted meanwhile goes together.
                await asyncio.sleep(self._limits.ask_pause_s)

    def _compose(self) -> service.WatchManyRequest:
        request = service.WatchManyRequest(drop=self._drops)
        self._drops = []
        openings: dict[str, list[Ask]] = {}
        for ask in self._now():
            openings.setdefault(ask.identity.token, []).append(ask)
        for token, asks in openings.items():
            opening = request.open.add(token=token)
            for ask in asks:
                self._number += 1
                ask.number = self._number
                self._asked[ask.number] = ask
                ask.write(opening.watches.add())
        return request

    def _now(self) -> Iterator[Ask]:
        left = _REQUEST_BYTES
        while left > 0 and self._next:
            ask = self._next.popleft()
            if not ask.is_over:
                left -= len(ask.identity.token)
                yield ask
        if self._next:
            self._is_wanted.set()

    # What is heard.

    async def _hear(self, talk: WatchTalk) -> None:
        while True:
            response = await talk.hear(self._limits.watch_silence_s)
            self._failures, self.is_up = 0, True
            end = perf_counter() + self._limits.slice_s
            for news in response.news:
                await self._take(news)
                if perf_counter() > end:
                    await asyncio.sleep(0)
                    end = perf_counter() + self._limits.slice_s
            if response.HasField("tally"):
                self._compare(response.tally)
            self._keeper.share_out()

    async def _take(self, news: service.WatchNews) -> None:
        kind = news.WhichOneof("news")
        if kind == "event":
            watch = self._open.get(news.watch_id)
            try:
                if watch is not None:
                    await watch.take(news.event)
            except Gap as gap:
                assert watch is not None
                _log.error("a gap in core's stream", escrow=watch.key, gap=str(gap))
                self.drop(watch)
                self._keeper.retry(watch)
            return
        ask = self._asked.pop(news.watch_id, None)
        if kind == "opened" and ask is not None:
            self._opened(ask, news.opened)
        elif kind == "ended":
            self._ended(news.watch_id, ask, news.ended)

    def _opened(self, ask: Ask, opened: service.WatchOpened) -> None:
        if ask.watch is not None:
            ask.watch.asking, ask.watch.line, ask.watch.number = None, self, ask.number
            self._open[ask.number] = ask.watch
            ask.watch.begin(opened, ask.after or 0)
        if ask.answer is not None and not ask.answer.done():
            ask.answer.set_result(opened.version)

    def _ended(self, number: int, ask: Ask | None, ended: service.WatchEnded) -> None:
        error = CoreError(code_pb2.Code.Name(ended.code), ended.message, ended.reason)
        watch = self._open.pop(number, None)
        if ask is not None:
            if ask.watch is not None:
                ask.watch.asking = None
            ask.fail(error)
            watch = ask.watch if ask.answer is None else None
        if watch is None:
            return
        watch.line, watch.number = None, 0
        if error.away or error.code == "RESOURCE_EXHAUSTED":
            self._keeper.retry(watch)
        else:
            self._keeper.ended(watch, error)

    def _compare(self, tally: service.WatchTally) -> None:
        """Raise Gap if core's tally is not ours, as far as no question is open."""
        if tally.requests != self._requests or self._asked or self._drops:
            return
        ours = (len(self._open), sum(watch.version for watch in self._open.values()) % 2**64)
        if (tally.watches, tally.versions) != ours:
            raise Gap(f"at {ours}, core at {tally.watches}, {tally.versions}")
