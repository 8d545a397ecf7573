"""One browser's session: the order of its frames, and the code of each limit."""

import json
import time
from typing import Any

import aiohttp
import grpc
import pytest
from escrow.v1 import escrow_pb2 as pb

from tests.bridge.conftest import StartBridge
from tests.fakes.bridge import Bridge, token
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore
from tests.fakes.wait import until


def wire_of(browser: Browser) -> Any:
    """The transport below a browser's socket, to write what no client would."""
    connection = browser.socket._response.connection
    assert connection is not None
    return connection.transport


async def test_the_first_frame_says_who_is_connected(bridge: Bridge) -> None:
    async with bridge.with_token(token("buyer", seconds=600)) as browser:
        told = browser.connected
    assert (told["user_id"], told["ping_interval"]) == ("buyer", 25)
    assert abs(told["expires_at"] - time.time() - 600) < 5


async def test_a_payment_is_sent_as_status_then_change_then_update(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        subscribed = await browser.subscribe("e1")
        assert (subscribed["version"], subscribed["data"]["status"]) == (1, "INITIATED")
        await core.append(
            "e1",
            pb.EVENT_TYPE_PAYMENT_CAPTURED,
            status=pb.ESCROW_STATUS_HELD,
            payment_status=pb.PAYMENT_STATUS_CAPTURED,
        )
        frames = [await browser.next() for _ in range(3)]
    place = {"escrow_id": "e1", "version": 2}
    assert frames[0] == {"type": "payment_status", **place, "status": "captured"}
    change = {"old_status": "INITIATED", "new_status": "HELD"}
    assert frames[1] == {"type": "status_change", **place, **change}
    assert frames[2]["type"] == "escrow_update"
    assert frames[2]["data"]["event_type"] == "payment_captured"


async def test_direct_answers_carry_the_id_back(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        assert await browser.ask("ping", id="a") == {"type": "pong", "id": "a"}
        assert (await browser.ask("subscribe", escrow_id="e1", id=7))["id"] == 7
        gone = await browser.ask("unsubscribe", escrow_id="e1", id="c")
        assert gone == {"type": "unsubscribed", "escrow_id": "e1", "id": "c"}
        unknown = await browser.ask("subscribe", escrow_id="none", id="d")
        assert unknown["id"] == "d"
        assert (await browser.ask("auth", token=token(), id="e"))["id"] == "e"
        assert (await browser.ask("subscribe", id="f"))["id"] == "f"


async def test_without_an_id_the_answer_has_none(bridge: Bridge) -> None:
    async with bridge.browser() as browser:
        assert await browser.ask("ping") == {"type": "pong"}


async def test_nothing_comes_after_unsubscribed(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser, bridge.browser() as witness:
        await browser.subscribe("e1")
        await witness.subscribe("e1")
        assert (await browser.ask("unsubscribe", escrow_id="e1"))["type"] == "unsubscribed"
        await core.append("e1")
        await witness.until("escrow_update")
        assert await browser.ask("ping") == {"type": "pong"}


async def test_unsubscribing_without_a_subscription_is_harmless(bridge: Bridge) -> None:
    async with bridge.browser() as browser:
        answer = await browser.ask("unsubscribe", escrow_id="e1")
    assert answer == {"type": "unsubscribed", "escrow_id": "e1"}


async def test_subscribing_twice_sends_each_event_once(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        # The second comes before the answer to the first, the third after it.
        await browser.send("subscribe", escrow_id="e1", id=1)
        assert (await browser.ask("subscribe", escrow_id="e1", id=2))["id"] == 1
        assert (await browser.next())["id"] == 2
        assert (await browser.ask("subscribe", escrow_id="e1", id=3, after=0))["id"] == 3
        await core.append("e1")
        assert await browser.versions(1) == [2]
        assert await browser.ask("ping") == {"type": "pong"}


async def test_a_subscribe_that_waits_can_be_taken_back(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    core.answering.clear()
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="e1")
        await until(lambda: core.calls["Open"])
        assert (await browser.ask("unsubscribe", escrow_id="e1"))["type"] == "unsubscribed"
        core.answering.set()
        assert (await browser.subscribe("e1"))["version"] == 1


@pytest.mark.parametrize("escrow_id", ["e1", "none", "**", "ungültig", "a b"])
async def test_the_escrow_of_others_is_answered_like_an_unknown_one(
    bridge: Bridge, core: FakeCore, escrow_id: str
) -> None:
    await core.create("e1")
    async with bridge.browser("stranger") as browser:
        answer = await browser.ask("subscribe", escrow_id=escrow_id)
    assert answer == {
        "type": "error",
        "code": "ESCROW_NOT_FOUND",
        "message": "There is no such escrow.",
        "retry": False,
        "escrow_id": escrow_id,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "not json",
        "null",
        "[]",
        '"ping"',
        "1",
        "NaN",
        "[" * 10_000,
        "9" * 5_000,
        "{}",
        '{"type":null}',
        '{"type":["ping"]}',
        '{"type":"PING"}',
        '{"type":"teleport"}',
        '{"type":"ping","id":{}}',
        '{"type":"ping","id":1.5}',
        '{"type":"ping","id":true}',
        '{"type":"ping","id":99999999999999999999}',
        json.dumps({"type": "ping", "id": "x" * 129}),
        '{"type":"ping","id":NaN}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","escrow_id":""}',
        '{"type":"subscribe","escrow_id":null}',
        '{"type":"subscribe","escrow_id":7}',
        '{"type":"subscribe","escrow_id":["e1"]}',
        '{"type":"subscribe","escrow_id":"\\ud800"}',
        json.dumps({"type": "subscribe", "escrow_id": "x" * 129}),
        '{"type":"subscribe","escrow_id":"e1","after":-1}',
        '{"type":"subscribe","escrow_id":"e1","after":"1"}',
        '{"type":"subscribe","escrow_id":"e1","after":1.5}',
        '{"type":"subscribe","escrow_id":"e1","after":true}',
        '{"type":"subscribe","escrow_id":"e1","after":9223372036854775808}',
        '{"type":"unsubscribe"}',
        '{"type":"unsubscribe","escrow_id":{}}',
        '{"type":"auth"}',
        '{"type":"auth","token":5}',
        '{"type":"auth","token":""}',
    ],
)
async def test_bad_input_is_answered_and_the_connection_stays_open(
    bridge: Bridge, text: str
) -> None:
    async with bridge.browser() as browser:
        await browser.socket.send_str(text)
        answer = await browser.next()
        assert (answer["type"], answer["code"], answer["retry"]) == ("error", "BAD_FRAME", False)
        assert answer["message"]
        assert await browser.ask("ping") == {"type": "pong"}


async def test_a_binary_frame_is_a_bad_frame(bridge: Bridge) -> None:
    async with bridge.browser() as browser:
        for data in (b"\xff\xfe\x00", b'{"type":"ping"}'):
            await browser.socket.send_frame(data, aiohttp.WSMsgType.BINARY)
            assert (await browser.next())["code"] == "BAD_FRAME"
        assert await browser.ask("ping") == {"type": "pong"}


@pytest.mark.parametrize(
    "wire",
    [
        b"\x81\x83\0\0\0\0\xff\xfe\x00",
        # Each fragment is valid UTF-8, but both together are not.
        b"\x01\x81\0\0\0\0\x7b" + b"\x80\x81\0\0\0\0\xc3",
    ],
    ids=["whole", "in fragments"],
)
async def test_text_that_is_not_utf8_closes_1007(bridge: Bridge, wire: bytes) -> None:
    async with bridge.browser() as browser:
        wire_of(browser).write(wire)
        assert await browser.closed() == 1007
    await bridge.until_metric("holdfast_bridge_sockets", 0)


async def test_a_frame_of_64_kib_is_read_and_one_more_byte_closes_1009(bridge: Bridge) -> None:
    room = 64 * 1024 - len('{"type":"ping","x":""}')
    async with bridge.browser() as browser:
        await browser.socket.send_str('{"type":"ping","x":"%s"}' % ("x" * room))
        assert await browser.next() == {"type": "pong"}
        await browser.socket.send_str('{"type":"ping","x":"%s"}' % ("x" * (room + 1)))
        assert await browser.closed() == 1009


@pytest.mark.parametrize("mib", [1, 10, 30])
async def test_a_huge_frame_closes_1009_and_leaves_nothing_behind(
    bridge: Bridge, core: FakeCore, mib: int
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await browser.send("ping")
        await browser.socket.send_bytes(bytes(mib * 1024 * 1024))
        assert await browser.next() == {"type": "pong"}
        assert await browser.closed() == 1009
    await bridge.until_metric("holdfast_bridge_sockets", 0)
    await bridge.until_metric("holdfast_bridge_watches", 0)


async def test_fragments_that_are_too_long_together_close_1009(bridge: Bridge) -> None:
    async with bridge.browser() as browser:
        transport = wire_of(browser)
        # A text that goes on in ever more fragments, masked with zeros.
        transport.write(b"\x01\xfe\xff\x00" + bytes(4) + b"x" * 0xFF00)
        for _ in range(3):
            transport.write(b"\x00\xfe\xff\x00" + bytes(4) + b"x" * 0xFF00)
        assert await browser.closed() == 1009


async def test_bytes_that_are_not_a_frame_close_1002(bridge: Bridge) -> None:
    async with bridge.browser() as browser:
        wire_of(browser).write(b"\xff\xff\xff\xff")
        assert await browser.closed() == 1002
    await bridge.until_metric("holdfast_bridge_sockets", 0)


async def test_more_than_the_rate_closes_4429(bridge: Bridge) -> None:
    async with bridge.browser() as browser:
        for _ in range(60):
            await browser.socket.send_str('{"type":"ping"}')
        answers = [await browser.next() for _ in range(40)]
        assert all(answer["type"] == "pong" for answer in answers)
        refusal = await browser.until("error")
        assert (refusal["code"], refusal["retry"]) == ("RATE_LIMITED", True)
        assert await browser.closed() == 4429


async def test_pings_of_the_protocol_are_answered_and_counted(bridge: Bridge) -> None:
    async with bridge.browser(autoping=False) as browser:
        await browser.socket.ping(b"are you there")
        answer = await browser.socket.receive(timeout=10)
        assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, b"are you there")
        for _ in range(60):
            await browser.socket.ping()
        assert await browser.closed() == 4429


@pytest.mark.parametrize(
    "head",
    [
        b"\x8a\x80",  # Pongs.
        b"\x89\x80",  # Pings.
        b"\x00\x80",  # Empty continuations of a text that has begun.
    ],
    ids=["pongs", "pings", "empty continuations"],
)
async def test_frames_of_every_kind_count(bridge: Bridge, head: bytes) -> None:
    async with bridge.browser(autoping=False) as browser:
        transport = wire_of(browser)
        transport.write(b"\x01\x81\0\0\0\0x" + (head + bytes(4)) * 60)
        assert await browser.closed() == 4429


async def test_a_user_who_was_closed_for_a_flood_waits_for_the_next_handshake(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge(flood_wait_s=2)
    async with bridge.browser("flooder") as browser:
        for _ in range(60):
            await browser.socket.ping()
        assert await browser.closed() == 4429
    began = time.monotonic()
    async with bridge.browser("other") as other:
        assert await other.ask("ping") == {"type": "pong"}
    assert time.monotonic() - began < 1.5
    async with bridge.browser("flooder") as browser:
        assert time.monotonic() - began > 1.5
        assert await browser.ask("ping") == {"type": "pong"}


async def test_one_subscription_too_many_is_refused(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(frames_burst=1000)
    for number in range(201):
        await core.create(f"e{number}")
    async with bridge.browser() as browser:
        for number in range(201):
            await browser.send("subscribe", escrow_id=f"e{number}")
        answers = [await browser.next() for _ in range(201)]
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert [one["code"] for one in refused] == ["TOO_MANY_SUBSCRIPTIONS"]
        assert refused[0]["escrow_id"] == "e200"
        await browser.ask("unsubscribe", escrow_id="e0")
        await browser.subscribe("e200")


async def test_the_token_is_announced_to_expire_and_then_closes_4401(
    start_bridge: StartBridge,
) -> None:
    bridge = await start_bridge()
    async with bridge.with_token(token(seconds=1.2)) as browser:
        notice = await browser.next()
        assert (notice["code"], notice["retry"]) == ("TOKEN_EXPIRING", True)
        assert await browser.closed() == 4401


async def test_a_fresh_token_keeps_the_connection_open(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(token_notice_s=2)
    old = int(time.time()) + 2
    async with bridge.with_token(token(seconds=old - time.time())) as browser:
        assert (await browser.until("error"))["code"] == "TOKEN_EXPIRING"
        answer = await browser.ask("auth", token=token(seconds=600))
        assert answer["type"] == "authenticated"
        assert answer["expires_at"] > old + 500
        await until(lambda: time.time() > old + 0.2)
        assert await browser.ask("ping") == {"type": "pong"}


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"user_id": "seller"}, "USER_MISMATCH"),
        ({"seconds": -5}, "TOKEN_INVALID"),
    ],
)
async def test_a_bad_token_in_auth_changes_nothing(
    bridge: Bridge, claims: dict[str, Any], code: str
) -> None:
    async with bridge.browser("buyer") as browser:
        answer = await browser.ask("auth", token=token(**claims))
        assert (answer["type"], answer["code"]) == ("error", code)
        assert (await browser.ask("auth", token="rubbish"))["code"] == "TOKEN_INVALID"
        assert await browser.ask("ping") == {"type": "pong"}


async def test_core_is_asked_with_the_users_own_and_newest_token(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1", buyer_id="someone")
    async with bridge.browser("buyer") as browser:
        assert (await browser.ask("subscribe", escrow_id="e1"))["code"] == "ESCROW_NOT_FOUND"
        await browser.ask("auth", token=token("buyer", roles=["admin"]))
        assert (await browser.subscribe("e1"))["version"] == 1


async def test_a_token_that_core_refuses_closes_4401(bridge: Bridge, core: FakeCore) -> None:
    core.refusals["Open"] = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REVOKED")
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="e1")
        assert await browser.closed() == 4401


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN", False),
        (grpc.StatusCode.INVALID_ARGUMENT, "ESCROW_NOT_FOUND", False),
        (grpc.StatusCode.INTERNAL, "UNAVAILABLE", True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "UNAVAILABLE", True),
    ],
)
async def test_each_refusal_of_core_has_its_error_frame(
    bridge: Bridge, core: FakeCore, status: grpc.StatusCode, code: str, retry: bool
) -> None:
    core.refusals["Open"] = (status, "SOME_REASON")
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="e1")
        assert (answer["code"], answer["retry"]) == (code, retry)
        core.refusals.clear()
        await core.create("e1")
        await browser.subscribe("e1")


async def test_a_new_subscription_waits_for_core_and_then_gives_up(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(core_wait_s=0.3, standing_s=60)
    await core.create("e1")
    await core.stop()
    async with bridge.browser() as browser:
        answer = await browser.ask("subscribe", escrow_id="e1", id=1)
        assert (answer["code"], answer["retry"], answer["id"]) == ("UNAVAILABLE", True, 1)


async def test_a_new_subscription_waits_for_core_and_gets_it(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge(standing_s=60)
    await core.create("e1")
    await core.stop()
    async with bridge.browser() as browser:
        await browser.send("subscribe", escrow_id="e1")
        assert await browser.ask("ping") == {"type": "pong"}
        await core.start()
        assert (await browser.next())["type"] == "subscribed"


async def test_the_server_pings_and_an_answering_peer_stays(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(ping_interval_s=0.05, ping_silence_s=1)
    async with bridge.browser(autoping=False) as browser:
        for _ in range(3):
            message = await browser.socket.receive(timeout=10)
            assert message.type is aiohttp.WSMsgType.PING
            await browser.socket.pong(message.data)


async def test_a_silent_peer_is_dropped(start_bridge: StartBridge) -> None:
    bridge = await start_bridge(ping_interval_s=0.05, ping_silence_s=0.1)
    async with bridge.browser(autoping=False) as browser:
        assert await browser.closed() == 1006
    await bridge.until_metric("holdfast_bridge_sockets", 0)


async def test_a_reader_too_slow_is_closed_4408_and_resumes(
    start_bridge: StartBridge, core: FakeCore
) -> None:
    bridge = await start_bridge()
    await core.create("e1")
    async with bridge.browser() as witness:
        await witness.subscribe("e1")
        async with bridge.browser() as slow:
            await slow.subscribe("e1")

            reading = slow.socket._response.connection.transport
            reading.pause_reading()
            sent = 1
            while not await bridge.metric('holdfast_bridge_closes_total{code="4408"}'):
                await core.append("e1", data={"text": "x" * 16_000})
                sent += 1
                assert await witness.versions(1) == [sent]
            reading.resume_reading()
            seen = [1]
            while (message := await slow.socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
                if message.json()["type"] == "escrow_update":
                    seen.append(message.json()["version"])
            assert slow.socket.close_code == 4408
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) < sent
        async with bridge.browser() as back:
            await back.send("subscribe", escrow_id="e1", after=seen[-1])
            rest = await back.versions(sent - seen[-1])
            assert rest == list(range(seen[-1] + 1, sent + 1))
            assert (await back.next())["version"] == sent


async def test_a_browser_that_closes_leaves_nothing_behind(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
    await bridge.until_metric("holdfast_bridge_sockets", 0)
    await bridge.until_metric("holdfast_bridge_subscriptions", 0)
    await bridge.until_metric("holdfast_bridge_watches", 0)
    await until(lambda: core.watching == 0)


async def test_an_update_of_a_service_keeps_its_own_type_and_data(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        await browser.subscribe("e1")
        await core.append("e1", update_type="parcel_sent", data={"status": "X", "n": 1.5})
        data = (await browser.until("escrow_update"))["data"]
    assert (data["event_type"], data["status"]) == ("parcel_sent", "INITIATED")
    assert data["event_data"] == {"status": "X", "n": 1.5}


async def test_two_parties_see_the_same(bridge: Bridge, core: FakeCore) -> None:
    await core.create("e1")
    async with bridge.browser("buyer") as buyer, bridge.browser("seller") as seller:
        both: list[Browser] = [buyer, seller]
        for browser in both:
            await browser.subscribe("e1")
        await core.append("e1")
        frames = [await browser.next() for browser in both]
        assert frames[0] == frames[1]
