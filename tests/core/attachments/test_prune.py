"""What nobody has sent goes after a day, with its bytes; what was sent stays for ever."""

from pathlib import Path

import pytest

from core.attachments.folder import InFolder
from core.attachments.prune import KEEP_UNSENT_S, KEEP_UPLOADING_S, Pruner
from core.errors import Reason, Refusal
from core.law.command import File
from tests.core.attachments.desk import Desk, chunked, found
from tests.core.law.story import BUYER
from tests.core.room import Room
from tests.fakes.picture import picture


@pytest.fixture(params=["database", "folder"])
async def desk(request: pytest.FixtureRequest, room: Room, tmp_path: Path) -> Desk:
    return Desk(room, InFolder(tmp_path / "files") if request.param == "folder" else None)


def pruner(desk: Desk) -> Pruner:
    return Pruner(desk.room.store, desk.archive, now_us=desk.room.time)


async def bytes_of(desk: Desk, file: File, tmp_path: Path) -> int:
    """How many bytes are stored of a file, wherever it is."""
    chunk = await desk.room.store.attachments.chunk(file.file_id, 0)
    paths = found(tmp_path / "files", f"{file.file_id}*")
    return len(chunk or b"") + sum(one.stat().st_size for one in paths)


async def test_only_what_was_not_sent_in_time_goes(desk: Desk, tmp_path: Path) -> None:
    escrow_id = await desk.disputed()
    sent, unsent = await desk.take(escrow_id), await desk.take(escrow_id)
    await desk.send(escrow_id, sent)
    desk.room.time.pass_s(KEEP_UNSENT_S - 60)
    young = await desk.take(escrow_id)
    assert await pruner(desk).prune() == 0
    assert await bytes_of(desk, unsent, tmp_path) == 1_000
    desk.room.time.pass_s(61)
    assert await pruner(desk).prune() == 1
    assert await desk.stored(unsent) is None
    assert await bytes_of(desk, unsent, tmp_path) == 0
    assert await desk.read(sent) == await desk.read(young) == picture()
    with pytest.raises(Refusal) as refused:
        await desk.send(escrow_id, unsent)
    assert refused.value.reason is Reason.ATTACHMENT_NOT_FOUND


async def test_what_a_core_that_died_has_left_goes_after_an_hour(
    desk: Desk, tmp_path: Path
) -> None:
    escrow_id = await desk.disputed()
    left = File("0" * 8 + "-0000-4000-8000-" + "0" * 12, escrow_id, "b", "a.png", "", 2_000, "")
    store, place = desk.room.store, desk.archive._place
    async with store.write() as transaction:
        await transaction.attachments.add(
            left, place=place.name, cause="once:1", now_us=desk.room.time()
        )

    await place.write(left.file_id, chunked(picture()))
    assert await pruner(desk).prune() == 0
    desk.room.time.pass_s(KEEP_UPLOADING_S + 1)
    assert await pruner(desk).prune() == 1
    assert await desk.stored(left) is None
    assert await bytes_of(desk, left, tmp_path) == 0


async def test_a_file_that_was_stored_before_a_crash_can_still_be_sent(
    room: Room, desk: Desk
) -> None:
    escrow_id = await desk.disputed()
    file = await desk.take(escrow_id)
    after = Desk(room, desk.archive._place)
    await pruner(after).prune()
    answer = await after.send(escrow_id, file)
    assert answer.event.actor_id == BUYER.user_id
    assert await after.read(file) == picture()


async def test_pruning_that_was_broken_off_is_taken_up_again(desk: Desk, tmp_path: Path) -> None:
    file = await desk.take(await desk.disputed())
    async with desk.room.store.write() as transaction:
        assert await transaction.attachments.drop([file.file_id], ["READY"]) == [file.file_id]
    assert await bytes_of(desk, file, tmp_path) == 1_000
    assert await pruner(desk).prune() == 1
    assert await desk.stored(file) is None
    assert await bytes_of(desk, file, tmp_path) == 0


async def test_a_file_that_cannot_be_erased_now_is_left_and_the_others_go(
    room: Room, tmp_path: Path
) -> None:
    elsewhere, here = Desk(room, InFolder(tmp_path / "files")), Desk(room)
    escrow_id = await here.disputed()
    there, mine = await elsewhere.take(escrow_id), await here.take(escrow_id)
    room.time.pass_s(KEEP_UNSENT_S + 1)
    assert await pruner(here).prune() == 1
    assert await here.stored(mine) is None
    assert await here.stored(there) is not None
    assert await pruner(elsewhere).prune() == 1
