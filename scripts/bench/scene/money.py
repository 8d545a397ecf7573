"""Razorpay's side: webhooks that come in while core is busy, and settlements that go out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from typing import Any

from escrow.v1 import escrow_pb2, escrow_service_pb2

from scripts.bench.api import CREATE, RELEASE
from scripts.bench.generator import Told, posts
from scripts.bench.line import Line, Mark
from scripts.bench.peer.servers import BareAiohttp
from scripts.bench.process import Broken
from scripts.bench.room import Room
from scripts.bench.scene.transition import BODIES
from scripts.bench.stack import KEY_ID, KEY_SECRET, WEBHOOK_SECRET, Stack, watched
from scripts.bench.turn import Figures, in_turns
from scripts.bench.usage import Meter

WEBHOOKS_PER_S, WEBHOOK_SECONDS, WEBHOOK_ROUNDS = 200.0, 2.0, 2
TRANSITIONS_PER_S = 100.0
P99_MS = 100.0
SETTLED = 150
SELLERS = 10
ORDERS = 400
STATE_LIMIT_S = 60.0
LOOK_EVERY_S = 0.05


class Money:
    """The lines of one stack with a sandbox."""

    def __init__(self, room: Room, stack: Stack) -> None:
        self._room, self._stack = room, stack
        self._mark = count()
        for number in range(SELLERS):
            stack.api.register(f"seller-{number}", f"acc_{number:014d}")

    def settlement(self) -> Line:
        """Release what is held, all at once, and wait until Razorpay has taken it."""
        api, stack = self._stack.api, self._stack
        escrows = self._paid(SETTLED)
        _until(lambda: not api.count(escrow_pb2.ESCROW_STATUS_INITIATED, most=1))
        _until(lambda: len(stack.ask_sandbox("state")["transfers"]) >= SETTLED)
        release = escrow_service_pb2.ReleaseEscrowRequest
        bodies = [release(escrow_id=one).SerializeToString() for one in escrows]
        assert stack.sandbox is not None
        core, sandbox = Meter(stack.core.pid), Meter(stack.sandbox.pid)
        start = time.monotonic()
        api.load(RELEASE, bodies, count=SETTLED, callers=64)
        _until(lambda: api.count(escrow_pb2.ESCROW_STATUS_RELEASED, most=200) == SETTLED)
        seconds = time.monotonic() - start
        shares = {"core": core.share(), "sandbox": sandbox.share()}
        alone = self._sandbox_alone()
        rate = SETTLED / seconds
        return Line(
            "settlement",
            rate,
            "escrows settled/s",
            alone,
            rate / alone,
            (),
            {
                "baseline": "orders a second that the sandbox takes from the generator alone",
                "escrows": SETTLED,
                "core_cpu_ms_each": core.cpu_s() / SETTLED * 1000,
                "sandbox_cpu_ms_each": sandbox.cpu_s() / SETTLED * 1000,
                "cpu_percent": shares,
                "limited_by": _limit(shares),
            },
        )

    def _sandbox_alone(self) -> float:
        key = base64.b64encode(f"{KEY_ID}:{KEY_SECRET}".encode()).decode()
        headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
        body = json.dumps({"amount": 250_000, "currency": "INR"}).encode()
        url = f"{self._stack.sandbox_url}/v1/orders"
        told = self._post(posts(url, [body], [headers]), count=ORDERS, callers=16)
        return float(ORDERS / told["seconds"])

    def webhook_ack(self) -> Line:
        """Webhooks at a steady rate, each about another payment, while escrows are created."""
        with ExitStack() as ending:
            bare = ending.enter_context(self._room.peer(BareAiohttp))
            fresh = self._webhooks(int(WEBHOOKS_PER_S * WEBHOOK_SECONDS * WEBHOOK_ROUNDS))
            other = f"http://{bare.port.address}/webhook"
            sizes = int(WEBHOOKS_PER_S * WEBHOOK_SECONDS)

            def ours() -> Figures:
                return self._acknowledged([next(fresh) for _ in range(sizes)])

            def theirs() -> Figures:
                return self._acknowledged([{**self._example, "url": other}])

            with watched(self._stack.core, self._stack.bridge) as loops:
                found = in_turns(WEBHOOK_ROUNDS, {"holdfast": ours, "aiohttp": theirs})
        value, base = found["holdfast"]["p99_ms"], found["aiohttp"]["p99_ms"]
        return Line(
            "webhook_ack",
            value,
            "ms, p99",
            base,
            value / base,
            (
                Mark("value", value, "<=", P99_MS),
                Mark("holdfast.not_200", found["holdfast"]["not_200"], "==", 0),
            ),
            {
                "baseline": "aiohttp alone, which checks the signature, beside the same load",
                "webhooks_per_s": WEBHOOKS_PER_S,
                "transitions_per_s": TRANSITIONS_PER_S,
                **found,
                **loops,
            },
        )

    def _acknowledged(self, webhooks: list[Told]) -> Figures:
        pace = {"rate": WEBHOOKS_PER_S, "seconds": WEBHOOK_SECONDS, "callers": 128}
        creating = self._stack.api.begin(
            CREATE, BODIES, rate=TRANSITIONS_PER_S, seconds=WEBHOOK_SECONDS, callers=128
        )
        told = self._room.generator.do("posts", posts=webhooks, **pace)
        taken = told["taken"]
        created = creating.result()
        if created["errors"]:
            raise Broken(f"{CREATE} failed: {created['errors']}")
        return {
            "p50_ms": taken["p50_ms"],
            "p99_ms": taken["p99_ms"],
            "not_200": sum(n for status, n in told["statuses"].items() if status != "200"),
            "transitions_per_s": created["calls"] / created["seconds"],
        }

    def _webhooks(self, how_many: int) -> Iterator[Told]:
        """Payments that the sandbox has captured and told nobody of, as it would tell them."""
        self._stack.ask_sandbox("faults", {"webhooks": {"drop": 1}})
        before = {one["id"] for one in self._stack.ask_sandbox("state")["payments"]}
        self._paid(how_many)
        state = self._stack.ask_sandbox("state")["payments"]
        made = [_captured(one) for one in state if one["id"] not in before]
        headers = [
            {
                "Content-Type": "application/json",
                "X-Razorpay-Signature": _signature(body),
                "X-Razorpay-Event-Id": f"bench{number:09d}",
            }
            for number, body in enumerate(made)
        ]
        told = posts(self._stack.webhook_url, made, headers)
        self._example = told[0]
        return iter(told)

    def _paid(self, how_many: int) -> list[str]:
        """Create escrows and have their buyers pay; answer their ids."""
        mark = next(self._mark)
        parties = [(f"buyer-{mark}-{n}", f"seller-{n % SELLERS}") for n in range(how_many)]
        escrows = self._stack.api.create(parties)
        orders = self._stack.api.start_payments(escrows)
        body = json.dumps({"outcome": "captured"}).encode()
        urls = [f"{self._stack.sandbox_url}/sandbox/orders/{one}/pay" for one in orders]
        headers = {"Content-Type": "application/json"}
        paying = [{"url": url, "body": body, "headers": headers} for url in urls]
        self._post(paying, count=how_many, callers=16)
        return escrows

    def _post(self, what: list[Told], **pace: Any) -> Told:
        told = self._room.generator.do("posts", posts=what, **pace)
        if set(told["statuses"]) != {"200"}:
            raise Broken(f"{what[0]['url']} answered {told['statuses']}")
        return told


def _captured(payment: dict[str, Any]) -> bytes:
    event = {
        "entity": "event",
        "account_id": "acc_SandboxHouse01",
        "event": "payment.captured",
        "contains": ["payment"],
        "payload": {"payment": {"entity": payment}},
        "created_at": int(time.time()),
    }
    return json.dumps(event, separators=(",", ":")).encode()


def _signature(body: bytes) -> str:
    return hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + STATE_LIMIT_S
    while not is_so():
        if time.monotonic() > end:
            raise Broken("the money does not arrive in time")
        time.sleep(LOOK_EVERY_S)


def _limit(shares: dict[str, float]) -> str:
    """Name the process that has no time left, if one has none."""
    busiest = max(shares, key=lambda name: shares[name])
    share = shares[busiest]
    if share >= 85:
        return f"the CPU of {busiest}: {share:.0f} % of a core"
    total = sum(shares.values())
    return f"no CPU: the two use {total:.0f} % of a core; the waits between the steps"
