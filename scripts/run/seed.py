"""The example escrows of `make run`: a handful in several states, for the people of the login page.

They are made by the JSON API and the sandbox's customer alone, as people would make them. Must
never touch a database that has an escrow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from scripts.run.probe import until

CALL_LIMIT_S = 20.0
# How long an escrow may take to come to a status.
STATUS_LIMIT_S = 60.0
BUYER, SELLER, ARBITER = "asha", "ravi", "meera"
NAMES = {BUYER: "Asha Verma", SELLER: "Ravi Kumar", ARBITER: "Meera Nair"}
ACCOUNTS = {BUYER: "acc_DemoAsha000001", SELLER: "acc_DemoRavi000001"}
MINOR = 100


class Failed(Exception):
    """Something did not answer as it should; the message says what."""


@dataclass(frozen=True)
class Act:
    """What somebody does with an escrow: the verb of its route, and the body."""

    who: str
    verb: str
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """An escrow, who agrees on it, and what happens then. Prices are in rupees."""

    title: str
    description: str
    rupees: int
    acts: Sequence[Act] = ()
    creator: str = BUYER
    milestones: Sequence[tuple[str, int]] = ()
    is_swapped: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)

    def request(self, number: int) -> dict[str, Any]:
        """Make the body of CreateEscrow; the request id makes it count once."""
        buyer, seller = (SELLER, BUYER) if self.is_swapped else (BUYER, SELLER)
        return {
            "buyer_id": buyer,
            "seller_id": seller,
            "arbiter_id": ARBITER,
            "title": self.title,
            "description": self.description,
            "amount": _money(self.rupees),
            "milestones": [
                {"title": title, "amount": _money(rupees)} for title, rupees in self.milestones
            ],
            "request_id": f"example-{number}",
            **self.more,
        }


def _money(rupees: int) -> dict[str, str]:
    return {"amount_minor": str(rupees * MINOR), "currency": "INR"}


PAID = Act(BUYER, "pay")
EXAMPLES = (
    Example(
        "Wedding invitation cards, 300 pieces",
        "Gold foil on handmade paper, in Hindi and English. Delivered to Jaipur.",
        9_300,
        (PAID, Act(SELLER, "confirm"), Act(BUYER, "confirm")),
    ),
    Example(
        "Two tickets for the Jaipur to Udaipur sleeper bus",
        "For 14 January, lower berths side by side.",
        2_400,
        (PAID, Act(SELLER, "refund", {"note": "The bus is cancelled. Sorry!"})),
    ),
    Example(
        "Mirror-work kurta set, size M",
        "Hand embroidered in Kutch, maroon, with dupatta.",
        5_600,
        (
            PAID,
            Act(BUYER, "dispute", {"reason": "The dupatta is missing. The kurta is as agreed."}),
            Act(
                ARBITER,
                "resolve",
                {
                    "release_minor": str(4_400 * MINOR),
                    "refund_minor": str(1_200 * MINOR),
                    "note": "The dupatta was part of the deal. Its price goes back.",
                },
            ),
        ),
    ),
    Example(
        "Website for a bakery",
        "Menu, orders by phone and a map. Photos come from the bakery.",
        45_000,
        (PAID, Act(BUYER, "release", {"milestone": 0})),
        milestones=(("Design", 15_000), ("Building the pages", 20_000), ("Going live", 10_000)),
    ),
    Example(
        "Used mirrorless camera with 16-50 mm lens",
        "About 8,000 shots taken. Bill, box and charger included.",
        41_000,
        (
            PAID,
            Act(SELLER, "confirm"),
            Act(
                BUYER,
                "dispute",
                {"reason": "There is fungus inside the lens. The photos did not show it."},
            ),
        ),
    ),
    Example(
        "Teak dining table with six chairs",
        "Second hand, polished last month. Delivery within Pune by tempo.",
        24_500,
        (PAID, Act(SELLER, "confirm")),
    ),
    Example(
        "Refurbished phone, 128 GB, blue",
        "Battery at 92 %, no scratches on the screen. Six months of warranty.",
        32_999,
        (PAID,),
    ),
    Example(
        "Mountain bicycle, 27.5 inch",
        "Front suspension, 21 gears, ridden for one monsoon.",
        11_800,
        (),
        creator=BUYER,
        is_swapped=True,
    ),
    Example(
        "Second-hand motorcycle, 350 cc",
        "Model of 2021, 18,000 km, papers ready for the transfer.",
        135_000,
        (),
        creator=SELLER,
    ),
    Example(
        "Handloom saree from Chanderi",
        "Silk and cotton, peacock blue, with a woven border.",
        6_500,
        (),
        more={"terms": {"acceptance_required": True}},
    ),
)


class Seeder:
    """Plays the examples against one stack."""

    def __init__(self, http: aiohttp.ClientSession, bridge_url: str, sandbox_url: str) -> None:
        self._http, self._bridge, self._sandbox = http, bridge_url, sandbox_url
        self._tokens: dict[str, str] = {}

    async def is_wanted(self) -> bool:
        """Whether nobody has an escrow yet. Raises Failed."""
        listed = await self._as("admin", "GET", "/api/v1/escrows?page_size=1")
        return not listed.get("escrows")

    async def play(self, examples: Sequence[Example] = EXAMPLES) -> None:
        """Make all of them, one after another. Raises Failed."""
        for user_id, name in NAMES.items():
            path = f"/api/v1/profiles/{user_id}"
            await self._as("admin", "PUT", path, {"display_name": name})
        for user_id, account_id in ACCOUNTS.items():
            path = f"/api/v1/payees/{user_id}"
            await self._as(user_id, "PUT", path, {"account_id": account_id})
        for number, example in enumerate(examples):
            body = example.request(number)
            told = await self._as(example.creator, "POST", "/api/v1/escrows", body)
            for act in example.acts:
                await self._do(told["escrow"]["escrow_id"], act)

    async def _do(self, escrow_id: str, act: Act) -> None:
        if act.verb == "pay":
            await self._pay(escrow_id, act.who)
            return
        body = dict(act.body)
        if "milestone" in body:
            escrow = await self._escrow(escrow_id, act.who)
            body["milestone_id"] = escrow["milestones"][body.pop("milestone")]["milestone_id"]
        await self._as(act.who, "POST", f"/api/v1/escrows/{escrow_id}:{act.verb}", body)

    async def _pay(self, escrow_id: str, who: str) -> None:
        """Pay as the customer, and wait for the webhook."""
        order = await self._as(who, "POST", f"/api/v1/escrows/{escrow_id}:pay", {})
        url = f"{self._sandbox}/sandbox/orders/{order['order_id']}/pay"
        await self._call("POST", url, {"outcome": "captured"}, {})

        async def is_held() -> bool:
            return str((await self._escrow(escrow_id, who))["status"]) == "ESCROW_STATUS_HELD"

        async with asyncio.timeout(STATUS_LIMIT_S):
            await until(is_held)

    async def _escrow(self, escrow_id: str, who: str) -> dict[str, Any]:
        told = await self._as(who, "GET", f"/api/v1/escrows/{escrow_id}")
        escrow: dict[str, Any] = told["escrow"]
        return escrow

    async def _as(
        self, who: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {await self._token(who)}"}
        return await self._call(method, self._bridge + path, body, headers)

    async def _token(self, who: str) -> str:
        if who not in self._tokens:
            body = {"user_id": who, "roles": ["admin" if who == "admin" else "user"]}
            url = f"{self._bridge}/api/v1/demo/token"
            self._tokens[who] = (await self._call("POST", url, body, {}))["token"]
        return self._tokens[who]

    async def _call(
        self, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            if answer.status != 200:
                raise Failed(f"{method} {url} answered {answer.status}: {await answer.text()}")
            told: dict[str, Any] = await answer.json()
            return told


async def seed(bridge_url: str, sandbox_url: str, say: Callable[[str], None]) -> None:
    """Add the examples where there is no escrow yet; says so, and what fails. Raises nothing."""
    timeout = aiohttp.ClientTimeout(total=CALL_LIMIT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http:
            seeder = Seeder(http, bridge_url, sandbox_url)
            if not await seeder.is_wanted():
                return
            people = f"{BUYER}, {SELLER} and {ARBITER}"
            say(f"[run] Adding example escrows of {people} (DEMO_DATA=0 adds none).")
            await seeder.play()
            say("[run] The example escrows are there.")
    except (Failed, aiohttp.ClientError, TimeoutError) as why:
        say(f"[run] Not all example escrows could be added: {why or type(why).__name__}")
