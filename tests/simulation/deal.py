"""One escrow of the simulation: its model, its users, and its money at Razorpay."""

from dataclasses import dataclass, field

from core.law.command import Caller
from scripts.sandbox.books import Books, Entity
from tests.fakes.fee import can_be_split, fee_of
from tests.simulation.model import Sheet

# How a dispute may have ended.
ENDED = ("won", "closed", "lost")


@dataclass(eq=False)
class Deal:
    """What Holdfast knows of an escrow. Razorpay's side is read from the sandbox's books."""

    escrow_id: str
    sheets: dict[str, Sheet]
    # Of each part, if it is released whole.
    full_fees: dict[str, int]
    window_end_s: float
    inspection_s: int
    account_id: str
    # In the names of its people.
    mark: str
    books: Books
    orders: list[str] = field(default_factory=list)
    # The record as it was last seen, oldest first.
    events: list[bytes] = field(default_factory=list)
    # What was released when somebody last moved its money behind Holdfast's back.
    released_before: int | None = None
    # Whether a call that was on its way then may still release something.
    releases_late: bool = False
    # By lost dispute: what of its payment had moved when it was first seen, and not yet settled.
    moved_before: dict[str, int] = field(default_factory=dict)

    @property
    def is_touched(self) -> bool:
        return self.released_before is not None

    @property
    def amount(self) -> int:
        return sum(sheet.amount for sheet in self.sheets.values())

    def fee(self, part_id: str) -> int:
        """The fee on the share of a part that is released."""
        sheet = self.sheets[part_id]
        if sheet.is_banks:
            return sheet.release or 0
        is_whole = sheet.release == sheet.amount
        return self.full_fees[part_id] if is_whole else fee_of(sheet.release or 0)

    def can_be_split(self, part_id: str, release: int) -> bool:
        """Whether Razorpay could move both shares."""
        others = [s for name, s in self.sheets.items() if name != part_id]
        beside_refund = any(s.refund or s.is_banks for s in others)
        sheet = self.sheets[part_id]
        fee = fee_of(sheet.held) if sheet.bank else self.full_fees[part_id]
        return can_be_split(sheet.held, fee, release, beside_refund=beside_refund)

    def who(self, role: str) -> Caller:
        roles = {"admin"} if role == "admin" else {"user"}
        return Caller(f"{role}-{self.mark}", frozenset(roles))

    def payments(self) -> list[Entity]:
        return [p for order_id in self.orders for p in self.books.of("payment", order_id)]

    def captured(self) -> list[Entity]:
        return [p for p in self.payments() if p["captured"]]

    def transfers(self, paid: Entity) -> list[Entity]:
        """The transfers of one payment that have not failed."""
        return [t for t in self.books.of("transfer", paid["id"]) if t["status"] != "failed"]

    def refunds(self, paid: Entity) -> list[Entity]:
        return self.books.of("refund", paid["id"])

    def released(self) -> int:
        """The money that the seller keeps."""
        every = [t for p in self.payments() for t in self.transfers(p)]
        return sum(left(t) for t in every if not t["on_hold"])

    def open_disputes(self, paid: Entity) -> list[Entity]:
        """The open disputes (chargebacks) of one payment."""
        return [d for d in self.books.of("dispute", paid["id"]) if d["status"] not in ENDED]

    def lost_minor(self, paid: Entity) -> int:
        """What the bank has given to the buyer of one payment."""
        disputes = self.books.of("dispute", paid["id"])
        return sum(d["amount_deducted"] for d in disputes if d["status"] == "lost")

    def at_razorpay(self) -> int:
        """What all of this has left in the platform's balance, by Razorpay's own statement."""
        ids = {p["id"] for p in self.payments()}
        for kind in ("transfer", "refund", "dispute"):
            ids |= {
                one["id"] for paid in self.payments() for one in self.books.of(kind, paid["id"])
            }
        ids |= {one["id"] for mine in list(ids) for one in self.books.of("reversal", mine)}
        lines = self.books.statement.lines
        mine = [line for line in lines if line["entity_id"] in ids or line["dispute_id"] in ids]
        return sum(line["credit"] - line["debit"] for line in mine)

    def pays_in_full(self, paid: Entity) -> bool:
        """Whether a payment is of the escrow's amount, but for a fee that the customer bears.

        What goes beyond an order that is paid, and is no more than Razorpay's fee, counts as it.
        """
        excess = paid["amount"] - self.amount
        is_paid = self.books.find("order", paid["order_id"])["status"] == "paid"
        return bool(excess == 0 or (is_paid and 0 < excess <= paid["fee"]))


def left(transfer: Entity) -> int:
    """The part of a transfer that was not reversed."""
    amount: int = transfer["amount"] - transfer["amount_reversed"]
    return amount
