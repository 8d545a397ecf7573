"""A bucket as the place of files, at a real server that speaks S3."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from core.attachments.choice import opened
from core.attachments.place import PIECE_BYTES, Place
from core.attachments.prune import KEEP_UNSENT_S, Pruner
from core.errors import Reason, Refusal
from tests.core.attachments.desk import Desk
from tests.core.room import Room
from tests.fakes.picture import picture
from tests.fakes.port import free_port

pytest.importorskip("moto", reason="needs a server that speaks S3: pip install 'moto[server]'")
pytest.importorskip("aiobotocore", reason="needs the extra s3: pip install 'holdfast[s3]'")
get_session = pytest.importorskip("aiobotocore.session").get_session
START_LIMIT_S = 30.0


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _until_it_listens(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
async def aws(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings that all AWS tools read, and a bucket."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": s3_url,
        "AWS_ACCESS_KEY_ID": "a-key",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "ap-south-1",
    }.items():
        monkeypatch.setenv(name, value)
    async with get_session().create_client("s3") as client:
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            await client.create_bucket(
                Bucket="files",
                CreateBucketConfiguration={"LocationConstraint": "ap-south-1"},
            )
    return s3_url


@pytest.fixture
async def desk(room: Room, aws: str) -> AsyncIterator[Desk]:
    place = await opened("s3://files/of/disputes")
    assert place is not None
    yield Desk(room, place)
    await place.close()


def _until_it_listens(port: int) -> None:
    give_up_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < give_up_s, "the S3 server does not start"
            time.sleep(0.05)
        else:
            return


async def bytes_in(place: Place, file_id: str) -> bytes:
    return b"".join([piece async for piece in place.read(file_id)])


@pytest.mark.parametrize("size", [12, PIECE_BYTES, 3 * PIECE_BYTES + 7])
async def test_a_file_in_a_bucket_comes_back_as_it_was(desk: Desk, size: int) -> None:
    body = picture(size)
    file = await desk.take(await desk.disputed(), body)
    assert await desk.read(file) == body
    stored = await desk.stored(file)
    assert stored is not None
    assert stored.place == "s3"


async def test_a_file_that_was_not_sent_leaves_the_bucket(desk: Desk) -> None:
    escrow_id = await desk.disputed()
    sent, unsent = await desk.take(escrow_id), await desk.take(escrow_id)
    await desk.send(escrow_id, sent)
    desk.room.time.pass_s(KEEP_UNSENT_S + 1)
    pruner = Pruner(desk.room.store, desk.archive, now_us=desk.room.time)
    assert await pruner.prune() == 1
    assert await bytes_in(desk.archive._place, unsent.file_id) == b""
    assert await desk.read(sent) == picture()


async def test_an_object_that_is_gone_is_damage_and_not_an_empty_file(desk: Desk) -> None:
    file = await desk.take(await desk.disputed())
    await desk.archive._place.delete(file.file_id)
    with pytest.raises(Refusal) as refused:
        await desk.read(file)
    assert refused.value.reason is Reason.ATTACHMENT_DAMAGED


async def test_a_bucket_that_is_not_there_is_a_clear_refusal(room: Room, aws: str) -> None:
    place = await opened("s3://no-such-bucket")
    assert place is not None
    desk = Desk(room, place)
    escrow_id = await desk.disputed()
    with pytest.raises(Refusal) as refused:
        await desk.take(escrow_id)
    await place.close()
    assert refused.value.reason is Reason.ATTACHMENTS_UNAVAILABLE


async def test_a_service_that_is_away_is_a_clear_refusal_and_leaves_no_file(
    room: Room, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    place = await opened("s3://files")
    assert place is not None
    desk = Desk(room, place)
    escrow_id = await desk.disputed()
    with pytest.raises(Refusal) as refused:
        await desk.take(escrow_id, cause="once:1")
    await place.close()
    assert refused.value.reason is Reason.ATTACHMENTS_UNAVAILABLE
    assert await room.store.attachments.of_cause("once:1") is None
