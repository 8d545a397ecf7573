"""WatchMany: the watches of one stream, each opened with the token of the user for whom it is.

Whatever waits is bounded. A caller that does not read is sent nothing, and its requests stay
unread; what it has missed is read again from the table.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from escrow.v1 import escrow_service_pb2 as rpc
from google.rpc import code_pb2

from core.errors import Reason, Refusal, shutting_down
from core.heartbeat import stop
from core.law.escrow import Escrow
from core.law.message import escrow_message
from core.law.rules import may_see
from core.live.bundle import Bundle
from core.live.feed import Feed
from core.live.watched import Cursor, Watched
from core.service import check
from core.service.guard import Verified, authenticate
from core.service.share import Pace
from core.service.stream import event_news, news, token_ended
from holdfast.tokens import Verifier

# Watches of one stream; one more is refused with TOO_MANY_WATCHES.
MAX_WATCHES = 100_000
# Watches of one stream that wait to be judged, or for their answer to be sent, before no more
# requests are read.
MAX_WAITING = 512
# Watches that are judged at once, with one reading of their escrows.
BATCH = 128
# How long after one batch the next is begun at the earliest, so that few readings serve many.
GATHER_S = 0.005
# Events that a watch may begin with; a snapshot stands for more.
MAX_MISSED = 64
# Bytes of one answer, the last event of which may be longer.
MESSAGE_BYTES = 256 * 1024
# How often a stream says how far its watches are.
TALLY_S = 15.0
# How often the tokens of open watches are looked at, at most.
TOKENS_EVERY_S = 0.25


@dataclass(eq=False, slots=True)
class _Watch:
    """An open watch, and the token that it ends with. Times are seconds since the epoch."""

    user_id: str
    issued_at_s: float
    expires_at_s: float
    cursor: Cursor


class Watches:
    """What all such streams of this process share."""

    def __init__(self, feed: Feed, verifier: Verifier, pace: Pace) -> None:
        self.feed = feed
        self.verifier = verifier
        self.pace = pace

    async def serve(self, requests: AsyncIterator[rpc.WatchManyRequest]) -> AsyncGenerator[bytes]:
        """Yield serialized WatchManyResponses, until the caller goes or this server does."""
        listeners = self.verifier.revocations.listeners
        with self.feed.bundle() as bundle:
            stream = _Stream(self, bundle)
            working = [
                stream.keep(stream.hear(requests)),
                stream.keep(stream.judge()),
            ]
            listeners.append(stream.revoked)
            try:
                async with contextlib.aclosing(stream.messages()) as messages:
                    async for message in messages:
                        yield message
            finally:
                listeners.remove(stream.revoked)
                await stop(working)
                stream.drop_all()


class _Stream:
    def __init__(self, shared: Watches, bundle: Bundle) -> None:
        self._shared = shared
        self._bundle = bundle
        self._loop = asyncio.get_running_loop()
        self._watches: dict[int, _Watch] = {}
        # What was asked for, with its token, in this order; then what is being judged.
        self._asked: dict[int, tuple[str, rpc.NewWatch]] = {}
        self._judging: dict[int, tuple[str, rpc.NewWatch]] = {}
        self._answers: deque[bytes] = deque()
        self._newest_id = 0
        self._requests = 0
        self._is_asked = asyncio.Event()
        self._has_room = asyncio.Event()
        self._failure: BaseException | None = None
        self._tally_at_s = self._loop.time()
        # When the first token of all watches ends, and when that was last looked at.
        self._soonest_s = float("inf")
        self._looked_at_s = 0.0

    def keep(self, work: Any) -> asyncio.Task[None]:
        """Run a part of the stream, whose failure ends all of it."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._bundle.woken.set()

    # What the caller asks for.

    async def hear(self, requests: AsyncIterator[rpc.WatchManyRequest]) -> None:
        """Take requests, as long as there is room for what they ask."""
        async for request in requests:
            self._requests += 1
            for watch_id in request.drop:
                self._drop(watch_id)
            for opening in request.open:
                for new in opening.watches:
                    self._ask(opening.token, new)
            while len(self._asked) + len(self._answers) > MAX_WAITING:
                self._has_room.clear()
                await self._has_room.wait()

    def _ask(self, token: str, new: rpc.NewWatch) -> None:
        if new.watch_id <= self._newest_id:
            problem = "must be larger than any before"
            raise Refusal(Reason.FIELD_INVALID, f"watch_id: {problem}", {"watch_id": problem})
        self._newest_id = new.watch_id
        self._asked[new.watch_id] = (token, new)
        self._is_asked.set()

    def _drop(self, watch_id: int) -> None:
        self._asked.pop(watch_id, None)
        self._judging.pop(watch_id, None)
        watch = self._watches.pop(watch_id, None)
        if watch is not None:
            self._bundle.remove(watch.cursor)

    def drop_all(self) -> None:
        for watch_id in list(self._watches):
            self._drop(watch_id)

    # The answers to it.

    async def judge(self) -> None:
        """Judge what was asked, many at a time."""
        while True:
            await self._is_asked.wait()
            next_s = self._loop.time() + GATHER_S
            self._judging = dict(islice(self._asked.items(), BATCH))
            for watch_id in self._judging:
                del self._asked[watch_id]
            if not self._asked:
                self._is_asked.clear()
            await self._judge()
            self._bundle.woken.set()
            await asyncio.sleep(next_s - self._loop.time())

    async def _judge(self) -> None:
        verified: dict[int, Verified] = {}
        for watch_id, (token, new) in list(self._judging.items()):
            try:
                verified[watch_id] = await self._admit(token, new)
            except Refusal as refusal:
                self._refuse(watch_id, refusal)
        wanted = {new.escrow_id for _, new in self._judging.values()}
        if not wanted:
            return
        try:
            async with self._shared.feed.present(list(wanted)) as found:
                for watch_id, (_, new) in self._judging.items():
                    self._answer(new, verified[watch_id], found.get(new.escrow_id))
        except Refusal as refusal:
            for watch_id in list(self._judging):
                self._refuse(watch_id, refusal)

    async def _admit(self, token: str, new: rpc.NewWatch) -> Verified:
        verified = await authenticate(self._shared.verifier, token)
        if not new.known:  # It was counted when it was opened first.
            self._shared.pace.take(verified.caller)
        check.escrow_id(new.escrow_id)
        check_ = check.Check()
        check_.range("after_version", new.after_version, least=0, most=2**63 - 1)
        if new.known and not new.HasField("after_version"):
            check_.problem("known", "goes only with after_version")
        check_.done()
        return verified

    def _answer(
        self, new: rpc.NewWatch, verified: Verified, found: tuple[Escrow, Watched] | None
    ) -> None:
        who = verified.caller
        if found is None or not may_see(found[0], who):
            refusal = Refusal(Reason.ESCROW_NOT_FOUND, "There is no such escrow.")
            self._tell_end(new.watch_id, refusal)
        elif self._shared.verifier.revocations.covers(who.user_id, verified.issued_at_s):
            self._tell_end(new.watch_id, token_ended(is_revoked=True))
        elif new.once:
            self._tell_opened(new.watch_id, found[0].version)
        elif len(self._watches) >= MAX_WATCHES:
            text = f"This stream has {MAX_WATCHES} watches; open another stream."
            self._tell_end(new.watch_id, Refusal(Reason.TOO_MANY_WATCHES, text))
        else:
            self._open(new, verified, *found)

    def _open(
        self, new: rpc.NewWatch, verified: Verified, escrow: Escrow, watched: Watched
    ) -> None:
        after, has_snapshot = _beginning(new, escrow.version)
        self._tell_opened(new.watch_id, escrow.version, escrow if has_snapshot else None)
        self._watches[new.watch_id] = _Watch(
            verified.caller.user_id,
            verified.issued_at_s,
            verified.expires_at_s,
            self._bundle.add(new.watch_id, watched, after),
        )
        self._soonest_s = min(self._soonest_s, verified.expires_at_s)

    def _refuse(self, watch_id: int, refusal: Refusal) -> None:
        if self._judging.pop(watch_id, None) is not None:
            self._tell_end(watch_id, refusal)

    def _tell_opened(self, watch_id: int, version: int, escrow: Escrow | None = None) -> None:
        snapshot = None if escrow is None else escrow_message(escrow)
        opened = rpc.WatchOpened(version=version, snapshot=snapshot)
        self._answers.append(news(rpc.WatchNews(watch_id=watch_id, opened=opened)))

    def _tell_end(self, watch_id: int, refusal: Refusal) -> None:
        ended = rpc.WatchEnded(
            code=code_pb2.Code.Value(refusal.reason.code),
            reason=refusal.reason.name,
            message=refusal.message,
        )
        self._answers.append(news(rpc.WatchNews(watch_id=watch_id, ended=ended)))

    # The end of tokens.

    def revoked(self, user_id: str) -> None:
        """End the watches that were opened with a token which has just been revoked."""
        revocations = self._shared.verifier.revocations
        self._end_if(
            lambda one: one.user_id == user_id and revocations.covers(user_id, one.issued_at_s),
            token_ended(is_revoked=True),
        )

    def _end_expired(self) -> None:
        now_s = time.time()
        if now_s >= max(self._soonest_s, self._looked_at_s + TOKENS_EVERY_S):
            self._looked_at_s = now_s
            self._end_if(lambda one: one.expires_at_s <= now_s, token_ended(is_revoked=False))
            left = (one.expires_at_s for one in self._watches.values())
            self._soonest_s = min(left, default=float("inf"))

    def _end_if(self, is_over: Callable[[_Watch], bool], refusal: Refusal) -> None:
        for watch_id, watch in list(self._watches.items()):
            if is_over(watch):
                self._drop(watch_id)
                self._tell_end(watch_id, refusal)
        self._bundle.woken.set()

    # What is sent.

    async def messages(self) -> AsyncGenerator[bytes]:
        """Yield what there is to send, whenever the caller can take it.

        Raises Refusal SHUTTING_DOWN, and what has ended `hear` or `judge`.
        """
        while True:
            if self._failure is not None:
                raise self._failure
            if self._bundle.closed:
                raise shutting_down()
            self._bundle.woken.clear()
            self._end_expired()
            message = self._compose()
            if message:
                yield message
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._wake_at_s()):
                    await self._bundle.woken.wait()

    def _wake_at_s(self) -> float:
        due_s = max(self._soonest_s, self._looked_at_s + TOKENS_EVERY_S) - time.time()
        return min(self._tally_at_s, self._loop.time() + max(due_s, 0))

    def _compose(self) -> bytes:
        parts: list[bytes] = []
        left = MESSAGE_BYTES
        while self._answers and left > 0:
            parts.append(self._answers.popleft())
            left -= len(parts[-1])
        self._has_room.set()
        # A watch's events come after its first answer, which may still wait.
        for cursor, body in self._bundle.take(left) if not self._answers else ():
            parts.append(event_news(cursor.key, body))
        if self._loop.time() >= self._tally_at_s and not self._answers:
            self._tally_at_s = self._loop.time() + TALLY_S
            parts.append(rpc.WatchManyResponse(tally=self._tally()).SerializeToString())
        return b"".join(parts)

    def _tally(self) -> rpc.WatchTally:
        versions = sum(watch.cursor.version for watch in self._watches.values())
        return rpc.WatchTally(
            requests=self._requests, watches=len(self._watches), versions=versions % 2**64
        )


def _beginning(new: rpc.NewWatch, version: int) -> tuple[int, bool]:
    """Answer the version that a watch begins after, and whether a snapshot comes first."""
    if not new.HasField("after_version"):
        return version, True
    after = new.after_version
    if new.known or 1 <= version - after <= MAX_MISSED:
        return after, False
    return version, True
