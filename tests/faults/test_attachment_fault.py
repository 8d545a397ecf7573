"""Core dies in the middle of uploads: messages name whole files only, and nothing is left over."""

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from google.protobuf import json_format
from sqlalchemy.ext.asyncio import create_async_engine

from tests.fakes.database import database
from tests.fakes.deal import Deal
from tests.fakes.picture import picture
from tests.fakes.process import ROOT
from tests.fakes.size import Size
from tests.fakes.stack import Client, Stack, started
from tests.fakes.wait import until

FILE_BYTES = 1_500_000
SLICE_BYTES = 50_000
SLICES = FILE_BYTES // SLICE_BYTES
# What is not sent is deleted after a day (docs/operations.md); it is looked for 15 s after a start.
A_DAY_US = 25 * 3_600 * 1_000_000
PRUNED_LIMIT_S = 40.0
AGAIN_LIMIT_S = 45.0


@pytest.fixture(
    params=[
        pytest.param(("sqlite", "database"), id="sqlite"),
        pytest.param(("sqlite", "directory"), id="directory"),
        pytest.param(("postgres", "database"), id="postgres", marks=pytest.mark.postgres),
    ]
)
async def stack(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    """On each database, with the files in it or in a directory."""
    kind, place = request.param
    where = {"ATTACHMENTS_URL": f"file://{tmp_path}/files"} if place == "directory" else {}
    async with (
        database(request, kind) as url,
        started(Stack(tmp_path, database_url=url, **where)) as running,
    ):
        yield running


class Uploader:
    """The buyer of a dispute, who sends files and messages, and insists."""

    def __init__(self, client: Client, deal: Deal) -> None:
        self._client = client
        self._url = f"{client.stack.bridge_url}/api/v1/escrows/{deal.escrow_id}"
        self._bearer = {"Authorization": f"Bearer {deal.buyer.token}"}
        # How many slices of the file under way were handed over.
        self.slices = 0

    async def upload(self, body: bytes, key: str) -> dict[str, Any] | None:
        """Send a file once; None where it did not go through."""
        headers = {
            "Idempotency-Key": key,
            "Content-Type": "image/png",
            "Content-Length": str(len(body)),
        }
        told = await self._post("/attachments?name=frame.png", self._sliced(body), headers)
        return told and told["attachment"]

    async def say(self, text: str, key: str, *file_ids: str) -> dict[str, Any] | None:
        body = json.dumps({"text": text, "file_ids": file_ids}).encode()
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        return await self._post(":addMessage", body, headers)

    async def again(self, act: Any, *args: Any) -> dict[str, Any]:
        """Make the same call until it goes through."""
        async with asyncio.timeout(AGAIN_LIMIT_S):
            while True:
                told: dict[str, Any] | None = await act(*args)
                if told is not None:
                    return told
                await asyncio.sleep(0.1)

    async def file(self, file_id: str) -> bytes:
        async with self._client.http.get(
            f"{self._url}/attachments/{file_id}", headers=self._bearer
        ) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def _sliced(self, body: bytes) -> AsyncGenerator[bytes]:
        self.slices = 0
        for at in range(0, len(body), SLICE_BYTES):
            yield body[at : at + SLICE_BYTES]
            self.slices += 1
            await asyncio.sleep(0.002)

    async def _post(self, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any] | None:
        try:
            async with self._client.http.post(
                self._url + path, data=body, headers=self._bearer | headers
            ) as answer:
                told: dict[str, Any] = await answer.json()
        except aiohttp.ClientError:
            return None
        if answer.status == 200:
            return told
        # Core was away, or still had the earlier try; never a wrong or a lasting refusal.
        assert answer.status in (502, 503, 504) or _is_incomplete(told), (answer.status, told)
        return None


def _is_incomplete(told: dict[str, Any]) -> bool:
    return bool(told["error"]["reason"] == "UPLOAD_INCOMPLETE")


async def test_core_dies_in_uploads_and_each_message_has_its_whole_file_once(
    stack: Stack, size: Size, tmp_path: Path
) -> None:
    async with stack.client() as client:
        deal = Deal(client)
        await deal.hold()
        await deal.act(deal.buyer, "RaiseDispute", reason="The frame is bent.")
        buyer = Uploader(client, deal)
        kills = size.kills + 2
        for number in range(kills):
            await _killed_round(client, buyer, number, kills)
        await _record_holds(deal, buyer, tmp_path, kills)
        sent = {file["file_id"] for file in _files(await deal.events())}
        stack.core.kill()
        left = await _rows(stack)
        # Some were abandoned in the middle: that they are found and go is the point of this.
        assert {state for _, state in left} > {"SENT"}, left
        await _age(stack)
        stack.core.spawn()
        await stack.core_serves()
        await _until_only(stack, sent, tmp_path)
        await _record_holds(deal, buyer, tmp_path, kills)


async def _killed_round(client: Client, buyer: Uploader, number: int, kills: int) -> None:
    """Kill core at this round's moment of an upload; then send the same again, and a message."""
    body, key = picture(FILE_BYTES, seed=number), f"file-{secrets.token_hex(8)}"
    first = asyncio.create_task(buyer.upload(body, key))
    # The last moments are those after the last byte: its hash, its row, the answer.
    wanted = round(number * SLICES / (kills * 3 // 4))
    await until(lambda: buyer.slices >= min(wanted, SLICES) or first.done())
    if wanted >= SLICES:
        await asyncio.sleep(0.004 * (wanted - SLICES))
    client.stack.core.restart()
    answered = await first
    await client.stack.core_serves()
    if number % 3 == 0:  # This uploader gives up, and takes another picture.
        body, key, answered = picture(FILE_BYTES, seed=1_000 + number), f"{key}-again", None
    file = await buyer.again(buyer.upload, body, key)
    # What was answered before core died is there still, and is the same file.
    assert answered is None or answered == file
    await _killed_message(client, buyer, number, file["file_id"])


async def _killed_message(client: Client, buyer: Uploader, number: int, file_id: str) -> None:
    """Kill core beside a message that shows the file, and send the same message again."""
    text, key = f"Frame {number}", f"message-{secrets.token_hex(8)}"
    first = asyncio.create_task(buyer.say(text, key, file_id))
    await asyncio.sleep(0.002 * (number % 12))
    if number % 2:
        client.stack.core.restart()
    await first
    told = await buyer.again(buyer.say, text, key, file_id)
    assert told["escrow"]["status"] == "ESCROW_STATUS_DISPUTED"


async def _record_holds(deal: Deal, buyer: Uploader, folder: Path, count: int) -> None:
    """Each message is there once with its file, and verify.py finds every file whole."""
    events = await deal.events()
    said = [one for one in events if one.type == deal.event("MESSAGE_ADDED")]
    assert [one.data["text"] for one in said] == [f"Frame {number}" for number in range(count)]
    files = _files(events)
    assert len({file["file_id"] for file in files}) == len(files) == count
    shown = folder / f"shown-{secrets.token_hex(4)}"
    shown.mkdir()
    for file in files:
        (shown / file["file_id"]).write_bytes(await buyer.file(file["file_id"]))
    export = folder / "export.json"
    export.write_text(json.dumps({"events": [json_format.MessageToDict(one) for one in events]}))
    command = [sys.executable, "scripts/verify.py", str(export), "--files", str(shown)]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all {count} files of the record are there, unchanged" in done.stdout


def _files(events: list[Any]) -> list[dict[str, Any]]:
    return [
        file
        for one in events
        for file in json_format.MessageToDict(one.data).get("attachments", [])
    ]


async def _until_only(stack: Stack, sent: set[str], folder: Path) -> None:
    """Wait until nothing is stored but the files that were sent."""
    async with asyncio.timeout(PRUNED_LIMIT_S):
        while True:
            if {file_id for file_id, _ in await _rows(stack)} == sent:
                break
            await asyncio.sleep(0.2)
    pieces = await _sql(stack, "SELECT file_id FROM attachment_chunks")
    files = [one for one in (folder / "files").rglob("*") if one.is_file()]
    assert {one.file_id for one in pieces} | {one.name for one in files} == sent


async def _rows(stack: Stack) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in await _sql(stack, "SELECT file_id, state FROM attachments")]


async def _age(stack: Stack) -> None:
    """Let a day pass for what is stored."""
    await _sql(stack, f"UPDATE attachments SET create_time_us = create_time_us - {A_DAY_US}")


async def _sql(stack: Stack, statement: str) -> list[Any]:
    engine = create_async_engine(stack.core_env["DATABASE_URL"])
    try:
        async with engine.begin() as connection:
            done = await connection.execute(sa.text(statement))
            return list(done.all()) if done.returns_rows else []
    finally:
        await engine.dispose()
