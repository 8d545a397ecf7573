"""The model of one part of an escrow: forty lines that say how it may change."""

from dataclasses import dataclass, field

ENDS = ("RELEASED", "REFUNDED", "SPLIT", "CANCELLED")
# Which command a part takes in which status, and the status after it.
LAW = {
    "cancel": ("INITIATED", "CANCELLED"),
    "confirm": ("HELD", "HELD"),
    "release": ("HELD", "SETTLING"),
    "refund": ("HELD", "SETTLING"),
    "dispute": ("HELD", "DISPUTED"),
    "withdraw": ("DISPUTED", "HELD"),
    "resolve": ("DISPUTED", "SETTLING"),
}


@dataclass
class Sheet:
    """`release` is the seller's share with the fee in it, once decided; the rest is the buyer's."""

    amount: int
    status: str = "INITIATED"
    confirmed: set[str] = field(default_factory=set)
    raiser: str = ""
    inspect_until_s: float = float("inf")
    release: int | None = None

    def allows(self, verb: str, by: str, *, can_be_split: bool) -> bool:
        barred = {"confirm": by in self.confirmed, "withdraw": by != self.raiser}
        barred["resolve"] = not can_be_split
        return self.status == LAW[verb][0] and not barred.get(verb, False)

    def take(self, verb: str, by: str, release: int, inspect_until_s: float) -> None:
        self.status = LAW[verb][1]
        if verb == "confirm":
            self.confirmed.add(by)
            self.inspect_until_s = inspect_until_s if by == "seller" else self.inspect_until_s
            self.status = "SETTLING" if len(self.confirmed) == 2 else "HELD"
        self.raiser = by if verb == "dispute" else self.raiser
        if self.status == "SETTLING":
            self.release = {"refund": 0, "resolve": release}.get(verb, self.amount)

    def drift(self, seen: str, *, is_paid: bool, is_overdue: bool, now_s: float) -> None:
        """Follow a change that core makes by itself. Raises AssertionError if it is not allowed."""
        if self.status == "INITIATED" and seen != "INITIATED":
            assert is_overdue if seen == "CANCELLED" else is_paid, f"{seen} without a reason"
            self.status = "CANCELLED" if seen == "CANCELLED" else "HELD"
        if self.status == "HELD" and seen != "HELD":
            assert now_s >= self.inspect_until_s, "nobody has decided this"
            self.status, self.release = "SETTLING", self.amount
        if self.status == "SETTLING" and seen != "SETTLING":
            ends = {0: "REFUNDED", self.amount: "RELEASED"}
            self.status = ends.get(self.release or 0, "SPLIT")
        assert self.status == seen, f"{seen} where {self.status} is expected"
