"""Checks the promises from outside: the events, the model, and Razorpay's own books agree."""

from collections.abc import Sequence

from core.books.check import check
from core.law import ledger
from core.law.chargeback import unsettled
from core.law.escrow import Escrow
from core.law.status import Status
from scripts.sandbox.books import Entity
from tests.simulation.deal import Deal, left
from tests.simulation.model import ENDS
from tests.simulation.world import US_PER_S, World

PAGE = 10
# A capture may be repeated at any time. While a call is on its way, an account may fail its KYC,
# and another payment may pay the order.
HARMLESS = {
    "This payment has already been captured",
    "The linked account is not activated",
    "The order is already paid",
}
MAX_ENTRIES = 1_000


class Judge:
    """Reads, and changes nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._books = world.gateway.books

    async def escrow(self, deal: Deal) -> Escrow:
        escrow = await self._world.core.store.escrow(deal.escrow_id)
        assert escrow is not None
        return escrow

    async def check(self, deals: Sequence[Deal]) -> None:
        """Check every promise for every escrow."""
        if not any(deal.is_touched for deal in deals):
            overtaken = [why for why in self._world.gateway.overtaken if why not in HARMLESS]
            assert not overtaken, f"a call of unknown outcome was repeated: {overtaken}"
        found = await self._world.core.store.books(after_id="", limit=PAGE)
        by_id = {book.escrow.escrow_id: book for book in found}
        for deal in deals:
            book = by_id[deal.escrow_id]
            findings = check(book)
            assert not findings, findings
            assert book.events[: len(deal.events)] == deal.events, "the past has changed"
            deal.events = list(book.events)
            self._check_paper(deal, book.escrow)
            self._check_payments(deal, book.escrow)
            self._check_parts(deal, book.escrow)

    def _check_paper(self, deal: Deal, escrow: Escrow) -> None:
        now_s = self._world.now_us() / US_PER_S
        for part in escrow.parts:
            deal.sheets[part.part_id].drift(
                part,
                is_paid=any(deal.pays_in_full(p) for p in deal.captured()),
                is_overdue=now_s >= deal.window_end_s,
                now_s=now_s,
            )

    def _check_payments(self, deal: Deal, escrow: Escrow) -> None:
        """No payment pays out more than itself, and only one pays anybody except its buyer."""
        for paid in deal.payments():
            moved = sum(left(t) for t in deal.transfers(paid))
            back = sum(r["amount"] for r in deal.refunds(paid))
            assert back <= paid["amount"]
            assert not moved or paid["id"] == escrow.payment.payment_id
            assert moved + back <= paid["amount"] or deal.is_touched, f"{moved}, {back} of {paid}"
        if deal.releases_late:
            deal.released_before = deal.released()
            deal.releases_late = bool(self._world.gateway.underway)
        if deal.released_before is not None and deal.released() != deal.released_before:
            known = {one.refund_id for one in escrow.payment.refunds} | {*escrow.borne_refunds}
            by_hand = [r for p in deal.captured() for r in deal.refunds(p) if not r["notes"]]
            theirs = [r for r in by_hand if r["payment_id"] == escrow.payment.payment_id]
            assert {r["id"] for r in theirs} <= known, "released beside a refund"
        self._check_bank(deal, escrow)

    def _check_bank(self, deal: Deal, escrow: Escrow) -> None:
        """What the bank took is taken once, and nothing moves before it is known from whom."""
        for paid in deal.captured():
            taken = sum(s.bank_minor for s in escrow.surplus if s.payment_id == paid["id"])
            if paid["id"] == escrow.payment.payment_id:
                taken += escrow.payment.charged_back_minor
            assert taken <= deal.lost_minor(paid), "more was taken back than the bank took"
        for one in unsettled(escrow):
            paid = self._books.find("payment", one.payment_id)
            back = sum(r["amount"] for r in deal.refunds(paid))
            moved = back + sum(left(t) for t in deal.transfers(paid) if not t["on_hold"])
            if not self._world.gateway.underway or one.dispute_id in deal.moved_before:
                before = deal.moved_before.setdefault(one.dispute_id, moved)
                assert moved <= before or deal.is_touched, "moved beside a lost dispute"

    def _check_parts(self, deal: Deal, escrow: Escrow) -> None:
        """Of each part nothing was moved, or what was decided; at its end, all of it."""
        for part_id, sheet in deal.sheets.items():
            if sheet.status == "CANCELLED":
                continue
            release, refund = sheet.release or 0, sheet.refund
            fee = deal.fee(part_id)
            standing, seller, buyer = self._moved(escrow, part_id)
            assert standing <= sheet.amount - deal.full_fees[part_id]
            assert seller in (0, release - fee), f"{seller} released of {sheet}"
            if deal.is_touched:  # What was refunded by hand may count.
                assert buyer <= refund, f"{buyer} refunded of {sheet}"
                continue
            assert buyer in (0, refund), f"{buyer} refunded of {sheet}"
            if sheet.status in ENDS:
                assert (seller, buyer) == (release - fee, refund), sheet

    def _moved(self, escrow: Escrow, part_id: str) -> tuple[int, int, int]:
        """Answer how much of one part is transferred, released and refunded."""
        tags = {"escrow_id": escrow.escrow_id, "part": part_id or "whole"}
        payment_id = escrow.payment.payment_id
        transfers = [
            t
            for t in self._books.of("transfer", payment_id)
            if t["notes"] == tags and t["status"] != "failed"
        ]
        refunds = [r for r in self._books.of("refund", payment_id) if r["notes"] == tags]
        return (
            sum(left(t) for t in transfers),
            sum(left(t) for t in transfers if not t["on_hold"]),
            sum(r["amount"] for r in refunds),
        )

    async def check_ends(self, deals: Sequence[Deal]) -> None:
        """Razorpay's money equals the ledger's, to the paisa, unless somebody moved it by hand."""
        result = await self._world.core.auditor.check(with_razorpay=True)
        untouched = [deal for deal in deals if not deal.is_touched]
        ids = {deal.escrow_id for deal in untouched}
        findings = [f for f in result.findings if f.escrow_id in ids]
        assert not findings, findings
        for deal in untouched:
            await self._check_end(deal)

    async def _check_end(self, deal: Deal) -> None:
        escrow = await self.escrow(deal)
        totals = await self.balances(deal)
        paid = deal.captured()
        seller = sum(left(t) for p in paid for t in deal.transfers(p))
        back = sum(r["amount"] for p in paid for r in deal.refunds(p))
        fees = sum(deal.fee(part_id) for part_id in deal.sheets)
        kept = sum(s.kept_minor for s in escrow.surplus)
        if escrow.status is Status.CANCELLED:
            kept += escrow.fee_minor
        bank = escrow.payment.charged_back_minor + sum(s.bank_minor for s in escrow.surplus)
        assert totals.pop(ledger.BALANCE, 0) == deal.at_razorpay()
        assert totals.pop(ledger.PLATFORM_FEES, 0) == -fees - kept
        assert totals.pop(ledger.LOSSES, 0) == sum(map(deal.lost_minor, paid)) - bank
        # What goes beyond an order that is paid, and is no more than Razorpay's fee, counts as it.
        borne = escrow.payment.customer_fee_minor
        borne += sum(s.customer_fee_minor for s in escrow.surplus)
        assert borne <= sum(p["fee"] for p in paid if p["amount"] > deal.amount)
        whole = sum(p["amount"] for p in paid) - borne
        assert whole == seller + back + fees + kept + bank
        assert set(totals) <= ledger.DERIVED, totals
        assert seller == 0 or escrow.status in (Status.RELEASED, Status.SPLIT)

    async def balances(self, deal: Deal) -> dict[str, int]:
        """Sum up the escrow's postings by account; leave out accounts with zero."""
        entries = await self._world.core.store.ledger.entries(
            escrow_id=deal.escrow_id, account="", after=None, limit=MAX_ENTRIES
        )
        totals: dict[str, int] = {}
        for entry in entries:
            totals[entry.account] = totals.get(entry.account, 0) + entry.amount_minor
        return {account: total for account, total in totals.items() if total}

    async def is_at_rest(self, deal: Deal) -> bool:
        """Whether nothing is left to do."""
        escrow = await self.escrow(deal)
        known = {s.payment_id for s in escrow.surplus} | {escrow.payment.payment_id}
        is_told = all(p["id"] in known for p in deal.captured())
        is_back = all(_is_processed(r) for p in deal.payments() for r in deal.refunds(p))
        book = await self._world.core.store.books(limit=1, escrow_ids=[deal.escrow_id])
        is_done = escrow.status in ENDS and is_told and is_back and not book[0].is_owed
        return is_done and _knows_disputes(deal, escrow)


def _knows_disputes(deal: Deal, escrow: Escrow) -> bool:
    """Whether the escrow knows how the disputes have ended, and whose loss each is."""
    if escrow.bank_disputes or unsettled(escrow):
        return False
    known = {one.dispute_id: one.is_lost for one in escrow.chargebacks if one.is_over}
    disputes = [d for p in deal.captured() for d in deal.books.of("dispute", p["id"])]
    if any(deal.open_disputes(paid) for paid in deal.captured()):
        return False
    lost = {d["id"] for d in disputes if d["status"] == "lost"}
    return all(known.get(dispute_id) for dispute_id in lost)


def _is_processed(refund: Entity) -> bool:
    return bool(refund["status"] == "processed")
