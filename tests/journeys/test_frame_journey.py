"""Wrong frames on the WebSocket: each gets an error, and only the worst close the connection."""

import uuid

import aiohttp
import pytest

from tests.fakes.database import on_both
from tests.fakes.stack import Client

pytestmark = on_both("stack", is_long=True)

NOT_A_COMMAND = [
    "",
    " ",
    "{",
    "null",
    "7",
    "[]",
    '"subscribe"',
    "{}",
    '{"type":null}',
    '{"type":7}',
    '{"type":["ping"]}',
    '{"type":"Ping"}',
    '{"type":"drop table"}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","escrow_id":null}',
    '{"type":"subscribe","escrow_id":""}',
    '{"type":"subscribe","escrow_id":7}',
    '{"type":"subscribe","escrow_id":["x"]}',
    '{"type":"subscribe","escrow_id":"' + "x" * 5000 + '"}',
    '{"type":"subscribe","escrow_id":"\\ud800"}',
    '{"type":"subscribe","escrow_id":"x","after":"1"}',
    '{"type":"subscribe","escrow_id":"x","after":-1}',
    '{"type":"subscribe","escrow_id":"x","after":1.5}',
    '{"type":"subscribe","escrow_id":"x","after":true}',
    '{"type":"subscribe","escrow_id":"x","after":99999999999999999999}',
    '{"type":"subscribe","escrow_id":"x","after":NaN}',
    '{"type":"unsubscribe"}',
    '{"type":"unsubscribe","escrow_id":{}}',
    '{"type":"auth"}',
    '{"type":"auth","token":7}',
    '{"type":"ping","id":{}}',
    '{"type":"ping","id":1.5}',
    '{"type":"ping","id":"' + "x" * 5000 + '"}',
    "[" * 10_000,
    '{"a":' * 5_000,
]


@pytest.mark.parametrize("frame", NOT_A_COMMAND, ids=range(len(NOT_A_COMMAND)))
async def test_a_bad_frame_is_answered_and_the_connection_stays_open(
    client: Client, frame: str
) -> None:
    socket = await client.viewer(client.caller("anyone"))
    await socket.socket.send_str(frame)
    error = await socket.sees(type="error")
    assert (error["code"], error["retry"]) == ("BAD_FRAME", False)
    assert error["message"]
    assert (await socket.ask("ping"))["type"] == "pong"
    assert len(socket.find(type="error")) == 1


async def test_a_binary_frame_is_a_bad_frame(client: Client) -> None:
    socket = await client.viewer(client.caller("anyone"))
    await socket.socket.send_bytes(b'{"type":"ping"}')
    await socket.sees(type="error", code="BAD_FRAME")
    assert (await socket.ask("ping"))["type"] == "pong"


async def test_the_id_of_a_bad_frame_comes_back_with_the_error(client: Client) -> None:
    socket = await client.viewer(client.caller("anyone"))
    answer = await socket.ask("subscribe")
    assert (answer["type"], answer["code"]) == ("error", "BAD_FRAME")
    unknown = await socket.ask("subscribe", escrow_id=str(uuid.uuid4()))
    assert unknown["code"] == "ESCROW_NOT_FOUND"


async def test_a_frame_that_is_too_long_ends_the_connection(client: Client) -> None:
    socket = await client.viewer(client.caller("anyone"))
    await socket.socket.send_str('{"type":"ping","pad":"' + "x" * (64 << 10) + '"}')
    assert await socket.ends() == 1009


async def test_too_many_frames_end_the_connection(client: Client) -> None:
    socket = await client.viewer(client.caller("anyone"))
    for _ in range(60):
        await socket.send("ping")
    await socket.sees(type="error", code="RATE_LIMITED", retry=True)
    assert await socket.ends() == 4429


async def test_a_foreign_origin_is_refused_before_the_upgrade(client: Client) -> None:
    url = f"{client.stack.bridge_url}/api/v1/ws?token={client.caller('anyone').token}"
    headers = {"Origin": "https://elsewhere.example"}
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await client.http.ws_connect(url, headers=headers)
    own = {"Origin": client.stack.bridge_url}
    async with client.http.ws_connect(url, headers=own) as socket:
        assert (await socket.receive_json(timeout=10))["type"] == "connected"
