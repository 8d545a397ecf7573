"""The one door in: each command once, many in one transaction, none harmed by another."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from core import execute
from core.errors import Reason, Refusal
from core.execute import Answer, Executor
from core.law import command as c
from core.storage.database import connect
from core.storage.listing import Filter
from core.storage.store import Store
from tests.core.law.story import ADMIN, BUYER, SELLER, SERVICE, STRANGER, create, payment
from tests.core.room import Room, Time, open_room

MANY = 60


def reasons(answers: Sequence[Answer | BaseException]) -> list[Reason | None]:
    for answer in answers:
        assert isinstance(answer, Answer | Refusal), answer
    return [a.reason if isinstance(a, Refusal) else None for a in answers]


async def test_many_commands_at_once_take_few_transactions(room: Room) -> None:
    escrow_ids = await asyncio.gather(*(room.create() for _ in range(MANY)))
    room.batches.clear()
    await asyncio.gather(
        *(room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE) for escrow_id in escrow_ids)
    )
    assert sum(len(batch) for batch in room.batches) == MANY
    assert len(room.batches) <= 3


async def test_commands_on_one_escrow_in_one_batch_see_one_another(room: Room) -> None:
    escrow_id = await room.create()
    room.batches.clear()
    answers = await asyncio.gather(
        *(room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE) for _ in range(MANY))
    )
    assert [answer.escrow.version for answer in answers] == list(range(2, MANY + 2))
    assert len(room.batches) <= 3
    events = await room.store.events_after(escrow_id, 0, 1_000)
    assert len(events) == MANY + 1


async def test_of_release_and_refund_in_one_batch_one_wins(room: Room) -> None:
    escrow_id = await room.paid()
    answers = await asyncio.gather(
        *(
            room.tell(escrow_id, command, ADMIN)
            for command in (c.ReleaseEscrow(), c.RefundEscrow()) * 10
        ),
        return_exceptions=True,
    )
    assert reasons(answers).count(None) == 1
    assert set(reasons(answers)) == {None, Reason.WRONG_STATUS}


async def test_one_bad_command_harms_no_other(room: Room) -> None:
    good = await room.create()
    # Not a refusal: an amount that no column holds, as a bug elsewhere might let through.
    bad = room.tell(str(uuid.uuid4()), create(escrow_id=str(uuid.uuid4()), title="\ud800"))
    others = [room.tell(good, c.PublishUpdate("hello"), SERVICE) for _ in range(20)]
    outcomes = await asyncio.gather(*others[:10], bad, *others[10:], return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(failed) == 1
    assert not isinstance(failed[0], Refusal)
    assert (await room.escrow(good)).version == 21


async def test_a_refused_command_writes_nothing(room: Room) -> None:
    escrow_id = await room.create()
    room.batches.clear()
    for command, caller in ((c.ReleaseEscrow(), BUYER), (c.CancelEscrow(), STRANGER)):
        with pytest.raises(Refusal):
            await room.tell(escrow_id, command, caller)
    assert room.batches == []
    assert (await room.escrow(escrow_id)).version == 1


async def test_a_repeated_cause_gives_the_first_answer_and_changes_nothing(room: Room) -> None:
    escrow_id = await room.paid()
    first = await room.tell(escrow_id, c.AddConfirmation(), cause="rpc:1", fingerprint=b"x" * 32)
    await room.tell(escrow_id, c.AddConfirmation(), SELLER)
    again = await room.tell(escrow_id, c.AddConfirmation(), cause="rpc:1", fingerprint=b"x" * 32)
    assert again.is_repeat
    assert not again.has_changed
    assert again.escrow == first.escrow
    assert (await room.escrow(escrow_id)).version == first.escrow.version + 1


async def test_a_cause_with_another_body_is_refused(room: Room) -> None:
    escrow_id = await room.create()
    await room.tell(escrow_id, c.CancelEscrow("a"), cause="rpc:1", fingerprint=b"a" * 32)
    with pytest.raises(Refusal) as refused:
        await room.tell(escrow_id, c.CancelEscrow("b"), cause="rpc:1", fingerprint=b"b" * 32)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED
    with pytest.raises(Refusal):
        await room.executor.recall("rpc:1", b"b" * 32)


async def test_the_same_cause_many_times_at_once_counts_once(room: Room) -> None:
    escrow_id = await room.paid()
    answers = await asyncio.gather(
        *(room.tell(escrow_id, c.AddConfirmation(), cause="rpc:1") for _ in range(20))
    )
    assert [answer.is_repeat for answer in answers].count(False) == 1
    assert len({answer.escrow.SerializeToString(deterministic=True) for answer in answers}) == 1


async def test_creations_with_one_cause_make_one_escrow(room: Room) -> None:
    answers = await asyncio.gather(
        *(room.tell(one, create(escrow_id=one), cause="rpc:1") for one in _ids(10))
    )
    assert len({answer.escrow.escrow_id for answer in answers}) == 1
    assert await _count(room) == 1


async def test_two_replicas_create_one_escrow_for_one_cause(two_rooms: tuple[Room, Room]) -> None:
    for turn in range(10):
        answers = await asyncio.gather(
            *(
                room.tell(one, create(escrow_id=one), cause=f"rpc:{turn}")
                for one, room in zip(_ids(6), two_rooms * 3, strict=True)
            )
        )
        assert len({answer.escrow.escrow_id for answer in answers}) == 1
    assert await _count(two_rooms[0]) == 10


async def test_two_replicas_answer_one_request_id_alike(two_rooms: tuple[Room, Room]) -> None:
    for _ in range(10):
        escrow_id = await two_rooms[0].paid()
        answers = await asyncio.gather(
            *(
                room.tell(escrow_id, c.AddConfirmation(), cause=f"rpc:{escrow_id}")
                for room in two_rooms * 2
            )
        )
        assert {answer.escrow.version for answer in answers} == {4}
        assert [answer.is_repeat for answer in answers].count(False) == 1


async def test_two_replicas_write_gapless_versions(two_rooms: tuple[Room, Room]) -> None:
    escrow_ids = [await two_rooms[0].create() for _ in range(4)]
    await asyncio.gather(
        *(
            room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE)
            for escrow_id in escrow_ids
            for room in two_rooms * 10
        )
    )
    for escrow_id in escrow_ids:
        assert (await two_rooms[0].escrow(escrow_id)).version == 21
        assert len(await two_rooms[1].store.events_after(escrow_id, 0, 100)) == 21


async def test_two_replicas_never_let_release_and_refund_both_win(
    two_rooms: tuple[Room, Room],
) -> None:
    for _ in range(10):
        escrow_id = await two_rooms[0].paid()
        outcomes = await asyncio.gather(
            two_rooms[0].tell(escrow_id, c.ReleaseEscrow(), ADMIN),
            two_rooms[1].tell(escrow_id, c.RefundEscrow(), ADMIN),
            return_exceptions=True,
        )
        assert sorted(reasons(outcomes), key=str) == [None, Reason.WRONG_STATUS]


async def test_a_caller_that_goes_away_does_not_undo_what_others_asked(room: Room) -> None:
    escrow_id = await room.create()
    gone = asyncio.create_task(room.tell(escrow_id, c.PublishUpdate("gone"), SERVICE))
    stays = asyncio.create_task(room.tell(escrow_id, c.PublishUpdate("stays"), SERVICE))
    await asyncio.sleep(0)
    gone.cancel()
    answer = await stays
    assert answer.escrow.version in (2, 3)


async def test_closing_answers_what_is_inside_and_refuses_the_rest(room: Room) -> None:
    escrow_id = await room.create()
    inside = [
        asyncio.create_task(room.tell(escrow_id, c.PublishUpdate("hello"), SERVICE))
        for _ in range(10)
    ]
    await asyncio.sleep(0)
    await room.executor.close()
    assert [task.done() for task in inside] == [True] * 10
    with pytest.raises(Refusal) as refused:
        await room.tell(escrow_id, c.PublishUpdate("late"), SERVICE)
    assert refused.value.reason is Reason.SHUTTING_DOWN


async def test_too_many_waiting_commands_are_told_to_come_back(sqlite_url: str) -> None:
    engine = connect(sqlite_url)
    executor = Executor(Store(engine), now_us=Time(), published=lambda _: None)
    command = execute.Asked(
        c.CancelEscrow(), "", BUYER, "x", b"", asyncio.get_running_loop().create_future()
    )
    for _ in range(execute.MAX_WAITING):
        executor._waiting.put_nowait(command)
    with pytest.raises(Refusal) as refused:
        await executor.execute(c.CancelEscrow(), escrow_id="", caller=BUYER, cause="y")
    assert refused.value.reason is Reason.OVERLOADED
    await engine.dispose()


@asynccontextmanager
async def _locked(url: str) -> AsyncIterator[None]:
    """Another process in the middle of a long transaction on a SQLite file."""
    engine = connect(url)
    async with Store(engine).write():
        yield
    await engine.dispose()


async def test_a_database_that_comes_back_in_time_is_waited_for(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.database.SQLITE_BUSY_S", 0.01)
    async with open_room(sqlite_url) as room:
        escrow_id = await room.create()
        async with _locked(sqlite_url):
            waiting = asyncio.create_task(room.tell(escrow_id, c.CancelEscrow()))
            await asyncio.wait([waiting], timeout=0.2)
            assert not waiting.done()
        assert (await waiting).has_changed


async def test_a_database_that_stays_away_is_told_and_nothing_is_half_done(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.database.SQLITE_BUSY_S", 0.01)
    monkeypatch.setattr(execute, "RETRY_FOR_S", 0.1)
    async with open_room(sqlite_url) as room:
        escrow_id = await room.paid()
        async with _locked(sqlite_url):
            with pytest.raises(Refusal) as refused:
                await room.tell(escrow_id, c.ReleaseEscrow(), cause="rpc:1")
        assert refused.value.reason is Reason.STORAGE_UNAVAILABLE
        assert refused.value.reason.retry
        assert (await room.tell(escrow_id, c.ReleaseEscrow(), cause="rpc:1")).has_changed


async def test_an_order_leads_to_its_escrow(room: Room) -> None:
    escrow_id = await room.create()
    await room.tell(escrow_id, c.RecordOrder("order_77"))
    assert await room.store.owner_of_order("order_77") == escrow_id
    assert await room.store.owner_of_order("order_78") is None


async def test_news_that_change_nothing_are_answered_with_the_escrow_as_it_is(room: Room) -> None:
    escrow_id = await room.paid()
    answer = await room.tell(escrow_id, payment("failed"), c.RAZORPAY)
    assert (answer.has_changed, answer.event) == (False, None)
    assert answer.escrow.version == 3


def _ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


async def _count(room: Room) -> int:
    return len((await room.store.listed(Filter(), after=None, limit=100)).escrows)
