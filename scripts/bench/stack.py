"""Cores, bridges and a sandbox as `make run` starts them: by the settings that CONTRACT names."""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.bench.api import Api
from scripts.bench.generator import Caller
from scripts.bench.process import Broken, Port, Process
from scripts.mint import mint

JWT_SECRET = "the secret of a benchmark, at least 32 bytes"
WEBHOOK_SECRET = "the webhook secret of a benchmark"
KEY_ID, KEY_SECRET = "rzp_test_benchmark", "the key secret of a benchmark"
WEBHOOK_PATH = "/api/v1/webhooks/razorpay"
TOKEN_TTL_S = 86_400
REPORT_LIMIT_S = 5.0
HTTP_LIMIT_S = 2.0


def token(user_id: str, *roles: str) -> str:
    """Sign a token as a login server would."""
    return mint(JWT_SECRET, user_id, roles or ("user",), ttl_s=TOKEN_TTL_S, environment={})


class Server:
    """A core or a bridge, and the port that stays its own when it is started again."""

    def __init__(self, name: str, module: str, environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.port = Port()
        self._module = module
        self._environment = environment
        self._folder = folder
        self._report = folder / f"{name}.watch"
        self.process: Process | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        watched = ("scripts.bench.watchdog", str(self._report), self._module)
        command = [sys.executable, "-m", *watched]
        self.process = Process(self.name, command, self._environment, self._folder)

    def kill(self) -> None:
        """End it for good."""
        if self.process:
            self.process.kill()
        self.port.close()

    def until(self, answers: Callable[[], bool]) -> None:
        assert self.process is not None
        self.process.until(answers)

    def watch(self) -> None:
        """Have the watchdog look at the loop from now on."""
        self._report.unlink(missing_ok=True)
        assert self.process is not None
        self.process.signal(signal.SIGUSR1)

    def report(self) -> dict[str, Any]:
        """Answer what the watchdog has seen, and send it to sleep."""
        assert self.process is not None
        self.process.signal(signal.SIGUSR2)
        end = time.monotonic() + REPORT_LIMIT_S
        while not self._report.exists():
            if time.monotonic() > end:
                raise Broken(f"the watchdog of {self.name} does not answer")
            time.sleep(0.01)
        told: dict[str, Any] = json.loads(self._report.read_text())
        return told


class Stack:
    """The processes, on free ports. The first core and bridge are those of most figures."""

    def __init__(self, folder: Path, generator: Caller, *, database_url: str = "") -> None:
        self._folder = folder
        self._sandbox_port = Port()
        self.sandbox_url = f"http://{self._sandbox_port.address}"
        self.sandbox: Process | None = None
        self.cores: list[Server] = []
        self.bridges: list[Server] = []
        url = database_url or f"sqlite+aiosqlite:///{folder / 'holdfast.db'}"
        shared = {"JWT_SECRET": JWT_SECRET, "RAZORPAY_KEY_ID": KEY_ID, "LOG_LEVEL": "warning"}
        self._of_core = {
            **shared,
            "GRPC_VERBOSITY": "ERROR",
            "DATABASE_URL": url,
            "DEMO_DATA": "0",
            "RAZORPAY_BASE_URL": self.sandbox_url,
            "RAZORPAY_KEY_SECRET": KEY_SECRET,
            "RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
        }
        self._of_bridge = {
            **shared,
            "GRPC_VERBOSITY": "ERROR",
            "RAZORPAY_BASE_URL": self.sandbox_url,
            "BRIDGE_TOKEN": token("bridge", "service"),
        }
        self._generator = generator
        self.service = token("bench", "service")

    @property
    def core(self) -> Server:
        return self.cores[0]

    @property
    def bridge(self) -> Server:
        return self.bridges[0]

    @property
    def api(self) -> Api:
        return Api(self._generator, self.core.port.address, self.service)

    def socket_url(self, bridge: Server | None = None) -> str:
        return f"http://{(bridge or self.bridge).port.address}/api/v1/ws"

    @property
    def webhook_url(self) -> str:
        return f"http://{self.bridge.port.address}{WEBHOOK_PATH}"

    def set_core(self, name: str, value: str) -> None:
        """Give cores that are started from now on one more setting."""
        self._of_core[name] = value

    def start_core(self) -> Server:
        """Start one more core on the same database, and wait until it serves."""
        core = Server(f"core{len(self.cores)}", "core", {**self._of_core}, self._folder)
        core._environment["CORE_LISTEN"] = core.port.address
        core.start()
        self.cores.append(core)
        core.until(core.port.is_served)
        return core

    def start_bridge(self) -> Server:
        """Start one more bridge before all cores there are, and wait until it is ready."""
        bridge = Server(f"bridge{len(self.bridges)}", "bridge", {**self._of_bridge}, self._folder)
        bridge._environment["PORT"] = str(bridge.port.number)
        addresses = ",".join(core.port.address for core in self.cores)
        bridge._environment["CORE_ADDRESS"] = addresses
        bridge.start()
        self.bridges.append(bridge)
        self.until_ready(bridge)
        return bridge

    def until_ready(self, bridge: Server) -> None:
        bridge.until(lambda: _answers(f"http://{bridge.port.address}/readyz"))

    def start_sandbox(self) -> None:
        """Start it, sending its webhooks to the first bridge."""
        environment = {
            "RAZORPAY_KEY_ID": KEY_ID,
            "RAZORPAY_KEY_SECRET": KEY_SECRET,
            "RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
        }
        where = ["--port", str(self._sandbox_port.number), "--webhook-url", self.webhook_url]
        command = [sys.executable, "-m", "scripts.sandbox", *where]
        self.sandbox = Process("sandbox", command, environment, self._folder)
        self.sandbox.until(lambda: _answers(f"{self.sandbox_url}/sandbox/state"))

    def ask_sandbox(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET its state, or PUT its faults."""
        request = urllib.request.Request(
            f"{self.sandbox_url}/sandbox/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method="GET" if body is None else "PUT",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def kill(self) -> None:
        """End all of it. What it stored is thrown away."""
        for server in (*self.bridges, *self.cores):
            server.kill()
        if self.sandbox:
            self.sandbox.kill()
        self._sandbox_port.close()


@contextmanager
def watched(*servers: Server) -> Iterator[dict[str, Any]]:
    """Let the watchdogs look at these for a while; the dictionary has what they saw afterwards."""
    for server in servers:
        server.watch()
    seen: dict[str, Any] = {}
    yield seen
    for server in servers:
        seen[f"{server.name}_loop"] = server.report()


def pids(servers: Sequence[Server]) -> list[int]:
    return [server.pid for server in servers]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=HTTP_LIMIT_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
