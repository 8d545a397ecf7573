"""The only way to change an escrow: runs commands, each once, many in one transaction.

A lone command runs at once; what arrives during a commit is the next batch. If a batch fails, its
commands run one by one, so that one bad command cannot stop the others.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from sqlalchemy.exc import IntegrityError

from core.errors import Reason, Refusal, request_id_reused
from core.heartbeat import beat, rest
from core.law import command as c
from core.law.command import Caller, Command
from core.law.escrow import Escrow
from core.law.ledger import postings
from core.law.message import US_PER_S, escrow_message
from core.law.record import event_message
from core.law.rules import decide, moves_money, outstanding
from core.storage.batch import Found, Wanted, Writes, escrow_row, place_row
from core.storage.row import Known, Loaded
from core.storage.store import Store

log = logging.getLogger(__name__)

# Commands in one transaction.
MAX_BATCH = 200
# Commands that wait for a transaction; one more is refused with OVERLOADED.
MAX_WAITING = 10_000
# How long a batch is tried again while the database is away.
RETRY_FOR_S = 5.0
# The pause between two such tries, spread by half.
RETRY_EVERY_S = 0.25
# How soon Razorpay is asked, in case no webhook has come by then.
FIRST_CHECK_S = 5.0


@dataclass(slots=True)
class Asked:
    """A command that waits or runs, and the future of its answer."""

    command: Command
    escrow_id: str
    caller: Caller
    cause: str
    fingerprint: bytes
    answer: asyncio.Future[Answer] = field(repr=False)
    lease_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command: the escrow, whether this very call changed it.

    `is_repeat` is true where the cause had made an event before; the escrow is then the one right
    after that event, and the event is that one.
    """

    escrow: pb.Escrow
    event: pb.EscrowEvent | None
    is_repeat: bool = False

    @property
    def has_changed(self) -> bool:
        return self.event is not None and not self.is_repeat


@dataclass(frozen=True, slots=True)
class Committed:
    """An event that is on disk."""

    escrow_id: str
    version: int
    body: bytes
    # Who it concerns: buyer, seller and arbiter.
    parties: tuple[str, ...]


class _Batch:
    """What one transaction knows and is going to write."""

    def __init__(self, found: Found, now_us: int) -> None:
        self.known = found.known
        self.loaded = found.loaded
        self._stored = frozenset(found.loaded)
        self.now_us = now_us
        # Which lease each escrow's work is under, where a command depends on it.
        self.leases = found.leases
        # Files that wait to be sent, of those that commands name.
        self.files = dict(found.files)
        self.sent: list[str] = []
        self.answers: list[Answer | Known | Refusal] = []
        self.committed: list[Committed] = []
        self.events: list[dict[str, Any]] = []
        self.places: list[dict[str, Any]] = []
        self.postings: list[dict[str, Any]] = []
        self.orders: list[dict[str, Any]] = []
        self.changed: set[str] = set()
        self.to_settle: set[str] = set()
        self.asked_about: set[str] = set()
        # Escrows that need a person from now on.
        self.worrying: list[Escrow] = []

    def judge(self, asked: Asked) -> None:
        """Decide one command against the state that those before it have left."""
        known = self.known.get(asked.cause)
        if known is not None:
            _require_same(known, asked.fingerprint)
            self.answers.append(known)
            return
        if asked.lease_id and self.leases.get(asked.escrow_id) != asked.lease_id:
            raise Refusal(
                Reason.SETTLEMENT_UNDER_WAY, "This escrow is being settled right now; try again."
            )
        loaded = self.loaded.get(asked.escrow_id)
        before = loaded.escrow if loaded else None
        # No event is older than the one before it, whatever a replica's clock says.
        now_us = max(self.now_us, before.update_time_us) if before else self.now_us
        event = decide(before, self._with_files(asked.command), asked.caller, now_us)
        if event is None:
            assert before is not None, "only an escrow can stay as it is"
            self.answers.append(Answer(escrow_message(before), None))
            return
        message = event_message(event, loaded.last_hash if loaded else b"")
        body = message.SerializeToString(deterministic=True)
        escrow = event.escrow
        escrow_id, version = escrow.escrow_id, escrow.version
        key = {
            "escrow_id": escrow_id,
            "version": version,
            "create_time_us": escrow.update_time_us,
        }
        self.events.append(
            {
                **key,
                "cause": asked.cause,
                "fingerprint": asked.fingerprint,
                "type": event.type.value,
                "body": body,
            }
        )
        self.places.append({**key, **place_row(event)})
        for position, posting in enumerate(postings(before, event)):
            self.postings.append(
                {
                    **key,
                    "position": position,
                    "account": posting.account,
                    "amount_minor": posting.amount_minor,
                    "currency": posting.currency,
                    "entity_id": posting.entity_id,
                }
            )
        if isinstance(asked.command, c.AddDisputeMessage):
            self._send(asked.command)
        if isinstance(asked.command, c.RecordOrder):
            order = {"order_id": asked.command.order_id, "escrow_id": escrow_id}
            self.orders.append(order)
            self.asked_about.add(escrow_id)
        elif event.old_status != event.new_status and escrow.has_order:
            self.asked_about.add(escrow_id)
        self.loaded[escrow_id] = Loaded(escrow, message.hash)
        self.known[asked.cause] = Known(escrow_id, version, asked.fingerprint)
        self.changed.add(escrow_id)
        if before is None or moves_money(before, event):
            self.to_settle.add(escrow_id)
        if escrow.attentions and (before is None or before.attentions != escrow.attentions):
            self.worrying.append(escrow)
        self.committed.append(Committed(escrow_id, version, body, escrow.party_ids))
        self.answers.append(Answer(message.escrow, message))

    def _with_files(self, command: Command) -> Command:
        if not isinstance(command, c.AddDisputeMessage) or not command.file_ids:
            return command
        ready = (self.files.get(file_id) for file_id in command.file_ids)
        return replace(command, files=tuple(file for file in ready if file is not None))

    def _send(self, command: c.AddDisputeMessage) -> None:
        """A file is part of one message: whoever comes later does not find it."""
        self.sent += command.file_ids
        for file_id in command.file_ids:
            del self.files[file_id]

    @functools.cached_property
    def writes(self) -> Writes:
        """The rows of all that was decided; asked for after the last command."""
        changed = sorted(self.changed)
        owing = {one for one in changed if outstanding(self.loaded[one].escrow)}
        versions = {one: self.loaded[one].escrow.version for one in changed}
        check_us = self.now_us + round(FIRST_CHECK_S * US_PER_S)
        again = {"attempts": 0, "stirs": 0}
        return Writes(
            escrows=[escrow_row(self.loaded[one]) for one in changed],
            events=self.events,
            places=self.places,
            postings=self.postings,
            orders=self.orders,
            checks=[
                {"escrow_id": one, "due_us": check_us, "attempts": 0}
                for one in sorted(self.asked_about)
            ],
            owed=[
                {"escrow_id": one, "version": versions[one], "due_us": self.now_us} | again
                for one in sorted(owing & self.to_settle)
            ],
            sent=self.sent,
            settled=sorted((self.changed & self._stored) - owing),
            rung=list(versions.items()),
        )


class Executor:
    """Takes commands from anywhere in the process; `run` works them off."""

    def __init__(
        self,
        store: Store,
        *,
        now_us: Callable[[], int],
        published: Callable[[Sequence[Committed]], None],
        owed: Callable[[], None] = lambda: None,
    ) -> None:
        """`published` hears of every event that is on disk, `owed` of new work for settlement."""
        self._store = store
        self._now_us = now_us
        self._published = published
        self._owed = owed
        self._waiting: asyncio.Queue[Asked] = asyncio.Queue(MAX_WAITING)
        self._closed = False
        # What became of commands, and in how many transactions.
        self.outcomes: Counter[str] = Counter()

    async def execute(
        self,
        command: Command,
        *,
        escrow_id: str,
        caller: Caller,
        cause: str,
        fingerprint: bytes = b"",
        lease_id: str = "",
    ) -> Answer:
        """Run one command, once for its cause; answers when it is on disk.

        With `lease_id`, only as long as that lease of settlement's work on the escrow is held, as
        of the commit itself. A cancelled caller does not undo what has been judged. Raises Refusal.
        """
        if self._closed:
            raise Refusal(Reason.SHUTTING_DOWN, "This server is about to go; try again.")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        asked = Asked(command, escrow_id, caller, cause, fingerprint, answer, lease_id)
        try:
            self._waiting.put_nowait(asked)
        except asyncio.QueueFull:
            raise Refusal(Reason.OVERLOADED, "Too many commands wait; try again.") from None
        return await answer

    async def recall(self, cause: str, fingerprint: bytes) -> Answer | None:
        """Answer what a cause has made before, if it has. Raises Refusal REQUEST_ID_REUSED."""
        known = await self._store.known(cause)
        if known is None:
            return None
        _require_same(known, fingerprint)
        return await self._repeat(known)

    async def run(self) -> None:
        """Run waiting commands until cancelled. Call `close` first, so that none is left."""
        while True:
            rest()
            taken = [await self._waiting.get()]
            beat()
            while len(taken) < MAX_BATCH and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            await self._work([asked for asked in taken if not asked.answer.done()])
            for _ in taken:
                self._waiting.task_done()

    async def close(self) -> None:
        """Refuse new commands and wait until those inside are answered."""
        self._closed = True
        await self._waiting.join()

    async def _work(self, batch: list[Asked]) -> None:
        if not batch:
            return
        try:
            await _patiently(lambda: self._transact(batch), lambda: self._closed)
        except Refusal as refusal:
            _fail(batch, refusal)
        except Exception as error:  # One command's failure must not reach the others.
            if len(batch) > 1:
                log.warning("a batch failed and runs one by one: %r", error)
                for asked in batch:
                    await self._work([asked])
            elif isinstance(error, IntegrityError):
                await self._again(batch)
            else:
                log.exception("a command failed: %s", type(batch[0].command).__name__)
                _fail(batch, error)

    async def _again(self, batch: list[Asked]) -> None:
        """Try once more: another process wrote the same cause or version first."""
        try:
            await _patiently(lambda: self._transact(batch), lambda: self._closed)
        except Exception as error:
            log.exception("a command failed: %s", type(batch[0].command).__name__)
            _fail(batch, error)

    async def _transact(self, asked: Sequence[Asked]) -> None:
        wanted = Wanted(
            # A creation has an id of its own that nobody has had.
            escrow_ids={a.escrow_id for a in asked if not isinstance(a.command, c.CreateEscrow)},
            causes={a.cause for a in asked},
            leased={a.escrow_id for a in asked if a.lease_id},
            file_ids={
                file_id
                for a in asked
                if isinstance(a.command, c.AddDisputeMessage)
                for file_id in a.command.file_ids
            },
        )

        def judge(found: Found, now_us: int) -> _Batch:
            batch = _Batch(found, now_us)
            for one in asked:
                try:
                    batch.judge(one)
                except Refusal as refusal:
                    batch.answers.append(refusal)
            return batch

        batch = await self._store.run(wanted, judge, now_us=self._now_us)
        if batch.committed:
            self._published(batch.committed)
        if batch.writes.owed:
            self._owed()
        for escrow in batch.worrying:
            log.warning(
                "escrow %s needs attention: %s: %s",
                escrow.escrow_id,
                escrow.attention_code,
                escrow.attention,
            )
        self.outcomes["changed"] += len(batch.committed)
        self.outcomes["refused"] += sum(isinstance(one, Refusal) for one in batch.answers)
        self.outcomes["batches"] += 1
        for one, answer in zip(asked, batch.answers, strict=True):
            await self._answer(one, answer)

    async def _answer(self, asked: Asked, answer: Answer | Known | Refusal) -> None:
        if asked.answer.done():
            return
        if isinstance(answer, Refusal):
            asked.answer.set_exception(answer)
            return
        if isinstance(answer, Known):
            answer = await self._repeat(answer)
        if not asked.answer.done():
            asked.answer.set_result(answer)

    async def _repeat(self, known: Known) -> Answer:
        event = pb.EscrowEvent.FromString(await self._store.event(known.escrow_id, known.version))
        return Answer(event.escrow, event, is_repeat=True)


def _require_same(known: Known, fingerprint: bytes) -> None:
    if known.fingerprint != fingerprint:
        raise request_id_reused()


def _fail(batch: Sequence[Asked], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            asked.answer.set_exception(error)


async def _patiently(
    transact: Callable[[], Awaitable[None]], is_closing: Callable[[], bool]
) -> None:
    """Try a transaction again while the database is away, for a while.

    Safe although a lost connection leaves open whether it committed: every command has its cause.
    The time counts from the first failure, so that one dead connection always leaves a second try.
    """
    loop = asyncio.get_running_loop()
    give_up_s: float | None = None
    while True:
        try:
            return await transact()
        except Refusal as refusal:
            if refusal.reason is not Reason.STORAGE_UNAVAILABLE or is_closing():
                raise
            give_up_s = give_up_s or loop.time() + RETRY_FOR_S
            if loop.time() > give_up_s:
                raise
            await asyncio.sleep(RETRY_EVERY_S * (0.5 + random.random()))  # noqa: S311
