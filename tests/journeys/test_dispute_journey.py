"""The dispute room from outside: files over HTTP, messages that show them, and who may see what."""

import asyncio
import contextlib
import hashlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.fakes.database import on_both
from tests.fakes.deal import Deal
from tests.fakes.picture import HEADS, picture
from tests.fakes.rpc import Caller
from tests.fakes.stack import Client

pytestmark = on_both("stack")


class Room:
    """The attachments of one disputed escrow over HTTP."""

    def __init__(self, client: Client, deal: Deal) -> None:
        self._http = client.http
        self._root = client.stack.bridge_url
        self._escrow = f"{self._root}/api/v1/escrows/{deal.escrow_id}"

    @property
    def url(self) -> str:
        return self._escrow + "/attachments"

    async def upload(
        self, who: Caller, body: Any, *, name: str = "frame.png", **headers: str
    ) -> tuple[int, Any]:
        marks = _bearer(who) | {key.replace("_", "-"): value for key, value in headers.items()}
        sending = self._http.post(self.url, params={"name": name}, data=body, headers=marks)
        async with sending as answer:
            return answer.status, await answer.json()

    async def shown(self, who: Caller, file_id: str, method: str = "GET", **headers: str) -> Any:
        marks = _bearer(who) | {key.replace("_", "-"): value for key, value in headers.items()}
        async with self._http.request(method, f"{self.url}/{file_id}", headers=marks) as answer:
            return answer.status, answer.headers, await answer.read()

    async def say(self, who: Caller, text: str, *file_ids: str) -> int:
        body = {"text": text, "file_ids": file_ids}
        url = self._escrow + ":addMessage"
        async with self._http.post(url, json=body, headers=_bearer(who)) as answer:
            return answer.status


def _bearer(who: Caller) -> dict[str, str]:
    return {"Authorization": f"Bearer {who.token}"}


@pytest.fixture
async def room(client: Client, deal: Deal) -> Room:
    await deal.hold()
    await deal.act(deal.buyer, "RaiseDispute", reason="The frame is bent.")
    return Room(client, deal)


async def test_both_sides_and_the_arbiter_see_what_one_shows(
    client: Client, deal: Deal, room: Room
) -> None:
    socket = await client.viewer(deal.seller)
    await socket.subscribe(deal.escrow_id)
    body = picture(300_000)
    status, told = await room.upload(
        deal.buyer, body, name="साइकिल 1.png", Content_Type="image/png"
    )
    file = told["attachment"]
    assert status == 200
    assert (file["content_type"], file["size_bytes"]) == ("image/png", 300_000)
    assert await room.say(deal.buyer, "Look at the frame", file["file_id"]) == 200

    frame = await socket.sees(type="escrow_update", escrow_id=deal.escrow_id)
    assert frame["data"]["event_type"] == "message_added"
    assert frame["data"]["event_data"] == {"text": "Look at the frame", "attachments": [file]}
    assert frame["data"]["status"] == "DISPUTED"
    for who in (deal.buyer, deal.seller, deal.arbiter):
        status, headers, seen = await room.shown(who, file["file_id"])
        assert (status, seen) == (200, body)
        assert headers["Content-Type"] == "image/png"
        assert headers["ETag"] == f'"{hashlib.sha256(body).hexdigest()}"'


async def test_a_file_goes_out_so_that_no_browser_runs_it(deal: Deal, room: Room) -> None:
    body = picture(kind="application/pdf")
    _, told = await room.upload(deal.seller, body, name='a "b".pdf')
    file_id = told["attachment"]["file_id"]
    _, headers, _ = await room.shown(deal.seller, file_id)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Content-Disposition"] == (
        "attachment; filename=\"a _b_.pdf\"; filename*=UTF-8''a%20%22b%22.pdf"
    )
    status, head, nothing = await room.shown(deal.seller, file_id, "HEAD")
    assert (status, head["Content-Length"], nothing) == (200, "1000", b"")
    status, _, nothing = await room.shown(deal.seller, file_id, If_None_Match=headers["ETag"])
    assert (status, nothing) == (304, b"")


async def test_nobody_else_learns_of_a_file(client: Client, deal: Deal, room: Room) -> None:
    _, told = await room.upload(deal.buyer, picture())
    file_id = told["attachment"]["file_id"]
    stranger = client.caller("stranger")
    for who, reason in ((stranger, "ESCROW_NOT_FOUND"), (deal.seller, "ATTACHMENT_NOT_FOUND")):
        status, _, body = await room.shown(who, file_id)
        assert (status, json.loads(body)["error"]["reason"]) == (404, reason)
    status, answer = await room.upload(stranger, picture())
    assert (status, answer["error"]["reason"]) == (404, "ESCROW_NOT_FOUND")
    status, answer = await room.upload(client.with_token(""), picture())
    assert (status, answer["error"]["reason"]) == (401, "TOKEN_MISSING")
    status, answer = await room.upload(client.caller("service", "service"), picture())
    assert (status, answer["error"]["reason"]) == (403, "NOT_A_PARTY")


async def test_a_file_that_cannot_be_taken_is_refused_in_words(deal: Deal, room: Room) -> None:
    async def trickled() -> AsyncIterator[bytes]:
        yield picture()

    form = aiohttp.FormData()
    form.add_field("file", picture(), filename="a.png")
    page = b"<!doctype html><script>alert(1)</script>"
    tries: list[tuple[Any, dict[str, str], int, str]] = [
        (page, {"Content_Type": "image/png"}, 400, "ATTACHMENT_TYPE_REFUSED"),
        (picture(), {"Content_Type": "application/pdf"}, 400, "ATTACHMENT_TYPE_REFUSED"),
        (form, {}, 415, "ATTACHMENT_TYPE_REFUSED"),
        (trickled(), {}, 411, "LENGTH_MISSING"),
        (io.BytesIO(bytes((10 << 20) + 1)), {}, 413, "ATTACHMENT_TOO_LARGE"),
        (b"", {}, 400, "FIELD_INVALID"),
        (picture(), {"name": "../a.png"}, 400, "FIELD_INVALID"),
        (picture(), {"Content_Encoding": "gzip"}, 415, "CODING_UNSUPPORTED"),
    ]
    for body, more, status, reason in tries:
        told, answer = await room.upload(deal.buyer, body, **more)
        assert (told, answer["error"]["reason"]) == (status, reason), answer


@pytest.mark.parametrize("kind", HEADS)
async def test_what_is_said_in_another_way_is_still_known(
    deal: Deal, room: Room, kind: str
) -> None:
    said = {"image/jpeg": "image/jpg"}.get(kind, "application/octet-stream")
    status, told = await room.upload(deal.buyer, picture(kind=kind), Content_Type=said)
    assert (status, told["attachment"]["content_type"]) == (200, kind)


async def test_an_upload_may_be_made_again_and_is_done_once(deal: Deal, room: Room) -> None:
    body = picture(400_000)
    first = await room.upload(deal.buyer, body, Idempotency_Key="u-1")
    assert await room.upload(deal.buyer, body, Idempotency_Key="u-1") == first
    status, answer = await room.upload(deal.buyer, picture(400_000, seed=2), Idempotency_Key="u-1")
    assert (status, answer["error"]["reason"]) == (409, "REQUEST_ID_REUSED")


async def test_a_file_can_be_deleted_until_it_is_sent(
    client: Client, deal: Deal, room: Room
) -> None:
    _, told = await room.upload(deal.buyer, picture())
    url = f"{room.url}/{told['attachment']['file_id']}"
    async with client.http.delete(url, headers=_bearer(deal.buyer)) as answer:
        assert answer.status == 200
    assert (await room.shown(deal.buyer, told["attachment"]["file_id"]))[0] == 404


async def test_a_browser_that_goes_away_leaves_nothing(
    client: Client, deal: Deal, room: Room
) -> None:
    """Its try does not count, and the same upload can be made again."""
    started = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield picture(500_000)
        started.set()
        await asyncio.Event().wait()

    whole = picture(1_000_000)
    sending = asyncio.create_task(
        room.upload(deal.buyer, half(), Content_Length="1000000", Idempotency_Key="u-2")
    )
    await started.wait()
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending
    status, told = await room.upload(deal.buyer, whole, Idempotency_Key="u-2")
    assert (status, told["attachment"]["size_bytes"]) == (200, 1_000_000)
