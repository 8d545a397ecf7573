"""Which postings an event makes. Pure double entry: the postings of one event sum to zero.

Debit is positive, credit negative, in whole minor units of one currency. The accounts:

razorpay:balance     asset      what the provider holds for the platform
razorpay:on_hold     asset      sellers' transfers that the provider holds
razorpay:fees        expense    the provider's own fee, without its tax
razorpay:tax         expense    the GST on that fee
escrow:<escrow id>   liability  what is held and not decided
payee:<user id>      liability  what a seller is to get, decided and not yet released
refunds:in_flight    liability  what a buyer is to get back, decided and not yet processed
platform:fees        income     the platform's fee
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from core.law.escrow import Escrow, Event, EventType, Part, Status

BALANCE = "razorpay:balance"
ON_HOLD = "razorpay:on_hold"
GATEWAY_FEES = "razorpay:fees"
GATEWAY_TAX = "razorpay:tax"
REFUNDS = "refunds:in_flight"
PLATFORM_FEES = "platform:fees"

# Only events say what the provider keeps of a payment; the balance follows from them.
DERIVED = frozenset({BALANCE, GATEWAY_FEES, GATEWAY_TAX})


@dataclass(frozen=True, slots=True)
class Posting:
    """One line: `amount_minor` into an account when positive (debit), out of it when negative."""

    account: str
    amount_minor: int
    currency: str


class _Lines:
    """The lines of one event; a zero makes none."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self.postings: list[Posting] = []

    def move(self, amount_minor: int, *, debit: str, credit: str) -> None:
        if amount_minor:
            self.postings.append(Posting(debit, amount_minor, self._currency))
            self.postings.append(Posting(credit, -amount_minor, self._currency))


def escrow_account(escrow: Escrow) -> str:
    return f"escrow:{escrow.escrow_id}"


def payee_account(escrow: Escrow) -> str:
    return f"payee:{escrow.seller_id}"


def postings(before: Escrow | None, event: Event) -> list[Posting]:
    """Answer the postings of an event, in order. AssertionError where they do not balance."""
    after = event.escrow
    lines = _Lines(after.currency)
    if event.type is EventType.PAYMENT_CAPTURED:
        _captured(
            lines,
            after.payment.amount_minor,
            after.payment.gateway_fee_minor,
            after.payment.gateway_tax_minor,
            credit=escrow_account(after),
        )
    elif event.type is EventType.ATTENTION_RAISED and "payment_id" in event.data:
        data = event.data
        lines = _Lines(data["currency"])
        _captured(
            lines,
            data["amount_minor"],
            data["gateway_fee_minor"],
            data["gateway_tax_minor"],
            credit=REFUNDS,
        )
    elif event.type is EventType.PAYMENT_REFUNDED and event.data.get("surplus"):
        surplus = next(s for s in after.surplus if s.payment_id == event.data["payment_id"])
        lines = _Lines(surplus.currency)
        lines.move(event.data["amount_minor"], debit=REFUNDS, credit=BALANCE)
    elif before is not None:
        for old, new in zip(before.parts, after.parts, strict=True):
            _part_moved(lines, after, old, new)
    assert sum(p.amount_minor for p in lines.postings) == 0, "postings of an event sum to zero"
    return lines.postings


def _captured(lines: _Lines, amount: int, fee: int, tax: int, *, credit: str) -> None:
    lines.move(amount - fee, debit=BALANCE, credit=credit)
    lines.move(fee - tax, debit=GATEWAY_FEES, credit=credit)
    lines.move(tax, debit=GATEWAY_TAX, credit=credit)


def _part_moved(lines: _Lines, escrow: Escrow, old: Part, new: Part) -> None:
    """Post what changed between two states of a part, whatever the event was."""
    held = escrow_account(escrow)
    if new.settlement is not None and old.settlement is None:
        settlement = new.settlement
        lines.move(settlement.transfer_minor, debit=held, credit=payee_account(escrow))
        lines.move(settlement.fee_minor, debit=held, credit=PLATFORM_FEES)
        lines.move(settlement.refund_minor, debit=held, credit=REFUNDS)
    if new.on_hold_minor > old.on_hold_minor:
        lines.move(new.on_hold_minor - old.on_hold_minor, debit=ON_HOLD, credit=BALANCE)
    elif new.status not in (Status.RELEASED, Status.SPLIT):
        lines.move(old.on_hold_minor - new.on_hold_minor, debit=BALANCE, credit=ON_HOLD)
    if new.refunded_minor != old.refunded_minor:
        refund = new.refunded_minor - old.refunded_minor
        lines.move(refund, debit=REFUNDS if new.settlement else held, credit=BALANCE)
    if new.released_minor != old.released_minor:
        paid = new.released_minor - old.released_minor
        lines.move(paid, debit=payee_account(escrow), credit=ON_HOLD)
        # What stood on hold beyond the release was reversed before.
        lines.move(old.on_hold_minor - paid, debit=BALANCE, credit=ON_HOLD)


def balances(escrow: Escrow) -> dict[tuple[str, str], int]:
    """Answer what an escrow's postings must come to, by account and currency, but for DERIVED."""
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    currency = escrow.currency
    for part in escrow.parts:
        totals[ON_HOLD, currency] += part.on_hold_minor
        if part.settlement is None:
            totals[escrow_account(escrow), currency] -= part.held_minor
            continue
        settlement = part.settlement
        owing = settlement.transfer_minor - part.released_minor
        totals[payee_account(escrow), currency] -= owing
        totals[PLATFORM_FEES, currency] -= settlement.fee_minor
        totals[REFUNDS, currency] -= settlement.refund_minor - part.refunded_minor
    for surplus in escrow.surplus:
        totals[REFUNDS, surplus.currency] -= surplus.amount_minor - surplus.refunded_minor
    return {key: total for key, total in totals.items() if total}
