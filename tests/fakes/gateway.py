"""A gateway without a network: the methods of the real one, on the sandbox's own books.

Nothing happens by itself, until the test makes it happen: webhooks wait in `told`, transfers and
refunds that Razorpay processes in `working`, and calls that are still on their way in `underway`.
"""

import enum
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from core.razorpay import (
    Dispute,
    Gateway,
    GatewayRefused,
    GatewayUnavailable,
    Order,
    OutcomeUnknown,
    Payment,
    Refund,
    Reversal,
    Transfer,
    parse_dispute,
    parse_order,
    parse_payment,
    parse_refund,
    parse_reversal,
    parse_transfer,
)
from core.razorpay.signature import verify_checkout
from scripts.sandbox import order, payment, refund, transfer
from scripts.sandbox.books import Books, Entity
from scripts.sandbox.refusal import Refusal

KEY_SECRET = "the key secret of a fake"

Answer = TypeVar("Answer")


class Fate(enum.Enum):
    """What happens to a call."""

    WELL = "it is done and answered"
    BUSY = "429: for certain nothing is done"
    FAILED = "500: nothing is done, and the caller cannot know"
    LOST = "it is done, and the answer is lost"
    LATE = "the answer is lost, and it is done only later"


class FakeGateway(Gateway):
    """Razorpay in memory.

    `fate` chooses what happens to each call; its argument says whether the call only reads.
    `around` is awaited before and after each call, so that a test can stop there.
    """

    def __init__(
        self,
        seed: int,
        *,
        fate: Callable[[bool], Fate] = lambda is_read: Fate.WELL,
        around: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.key_id = "rzp_test_fake"
        self.told: list[tuple[str, bytes]] = []
        self.working: list[Callable[[], None]] = []
        self.underway: list[Callable[[], object]] = []
        # Why calls that arrived late were refused: their caller did not wait for them.
        self.overtaken: list[str] = []
        self.faults = 0
        self._fate = fate
        self._around = around
        self.books = Books(
            rng=random.Random(seed),
            tell=self._tell,
            later=self.working.append,
            balance_is_short=lambda: False,
        )

    def _tell(self, event: str, payload: dict[str, Entity], *, lane: str) -> None:
        envelope = {"entity": "event", "event": event, "payload": payload}
        self.told.append((f"evt_{len(self.told)}_{lane}", json.dumps(envelope).encode()))

    def work(self) -> None:
        """Let Razorpay process the pending transfers and refunds."""
        while self.working:
            self.working.pop(0)()

    def arrive(self) -> None:
        """Let the calls that are still on their way arrive."""
        while self.underway:
            try:
                self.underway.pop(0)()
            except Refusal as refusal:
                self.overtaken.append(str(refusal))

    async def _call(
        self,
        act: Callable[[], Any],
        parse: Callable[[object], Answer],
        *,
        is_read: bool = False,
    ) -> Answer:
        if self._around is not None:
            await self._around()
        fate = self._fate(is_read)
        self.faults += fate is not Fate.WELL
        if fate is Fate.BUSY:
            raise GatewayUnavailable("Razorpay asks for fewer calls (429).")
        if fate is Fate.FAILED:
            raise OutcomeUnknown("Razorpay answered 500.")
        if fate is Fate.LATE:
            self.underway.append(act)
            raise OutcomeUnknown("Razorpay did not answer.")
        try:
            answer = parse(act())
        except Refusal as refusal:
            raise _refused(refusal) from None
        if self._around is not None:
            await self._around()
        if fate is Fate.LOST:
            raise OutcomeUnknown("Razorpay did not answer.")
        return answer

    async def _look(self, act: Callable[[], Any], parse: Callable[[object], Answer]) -> Answer:
        try:
            return await self._call(act, parse, is_read=True)
        except OutcomeUnknown as error:
            raise GatewayUnavailable(str(error)) from None

    async def _things(
        self, kind: str, parent: str, parse: Callable[[object], Answer]
    ) -> list[Answer]:
        def act() -> list[Entity]:
            return self.books.of(kind, parent)[::-1]

        def parse_all(found: Any) -> list[Answer]:
            return [parse(entity) for entity in found]

        return await self._look(act, parse_all)

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    def verify_checkout(self, order_id: str, payment_id: str, signature: str) -> bool:
        return verify_checkout(order_id, payment_id, signature, KEY_SECRET)

    async def create_order(
        self, *, receipt: str, amount_minor: int, currency: str, notes: Any
    ) -> Order:
        body = {
            "amount": amount_minor,
            "currency": currency,
            "receipt": receipt,
            "notes": dict(notes),
            "payment": {"capture": "automatic"},
        }

        def act() -> Entity:
            return self.books.order_of_receipt.get(receipt) or order.create(self.books, body)

        return await self._call(act, parse_order)

    async def fetch_order(self, order_id: str) -> Order:
        return await self._look(lambda: self.books.find("order", order_id), parse_order)

    async def payments_of_order(self, order_id: str) -> list[Payment]:
        return await self._things("payment", order_id, parse_payment)

    async def fetch_payment(self, payment_id: str) -> Payment:
        return await self._look(lambda: self.books.find("payment", payment_id), parse_payment)

    async def capture(self, payment_id: str, amount_minor: int, currency: str) -> Payment:
        return await self._call(
            lambda: payment.capture(self.books, payment_id, amount_minor, currency), parse_payment
        )

    async def transfers(self, payment_id: str) -> list[Transfer]:
        return await self._things("transfer", payment_id, parse_transfer)

    async def create_transfer(
        self,
        *,
        payment_id: str,
        account_id: str,
        amount_minor: int,
        currency: str,
        on_hold: bool,
        notes: Any,
    ) -> Transfer:
        one = {
            "account": account_id,
            "amount": amount_minor,
            "currency": currency,
            "on_hold": on_hold,
            "notes": dict(notes),
        }
        return await self._call(
            lambda: transfer.create(self.books, payment_id, {"transfers": [one]})[0],
            parse_transfer,
        )

    async def release_transfer(self, transfer_id: str) -> Transfer:
        return await self._call(
            lambda: transfer.set_hold(self.books, transfer_id, {"on_hold": False}), parse_transfer
        )

    async def reversals(self, transfer_id: str) -> list[Reversal]:
        return await self._things("reversal", transfer_id, parse_reversal)

    async def reverse(self, *, transfer_id: str, amount_minor: int, notes: Any) -> Reversal:
        body = {"amount": amount_minor, "notes": dict(notes)}
        return await self._call(
            lambda: transfer.reverse(self.books, transfer_id, body), parse_reversal
        )

    async def refunds(self, payment_id: str) -> list[Refund]:
        return await self._things("refund", payment_id, parse_refund)

    async def refund(
        self, *, payment_id: str, amount_minor: int, idempotency_key: str, notes: Any
    ) -> Refund:
        body = {"amount": amount_minor, "notes": dict(notes)}
        return await self._call(
            lambda: refund.create(self.books, payment_id, body, idempotency_key), parse_refund
        )

    async def fetch_dispute(self, dispute_id: str) -> Dispute:
        return await self._look(lambda: self.books.find("dispute", dispute_id), parse_dispute)

    async def disputes(self, since_s: int) -> list[Dispute]:
        """List all, whatever their time: the books use the wall clock, and the test has another."""

        def parse_all(found: Any) -> list[Dispute]:
            return [parse_dispute(entity) for entity in found]

        return await self._look(lambda: self.books.all("dispute")[::-1], parse_all)


def _refused(refusal: Refusal) -> GatewayRefused:
    error = refusal.body["error"]
    return GatewayRefused(
        status=refusal.status,
        code=error["code"],
        reason=error["reason"],
        description=error["description"],
    )
