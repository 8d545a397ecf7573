"""One escrow of the simulation: its paper, its people, and its money at Razorpay."""

from dataclasses import dataclass, field

from core.command import Caller
from scripts.sandbox.books import Books, Entity
from tests.simulation.model import Sheet


@dataclass(eq=False)
class Deal:
    """What this side knows of an escrow; Razorpay's side is read from its books."""

    escrow_id: str
    sheets: dict[str, Sheet]
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

    def who(self, role: str) -> Caller:
        return Caller(f"{role}-{self.mark}")

    def payments(self) -> list[Entity]:
        return [p for order_id in self.orders for p in self.books.of("payment", order_id)]

    def captured(self) -> list[Entity]:
        return [p for p in self.payments() if p["captured"]]

    def transfers(self, paid: Entity) -> list[Entity]:
        """Those of one payment that are not failed."""
        return [t for t in self.books.of("transfer", paid["id"]) if t["status"] != "failed"]

    def refunds(self, paid: Entity) -> list[Entity]:
        return self.books.of("refund", paid["id"])

    def released(self) -> int:
        """What the seller has for good."""
        every = [t for p in self.payments() for t in self.transfers(p)]
        return sum(left(t) for t in every if not t["on_hold"])

    def open_disputes(self, paid: Entity) -> list[Entity]:
        """The bank's disputes of one payment that are not over."""
        disputes = self.books.of("dispute", paid["id"])
        return [d for d in disputes if d["status"] not in ("won", "closed")]


def left(transfer: Entity) -> int:
    """What of a transfer has not been reversed."""
    amount: int = transfer["amount"] - transfer["amount_reversed"]
    return amount
