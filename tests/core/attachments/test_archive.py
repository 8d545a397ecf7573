"""Files are kept as they came, in each place, under their limits, and given out only if whole."""

import asyncio
import contextlib
import hashlib
import sys
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.attachments import archive
from core.attachments.choice import Unusable, opened
from core.attachments.folder import InFolder
from core.attachments.place import PIECE_BYTES
from core.errors import Reason, Refusal
from core.law.command import File
from core.law.talk import MAX_MESSAGES
from core.storage.attachment import SENT, AttachmentWriter, chunks
from core.storage.transaction import Transaction
from tests.core.attachments.desk import Desk, chunked, found
from tests.core.law.story import BUYER, SELLER
from tests.core.room import Room
from tests.fakes.picture import picture


@pytest.fixture(params=["database", "folder"])
async def desk(request: pytest.FixtureRequest, room: Room, tmp_path: Path) -> Desk:
    return Desk(room, InFolder(tmp_path / "files") if request.param == "folder" else None)


async def reason(work: Awaitable[object]) -> Reason:
    with pytest.raises(Refusal) as refused:
        await work
    return refused.value.reason


async def kept(desk: Desk, folder: Path) -> set[str]:
    """The files of which there are any bytes, wherever they are kept."""
    async with desk.room.store._engine.connect() as connection:
        in_database = (await connection.execute(sa.select(chunks.c.file_id))).scalars().all()
    return {*in_database, *(one.stem for one in found(folder / "files"))}


@pytest.mark.parametrize("size", [12, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 7])
async def test_a_file_comes_back_as_it_was(desk: Desk, size: int) -> None:
    body = picture(size)
    file = await desk.take(await desk.disputed(), body)
    assert (file.size_bytes, file.sha256) == (size, hashlib.sha256(body).hexdigest())
    assert await desk.read(file) == body


async def test_bytes_that_were_changed_are_not_given_out_whole(room: Room, tmp_path: Path) -> None:
    desk = Desk(room, InFolder(tmp_path / "files"))
    body = picture(2 * PIECE_BYTES)
    file = await desk.take(await desk.disputed(), body)
    (path,) = found(tmp_path / "files")
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    stored = await desk.stored(file)
    assert stored is not None
    pieces = desk.archive.read(stored)
    assert await anext(pieces) == body[:PIECE_BYTES]
    assert await reason(anext(pieces)) is Reason.ATTACHMENT_DAMAGED
    path.unlink()
    assert await reason(desk.read(file)) is Reason.ATTACHMENT_DAMAGED


async def test_an_upload_that_breaks_off_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield picture(2 * PIECE_BYTES)
        raise ConnectionResetError

    escrow_id = await desk.disputed()
    upload = archive.Upload(escrow_id, "b", "a.png", "", 3 * PIECE_BYTES, "once:1")
    with pytest.raises(ConnectionResetError):
        await desk.archive.take(upload, breaking())
    assert await desk.room.store.attachments.of_cause("once:1") is None
    assert found(tmp_path / "files") == []


async def test_a_cancelled_upload_leaves_nothing(desk: Desk) -> None:
    has_begun = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield picture(2 * PIECE_BYTES)
        has_begun.set()
        await asyncio.Event().wait()

    upload = archive.Upload(await desk.disputed(), "b", "a.png", "", 3 * PIECE_BYTES, "once:1")
    taking = asyncio.create_task(desk.archive.take(upload, hanging()))
    await has_begun.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await desk.room.store.attachments.of_cause("once:1") is None


async def test_a_file_that_does_not_come_in_time_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    monkeypatch.setattr(archive, "CHUNK_S", 0.01)
    upload = archive.Upload(await desk.disputed(), "b", "a.png", "", 100, "once:1")
    assert await reason(desk.archive.take(upload, silent())) is Reason.UPLOAD_INCOMPLETE


@pytest.mark.parametrize(
    ("limit", "most"),
    [("MAX_FILES_OF_ESCROW", 2), ("MAX_BYTES_OF_ESCROW", 2_500), ("MAX_BYTES_OF_USER", 2_500)],
)
async def test_one_person_has_room_for_so_much_and_others_have_their_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(archive, limit, most)
    escrow_id = await desk.disputed()
    first = await desk.take(escrow_id)
    tries = await asyncio.gather(*(desk.take(escrow_id) for _ in range(3)), return_exceptions=True)
    refused = [one.reason for one in tries if isinstance(one, Refusal)]
    assert refused == [Reason.TOO_MANY_ATTACHMENTS] * 2
    await desk.take(escrow_id, uploader_id=SELLER.user_id)
    stored = await desk.stored(first)
    assert stored is not None
    assert await desk.archive.drop(stored)
    await desk.take(escrow_id)


async def test_the_room_in_all_escrows_is_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES_OF_USER", 1_500)
    await desk.take(await desk.disputed())
    assert await reason(desk.take(await desk.disputed())) is Reason.TOO_MANY_ATTACHMENTS


async def test_one_person_sends_so_many_files_at_once(desk: Desk) -> None:
    go_on = asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        await go_on.wait()
        yield picture(100)

    escrow_id = await desk.disputed()
    uploads = [
        archive.Upload(escrow_id, "b", "a.png", "", 100, f"once:{n}")
        for n in range(archive.MAX_UPLOADS_OF_USER)
    ]
    taking = [asyncio.create_task(desk.archive.take(one, waiting())) for one in uploads]
    await asyncio.sleep(0)
    assert await reason(desk.take(escrow_id, uploader_id="b")) is Reason.OVERLOADED
    await desk.take(escrow_id)
    go_on.set()
    await asyncio.gather(*taking)


async def test_two_tries_of_one_upload_at_once_make_one_file(desk: Desk) -> None:
    escrow_id = await desk.disputed()
    tries = await asyncio.gather(
        *(desk.take(escrow_id, cause="rpc:1:b:u-1") for _ in range(3)), return_exceptions=True
    )
    files = {one.file_id for one in tries if not isinstance(one, BaseException)}
    refused = {one.reason for one in tries if isinstance(one, Refusal)}
    assert len(files) <= 1
    assert refused <= {Reason.UPLOAD_INCOMPLETE}
    again = await desk.take(escrow_id, cause="rpc:1:b:u-1")
    assert files <= {again.file_id}


@pytest.mark.parametrize("pieces", [1, 3])
async def test_an_upload_that_was_sent_again_meanwhile_leaves_nothing(
    desk: Desk, tmp_path: Path, pieces: int
) -> None:
    """Its last bytes come when the other try has erased it and is there itself."""
    body = picture(pieces * PIECE_BYTES)
    has_begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        has_begun.set()
        await go_on.wait()
        yield body[len(body) // 2 :]

    escrow_id = await desk.disputed()
    said = (escrow_id, BUYER.user_id, "frame.png", "", len(body), "rpc:1:b:u-1")
    first = asyncio.create_task(desk.archive.take(archive.Upload(*said), slow()))
    await has_begun.wait()
    second = await desk.take(escrow_id, body, cause="rpc:1:b:u-1")
    go_on.set()
    assert await reason(first) is Reason.UPLOAD_INCOMPLETE
    assert await desk.read(second) == body
    assert await kept(desk, tmp_path) == {second.file_id}


async def test_a_file_whose_answer_from_the_database_was_lost_stays(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    escrow_id = await desk.disputed()
    complete = AttachmentWriter.complete

    @contextlib.asynccontextmanager
    async def losing() -> AsyncIterator[Transaction]:
        async with write() as transaction:
            yield transaction
        if has_completed:
            has_completed.clear()
            raise Refusal(Reason.STORAGE_UNAVAILABLE, "The answer was lost.")

    async def completing(self: AttachmentWriter, file: File) -> bool:
        has_completed.append(file.file_id)
        return await complete(self, file)

    has_completed: list[str] = []
    write = desk.room.store.write
    monkeypatch.setattr(AttachmentWriter, "complete", completing)
    monkeypatch.setattr(desk.room.store, "write", losing)
    assert await reason(desk.take(escrow_id, cause="rpc:1:b:u-1")) is Reason.STORAGE_UNAVAILABLE
    again = await desk.take(escrow_id, cause="rpc:1:b:u-1")
    assert await desk.read(again) == picture()


async def test_a_file_is_sent_in_the_same_commit_as_its_message(desk: Desk) -> None:
    escrow_id = await desk.disputed()
    file = await desk.take(escrow_id)
    answer = await desk.send(escrow_id, file, cause="m-1")
    assert answer.escrow.version == answer.event.version
    stored = await desk.stored(file)
    assert stored is not None
    assert stored.state == SENT
    assert not await desk.archive.drop(stored)
    assert (await desk.send(escrow_id, file, cause="m-1")).is_repeat
    assert await reason(desk.send(escrow_id, file)) is Reason.ATTACHMENT_NOT_FOUND


async def test_a_message_that_is_refused_leaves_its_files_as_they_were(desk: Desk) -> None:
    escrow_id = await desk.disputed()
    file = await desk.take(escrow_id)
    for _ in range(MAX_MESSAGES):
        await desk.send(escrow_id)
    assert await reason(desk.send(escrow_id, file)) is Reason.TOO_MANY_MESSAGES
    stored = await desk.stored(file)
    assert stored is not None
    assert await desk.archive.drop(stored)


async def test_what_one_core_has_stored_another_sends_and_shows(
    two_rooms: tuple[Room, Room],
) -> None:
    one, other = Desk(two_rooms[0]), Desk(two_rooms[1])
    escrow_id, body = await one.disputed(), picture(2 * PIECE_BYTES)
    file = await one.take(escrow_id, body)
    tries = await asyncio.gather(
        *(desk.send(escrow_id, file) for desk in (one, other, one, other)),
        return_exceptions=True,
    )
    refused = [each.reason for each in tries if isinstance(each, Refusal)]
    assert refused == [Reason.ATTACHMENT_NOT_FOUND] * 3
    assert await other.read(file) == body


async def test_two_cores_together_let_one_person_have_no_more_than_one_would(
    two_rooms: tuple[Room, Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_FILES_OF_ESCROW", 1)
    one, other = Desk(two_rooms[0]), Desk(two_rooms[1])
    escrow_id = await one.disputed()
    tries = await asyncio.gather(
        *(desk.take(escrow_id) for desk in (one, other, one, other)), return_exceptions=True
    )
    assert sum(isinstance(each, Refusal) for each in tries) == 3


async def test_a_file_is_read_where_it_was_put_although_new_ones_go_elsewhere(
    room: Room, tmp_path: Path
) -> None:
    before = Desk(room)
    file = await before.take(await before.disputed())
    after = Desk(room, InFolder(tmp_path / "files"))
    assert await after.read(file) == picture()
    moved = await after.take(file.escrow_id)
    assert await reason(before.read(moved)) is Reason.ATTACHMENTS_UNAVAILABLE


async def test_a_directory_that_is_gone_is_a_clear_refusal(room: Room, tmp_path: Path) -> None:
    desk = Desk(room, InFolder(tmp_path / "files"))
    escrow_id = await desk.disputed()
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_text("no directory")
    assert await reason(desk.take(escrow_id)) is Reason.ATTACHMENTS_UNAVAILABLE


async def test_a_place_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no directory")
    for path in (tmp_path / "taken", tmp_path / "not" / "there"):
        with pytest.raises(Unusable, match="ATTACHMENTS_URL: the directory cannot be used"):
            await opened(path.as_uri())
    assert await opened("database") is None
    assert isinstance(await opened((tmp_path / "new").as_uri()), InFolder)


async def test_s3_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore.config", None)
    monkeypatch.delitem(sys.modules, "core.attachments.bucket", raising=False)
    with pytest.raises(Unusable, match=r"pip install 'holdfast\[s3\]'"):
        await opened("s3://bucket/prefix")


@pytest.mark.parametrize("size", [1, 7, PIECE_BYTES - 1])
async def test_pieces_of_any_size_make_the_same_file(desk: Desk, size: int) -> None:
    body = picture(2_000 if size < 100 else 2 * PIECE_BYTES)
    escrow_id = await desk.disputed()
    upload = archive.Upload(escrow_id, "b", "a.png", "image/png", len(body), "once:1")
    file = await desk.archive.take(upload, chunked(body, size))
    assert await desk.read(file) == body
