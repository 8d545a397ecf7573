"""One escrow of the simulation: its model, its users, and its money at Razorpay."""

from dataclasses import dataclass, field

from core.law.command import Caller
from scripts.sandbox.books import Books, Entity
from tests.fakes.fee import can_be_split, fee_of
from tests.simulation.model import Sheet


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
    # What was released when somebody moved its money behind Holdfast's back.
    released_before: int | None = None

    @property
    def is_touched(self) -> bool:
        return self.released_before is not None

    @property
    def amount(self) -> int:
        return sum(sheet.amount for sheet in self.sheets.values())

    def fee(self, part_id: str) -> int:
        """The fee on the share of a part that is released."""
        sheet = self.sheets[part_id]
        is_whole = sheet.release == sheet.amount
        return self.full_fees[part_id] if is_whole else fee_of(sheet.release or 0)

    def can_be_split(self, part_id: str, release: int) -> bool:
        """Whether Razorpay could move both shares."""
        others = [s for name, s in self.sheets.items() if name != part_id]
        beside_refund = any(s.release is not None and s.release < s.amount for s in others)
        amount, full_fee = self.sheets[part_id].amount, self.full_fees[part_id]
        return can_be_split(amount, full_fee, release, beside_refund=beside_refund)

    def who(self, role: str) -> Caller:
        return Caller(f"{role}-{self.mark}")

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
        disputes = self.books.of("dispute", paid["id"])
        return [d for d in disputes if d["status"] not in ("won", "closed")]


def left(transfer: Entity) -> int:
    """The part of a transfer that was not reversed."""
    amount: int = transfer["amount"] - transfer["amount_reversed"]
    return amount
