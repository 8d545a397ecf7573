"""What `make run` starts, on free ports, and its JSON API, for the tests of the pages."""

import contextlib
import os
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from scripts.run.children import Program
from scripts.run.probe import core_serves, http_answers, until
from scripts.run.secret import Secrets
from scripts.run.stack import plan
from tests.fakes.process import Process
from tests.fakes.stack import Port

NEAR_S = 3
"""How long before a deadline the parties are reminded."""
DASHBOARD = Path(__file__).parents[2] / "bridge" / "dashboard"
SECRETS = Secrets(
    jwt_secret="a secret of the browser tests, longer than 32 bytes",
    sandbox_key_id="rzp_test_sandboxBrowser",
    sandbox_key_secret="the key secret of the browser tests",
    webhook_secret="the webhook secret of the browser tests",
)


class Stack:
    """Sandbox, core and bridge, with more settings by their names.

    `start` may be called again after a `kill`.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self._ports = {name: Port() for name in ("PORT", "CORE_LISTEN", "SANDBOX_PORT")}
        self._database = folder / "holdfast.db"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PORT": str(self._ports["PORT"].number),
            "CORE_LISTEN": self._ports["CORE_LISTEN"].address,
            "SANDBOX_PORT": str(self._ports["SANDBOX_PORT"].number),
            "DATABASE_URL": f"sqlite+aiosqlite:///{self._database}",
            "DEADLINE_NEAR_S": str(NEAR_S),
            **settings,
        }
        planned = plan(environment, SECRETS)
        assert planned.sandbox is not None
        self.url, self.sandbox_url = planned.bridge.url(), planned.sandbox.url()
        self._core_address = planned.core.address()
        processes = {one.name: _process(one, folder) for one in planned.programs}
        self.sandbox, self.core, self.bridge = (
            processes[name] for name in ("sandbox", "core", "bridge")
        )

    async def start(self) -> None:
        """Start what is not running, and return when all processes answer."""
        for process in (self.sandbox, self.core, self.bridge):
            if not process.is_running:
                process.spawn()
        await until(lambda: core_serves(self._core_address))
        for url in (f"{self.sandbox_url}/sandbox/state", f"{self.url}/readyz"):
            await until(lambda url=url: http_answers(url))  # type: ignore[misc]

    def unsent(self) -> int:
        """How many files are stored that are in no message."""
        with contextlib.closing(sqlite3.connect(self._database, timeout=10)) as database:
            found = "SELECT count(*) FROM attachments WHERE state <> 'SENT'"
            return int(database.execute(found).fetchone()[0])

    def stop(self) -> None:
        for process in (self.bridge, self.core, self.sandbox):
            process.kill()
        for port in self._ports.values():
            port.give_back()


def _process(program: Program, folder: Path) -> Process:
    _interpreter, _module_flag, *command = program.command
    return Process(program.name, command, program.environment, folder / f"{program.name}.log")


@dataclass(frozen=True)
class Api:
    """Does over HTTP what a test does not do on screen."""

    stack: Stack
    http: aiohttp.ClientSession

    async def token(self, user_id: str, *roles: str) -> str:
        body = {"user_id": user_id, "roles": list(roles) or ["user"]}
        told = await self._call("POST", f"{self.stack.url}/api/v1/demo/token", body)
        return str(told["token"])

    async def create(self, buyer: str, seller: str, rupees: int, **more: Any) -> str:
        """Create an escrow that waits to be paid; answer its id."""
        body = {
            "buyer_id": buyer,
            "seller_id": seller,
            "title": "Oak table",
            "amount": {"amount_minor": str(rupees * 100), "currency": "INR"},
            **more,
        }
        told = await self._as(buyer, "POST", "/api/v1/escrows", body)
        return str(told["escrow"]["escrow_id"])

    async def pay(self, escrow_id: str, buyer: str, **how: Any) -> None:
        """Pay in the sandbox and confirm the payment: HELD when this returns."""
        started = await self.do(escrow_id, "pay", buyer)
        proof = await self.pay_order(started["order_id"], **how)
        names = ("order_id", "payment_id", "signature")
        body = {name: proof[f"razorpay_{name}"] for name in names}
        await self.do(escrow_id, "confirmPayment", buyer, **body)

    async def pay_order(self, order_id: str, **how: Any) -> dict[str, Any]:
        """Pay an order as the customer, without telling the escrow: webhooks do."""
        url = f"{self.stack.sandbox_url}/sandbox/orders/{order_id}/pay"
        return await self._call("POST", url, {"outcome": "captured", **how})

    async def bank_says(self, payment_id: str, event: str) -> None:
        """Let the customer's bank open, win or lose a dispute of a payment."""
        url = f"{self.stack.sandbox_url}/sandbox/payments/{payment_id}/dispute"
        await self._call("POST", url, {"event": event})

    async def do(self, escrow_id: str, verb: str, user_id: str, **body: Any) -> dict[str, Any]:
        return await self._as(user_id, "POST", f"/api/v1/escrows/{escrow_id}:{verb}", body)

    async def register_payee(self, user_id: str) -> None:
        await self.name_account(user_id, re.sub("[^A-Za-z0-9]", "", user_id).ljust(14, "0")[:14])

    async def name_account(self, user_id: str, tail: str) -> None:
        """Have a seller paid to `acc_` and these 14 letters or digits."""
        body = {"account_id": f"acc_{tail}"}
        await self._as(user_id, "PUT", f"/api/v1/payees/{user_id}", body)

    async def call(self, user_id: str, name: str) -> None:
        """Say how a user is called, as the platform does."""
        url = f"{self.stack.url}/api/v1/profiles/{user_id}"
        token = await self.token("platform", "service")
        await self._call("PUT", url, {"display_name": name}, token)

    async def revoke(self, user_id: str) -> None:
        """Refuse all tokens that the user has now."""
        url = f"{self.stack.url}/api/v1/users/{user_id}:revokeTokens"
        await self._call("POST", url, {}, await self.token("admin", "admin"))

    async def version(self, escrow_id: str, user_id: str) -> int:
        return int((await self.escrow(escrow_id, user_id))["version"])

    async def escrow(self, escrow_id: str, user_id: str) -> dict[str, Any]:
        told = await self._as(user_id, "GET", f"/api/v1/escrows/{escrow_id}")
        escrow: dict[str, Any] = told["escrow"]
        return escrow

    async def events(self, escrow_id: str, user_id: str) -> dict[str, Any]:
        return await self._as(user_id, "GET", f"/api/v1/escrows/{escrow_id}/events")

    async def _as(
        self, user_id: str, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        token = await self.token(user_id)
        return await self._call(method, self.stack.url + path, body, token)

    async def _call(
        self, method: str, url: str, body: dict[str, Any] | None, token: str = ""
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            assert answer.status == 200, (url, answer.status, await answer.text())
            told: dict[str, Any] = await answer.json()
            return told
