"""Core, bridge and sandbox as real processes on free ports, and clients for them.

The clients use only the public APIs: no module of core or bridge is imported.
"""

import asyncio
import hashlib
import hmac
import io
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
import grpc
import jwt
from grpc_health.v1 import health_pb2, health_pb2_grpc

from scripts.sandbox.statement import OPENING_BALANCE_MINOR
from tests.fakes.process import Process
from tests.fakes.rpc import Api, Caller
from tests.fakes.viewer import Viewer
from tests.fakes.wait import until

JWT_SECRET = "a secret of these tests, longer than 32 bytes"
WEBHOOK_SECRET = "the webhook secret of these tests"
PREVIOUS_SECRET = "the webhook secret before it"
KEY_ID, KEY_SECRET = "rzp_test_journeys", "the key secret of these tests"
WEBHOOK_PATH = "/api/v1/webhooks/razorpay"
READY_LIMIT_S = 60.0
ASK_LIMIT_S = 5.0
LOOK_EVERY_S = 0.02
# By default grpc.aio's back-off after a lost connection begins at one second.
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
    # Otherwise a channel would share the connection and the back-off of an earlier test.
    ("grpc.use_local_subchannel_pool", 1),
)


def token(user_id: str, *roles: str, seconds: float = 3600, **claims: Any) -> str:
    """Sign a token as a login server would."""
    body: dict[str, Any] = {"sub": user_id, "exp": time.time() + seconds, **claims}
    if roles:
        body["roles"] = list(roles)
    return jwt.encode(body, JWT_SECRET, "HS256")


def sign(body: bytes, secret: str = WEBHOOK_SECRET) -> str:
    """The X-Razorpay-Signature of a webhook's bytes."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Port:
    """A free port that stays reserved: it is bound, so that the kernel gives it to nobody else.

    A server that sets SO_REUSEADDR, as all of ours do, can listen there all the same.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.number}"

    def give_back(self) -> None:
        self._socket.close()


class Stack:
    """The three processes. It uses no event loop: `client` opens what a test needs."""

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        razorpay_url: str | None = None,
        core_module: str = "core",
        **env: str,
    ) -> None:
        self._ports = {name: Port() for name in ("core", "bridge", "sandbox", "spare")}
        self.core_address = self._ports["core"].address
        self.bridge_url = f"http://{self._ports['bridge'].address}"
        self.sandbox_url = f"http://{self._ports['sandbox'].address}"
        # For one more process of a test.
        self.spare_port = self._ports["spare"].number
        self._folder = folder
        url = database_url or f"sqlite+aiosqlite:///{folder / 'holdfast.db'}"
        shared = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "JWT_SECRET": JWT_SECRET,
            "RAZORPAY_KEY_ID": KEY_ID,
        }
        of_razorpay = {
            "RAZORPAY_KEY_SECRET": KEY_SECRET,
            "RAZORPAY_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "RAZORPAY_WEBHOOK_SECRET_PREVIOUS": PREVIOUS_SECRET,
        }
        self.core_env = {
            **shared,
            **of_razorpay,
            "CORE_LISTEN": self.core_address,
            "DATABASE_URL": url,
            "RAZORPAY_BASE_URL": razorpay_url or self.sandbox_url,
            **env,
        }
        self.bridge_env = {
            **shared,
            "CORE_ADDRESS": self.core_address,
            "PORT": str(self._ports["bridge"].number),
            "BRIDGE_TOKEN": token("bridge", "service"),
            "DEMO_LOGIN": "1",
            "RAZORPAY_BASE_URL": self.sandbox_url,
        }
        webhook = ["--webhook-url", self.bridge_url + WEBHOOK_PATH]
        port = ["--port", str(self._ports["sandbox"].number)]
        self.sandbox = self._process(
            "sandbox", ["scripts.sandbox", *port, *webhook], {**shared, **of_razorpay}
        )
        self._core_module = core_module
        self.core = self._process("core", [core_module], self.core_env)
        self.bridge = self._process("bridge", ["bridge"], self.bridge_env)
        self.api: Api

    def _process(self, name: str, command: list[str], env: Mapping[str, str]) -> Process:
        return Process(name, command, env, self._folder / f"{name}.log")

    def another_core(self, name: str, *, is_executed: bool = False, **env: str) -> Process:
        """Make one more core, with our settings and `env`, and do not start it."""
        log = self._folder / f"{name}.log"
        command = [self._core_module]
        return Process(name, command, {**self.core_env, **env}, log, is_executed=is_executed)

    def another_bridge(self, name: str, descriptors: int, **env: str) -> Process:
        """One more bridge, which may have so many files open; not started."""
        log = self._folder / f"{name}.log"
        return Process(name, ["bridge"], {**self.bridge_env, **env}, log, descriptors=descriptors)

    def put_before_core(self, address: str) -> None:
        """Have the bridge reach core through this address. Call it before `start`."""
        self.bridge_env["CORE_ADDRESS"] = address
        self.bridge = self._process("bridge", ["bridge"], self.bridge_env)

    async def start(self) -> None:
        """Start what is not running, and return when all processes answer."""
        for process in (self.sandbox, self.core, self.bridge):
            if not process.is_running:
                process.spawn()
        await self.ready()
        if not hasattr(self, "api"):
            self.api = Api(self.core_address)

    def stop(self) -> None:
        for process in (self.bridge, self.core, self.sandbox):
            process.kill()
        for port in self._ports.values():
            port.give_back()

    async def ready(self) -> None:
        """Wait until all three answer; if one ends, fail with its last lines."""
        await self._unless_it_ends(self.core, self.core_serves())
        async with aiohttp.ClientSession() as http:
            for process, url in (
                (self.sandbox, f"{self.sandbox_url}/sandbox/state"),
                (self.bridge, f"{self.bridge_url}/readyz"),
            ):
                await self._unless_it_ends(process, _until_answers(http, url))

    async def core_serves(self) -> None:
        """Wait until core's health service says SERVING."""
        async with grpc.aio.insecure_channel(self.core_address, CHANNEL_OPTIONS) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=READY_LIMIT_S
            )
            assert answer.status == health_pb2.HealthCheckResponse.SERVING

    async def _unless_it_ends(self, process: Process, answers: Coroutine[Any, Any, None]) -> None:
        waiting = asyncio.create_task(answers)
        try:
            await until(lambda: waiting.done() or not process.is_running, READY_LIMIT_S)
            assert process.is_running, f"{process.name} ended:\n{process.last_lines}"
            await waiting
        except TimeoutError:
            problem = f"{process.name} does not answer:\n{process.last_lines}"
            raise AssertionError(problem) from None
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    @asynccontextmanager
    async def client(self) -> AsyncIterator["Client"]:
        """Opens the connections of one test, and closes them at its end."""
        async with AsyncExitStack() as opened:
            channel = await opened.enter_async_context(
                grpc.aio.insecure_channel(self.core_address, CHANNEL_OPTIONS)
            )
            connector = aiohttp.TCPConnector(limit=0)
            http = await opened.enter_async_context(aiohttp.ClientSession(connector=connector))
            yield Client(self, channel, http, opened, secrets.token_hex(4))


async def _until_answers(http: aiohttp.ClientSession, url: str) -> None:
    while True:
        try:
            async with asyncio.timeout(ASK_LIMIT_S), http.get(url) as answer:
                if answer.status == 200:
                    return
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(LOOK_EVERY_S)


@dataclass
class Client:
    """The stack as one test sees it. `mark` makes its user ids unique among all tests."""

    stack: Stack
    channel: grpc.aio.Channel
    http: aiohttp.ClientSession
    opened: AsyncExitStack
    mark: str

    def name(self, who: str) -> str:
        return f"{who}-{self.mark}"

    def caller(self, who: str, *roles: str) -> Caller:
        """A user of this test."""
        user_id = self.name(who)
        return self.with_token(token(user_id, *roles), user_id)

    def with_token(self, text: str, user_id: str = "") -> Caller:
        return Caller(self.stack.api, self.channel, user_id, text)

    async def viewer(self, caller: Caller) -> Viewer:
        """A WebSocket of this user, open until the end of the test."""
        url = f"{self.stack.bridge_url}/api/v1/ws?token={caller.token}"
        return await self.opened.enter_async_context(Viewer(self.http, url))

    async def pay(self, order_id: str, outcome: str = "captured", **more: Any) -> dict[str, str]:
        """Act as the customer; answer what Checkout returns."""
        url = f"{self.stack.sandbox_url}/sandbox/orders/{order_id}/pay"
        async with self.http.post(url, json={"outcome": outcome, **more}) as answer:
            assert answer.status == 200, await answer.text()
            told: dict[str, str] = await answer.json()
            return told

    async def faults(self, **plan: Any) -> None:
        """Set the sandbox's faults; without arguments there are none."""
        url = f"{self.stack.sandbox_url}/sandbox/faults"
        async with self.http.put(url, json=plan) as answer:
            assert answer.status == 200, await answer.text()

    async def state(self) -> dict[str, list[dict[str, Any]]]:
        async with self.http.get(f"{self.stack.sandbox_url}/sandbox/state") as answer:
            told: dict[str, list[dict[str, Any]]] = await answer.json()
            return told

    async def razorpay_balance(self) -> int:
        """What Razorpay holds for the platform, but for what the sandbox begins with."""
        async with self.http.get(f"{self.stack.sandbox_url}/sandbox/balance") as answer:
            return int((await answer.json())["balance"]) - OPENING_BALANCE_MINOR

    async def webhook(
        self, body: bytes, *, signature: str | None = None, event_id: str = ""
    ) -> tuple[int, Any]:
        """Send the bridge a webhook as Razorpay does; answer the status and the JSON."""
        headers = {"Content-Type": "application/json"}
        headers["X-Razorpay-Signature"] = sign(body) if signature is None else signature
        if event_id:
            headers["X-Razorpay-Event-Id"] = event_id
        url = self.stack.bridge_url + WEBHOOK_PATH
        async with self.http.post(url, data=io.BytesIO(body), headers=headers) as answer:
            return answer.status, await answer.json()


class Stoppable(Protocol):
    """One or several processes that a test runs."""

    async def start(self) -> None: ...

    def stop(self) -> None: ...


Running = TypeVar("Running", bound=Stoppable)


@asynccontextmanager
async def started(running: Running) -> AsyncIterator[Running]:
    """Start it, and stop it at the end of the block, or where it does not start."""
    try:
        await running.start()
        yield running
    finally:
        running.stop()
