"""One escrow from outside: its parties, its money in the sandbox, and its events."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.rpc import Caller
from tests.fakes.stack import Client

AMOUNT_MINOR = 123_457
SETTLE_LIMIT_S = 15.0


@dataclass(frozen=True)
class Money:
    """Where the money of one order is, by the sandbox's entities, in minor units."""

    payments: list[dict[str, Any]]
    transfers: list[dict[str, Any]]
    refunds: list[dict[str, Any]]

    @property
    def standing(self) -> list[dict[str, Any]]:
        """The transfers that are not reversed in full."""
        return [t for t in self.transfers if t["amount"] > t["amount_reversed"]]

    @property
    def paid(self) -> int:
        return sum(p["amount"] for p in self.payments)

    @property
    def refunded(self) -> int:
        return sum(r["amount"] for r in self.refunds)

    @property
    def released(self) -> int:
        return self._left(on_hold=False)

    @property
    def on_hold(self) -> int:
        return self._left(on_hold=True)

    def _left(self, *, on_hold: bool) -> int:
        chosen = [t for t in self.transfers if bool(t["on_hold"]) is on_hold]
        return sum(t["amount"] - t["amount_reversed"] for t in chosen)


class Deal:
    """A buyer, a seller, an arbiter, and what they agreed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        part = secrets.token_hex(2)
        self.buyer = client.caller(f"buyer-{part}")
        self.seller = client.caller(f"seller-{part}")
        self.arbiter = client.caller(f"arbiter-{part}")
        self.service = client.caller("service", "service")
        self.escrow_id = ""
        self.order_id = ""

    async def register_payee(self, account_id: str = "") -> None:
        account_id = account_id or "acc_" + secrets.token_hex(7)
        await self.seller.call("RegisterPayee", user_id=self.seller.user_id, account_id=account_id)

    def terms(self, **more: Any) -> dict[str, Any]:
        """The fields of CreateEscrow."""
        return {
            "buyer_id": self.buyer.user_id,
            "seller_id": self.seller.user_id,
            "arbiter_id": self.arbiter.user_id,
            "title": "A bicycle",
            "amount": {"amount_minor": AMOUNT_MINOR, "currency": "INR"},
            **more,
        }

    async def agree(self, by: Caller | None = None, **more: Any) -> Any:
        answer = await (by or self.buyer).call("CreateEscrow", **self.terms(**more))
        self.escrow_id = answer.escrow.escrow_id
        return answer.escrow

    async def act(self, who: Caller, rpc: str, **fields: Any) -> Any:
        """Make a call on this escrow and answer the escrow."""
        return (await who.call(rpc, escrow_id=self.escrow_id, **fields)).escrow

    async def order(self) -> str:
        started = await self.buyer.call("StartPayment", escrow_id=self.escrow_id)
        self.order_id = started.order_id
        return self.order_id

    async def pay(self, outcome: str = "captured") -> dict[str, str]:
        await self.order()
        return await self.client.pay(self.order_id, outcome)

    async def hold(self, **more: Any) -> Any:
        """Pay the escrow and wait for HELD and for the transfer on hold."""
        await self.register_payee()
        await self.agree(**more)
        await self.pay()
        return await self.until(lambda event: event.type == self.event("FUNDS_HELD"))

    async def get(self, by: Caller | None = None) -> Any:
        return await self.act(by or self.buyer, "GetEscrow")

    async def until_status(self, name: str, limit_s: float = SETTLE_LIMIT_S) -> Any:
        """Wait until the escrow has had this status; answer the escrow at that version."""
        return await self.until(lambda event: event.new_status == self.status(name), limit_s)

    async def until(self, holds: Callable[[Any], object], limit_s: float = SETTLE_LIMIT_S) -> Any:
        """Watch all events from the first; answer the escrow after the first one that matches."""
        try:
            async with asyncio.timeout(limit_s):
                async for message in self.buyer.watch(self.escrow_id, 0, limit_s + 1):
                    if message.HasField("event") and holds(message.event):
                        return message.event.escrow
        except TimeoutError:
            story = f"{await self.get()}{await self.types()}\n{self.client.stack.core.last_lines}"
            raise AssertionError(f"not within {limit_s} s:\n{story}") from None
        raise AssertionError("the stream ended")

    async def events(self) -> list[Any]:
        """All events, page by page."""
        events: list[Any] = []
        has_more = True
        while has_more:
            after = events[-1].version if events else 0
            page = await self.buyer.call(
                "ListEvents", escrow_id=self.escrow_id, after_version=after
            )
            events += page.events
            has_more = page.has_more
        return events

    async def types(self) -> list[str]:
        """The types of all events, without their prefix."""
        name = self.client.stack.api.name
        return [name("EventType", event.type) for event in await self.events()]

    async def money(self) -> Money:
        """Where the money of this order is, by the sandbox's entities."""
        state = await self.client.state()
        payments = [
            p for p in state["payments"] if p["order_id"] == self.order_id and p["captured"]
        ]
        ids = {p["id"] for p in payments}
        return Money(
            payments,
            [t for t in state["transfers"] if t["source"] in ids and t["status"] != "failed"],
            [r for r in state["refunds"] if r["payment_id"] in ids and r["status"] != "failed"],
        )

    def status(self, name: str) -> int:
        return self.client.stack.api.number("EscrowStatus", name)

    def event(self, name: str) -> int:
        return self.client.stack.api.number("EventType", name)
