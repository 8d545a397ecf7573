"""The gateway: the calls that Holdfast makes to Razorpay, through the official package.

Every call is one question or one step; nothing is repeated here, because only the caller knows what
a repetition would mean. Amounts are whole minor units. Every call raises the kinds of `outcome`:
GatewayUnavailable, OutcomeUnknown (writes only) and GatewayRefused; an answer that makes no
sense counts as a missing one.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import razorpay

from core.razorpay.entity import (
    Dispute,
    Order,
    Payment,
    Refund,
    Reversal,
    Transfer,
    items_of,
    only_item,
    parse_dispute,
    parse_order,
    parse_payment,
    parse_refund,
    parse_reversal,
    parse_transfer,
)
from core.razorpay.outcome import GatewayRefused, GatewayUnavailable
from core.razorpay.pool import Pool
from core.razorpay.recon import ReconLine, Settlement, parse_recon_line, parse_settlement
from core.razorpay.session import lost
from core.razorpay.signature import verify_checkout

# How long Razorpay may be silent during one call.
TIMEOUT_S = 8.0
# How long a connection to Razorpay may take.
CONNECT_TIMEOUT_S = 3.0
# Threads that call Razorpay.
WORKERS = 8
# Items of one page of a listing: Razorpay's own limit.
PAGE_SIZE = 100
# Items that Razorpay gives where it does not read our `count`; a shorter page is the last.
DEFAULT_PAGE_SIZE = 10
# Pages of one listing; a longer one counts as no answer.
MAX_PAGES = 50
# Pages of one day's settlement report.
MAX_RECON_PAGES = 1_000

# An id goes into a URL, and some come from a browser.
_ID = re.compile(r"[A-Za-z0-9_]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_-]{10,64}")

Thing = TypeVar("Thing")
Notes = Mapping[str, str]


class Gateway:
    """Razorpay for the event loop. Make it anywhere, close it once."""

    def __init__(
        self,
        *,
        key_id: str,
        key_secret: str,
        base_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        workers: int = WORKERS,
    ) -> None:
        self.key_id = key_id
        self._key_secret = key_secret
        self._timeout_s = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        self._pool = Pool(
            key_id=key_id,
            key_secret=key_secret,
            base_url=base_url.rstrip("/") if base_url else None,
            timeout_s=timeout_s,
            workers=workers,
        )

    @property
    def outcomes(self) -> Counter[str]:
        """How many calls have ended as ok, refused, unavailable or unknown."""
        return self._pool.outcomes

    async def close(self) -> None:
        """End all threads and connections; calls that come later are GatewayUnavailable."""
        await self._pool.close()

    def verify_checkout(self, order_id: str, payment_id: str, signature: str) -> bool:
        """Tell whether Checkout signed this pair; `order_id` must be the one that we stored."""
        return verify_checkout(order_id, payment_id, signature, self._key_secret)

    async def create_order(
        self, *, receipt: str, amount_minor: int, currency: str, notes: Notes
    ) -> Order:
        """Make the order of a receipt, captured automatically, or return the one that exists.

        Safe to repeat: it looks before it makes, and looks again where Razorpay says that the
        receipt is taken. Refuses an order that was found with another amount or currency.
        """
        order = await self.find_order(receipt)
        if order is None:
            order = await self._make_order(receipt, amount_minor, currency, notes)
        if (order.amount_minor, order.currency) != (amount_minor, currency):
            raise GatewayRefused(
                status=409,
                code="BAD_REQUEST_ERROR",
                reason="order_amount_mismatch",
                description=f"{order.order_id} has receipt {receipt} and another amount.",
            )
        return order

    async def find_order(self, receipt: str) -> Order | None:
        """Find the order of a receipt; where there are several, the oldest."""

        def fetch(page: dict[str, object], client: razorpay.Client) -> object:
            return client.order.all({**page, "receipt": receipt}, **self._options())

        orders = await self._list(fetch, parse_order, lambda order: order.order_id)
        # Razorpay lists the newest first.
        return next((order for order in reversed(orders) if order.receipt == receipt), None)

    async def fetch_order(self, order_id: str) -> Order:
        """Read an order."""
        _check_id(order_id)
        return await self._read(
            lambda client: client.order.fetch(order_id, {}, **self._options()), parse_order
        )

    async def payments_of_order(self, order_id: str) -> list[Payment]:
        """List every attempt to pay an order, newest first."""
        _check_id(order_id)
        return await self._list(
            lambda page, client: client.order.payments(order_id, page, **self._options()),
            parse_payment,
            lambda payment: payment.payment_id,
        )

    async def fetch_payment(self, payment_id: str) -> Payment:
        """Read a payment."""
        _check_id(payment_id)
        return await self._read(
            lambda client: client.payment.fetch(payment_id, {}, **self._options()), parse_payment
        )

    async def capture(self, payment_id: str, amount_minor: int, currency: str) -> Payment:
        """Take an authorized payment, whole. A second capture is refused and changes nothing."""
        _check_id(payment_id)
        # A dict of our own: without one the package writes the amount into a default that all
        # threads share, and a payment is captured with the amount of another.
        body = {"currency": currency}
        return await self._write(
            lambda client: client.payment.capture(
                payment_id, amount_minor, body, **self._options()
            ),
            parse_payment,
        )

    async def transfers(self, payment_id: str) -> list[Transfer]:
        """List every transfer from a payment, newest first."""
        _check_id(payment_id)
        return await self._list(
            lambda page, client: client.payment.transfers(payment_id, page, **self._options()),
            parse_transfer,
            lambda transfer: transfer.transfer_id,
        )

    async def create_transfer(
        self,
        *,
        payment_id: str,
        account_id: str,
        amount_minor: int,
        currency: str,
        on_hold: bool,
        notes: Notes,
    ) -> Transfer:
        """Move a part of a captured payment to a linked account. Not idempotent: list first."""
        _check_id(payment_id)
        body = {
            "transfers": [
                {
                    "account": account_id,
                    "amount": amount_minor,
                    "currency": currency,
                    "on_hold": on_hold,
                    "notes": dict(notes),
                }
            ]
        }
        return await self._write(
            lambda client: client.payment.transfer(payment_id, body, **self._options()),
            lambda answer: parse_transfer(only_item(answer)),
        )

    async def release_transfer(self, transfer_id: str) -> Transfer:
        """Take a transfer off hold, so that it is settled to the account. Safe to repeat."""
        _check_id(transfer_id)
        body = {"on_hold": False}
        return await self._write(
            lambda client: client.transfer.edit(transfer_id, body, **self._options()),
            parse_transfer,
        )

    async def reversals(self, transfer_id: str) -> list[Reversal]:
        """List every reversal of a transfer, newest first."""
        _check_id(transfer_id)
        return await self._list(
            lambda page, client: client.transfer.reversals(transfer_id, page, **self._options()),
            parse_reversal,
            lambda reversal: reversal.reversal_id,
        )

    async def reverse(self, *, transfer_id: str, amount_minor: int, notes: Notes) -> Reversal:
        """Take a part of a transfer back. Not idempotent: list first."""
        _check_id(transfer_id)
        body = {"amount": amount_minor, "notes": dict(notes)}
        return await self._write(
            lambda client: client.transfer.reverse(transfer_id, body, **self._options()),
            parse_reversal,
        )

    async def refunds(self, payment_id: str) -> list[Refund]:
        """List every refund of a payment, newest first."""
        _check_id(payment_id)
        return await self._list(
            lambda page, client: client.payment.fetch_multiple_refund(
                payment_id, page, **self._options()
            ),
            parse_refund,
            lambda refund: refund.refund_id,
        )

    async def refund(
        self, *, payment_id: str, amount_minor: int, idempotency_key: str, notes: Notes
    ) -> Refund:
        """Give a part of a payment back to the buyer.

        The same key with the same arguments gives the first refund again; with others it is
        refused. A key is 10 to 64 letters, digits, hyphens and underscores.
        """
        _check_id(payment_id)
        if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            raise ValueError("An idempotency key is 10 to 64 letters, digits, - and _.")
        body = {"amount": amount_minor, "speed": "normal", "notes": dict(notes)}
        options = self._options(headers={"X-Refund-Idempotency": idempotency_key})
        return await self._write(
            lambda client: client.payment.refund(payment_id, body, **options), parse_refund
        )

    async def fetch_dispute(self, dispute_id: str) -> Dispute:
        """Read a dispute."""
        _check_id(dispute_id)
        return await self._read(
            lambda client: client.dispute.fetch(dispute_id, {}, **self._options()), parse_dispute
        )

    async def disputes(self, since_s: int) -> list[Dispute]:
        """List the disputes of the whole account that were created since a time, newest first.

        Razorpay lists them by no payment (RZP/api/disputes/fetch-all.md).
        """

        def fetch(page: dict[str, object], client: razorpay.Client) -> object:
            return client.dispute.all({**page, "from": since_s}, **self._options())

        return await self._list(fetch, parse_dispute, lambda dispute: dispute.dispute_id)

    async def recon(self, year: int, month: int, day: int) -> list[ReconLine]:
        """List what Razorpay settled on a day of India, as its report has it.

        Lines that cannot be read are among them (RZP/api/settlements/fetch-recon.md).
        """
        lines: list[ReconLine] = []
        last: list[ReconLine] = []
        for _ in range(MAX_RECON_PAGES):
            which = {"year": year, "month": month, "day": day}
            page = await self._recon_page(which | {"count": PAGE_SIZE, "skip": len(lines)})
            # A line that is there twice is told twice, but a page that is was not paged.
            if len(page) < DEFAULT_PAGE_SIZE or page == last:
                return lines + (page if page != last else [])
            lines += page
            last = page
        raise GatewayUnavailable(f"Razorpay reports more than {MAX_RECON_PAGES} pages.")

    async def _recon_page(self, which: Mapping[str, int]) -> list[ReconLine]:
        return await self._read(
            lambda client: client.settlement.report(dict(which), **self._options()),
            lambda answer: [parse_recon_line(item) for item in items_of(answer)],
        )

    async def settlement(self, settlement_id: str) -> Settlement:
        """Read a settlement: a transfer of Razorpay's to the platform's bank."""
        _check_id(settlement_id)
        return await self._read(
            lambda client: client.settlement.fetch(settlement_id, {}, **self._options()),
            parse_settlement,
        )

    async def _make_order(
        self, receipt: str, amount_minor: int, currency: str, notes: Notes
    ) -> Order:
        body = {
            "amount": amount_minor,
            "currency": currency,
            "receipt": receipt,
            "notes": dict(notes),
            "payment": {"capture": "automatic"},
            # Razorpay documents no field that keeps an order free of the offers which the Dashboard
            # shows for all orders, and refuses fields that it does not know. This one names none.
            "partial_payment": False,
        }
        try:
            return await self._write(
                lambda client: client.order.create(body, **self._options()), parse_order
            )
        except GatewayRefused as refusal:
            if not _says_receipt_taken(refusal):
                raise
            order = await self.find_order(receipt)
            if order is None:
                raise
            return order

    def _options(self, **options: object) -> dict[str, Any]:
        # Fresh for each call: the package writes into what it is given.
        return {"timeout": self._timeout_s, **options}

    async def _read(
        self, call: Callable[[razorpay.Client], object], parse: Callable[[object], Thing]
    ) -> Thing:
        return await self._ask(call, parse, is_read=True)

    async def _write(
        self, call: Callable[[razorpay.Client], object], parse: Callable[[object], Thing]
    ) -> Thing:
        return await self._ask(call, parse, is_read=False)

    async def _ask(
        self,
        call: Callable[[razorpay.Client], object],
        parse: Callable[[object], Thing],
        *,
        is_read: bool,
    ) -> Thing:
        answer = await self._pool.run(call, is_read=is_read)
        try:
            return parse(answer)
        except ValueError as error:
            raise lost(is_read, f"Razorpay's answer makes no sense: {error}") from error

    async def _list(
        self,
        fetch: Callable[[dict[str, object], razorpay.Client], object],
        parse: Callable[[object], Thing],
        identify: Callable[[Thing], str],
    ) -> list[Thing]:
        found: dict[str, Thing] = {}
        for _ in range(MAX_PAGES):
            page: dict[str, object] = {"count": PAGE_SIZE, "skip": len(found)}
            things = await self._read(
                partial(fetch, page), lambda answer: [parse(item) for item in items_of(answer)]
            )
            known = len(found)
            for thing in things:
                found.setdefault(identify(thing), thing)
            # A page that brings nothing new ends a list whose paging Razorpay does not do.
            if len(things) < DEFAULT_PAGE_SIZE or len(found) == known:
                return list(found.values())
        raise GatewayUnavailable(f"Razorpay lists more than {MAX_PAGES} pages.")


def _check_id(given: str) -> None:
    if not _ID.fullmatch(given):
        raise GatewayRefused(
            status=400,
            code="BAD_REQUEST_ERROR",
            reason="input_validation_failed",
            description="The id provided does not exist",
        )


def _says_receipt_taken(refusal: GatewayRefused) -> bool:
    said = refusal.description.lower()
    return "receipt" in said and "unique" in said
