"""Files of disputes and messages that show them, over gRPC, as the parties and as others."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from escrow.v1 import attachment_service_pb2 as rpc
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from google.protobuf import json_format

from core.attachments.archive import MAX_FILE_BYTES
from core.law.talk import MAX_MESSAGES
from scripts.verify import first_fault
from tests.core.counter import Counter, Failed, pay
from tests.fakes.picture import HEADS, picture


async def disputed(counter: Counter, **more: Any) -> str:
    """An escrow that the buyer has paid for and objects to."""
    escrow_id = (await counter.create(**more)).escrow_id
    await counter.call(await pay(counter, escrow_id))
    await counter.call(escrows.RaiseDisputeRequest(escrow_id=escrow_id, reason="It is dented"))
    return escrow_id


def header(escrow_id: str, body: bytes, **more: Any) -> rpc.UploadHeader:
    fields: dict[str, Any] = {"name": "साइकिल.png", "size_bytes": len(body)} | more
    return rpc.UploadHeader(escrow_id=escrow_id, **fields)


def message(escrow_id: str, text: str = "", *files: str, **more: Any) -> Any:
    return escrows.AddDisputeMessageRequest(escrow_id=escrow_id, text=text, file_ids=files, **more)


async def record(counter: Counter, escrow_id: str) -> list[pb.EscrowEvent]:
    answer = await counter.call(escrows.ListEventsRequest(escrow_id=escrow_id))
    return list(answer.events)


async def test_a_message_with_a_picture_is_an_event_with_the_hash_of_the_file(
    counter: Counter,
) -> None:
    escrow_id, body = await disputed(counter), picture(700_000)
    file = await counter.upload(header(escrow_id, body), body)
    answer = await counter.call(message(escrow_id, "Look at the frame", file.file_id))
    events = await record(counter, escrow_id)
    assert events[-1].type == pb.EVENT_TYPE_MESSAGE_ADDED
    assert events[-1].version == answer.escrow.version
    assert answer.escrow.status == pb.ESCROW_STATUS_DISPUTED
    assert json_format.MessageToDict(events[-1].data) == {
        "text": "Look at the frame",
        "attachments": [
            {
                "file_id": file.file_id,
                "name": "साइकिल.png",
                "content_type": "image/png",
                "size_bytes": 700_000,
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        ],
    }
    assert first_fault(events) is None
    for reader in ("buyer-1", "seller-1", "arbiter-1"):
        assert await counter.download(escrow_id, file.file_id, reader) == (file, body)
    assert (await counter.download(escrow_id, file.file_id, "boss", "admin"))[1] == body


@pytest.mark.parametrize("kind", HEADS)
async def test_each_kind_is_known_by_its_bytes_alone(lite: Counter, kind: str) -> None:
    escrow_id, body = await disputed(lite), picture(kind=kind)
    file = await lite.upload(header(escrow_id, body), body)
    assert file.content_type == kind


@pytest.mark.parametrize(
    "body",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"GIF89a" + bytes(100),
        b"\x89PN",
    ],
    ids=["svg", "html", "gif", "a torn head"],
)
async def test_what_is_no_picture_or_pdf_is_refused_whatever_it_is_called(
    lite: Counter, body: bytes
) -> None:
    escrow_id = await disputed(lite)
    with pytest.raises(Failed) as failed:
        await lite.upload(header(escrow_id, body), body)
    assert (failed.value.code, failed.value.reason) == (
        "INVALID_ARGUMENT",
        "ATTACHMENT_TYPE_REFUSED",
    )
    assert await _waiting(lite) == []


async def test_a_file_that_is_not_what_it_is_said_to_be_is_refused(lite: Counter) -> None:
    escrow_id, body = await disputed(lite), picture()
    with pytest.raises(Failed) as failed:
        await lite.upload(header(escrow_id, body, content_type="application/pdf"), body)
    assert failed.value.reason == "ATTACHMENT_TYPE_REFUSED"
    assert failed.value.fields == {"content_type": "must be image/png, which the bytes are"}


async def test_the_largest_file_passes_and_a_larger_one_is_refused_before_its_bytes(
    counter: Counter,
) -> None:
    escrow_id, body = await disputed(counter), picture(MAX_FILE_BYTES)
    file = await counter.upload_parts(_pieces(header(escrow_id, body), body), "buyer-1")
    assert (await counter.download(escrow_id, file.file_id))[1] == body
    with pytest.raises(Failed) as failed:
        await counter.upload(header(escrow_id, b"", size_bytes=MAX_FILE_BYTES + 1), b"")
    assert failed.value.reason == "ATTACHMENT_TOO_LARGE"


@pytest.mark.parametrize("size_bytes", [999, 1_001])
async def test_more_or_fewer_bytes_than_were_said_are_refused_and_leave_nothing(
    counter: Counter, size_bytes: int
) -> None:
    escrow_id, body = await disputed(counter), picture(1_000)
    with pytest.raises(Failed) as failed:
        await counter.upload(header(escrow_id, body, size_bytes=size_bytes), body)
    assert failed.value.reason == "UPLOAD_INCOMPLETE"
    assert await _waiting(counter) == []


async def test_only_its_uploader_can_see_a_file_before_it_is_sent(counter: Counter) -> None:
    escrow_id, body = await disputed(counter), picture()
    file = await counter.upload(header(escrow_id, body), body, "seller-1")
    assert (await counter.download(escrow_id, file.file_id, "seller-1"))[1] == body
    for other in ("buyer-1", "arbiter-1"):
        with pytest.raises(Failed) as failed:
            await counter.download(escrow_id, file.file_id, other)
        assert (failed.value.code, failed.value.reason) == ("NOT_FOUND", "ATTACHMENT_NOT_FOUND")
        with pytest.raises(Failed) as failed:
            await counter.call(message(escrow_id, "Mine", file.file_id), other)
        assert failed.value.reason == "ATTACHMENT_NOT_FOUND"


async def test_a_stranger_learns_of_no_escrow_and_of_no_file(counter: Counter) -> None:
    escrow_id, body = await disputed(counter), picture()
    file = await counter.upload(header(escrow_id, body), body)
    await counter.call(message(escrow_id, "", file.file_id))
    tries: list[Callable[[], Awaitable[Any]]] = [
        lambda: counter.download(escrow_id, file.file_id, "stranger"),
        lambda: counter.upload(header(escrow_id, body), body, "stranger"),
        lambda: counter.call(message(escrow_id, "Hello"), "stranger"),
        lambda: counter.call(
            rpc.DeleteAttachmentRequest(escrow_id=escrow_id, file_id=file.file_id), "stranger"
        ),
    ]
    for attempt in tries:
        with pytest.raises(Failed) as failed:
            await attempt()
        assert failed.value.reason == "ESCROW_NOT_FOUND"


async def test_a_file_is_not_found_in_another_escrow_of_the_same_parties(
    counter: Counter,
) -> None:
    one, other, body = await disputed(counter), await disputed(counter), picture()
    file = await counter.upload(header(one, body), body)
    with pytest.raises(Failed) as failed:
        await counter.download(other, file.file_id)
    assert failed.value.reason == "ATTACHMENT_NOT_FOUND"
    with pytest.raises(Failed) as failed:
        await counter.call(message(other, "", file.file_id))
    assert failed.value.reason == "ATTACHMENT_NOT_FOUND"


async def test_nothing_is_taken_where_there_is_no_dispute(counter: Counter) -> None:
    escrow_id, body = (await counter.create()).escrow_id, picture()
    with pytest.raises(Failed) as failed:
        await counter.upload(header(escrow_id, body), body)
    assert failed.value.reason == "WRONG_STATUS"
    with pytest.raises(Failed) as failed:
        await counter.call(message(escrow_id, "Hello"))
    assert failed.value.reason == "WRONG_STATUS"


async def test_a_file_is_part_of_one_message(counter: Counter) -> None:
    escrow_id, body = await disputed(counter), picture()
    file = await counter.upload(header(escrow_id, body), body)
    answers = await asyncio.gather(
        *(counter.call(message(escrow_id, f"{n}", file.file_id)) for n in range(5)),
        return_exceptions=True,
    )
    failures = [one for one in answers if isinstance(one, Failed)]
    assert [one.reason for one in failures] == ["ATTACHMENT_NOT_FOUND"] * 4


async def test_a_message_that_is_sent_twice_is_one(counter: Counter) -> None:
    escrow_id, body = await disputed(counter), picture()
    file = await counter.upload(header(escrow_id, body), body)
    request = message(escrow_id, "Once", file.file_id, request_id="m-1")
    first = await counter.call(request)
    assert await counter.call(request) == first
    with pytest.raises(Failed) as failed:
        await counter.call(message(escrow_id, "Twice", file.file_id, request_id="m-1"))
    assert failed.value.reason == "REQUEST_ID_REUSED"


async def test_an_upload_that_is_made_twice_is_one(counter: Counter) -> None:
    escrow_id, body = await disputed(counter), picture(600_000)
    head = header(escrow_id, body, request_id="u-1")
    first = await counter.upload(head, body)
    assert await counter.upload(head, body) == first
    other = picture(600_000, seed=2)
    with pytest.raises(Failed) as failed:
        await counter.upload(head, other)
    assert failed.value.reason == "REQUEST_ID_REUSED"


async def test_a_file_can_be_taken_back_until_it_is_sent(counter: Counter) -> None:
    escrow_id, body = await disputed(counter), picture()
    file = await counter.upload(header(escrow_id, body), body)
    delete = rpc.DeleteAttachmentRequest(escrow_id=escrow_id, file_id=file.file_id)
    await counter.call(delete, "seller-1")  # As if there were none.
    assert (await counter.download(escrow_id, file.file_id))[1] == body
    await counter.call(delete)
    await counter.call(delete)
    with pytest.raises(Failed) as failed:
        await counter.download(escrow_id, file.file_id)
    assert failed.value.reason == "ATTACHMENT_NOT_FOUND"
    sent = await counter.upload(header(escrow_id, body), body)
    await counter.call(message(escrow_id, "", sent.file_id))
    with pytest.raises(Failed) as failed:
        await counter.call(rpc.DeleteAttachmentRequest(escrow_id=escrow_id, file_id=sent.file_id))
    assert failed.value.reason == "ATTACHMENT_NOT_FOUND"


async def test_one_side_cannot_use_up_the_messages_of_the_other(lite: Counter) -> None:
    escrow_id = await disputed(lite)
    for number in range(MAX_MESSAGES):
        await lite.call(message(escrow_id, f"Again {number}"))
    with pytest.raises(Failed) as failed:
        await lite.call(message(escrow_id, "And again"))
    assert (failed.value.code, failed.value.reason) == ("FAILED_PRECONDITION", "TOO_MANY_MESSAGES")
    await lite.call(message(escrow_id, "My side"), "seller-1")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"),
        ({"name": "../etc/passwd"}, "name"),
        ({"name": "a\nb.png"}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"size_bytes": 0}, "size_bytes"),
        ({"size_bytes": -1}, "size_bytes"),
        ({"request_id": "r" * 129}, "request_id"),
    ],
)
async def test_a_header_that_is_wrong_is_refused_by_its_field(
    lite: Counter, fields: dict[str, Any], wrong: str
) -> None:
    escrow_id, body = await disputed(lite), picture()
    with pytest.raises(Failed) as failed:
        await lite.upload(header(escrow_id, body, **fields), body)
    assert (failed.value.reason, list(failed.value.fields)) == ("FIELD_INVALID", [wrong])


async def test_a_stream_without_its_header_or_with_two_is_refused(lite: Counter) -> None:
    escrow_id, body = await disputed(lite), picture()
    head = rpc.UploadAttachmentRequest(header=header(escrow_id, body))
    chunk = rpc.UploadAttachmentRequest(chunk=body)
    for parts in ([], [chunk], [head, head, chunk], [head, rpc.UploadAttachmentRequest()]):
        with pytest.raises(Failed) as failed:
            await lite.upload_parts(parts, "buyer-1")
        assert (failed.value.reason, list(failed.value.fields)) == ("FIELD_INVALID", ["header"])


async def test_a_message_must_say_or_show_something(lite: Counter) -> None:
    escrow_id = await disputed(lite)
    wrong = [
        (message(escrow_id), "text"),
        (message(escrow_id, "x" * 4_001), "text"),
        (message(escrow_id, "x", *["a"] * 11), "file_ids"),
        (message(escrow_id, "x", "a", "a"), "file_ids"),
    ]
    for request, field in wrong:
        with pytest.raises(Failed) as failed:
            await lite.call(request)
        assert list(failed.value.fields) == [field]


@pytest.mark.parametrize("note", ["", "  ", "\u200b"], ids=["empty", "blank", "invisible"])
async def test_a_verdict_without_a_reason_that_can_be_read_is_refused(
    lite: Counter, note: str
) -> None:
    escrow_id = await disputed(lite)
    verdict = escrows.ResolveDisputeRequest(
        escrow_id=escrow_id, release_minor=60_000, refund_minor=40_000, note=note
    )
    with pytest.raises(Failed) as failed:
        await lite.call(verdict, "arbiter-1")
    assert (failed.value.reason, list(failed.value.fields)) == ("FIELD_INVALID", ["note"])


def _pieces(head: rpc.UploadHeader, body: bytes) -> list[rpc.UploadAttachmentRequest]:
    size = 1 << 20
    return [
        rpc.UploadAttachmentRequest(header=head),
        *(
            rpc.UploadAttachmentRequest(chunk=body[at : at + size])
            for at in range(0, len(body), size)
        ),
    ]


async def _waiting(counter: Counter) -> list[str]:
    """What is left of files that nobody has sent."""
    store = counter.core.rooms.store
    states = ("UPLOADING", "READY", "DROPPED")
    found = [await store.attachments.waiting(state, 2**62, 10) for state in states]
    return [one.file.file_id for some in found for one in some]
