"""Which postings an event makes. Pure double entry: the postings of one event sum to zero.

Debit is positive, credit negative, in whole minor units of one currency. The accounts:

razorpay:balance            asset      what the provider holds for the platform
razorpay:on_hold            asset      sellers' transfers that the provider holds
razorpay:chargebacks        asset      what the bank has taken, and who bears it is still open
razorpay:fees               expense    the provider's own fee on payments, without its tax
razorpay:transfer_fees      expense    the provider's fee on transfers, without its tax
razorpay:refund_fees        expense    the provider's fee on refunds, without its tax
razorpay:tax                expense    the GST on those fees
razorpay:convenience_fees   income     what customers paid on top, as bearers of the fee
escrow:<escrow id>          liability  what is held and not decided
payee:<user id>             liability  what a seller is to get, decided and not yet released
refunds:in_flight           liability  what a buyer is to get back, decided and not yet processed
platform:fees               income     the platform's fee
platform:chargeback_losses  expense    lost chargebacks that nobody else bears

Settlement reports post what belongs to no escrow: razorpay:adjustments and platform:bank.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from core.law.escrow import Escrow, Event
from core.law.part import Move, Part, Settlement
from core.law.payment import Chargeback
from core.law.status import EventType

BALANCE = "razorpay:balance"
ON_HOLD = "razorpay:on_hold"
CHARGEBACKS = "razorpay:chargebacks"
GATEWAY_FEES = "razorpay:fees"
TRANSFER_FEES = "razorpay:transfer_fees"
REFUND_FEES = "razorpay:refund_fees"
GATEWAY_TAX = "razorpay:tax"
CONVENIENCE_FEES = "razorpay:convenience_fees"
REFUNDS = "refunds:in_flight"
PLATFORM_FEES = "platform:fees"
LOSSES = "platform:chargeback_losses"

# Only events say what the provider keeps or is paid; the balance follows from them.
DERIVED = frozenset(
    {BALANCE, GATEWAY_FEES, TRANSFER_FEES, REFUND_FEES, GATEWAY_TAX, CONVENIENCE_FEES, LOSSES}
)


@dataclass(frozen=True, slots=True)
class Posting:
    """One line: `amount_minor` into an account when positive (debit), out of it when negative.

    `entity_id` is the provider's id of what moved the money; empty for a line of the books alone.
    """

    account: str
    amount_minor: int
    currency: str
    entity_id: str = ""


class _Lines:
    """The lines of one event; a zero makes none."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self.postings: list[Posting] = []

    def move(
        self,
        amount_minor: int,
        *,
        debit: str,
        credit: str,
        entity_id: str = "",
        currency: str = "",
    ) -> None:
        """Move an amount; a negative one goes the other way."""
        if amount_minor:
            for account, signed in ((debit, amount_minor), (credit, -amount_minor)):
                line = Posting(account, signed, currency or self._currency, entity_id)
                self.postings.append(line)

    def fee(self, fee_minor: int, tax_minor: int, account: str, entity_id: str) -> None:
        """Post what the provider keeps for itself, tax included, out of the balance."""
        self.move(fee_minor - tax_minor, debit=account, credit=BALANCE, entity_id=entity_id)
        self.move(tax_minor, debit=GATEWAY_TAX, credit=BALANCE, entity_id=entity_id)


def escrow_account(escrow: Escrow) -> str:
    return f"escrow:{escrow.escrow_id}"


def payee_account(escrow: Escrow) -> str:
    return f"payee:{escrow.seller_id}"


def postings(before: Escrow | None, event: Event) -> list[Posting]:
    """Answer the postings of an event, in order. AssertionError where they do not balance."""
    lines = _Lines(event.escrow.currency)
    if event.type is EventType.PAYMENT_CAPTURED:
        _captured(lines, event.escrow)
    elif before is not None:
        lines = _changed(lines, before, event)
    assert sum(p.amount_minor for p in lines.postings) == 0, "postings of an event sum to zero"
    return lines.postings


def _captured(lines: _Lines, escrow: Escrow) -> None:
    payment = escrow.payment
    entity_id = payment.payment_id
    held = escrow_account(escrow)
    lines.move(payment.amount_minor, debit=BALANCE, credit=held, entity_id=entity_id)
    fee = payment.customer_fee_minor
    lines.move(fee, debit=BALANCE, credit=CONVENIENCE_FEES, entity_id=entity_id)
    lines.fee(payment.gateway_fee_minor, payment.gateway_tax_minor, GATEWAY_FEES, entity_id)


def _changed(lines: _Lines, before: Escrow, event: Event) -> _Lines:
    after, data = event.escrow, event.data
    if len(after.surplus) > len(before.surplus):
        return _surplus_came(event)
    if event.type is EventType.PAYMENT_REFUNDED:
        if data.get("surplus"):
            return _surplus_returned(before, event)
        fee, tax = data.get("gateway_fee_minor", 0), data.get("gateway_tax_minor", 0)
        lines.fee(fee, tax, REFUND_FEES, data["refund_id"])
    _bank_took(lines, before, after)
    for old, new in zip(before.parts, after.parts, strict=True):
        _part_moved(lines, event, old, new)
    return lines


def _surplus_came(event: Event) -> _Lines:
    surplus, data = event.escrow.surplus[-1], event.data
    entity_id = surplus.payment_id
    lines = _Lines(surplus.currency)
    lines.move(surplus.amount_minor, debit=BALANCE, credit=REFUNDS, entity_id=entity_id)
    fee = surplus.customer_fee_minor
    lines.move(fee, debit=BALANCE, credit=CONVENIENCE_FEES, entity_id=entity_id)
    lines.fee(data["gateway_fee_minor"], data["gateway_tax_minor"], GATEWAY_FEES, entity_id)
    return lines


def _surplus_returned(before: Escrow, event: Event) -> _Lines:
    data = event.data
    pairs = zip(before.surplus, event.escrow.surplus, strict=True)
    old, surplus = next(pair for pair in pairs if pair[1].payment_id == data["payment_id"])
    lines = _Lines(surplus.currency)
    entity_id = data["refund_id"]
    lines.move(data["amount_minor"], debit=REFUNDS, credit=BALANCE, entity_id=entity_id)
    lines.move(surplus.kept_minor - old.kept_minor, debit=REFUNDS, credit=PLATFORM_FEES)
    fee, tax = data.get("gateway_fee_minor", 0), data.get("gateway_tax_minor", 0)
    lines.fee(fee, tax, REFUND_FEES, entity_id)
    return lines


def _bank_took(lines: _Lines, before: Escrow, after: Escrow) -> None:
    """Post what the provider took for disputes or gave back, and where that comes from."""
    old = {one.dispute_id: one for one in before.chargebacks}
    borne: defaultdict[str, int] = defaultdict(int)
    for one in after.chargebacks:
        was = old.get(one.dispute_id, Chargeback(one.dispute_id, one.payment_id, 0))
        of = {"currency": _currency_of(after, one), "entity_id": one.dispute_id}
        taken = one.deducted_minor - was.deducted_minor
        lines.move(taken, debit=CHARGEBACKS, credit=BALANCE, **of)
        borne[of["currency"]] += _borne(one) - _borne(was)
    for new, surplus in zip(after.surplus, before.surplus, strict=True):
        back = new.bank_minor - surplus.bank_minor
        lines.move(back, debit=REFUNDS, credit=CHARGEBACKS, currency=new.currency)
        kept = new.kept_minor - surplus.kept_minor
        lines.move(kept, debit=REFUNDS, credit=PLATFORM_FEES, currency=new.currency)
        borne[new.currency] -= back
    for now, part in zip(after.parts, before.parts, strict=True):
        back = now.bank_minor - part.bank_minor
        lines.move(back, debit=escrow_account(after), credit=CHARGEBACKS)
        borne[after.currency] -= back
    for currency, loss in borne.items():
        lines.move(loss, debit=LOSSES, credit=CHARGEBACKS, currency=currency)


def _currency_of(escrow: Escrow, chargeback: Chargeback) -> str:
    paid = (s.currency for s in escrow.surplus if s.payment_id == chargeback.payment_id)
    return next(paid, escrow.currency)


def _borne(chargeback: Chargeback) -> int:
    """How much of a lost dispute somebody bears already."""
    if not chargeback.is_lost:
        return 0
    return chargeback.deducted_minor - chargeback.unsettled_minor


def _part_moved(lines: _Lines, event: Event, old: Part, new: Part) -> None:
    """Post what changed between two states of a part, whatever the event was."""
    escrow = event.escrow
    _decided(lines, escrow, old.settlement, new.settlement)
    if new.settlement is None:  # What is left of a cancelled escrow, too little to be moved.
        kept = new.fee_minor - old.fee_minor
        lines.move(kept, debit=escrow_account(escrow), credit=PLATFORM_FEES)
    _moved(lines, old, new)
    repaid = new.repaid_minor - old.repaid_minor
    if repaid:
        source = REFUNDS if new.settlement else escrow_account(escrow)
        lines.move(repaid, debit=source, credit=BALANCE, entity_id=event.data["refund_id"])
    paid = new.released_minor - old.released_minor
    lines.move(paid, debit=payee_account(escrow), credit=ON_HOLD)


def _decided(lines: _Lines, escrow: Escrow, old: Settlement | None, new: Settlement | None) -> None:
    if new is None:
        return
    was = (old.transfer_minor, old.fee_minor, old.repay_minor) if old else (0, 0, 0)
    now = (new.transfer_minor, new.fee_minor, new.repay_minor)
    accounts = (payee_account(escrow), PLATFORM_FEES, REFUNDS)
    for account, before, after in zip(accounts, was, now, strict=True):
        lines.move(after - before, debit=escrow_account(escrow), credit=account)


def _moved(lines: _Lines, old: Part, new: Part) -> None:
    """Post the transfers and reversals that settlement has newly reported."""
    known = {move.entity_id for move in old.moves}
    fresh = [move for move in new.moves if move.entity_id not in known]
    # A hold that was written down without its transfers; they are not posted twice.
    is_lumped = not old.moves and old.on_hold_minor > 0
    posted = 0
    for move in fresh:
        if not is_lumped:
            _post_move(lines, move)
            posted += move.amount_minor
        lines.fee(move.fee_minor, move.tax_minor, TRANSFER_FEES, move.entity_id)
    standing = new.on_hold_minor + new.released_minor - old.released_minor
    rest = standing - old.on_hold_minor - posted
    lines.move(rest, debit=ON_HOLD, credit=BALANCE)


def _post_move(lines: _Lines, move: Move) -> None:
    lines.move(move.amount_minor, debit=ON_HOLD, credit=BALANCE, entity_id=move.entity_id)


def balances(escrow: Escrow) -> dict[tuple[str, str], int]:
    """Answer what an escrow's postings must come to, by account and currency, but for DERIVED."""
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    currency = escrow.currency
    for part in escrow.parts:
        totals[ON_HOLD, currency] += part.on_hold_minor
        if part.settlement is None:
            totals[escrow_account(escrow), currency] -= part.held_minor
            totals[PLATFORM_FEES, currency] -= part.fee_minor
            continue
        settlement = part.settlement
        owing = settlement.transfer_minor - part.released_minor
        totals[payee_account(escrow), currency] -= owing
        totals[PLATFORM_FEES, currency] -= settlement.fee_minor
        totals[REFUNDS, currency] -= settlement.repay_minor - part.repaid_minor
    for surplus in escrow.surplus:
        totals[REFUNDS, surplus.currency] -= surplus.rest_minor
        totals[PLATFORM_FEES, surplus.currency] -= surplus.kept_minor
    for one in escrow.chargebacks:
        waiting = one.unsettled_minor if one.is_lost else one.deducted_minor
        totals[CHARGEBACKS, _currency_of(escrow, one)] += waiting
    return {key: total for key, total in totals.items() if total}
