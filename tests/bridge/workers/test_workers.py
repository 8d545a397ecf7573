"""Several workers that serve one port, as real processes."""

import asyncio
import os
import re
import signal
import socket
from asyncio.subprocess import Process
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.bridge.process import LIMIT_S, Start, address, logged
from tests.fakes.bridge import token
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore
from tests.fakes.wait import until

SOCKETS = 16


def workers_of(process: Process) -> list[int]:
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(children) as file:
        return [int(one) for one in file.read().split()]


async def browsers(stack: AsyncExitStack, url: str, count: int) -> list[Browser]:
    """Open sockets of users of their own, each with a watch of e1."""
    http = await stack.enter_async_context(aiohttp.ClientSession())
    opened = []
    for _ in range(count):
        browser = Browser(http, f"{url}/api/v1/ws?token={token('buyer')}")
        opened.append(await stack.enter_async_context(browser))
        await browser.subscribe("e1")
    return opened


async def scraped(url: str) -> str:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        return await response.text()


def samples(text: str, name: str) -> dict[str, float]:
    """Answer the values of a metric by worker."""
    found = re.findall(rf'^{name}{{worker="(\d+)"}} (\S+)$', text, re.MULTILINE)
    return {worker: float(value) for worker, value in found}


async def test_all_workers_serve_one_port_and_every_socket_hears_of_an_event(
    start: Start, core: FakeCore
) -> None:
    await core.create("e1")
    process = await start(BRIDGE_WORKERS="2")
    url = await address(process)
    assert len(workers_of(process)) == 2
    async with AsyncExitStack() as stack:
        opened = await browsers(stack, url, 16)
        await core.append("e1")
        for browser in opened:
            assert (await browser.until("escrow_update"))["version"] == 2


async def test_a_worker_that_dies_is_replaced_and_the_others_go_on(
    start: Start, core: FakeCore
) -> None:
    await core.create("e1")
    process = await start(BRIDGE_WORKERS="2")
    url = await address(process)
    async with AsyncExitStack() as stack:
        opened = await browsers(stack, url, 16)
        victim, _other = workers_of(process)
        os.kill(victim, signal.SIGKILL)
        told = await logged(process, "a worker has ended, another takes its place")
        assert told["why"] == "signal SIGKILL"
        assert (await logged(process, "a worker is ready"))["worker"] == told["worker"]
        assert len(workers_of(process)) == 2
        assert victim not in workers_of(process)
        await core.append("e1")
        lived = 0
        for browser in opened:
            message = await asyncio.wait_for(browser.socket.receive(), LIMIT_S)
            lived += message.type is aiohttp.WSMsgType.TEXT
        assert lived < len(opened), "the dead worker had no socket: the port was not shared"
        await browsers(stack, url, 4)


async def test_a_signal_drains_every_worker_and_refuses_newcomers(
    start: Start, core: FakeCore
) -> None:
    await core.create("e1")
    process = await start(BRIDGE_WORKERS="2")
    url = await address(process)
    async with AsyncExitStack() as stack:
        opened = await browsers(stack, url, 16)
        process.send_signal(signal.SIGTERM)
        for browser in opened:
            assert (await browser.until("reconnect"))["type"] == "reconnect"
            assert await browser.closed() == 1012
        _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 0
    assert err.count(b"a worker has stopped") == 2
    assert b"the bridge has stopped" in err
    assert b"Traceback" not in err
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))


async def test_workers_end_when_their_parent_is_killed(start: Start) -> None:
    process = await start(BRIDGE_WORKERS="2")
    await address(process)
    workers = workers_of(process)
    process.kill()
    await process.wait()

    def gone() -> bool:
        return not any(os.path.exists(f"/proc/{one}/cwd") for one in workers)

    await until(gone, limit_s=LIMIT_S)


@pytest.mark.parametrize("own_address", [False, True], ids=["at the port", "at METRICS_LISTEN"])
async def test_whichever_worker_is_asked_tells_the_metrics_of_all(
    start: Start, core: FakeCore, own_address: bool
) -> None:
    await core.create("e1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    process = await start(BRIDGE_WORKERS="2", **({"METRICS_LISTEN": listen} if own_address else {}))
    url = await address(process)
    where = f"http://{listen}/metrics" if own_address else f"{url}/metrics"
    async with AsyncExitStack() as stack:
        await browsers(stack, url, SOCKETS)
        for _ in range(8):
            text = await scraped(where)
            assert "\nholdfast_bridge_workers 2.0\n" in text
            sockets = samples(text, "holdfast_bridge_sockets")
            assert sorted(sockets) == ["1", "2"]
            assert sum(sockets.values()) == SOCKETS
            assert sum(samples(text, "holdfast_bridge_frames_sent_total").values()) >= 2 * SOCKETS
            assert text.count("# TYPE holdfast_bridge_sockets gauge") == 1
            assert text.count("# TYPE holdfast_bridge_frames_sent_total counter") == 1


@pytest.mark.parametrize("variable", ["PORT", "METRICS_LISTEN"])
async def test_a_taken_port_ends_all_with_1_and_one_message(start: Start, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        value = port if variable == "PORT" else f"127.0.0.1:{port}"
        process = await start(BRIDGE_WORKERS="2", **{variable: value})
        _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 1
    assert err.count(b"the bridge cannot listen") == 1
    assert b"Traceback" not in err


async def test_a_token_that_cannot_serve_ends_all_with_2(start: Start) -> None:
    process = await start(BRIDGE_WORKERS="2", BRIDGE_TOKEN="not.a.token")
    _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    assert b"BRIDGE_TOKEN is not valid" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize("wrong", ["0", "65", "two"])
async def test_a_wrong_number_of_workers_is_refused(start: Start, wrong: str) -> None:
    process = await start(BRIDGE_WORKERS=wrong)
    _out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    assert process.returncode == 2
    assert b"BRIDGE_WORKERS" in err
