"""The peers as processes: how each is started, reached, and told what to tell its sockets."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from scripts.bench import build
from scripts.bench.generator import Generator, Told, posts, step
from scripts.bench.line import Skip
from scripts.bench.process import Port, Process
from scripts.bench.stack import JWT_SECRET, token

_API_KEY = "the key of a benchmark"
_CHANNEL = "escrow"


class Peer(ABC):
    """A running server. Sockets open `url` and take `steps`; what it is told it tells them all."""

    name = ""
    path = "/ws"
    pong: dict[str, str] = {}  # noqa: RUF012 (of the class, and never changed)
    # Whether its frames may hold several messages, one on each line.
    lines = False

    def __init__(self, folder: Path, generator: Generator) -> None:
        self.port = Port()
        self.url = f"http://{self.port.address}{self.path}"
        self._generator = generator
        self.process = Process(
            self.name, self.command(), self.environment(folder), folder, talks=True
        )
        self.process.until(self.port.is_served)

    def close(self) -> None:
        self.process.kill()
        self.port.close()

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts it."""

    def environment(self, _folder: Path) -> dict[str, str]:
        return {"JWT_SECRET": JWT_SECRET}

    def steps(self) -> list[Told]:
        return [step("", '"connected"')]

    def tokens(self) -> list[str]:
        return [token("bench", "admin")]

    def tell(self, *texts: str) -> None:
        """Have every socket told of each of these."""
        self.process.input.write("".join(f"{text}\n" for text in texts).encode())
        self.process.input.flush()


class _Module(Peer):
    module = ""

    def command(self) -> Sequence[str]:
        module = f"scripts.bench.peer.{self.module}"
        return [sys.executable, "-m", module, str(self.port.number)]


class BareAiohttp(_Module):
    """aiohttp alone, with frames that are made once."""

    name, module = "aiohttp", "bare_aiohttp"


class BareGrpc(_Module):
    """grpc.aio alone."""

    name, module = "grpc.aio", "bare_grpc"


class FastApi(_Module):
    """FastAPI on uvicorn."""

    name, module = "fastapi", "fastapi_crowd"

    def command(self) -> Sequence[str]:
        _require("fastapi", "uvicorn")
        return super().command()


class SocketIo(_Module):
    """python-socketio on uvicorn. Its protocol: Engine.IO 4 on a WebSocket from the beginning."""

    name, module = "socketio", "socketio_crowd"
    path = "/socket.io/?EIO=4&transport=websocket"
    pong = {"2": "3"}  # noqa: RUF012

    def command(self) -> Sequence[str]:
        _require("socketio", "uvicorn")
        return super().command()

    def steps(self) -> list[Told]:
        return [step("", '"sid"'), step("40", '"sid"')]


class NodeWs(Peer):
    """The package `ws` on Node.js."""

    name, path = "ws", "/"

    def command(self) -> Sequence[str]:
        if not build.NODE_MODULES.is_dir():
            raise Skip("the npm package ws is not installed: `make bench` does it")
        return [str(build.node()), str(build.NODE / "crowd.js"), str(self.port.number)]


class Centrifugo(Peer):
    """Centrifugo with its JSON protocol, without a broker beside it."""

    name, path = "centrifugo", "/connection/websocket"
    pong = {"{}": "{}"}  # noqa: RUF012
    lines = True

    def command(self) -> Sequence[str]:
        if not build.CENTRIFUGO.is_file():
            raise Skip(f"Centrifugo is not built: {build.why_not()}")
        return [str(build.CENTRIFUGO), "--config", str(self._config)]

    def __init__(self, folder: Path, generator: Generator) -> None:
        self._config = folder / "centrifugo.json"
        port = Port()
        self._config.write_text(json.dumps(_settings(port.number)))
        self.port = port
        self.url = f"http://{port.address}{self.path}"
        self._generator = generator
        self.process = Process(self.name, self.command(), {}, folder, talks=True)
        self.process.until(port.is_served)

    def steps(self) -> list[Told]:
        connect = {"id": 1, "connect": {"token": "{token}"}}
        subscribe = {"id": 2, "subscribe": {"channel": _CHANNEL}}
        return [step(connect, '"id":1'), step(subscribe, '"id":2')]

    def requests(self, texts: Sequence[str]) -> list[Told]:
        """The requests of its HTTP API that publish these."""
        bodies = [
            b'{"channel":"%b","data":%b}' % (_CHANNEL.encode(), text.encode()) for text in texts
        ]
        url = f"http://{self.port.address}/api/publish"
        return posts(url, bodies, [{"X-API-Key": _API_KEY}] * len(bodies))

    def tell(self, *texts: str) -> None:
        self._generator.do(
            "posts", posts=self.requests(texts), count=len(texts), callers=len(texts)
        )


def _settings(port: int) -> dict[str, object]:
    return {
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"key": _API_KEY},
        # As with python-socketio: no ping falls into a measurement.
        "client": {
            "token": {"hmac_secret_key": JWT_SECRET},
            "ping_interval": "600s",
            "pong_timeout": "60s",
        },
        "channel": {"without_namespace": {"allow_subscribe_for_client": True}},
        "log": {"level": "error"},
    }


def _require(*modules: str) -> None:
    for name in modules:
        try:
            __import__(name)
        except ImportError as error:
            raise Skip(f"{name} is not installed ({error}): `make bench` does it") from error
