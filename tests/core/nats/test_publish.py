"""Every event gets to JetStream once, in the order of positions, whoever fails in the middle."""

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb

from core.nats import bell, publish, stream
from core.nats.publish import Publisher
from core.nats.stream import Stream
from core.storage.position import Placed
from tests.core.nats.core import STREAM, Core, open_core
from tests.core.nats.record import ESCROWS, LIMIT_S, begin, check, published
from tests.fakes.nats import Nats
from tests.fakes.process import ROOT
from tests.fakes.wait import until

APPEND = Stream.append

pytestmark = [pytest.mark.nats, pytest.mark.usefixtures("impatient")]


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
        for late in (one, other):
            await _overtake(late, one, monkeypatch)
            await check(one, nats_server)


async def _overtake(late: Core, one: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a core append only what another one has appended already, until it has noticed."""
    client, end = await late.nats.line.client(), 0
    outcomes = late.nats.publisher.outcomes
    before = outcomes["overtaken"]

    async def append(self: Stream, events: Sequence[Placed]) -> None:
        nonlocal end
        if self._client is client:
            await until(lambda: end >= events[0].position)
        await APPEND(self, events)
        end = max(end, events[-1].position)

    monkeypatch.setattr(Stream, "append", append)
    await one.updates(ESCROWS, 1)
    await until(lambda: outcomes["overtaken"] > before)


@pytest.mark.postgres
async def test_a_second_core_takes_over_where_the_first_one_falls_silent(
    postgres_url: str, nats_server: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that a slow machine cannot lose it; the second core's clock goes ahead of it.
    monkeypatch.setattr(publish, "LEASE_S", 60.0)
    async with open_core(postgres_url, nats_server.url, STREAM) as other:
        await until(lambda: other.nats.publisher.position is not None)
        async with open_core(postgres_url, nats_server.url, STREAM) as one:
            await begin(one)
            await one.updates(ESCROWS, 20)
            assert one.nats.publisher.position is None, "two have the lease"
            # It has the lease and does nothing with it.
            hangs, held = asyncio.Event(), asyncio.Event()

            async def hang(*_: Any) -> None:
                hangs.set()
                await held.wait()

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Stream, "append", hang)
                await other.update("e-1")
                await until(hangs.is_set)
            now_us = one.rooms.now_us
            monkeypatch.setattr(one.nats.publisher, "_now_us", lambda: now_us() + 61_000_000)
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


@pytest.mark.parametrize(
    ("owner", "step"), [(Stream, "append"), (Stream, "open"), (bell.Bells, "_send")]
)
async def test_a_surprise_on_nats_is_logged_and_ends_nothing(
    owner: Any,
    step: str,
    core: Core,
    nats_server: Nats,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    works, surprises = getattr(owner, step), 0

    async def surprises_once(*arguments: Any) -> Any:
        nonlocal surprises
        surprises += 1
        if surprises == 1:
            raise AttributeError("'NoneType' object has no attribute 'write'")
        return await works(*arguments)

    monkeypatch.setattr(owner, step, surprises_once)
    await begin(core)
    await check(core, nats_server)
    await until(lambda: surprises > 1)
    assert "failed unexpectedly" in caplog.text


class Dead(BaseException):
    """The process is no more."""


async def _nothing() -> None:
    """A dead process gives nothing back."""
