"""The stream: made, taken as it is, made whole again, or left alone where it is another's."""

from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from core.nats.stream import NAME
from core.nats.subject import EVENTS
from tests.conftest import migrate
from tests.core.nats.core import STREAM, Core, open_core
from tests.core.nats.record import ESCROWS, LIMIT_S, begin, check, published, reader
from tests.fakes.nats import Nats
from tests.fakes.wait import until

pytestmark = [pytest.mark.nats, pytest.mark.usefixtures("impatient")]


async def trouble(core: Core) -> str:
    """Wait until a person has to look; answer what the person is told."""
    await until(lambda: core.nats.publisher.problem, LIMIT_S)
    return core.nats.problems["nats_stream"]()


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
