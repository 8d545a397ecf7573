"""An HTTP client of the sandbox: of Razorpay's API, and of the sandbox's own endpoints."""

from typing import Any

import aiohttp

from scripts.sandbox import Sandbox


class Visitor:
    """Use with `async with`. Every call answers the status and the JSON."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    async def __aenter__(self) -> "Visitor":
        self.http = aiohttp.ClientSession(self.sandbox.base_url)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def api(self, method: str, path: str, body: object = None, **more: Any) -> Any:
        """Call Razorpay's API with the right keys."""
        keys = aiohttp.encode_basic_auth(self.sandbox.key_id, self.sandbox.key_secret)
        headers = {"Authorization": keys, **more.pop("headers", {})}
        async with self.http.request(
            method, f"/v1{path}", headers=headers, json=body, **more
        ) as answer:
            return answer.status, await answer.json()

    async def door(self, method: str, path: str, body: object = None) -> Any:
        """Call one of the sandbox's own endpoints, without keys."""
        async with self.http.request(method, f"/sandbox{path}", json=body) as answer:
            return answer.status, await answer.json()

    async def order(self, amount: int = 100_000, **more: object) -> str:
        """Make an order and return its id."""
        status, order = await self.api(
            "POST", "/orders", {"amount": amount, "currency": "INR", **more}
        )
        assert status == 200, order
        return str(order["id"])

    async def pay(self, order_id: str, outcome: str = "captured", **more: object) -> str:
        """Act as the customer and return the payment's id."""
        status, told = await self.door(
            "POST", f"/orders/{order_id}/pay", {"outcome": outcome, **more}
        )
        assert status == 200, told
        return str(told["razorpay_payment_id"])

    async def state(self) -> dict[str, list[dict[str, Any]]]:
        """Answer all entities."""
        _, state = await self.door("GET", "/state")
        return dict(state)

    async def misbehave(self, **plan: object) -> None:
        """Set the faults, in place of those before."""
        status, told = await self.door("PUT", "/faults", plan)
        assert status == 200, told
