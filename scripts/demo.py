"""Plays a whole escrow in the terminal: `make demo`.

Uses real gRPC and two real WebSockets, the buyer's and the seller's. The escrow is created, paid in
the sandbox, HELD, confirmed by both and RELEASED. Then the demo compares the money with the
sandbox's entities. It uses the stack that is running, or starts one of its own with a temporary
database. When anything is wrong, or DEMO_LIMIT_S is over, it prints why and exits with 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
import grpc
from escrow.v1 import escrow_pb2, escrow_service_pb2, payment_service_pb2
from escrow.v1.escrow_service_pb2_grpc import EscrowServiceStub
from escrow.v1.payment_service_pb2_grpc import PaymentServiceStub

from scripts.browser import Browser, Closed, Frame
from scripts.mint import mint, signing_secret
from scripts.run.probe import http_answers
from scripts.run.secret import Refusal, keep
from scripts.run.stack import Stack, Stopped, plan, running

DEMO_LIMIT_S = 60.0
RPC_LIMIT_S = 10.0
TOKEN_TTL_S = 3600
LOG_LINES = 40
AMOUNT_MINOR = 250_000
CURRENCY = "INR"

Answer = TypeVar("Answer")


class Failure(Exception):
    """Something is not as it should be; the message says what."""


class Narrator:
    """Prints a line for everything that happens, with the seconds since the start."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    def tell(self, who: str, what: str) -> None:
        print(f"{time.monotonic() - self._start_s:7.3f} s  {who:<7} {what}", flush=True)

    def head(self, title: str) -> None:
        print(f"\n{title}", flush=True)


class Demo:
    """The story of one escrow, played against one stack."""

    def __init__(
        self, stack: Stack, channel: grpc.aio.Channel, client: aiohttp.ClientSession
    ) -> None:
        assert stack.sandbox is not None
        self._stack, self._client = stack, client
        self._sandbox_url = stack.sandbox.url()
        self._narrator = Narrator()
        self._escrows = EscrowServiceStub(channel)
        self._payments = PaymentServiceStub(channel)
        mark = secrets.token_hex(3)
        self._users = {name: f"demo-{name}-{mark}" for name in ("buyer", "seller")}
        secret = signing_secret()
        self._tokens = {
            name: mint(secret, user_id, ttl_s=TOKEN_TTL_S) for name, user_id in self._users.items()
        }

    async def play(self) -> None:
        """Play the whole story. Raises Failure, Closed, or an error of grpc or aiohttp."""
        async with contextlib.AsyncExitStack() as open_things:
            escrow = await self._agree()
            browsers = [
                await open_things.enter_async_context(self._browser(name)) for name in self._users
            ]
            story = asyncio.create_task(self._move_money(escrow.escrow_id, browsers))
            reading = [asyncio.create_task(browser.read()) for browser in browsers]
            try:
                await asyncio.wait({story, *reading}, return_when=asyncio.FIRST_COMPLETED)
                for task in (*reading, story):
                    if task.done():
                        task.result()
            finally:
                for task in (story, *reading):
                    task.cancel()

    async def _agree(self) -> escrow_pb2.Escrow:
        self._narrator.head("The seller registers a linked account; the buyer creates an escrow.")
        payee = payment_service_pb2.RegisterPayeeRequest(
            user_id=self._users["seller"], account_id="acc_" + secrets.token_hex(7)
        )
        await self._call("seller", self._payments.RegisterPayee, payee)
        request = escrow_service_pb2.CreateEscrowRequest(
            buyer_id=self._users["buyer"],
            seller_id=self._users["seller"],
            title="A bicycle",
            amount=escrow_pb2.Money(amount_minor=AMOUNT_MINOR, currency=CURRENCY),
            request_id=secrets.token_hex(8),
        )
        return (await self._call("buyer", self._escrows.CreateEscrow, request)).escrow

    async def _move_money(self, escrow_id: str, browsers: list[Browser]) -> None:
        narrator = self._narrator
        narrator.head("Both subscribe to the escrow over a WebSocket.")
        await asyncio.gather(*(browser.subscribe(escrow_id) for browser in browsers))

        narrator.head("The buyer pays in the Razorpay sandbox, which tells core by a webhook.")
        start = payment_service_pb2.StartPaymentRequest(escrow_id=escrow_id)
        order = await self._call("buyer", self._payments.StartPayment, start)
        await self._pay(order.order_id)
        await asyncio.gather(*(browser.wait_for_status("HELD") for browser in browsers))

        narrator.head("Both confirm; the money goes to the seller.")
        confirmation = escrow_service_pb2.AddConfirmationRequest(escrow_id=escrow_id)
        await self._call("seller", self._escrows.AddConfirmation, confirmation)
        await self._call("buyer", self._escrows.AddConfirmation, confirmation)
        await asyncio.gather(*(browser.wait_for_status("RELEASED") for browser in browsers))

        narrator.head("Where the money is now, by the sandbox's entities:")
        get = escrow_service_pb2.GetEscrowRequest(escrow_id=escrow_id)
        escrow = (await self._call("buyer", self._escrows.GetEscrow, get)).escrow
        await self._check_money(escrow)

    async def _call(
        self, name: str, method: Callable[..., Awaitable[Answer]], request: Any
    ) -> Answer:
        label = type(request).__name__.removesuffix("Request")
        self._narrator.tell(name, f"▶ {label} {_short(request)}")
        metadata = (("authorization", f"Bearer {self._tokens[name]}"),)
        start_s = time.perf_counter()
        answer = await method(request, metadata=metadata, timeout=RPC_LIMIT_S)
        took_ms = (time.perf_counter() - start_s) * 1000
        self._narrator.tell(name, f"◀ {label} {_short(answer)} ({took_ms:.1f} ms)")
        return answer

    @contextlib.asynccontextmanager
    async def _browser(self, name: str) -> AsyncIterator[Browser]:
        url = f"{self._stack.bridge.url()}/api/v1/ws"
        subprotocols = ("bearer", self._tokens[name])
        self._narrator.tell(name, f"▶ WebSocket {url}")
        async with self._client.ws_connect(url, protocols=subprotocols) as socket:
            yield Browser(name, socket, self._narrator.tell)

    async def _pay(self, order_id: str) -> None:
        self._narrator.tell("sandbox", f"▶ pay {order_id}")
        url = f"{self._sandbox_url}/sandbox/orders/{order_id}/pay"
        async with self._client.post(url, json={"outcome": "captured"}) as answer:
            if answer.status != 200:
                raise Failure(f"the sandbox refused the payment: {await answer.text()}")
            paid = await answer.json()
        self._narrator.tell("sandbox", f"◀ {paid['razorpay_payment_id']}")

    async def _check_money(self, escrow: escrow_pb2.Escrow) -> None:
        async with self._client.get(f"{self._sandbox_url}/sandbox/state") as answer:
            state = await answer.json()
        found = _account(state, escrow.payment.order_id)
        expected = {
            "paid": escrow.amount.amount_minor,
            "to the seller": escrow.released.amount_minor,
            "on hold": escrow.held.amount_minor,
            "refunded": escrow.refunded.amount_minor,
            "the platform's fee": escrow.fee.amount_minor,
        }
        for name, minor in found.items():
            self._narrator.tell("sandbox", f"{name:<19} {minor / 100:12,.2f} {CURRENCY}")
        if found != expected:
            raise Failure(f"the books do not balance: the escrow says {expected}")
        self._narrator.tell("sandbox", "It balances: paid = seller + fee, to the paisa.")


def _account(state: dict[str, list[Frame]], order_id: str) -> dict[str, int]:
    """Sum up where the money of one order is, in minor units, from Razorpay's entities alone."""
    payments = [p for p in state["payments"] if p["order_id"] == order_id and p["captured"]]
    ids = {payment["id"] for payment in payments}
    transfers = [t for t in state["transfers"] if t["source"] in ids and t["status"] != "failed"]
    refunds = [r for r in state["refunds"] if r["payment_id"] in ids and r["status"] != "failed"]

    def left(on_hold: bool) -> int:
        chosen = [transfer for transfer in transfers if bool(transfer["on_hold"]) is on_hold]
        return sum(transfer["amount"] - transfer["amount_reversed"] for transfer in chosen)

    account = {
        "paid": sum(payment["amount"] for payment in payments),
        "to the seller": left(on_hold=False),
        "on hold": left(on_hold=True),
        "refunded": sum(refund["amount"] for refund in refunds),
    }
    spent = account["to the seller"] + account["on hold"] + account["refunded"]
    return {**account, "the platform's fee": account["paid"] - spent}


def _short(message: Any) -> str:
    if message.DESCRIPTOR.fields_by_name.get("escrow"):
        escrow = message.escrow
        status = escrow_pb2.EscrowStatus.Name(escrow.status).removeprefix("ESCROW_STATUS_")
        return f"{escrow.escrow_id} {status}, version {escrow.version}"
    return " ".join(str(message).split())


@contextlib.asynccontextmanager
async def _stack() -> AsyncIterator[Stack]:
    """Yield the stack that is running, or start one and stop it at the end."""
    stack = plan(os.environ, keep())
    if not stack.sandbox:
        raise Refusal(
            "real Razorpay keys are set, and the demo pays with pretend money: unset"
            " RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET"
        )
    if await http_answers(f"{stack.bridge.url()}/readyz"):
        if not await http_answers(f"{stack.sandbox.url()}/sandbox/state"):
            raise Refusal(
                f"the running stack has no sandbox at {stack.sandbox.url()}: stop it, and the demo"
                " starts a stack of its own"
            )
        print(f"Using the stack that is running at {stack.bridge.url()}", flush=True)
        yield stack
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as folder:
        database = f"sqlite+aiosqlite:///{folder}/holdfast.db"
        stack = plan({"DATABASE_URL": database, **os.environ}, keep())
        print("Starting a stack for the demo", flush=True)
        log: deque[str] = deque(maxlen=LOG_LINES)
        try:
            async with running(stack, log.append):
                yield stack
        except BaseException:
            print("\n".join(log), file=sys.stderr)
            raise


async def _play() -> None:
    async with _stack() as stack, asyncio.timeout(DEMO_LIMIT_S):
        address = stack.core.address()
        async with grpc.aio.insecure_channel(address) as channel, aiohttp.ClientSession() as client:
            await Demo(stack, channel, client).play()


def main() -> int:
    try:
        asyncio.run(_play())
    except (Refusal, Stopped, Closed, Failure) as why:
        problem = str(why)
    except grpc.aio.AioRpcError as error:
        problem = f"core answered {error.code().name}: {error.details()}"
    except TimeoutError:
        problem = f"it took longer than {DEMO_LIMIT_S:g} s"
    except aiohttp.ClientError as error:
        problem = f"the bridge or the sandbox could not be reached: {error}"
    except KeyboardInterrupt:
        problem = "interrupted"
    else:
        print("\nThe demo has succeeded: created, paid, held, confirmed, released.")
        return 0
    print(f"\nThe demo failed: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
