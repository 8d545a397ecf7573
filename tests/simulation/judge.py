"""Checks the promises from outside: the events, the model, and Razorpay's own books agree."""

from collections.abc import Sequence

from core.books.check import check
from core.law import ledger
from core.law.escrow import Escrow, Status
from scripts.sandbox.books import Entity
from tests.simulation.deal import Deal, left
from tests.simulation.model import ENDS
from tests.simulation.world import US_PER_S, World

PAGE = 10
# A capture may be repeated at any time.
HARMLESS = {"This payment has already been captured"}
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
                part.status.value,
                is_paid=any(p["amount"] == deal.amount for p in deal.captured()),
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
        if deal.released_before is not None:
            assert deal.released() == deal.released_before, "released beside a refund"

    def _check_parts(self, deal: Deal, escrow: Escrow) -> None:
        """Of each part nothing was moved, or what was decided; at its end, all of it."""
        for part_id, sheet in deal.sheets.items():
            if sheet.status == "CANCELLED":
                continue
            release = sheet.release or 0
            refund = 0 if sheet.release is None else sheet.amount - release
            fee = deal.fee(part_id)
            standing, seller, buyer = self._moved(escrow, part_id)
            assert standing <= sheet.amount - deal.full_fees[part_id]
            assert buyer in (0, refund), f"{buyer} refunded of {sheet}"
            assert seller in (0, release - fee), f"{seller} released of {sheet}"
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
        made = [t for p in paid for t in deal.transfers(p)]
        taken = sum(p["fee"] for p in paid) + sum(t["fees"] for t in made)
        at_razorpay = sum(p["amount"] for p in paid) - taken - seller - back
        assert totals.pop(ledger.BALANCE, 0) == at_razorpay
        assert totals.pop(ledger.PLATFORM_FEES, 0) == -fees
        assert sum(p["amount"] for p in paid) == seller + back + fees
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
        """Whether nothing is left to do. One that was moved by hand waits for a person."""
        escrow = await self.escrow(deal)
        if deal.is_touched and escrow.attention:
            return True
        known = {s.payment_id for s in escrow.surplus} | {escrow.payment.payment_id}
        is_told = all(p["id"] in known for p in deal.captured())
        is_back = all(_is_processed(r) for p in deal.payments() for r in deal.refunds(p))
        book = await self._world.core.store.books(after_id="", limit=1, escrow_id=deal.escrow_id)
        is_done = escrow.status in ENDS and is_told and is_back and not book[0].is_owed
        return is_done and _knows_disputes(deal, escrow)


def _knows_disputes(deal: Deal, escrow: Escrow) -> bool:
    """Whether the escrow knows the disputes that the bank has opened and ended."""
    of_all = [d["id"] for paid in deal.captured() for d in deal.open_disputes(paid)]
    of_ours = [d["id"] for d in deal.open_disputes({"id": escrow.payment.payment_id})]
    return set(of_ours) <= set(escrow.bank_disputes) <= set(of_all)


def _is_processed(refund: Entity) -> bool:
    return bool(refund["status"] == "processed")
