"""Every event gets to JetStream once, in the order of positions, whoever fails in the middle."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from nats.aio.client import Client
from nats.js.api import StreamConfig

from core.nats import publish, stream
from core.nats.publish import Publisher
from core.nats.stream import NAME, Stream
from core.nats.subject import EVENTS
from core.storage.position import Placed
from tests.conftest import migrate
from tests.core.nats.core import STREAM, Core, open_core
from tests.fakes.nats import Nats
from tests.fakes.process import ROOT
from tests.fakes.wait import until

pytestmark = pytest.mark.nats

LIMIT_S = 30.0
ESCROWS = [f"e-{number}" for number in range(8)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "LEASE_S", 1.0)
    monkeypatch.setattr(publish, "TRY_EVERY_S", 0.2)
    monkeypatch.setattr(publish, "RETRY_S", 0.1)
    monkeypatch.setattr(publish, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(publish, "CHECK_EVERY_S", 0.3)


@pytest.fixture
async def core(database_url: str, nats_server: Nats) -> AsyncIterator[Core]:
    async with open_core(database_url, nats_server.url, STREAM) as opened:
        yield opened


@contextlib.asynccontextmanager
async def reader(server: Nats) -> AsyncIterator[Client]:
    client = await server.connect()
    try:
        yield client
    finally:
        await client.close()


async def begin(core: Core) -> None:
    for escrow_id in ESCROWS:
        await core.create(escrow_id)


async def published(core: Core, server: Nats) -> list[Any]:
    """Wait until the stream has everything, and read it with a consumer from the beginning."""
    positions = core.rooms.store.positions

    async def is_placed() -> bool:
        return not (await positions.waiting())[0]

    await eventually(is_placed)
    newest = await positions.newest()
    async with reader(server) as client:
        context = client.jetstream()

        async def is_whole() -> bool:
            with contextlib.suppress(Exception):
                return (await context.stream_info(NAME)).state.last_seq >= newest
            return False

        await eventually(is_whole)
        consumer = await context.subscribe(f"{EVENTS}.>", ordered_consumer=True)
        return [await consumer.next_msg(timeout=LIMIT_S) for _ in range(newest)]


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not await holds():  # noqa: ASYNC110 - nobody signals it
            await asyncio.sleep(0.02)


async def check(core: Core, server: Nats) -> None:
    """The stream is what the database has, each event once, in order, byte for byte."""
    messages = await published(core, server)
    placed: list[Placed] = []
    while page := (await core.rooms.store.positions.after(len(placed), 500)).placed:
        placed += page
    assert [one.position for one in placed] == list(range(1, len(placed) + 1))
    assert [message.data for message in messages] == [one.body for one in placed]
    assert [message.metadata.sequence.stream for message in messages] == [
        one.position for one in placed
    ]


async def test_an_event_is_told_with_its_position_and_what_it_is(
    core: Core, nats_server: Nats
) -> None:
    await core.create("e-1")
    (message,) = await published(core, nats_server)
    assert message.subject == "holdfast.event.e-1"
    event = pb.EscrowEvent.FromString(message.data)
    assert (event.escrow_id, event.version) == ("e-1", 1)
    told = {name: message.headers[name] for name in ("Nats-Msg-Id", "Holdfast-Position")}
    assert told == {"Nats-Msg-Id": "1", "Holdfast-Position": "1"}
    assert message.headers["Holdfast-Version"] == "1"
    assert message.headers["Holdfast-Type"] == "ESCROW_CREATED"


async def test_all_events_are_there_in_their_order(core: Core, nats_server: Nats) -> None:
    await begin(core)
    await core.updates(ESCROWS, 100)
    await check(core, nats_server)


async def test_what_was_before_nats_is_published_too(sqlite_url: str, nats_server: Nats) -> None:
    await nats_server.kill()
    async with open_core(sqlite_url, nats_server.url, STREAM) as core:
        await begin(core)
        await core.updates(ESCROWS, 60)
        await nats_server.start()
        await check(core, nats_server)


async def test_nats_may_be_killed_at_any_moment(core: Core, nats_server: Nats) -> None:
    await begin(core)
    for round_number in range(4):
        busy = asyncio.create_task(core.updates(ESCROWS, 60))
        await asyncio.sleep(0.05 * round_number)
        await nats_server.kill()
        await busy
        await nats_server.start()
    await check(core, nats_server)


@pytest.mark.postgres
async def test_two_publishers_that_both_believe_to_have_the_lease_never_disturb_the_order(
    postgres_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def always(_: Publisher) -> bool:
        return True

    monkeypatch.setattr(Publisher, "_has_lease", always)
    # So short that only the guard is left to hold them apart.
    monkeypatch.setattr(stream, "DUPLICATES_S", 0.1)
    monkeypatch.setattr(publish, "BATCH", 7)
    monkeypatch.setattr(publish, "OVERTAKEN_S", 0.0)
    async with (
        open_core(postgres_url, nats_server.url, STREAM) as one,
        open_core(postgres_url, nats_server.url, STREAM) as other,
    ):
        await begin(one)
        for _ in range(10):
            await asyncio.gather(one.updates(ESCROWS, 10), other.updates(ESCROWS, 10))
        await check(one, nats_server)
        outcomes = [core.nats.publisher.outcomes for core in (one, other)]
        assert all(found["overtaken"] for found in outcomes), "they never met"


@pytest.mark.postgres
async def test_a_second_core_takes_over_where_the_first_one_falls_silent(
    postgres_url: str, nats_server: Nats
) -> None:
    async with open_core(postgres_url, nats_server.url, STREAM) as other:
        await until(lambda: other.nats.publisher.position is not None)
        async with open_core(postgres_url, nats_server.url, STREAM) as one:
            await begin(one)
            await one.updates(ESCROWS, 20)
            assert one.nats.publisher.position is None, "two have the lease"
            # It has the lease and does nothing with it.
            held = asyncio.Event()

            async def hang(*_: Any) -> None:
                await held.wait()

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Stream, "append", hang)
                await other.update("e-1")
                await asyncio.sleep(0.2)
            await until(lambda: one.nats.publisher.position is not None)
            await check(one, nats_server)


STEPS = ["open", "event", "append", "_has_lease", "after"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_a_publisher_that_dies_at_a_step_is_followed_by_one_that_goes_on(
    step: str, is_after: bool, sqlite_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before or after what the step has done."""
    monkeypatch.setattr(publish, "BATCH", 5)
    async with open_core(sqlite_url, nats_server.url, STREAM) as core:
        await begin(core)
        await core.updates(ESCROWS, 2)
        await published(core, nats_server)
    async with open_core(sqlite_url, nats_server.url, ["executor", "nats"]) as core:
        await core.updates(ESCROWS, 5)
        where: Any = {"_has_lease": Publisher, "after": type(core.rooms.store.positions)}
        owner = where.get(step, Stream)
        count = 0
        works = getattr(owner, step)

        async def dies(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == 2 and not is_after:
                raise Dead
            answer = await works(*arguments, **more)
            if count == 2:
                raise Dead
            return answer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, step, dies)
            patch.setattr(publish, "CHECK_EVERY_S", 0.0)
            if step == "event":
                count = 1
            rooms = core.rooms
            dying = Publisher(core.nats.line, rooms.store, rooms.need, now_us=rooms.now_us)
            patch.setattr(dying, "_give_back", _nothing)
            with pytest.raises(Dead):
                async with asyncio.timeout(LIMIT_S):
                    await dying.run()
    async with open_core(sqlite_url, nats_server.url, STREAM) as core:
        await core.updates(ESCROWS, 2)
        await check(core, nats_server)


async def trouble(core: Core) -> str:
    """Wait until a person has to look; answer what the person is told."""
    await until(lambda: core.nats.publisher.problem, LIMIT_S)
    return core.nats.problems["nats_stream"]()


async def test_the_reader_in_the_document_reads_everything(
    core: Core, nats_server: Nats, tmp_path: Path
) -> None:
    await begin(core)
    await published(core, nats_server)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/nats.md").read_text(), re.DOTALL)
    (tmp_path / "reader.py").write_text(code)
    reads = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tmp_path / "reader.py"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NATS_URL": nats_server.url, "PYTHONPATH": str(ROOT / "gen")},
    )
    try:
        assert reads.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            told = [(await reads.stdout.readline()).decode().split() for _ in ESCROWS]
            await core.update("e-1")
            last = (await reads.stdout.readline()).decode().split()
    finally:
        reads.kill()
        await reads.wait()
    assert [int(position) for position, *_ in told] == list(range(1, len(ESCROWS) + 1))
    assert [escrow_id for _, escrow_id, _ in told] == ESCROWS
    assert last == [str(len(ESCROWS) + 1), "e-1", "UPDATE_PUBLISHED"]


async def test_a_stream_that_somebody_deletes_is_made_again_with_all_events(
    core: Core, nats_server: Nats
) -> None:
    await begin(core)
    await check(core, nats_server)
    async with reader(nats_server) as client:
        await client.jetstream().delete_stream(NAME)
    # Although nothing happens that would be published.
    await check(core, nats_server)
    async with reader(nats_server) as client:
        await client.jetstream().delete_stream(NAME)
    await core.updates(ESCROWS, 5)
    await check(core, nats_server)


async def test_a_stream_with_limits_of_its_own_is_taken_as_it_is(
    sqlite_url: str, nats_server: Nats
) -> None:
    async with reader(nats_server) as client:
        config = StreamConfig(name=NAME, subjects=[f"{EVENTS}.>"], max_msgs=3)
        await client.jetstream().add_stream(config)
    async with open_core(sqlite_url, nats_server.url, STREAM) as core:
        await begin(core)
        await until(lambda: core.nats.publisher.position == len(ESCROWS))
    async with reader(nats_server) as client:
        await client.jetstream().purge_stream(NAME)
    async with open_core(sqlite_url, nats_server.url, STREAM) as core:
        await core.updates(ESCROWS, 1)
        await until(lambda: core.nats.publisher.position == 2 * len(ESCROWS))
        assert core.nats.publisher.outcomes["published"] == len(ESCROWS)
    async with reader(nats_server) as client:
        state = (await client.jetstream().stream_info(NAME)).state
        assert (state.first_seq, state.last_seq) == (14, 16)
        assert state.messages == 3


async def test_what_nats_has_lost_of_its_end_is_published_again(
    sqlite_url: str, nats_server: Nats
) -> None:
    async with open_core(sqlite_url, nats_server.url, STREAM) as core:
        await begin(core)
        await check(core, nats_server)
        await nats_server.stop()
        nats_server.remember()
        await nats_server.start()
        await core.updates(ESCROWS, 5)
        await check(core, nats_server)
        await nats_server.kill()
        # As after a power cut: JetStream does not sync each message.
        nats_server.forget()
        await nats_server.start()
        await check(core, nats_server)
        await core.updates(ESCROWS, 5)
        await check(core, nats_server)


async def test_the_stream_of_another_database_is_left_alone(
    core: Core, nats_server: Nats, tmp_path: Path
) -> None:
    await begin(core)
    before = await published(core, nats_server)
    other_url = f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"
    await migrate(other_url)
    await until(lambda: core.nats.publisher.position == len(ESCROWS))
    async with open_core(other_url, nats_server.url, STREAM) as other:
        # Fewer events than the stream, as in an older copy of the database.
        assert "was an older copy of it restored" in await trouble(other)
        await begin(other)
        await other.updates(ESCROWS, 5)
        await until(lambda: "belongs to another one" in other.nats.publisher.problem, LIMIT_S)
    after = await published(core, nats_server)
    assert [message.data for message in after] == [message.data for message in before]


async def test_a_stream_that_takes_other_subjects_is_left_alone(
    sqlite_url: str, nats_server: Nats
) -> None:
    async with reader(nats_server) as client:
        await client.jetstream().add_stream(StreamConfig(name=NAME, subjects=["orders"]))
        async with open_core(sqlite_url, nats_server.url, STREAM) as core:
            assert "does not take the subjects holdfast.event.>" in await trouble(core)
            await client.jetstream().delete_stream(NAME)
            await begin(core)
            await check(core, nats_server)
            assert core.nats.publisher.problem == ""


@pytest.mark.postgres
async def test_nats_without_jetstream_rings_and_says_what_is_missing(
    postgres_url: str, nats_server: Nats
) -> None:
    plain = Nats(jetstream=False)
    await plain.start()
    try:
        async with open_core(postgres_url, plain.url, STREAM) as core:
            await core.create("e-1")
            assert "JetStream does not answer: is it enabled there?" in await trouble(core)
            await until(lambda: core.outcomes.get("rung", 0) > 0)
            assert core.nats.problems["nats"]() == ""
    finally:
        await plain.close()


class Dead(BaseException):
    """The process is no more."""


async def _nothing() -> None:
    """A dead process gives nothing back."""
