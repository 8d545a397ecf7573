"""The model of one part of an escrow: fifty lines that say how it may change."""

from dataclasses import dataclass, field

from core.law.part import Part

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
    "say": ("DISPUTED", "DISPUTED"),
    "override": ("SETTLING", "SETTLING"),
}
# Razorpay moves no less; the platform keeps a smaller rest.
LEAST_MINOR = 100


@dataclass
class Sheet:
    """`release` is the seller's share with the fee in it, once decided.

    The bank's is what a lost dispute took from it; the rest is refunded.
    """

    amount: int
    status: str = "INITIATED"
    confirmed: set[str] = field(default_factory=set)
    raiser: str = ""
    inspect_until_s: float = float("inf")
    release: int | None = None
    bank: int = 0
    # Whether the bank took so much that nothing was left to be decided.
    is_banks: bool = False

    @property
    def held(self) -> int:
        """What there is to decide about."""
        return self.amount - self.bank

    @property
    def refund(self) -> int:
        """What Razorpay has to refund."""
        return 0 if self.release is None else self.held - self.release

    def allows(self, verb: str, by: str, *, can_be_split: bool) -> bool:
        barred = {"confirm": by in self.confirmed, "withdraw": by != self.raiser}
        barred["resolve"] = not can_be_split
        barred["override"] = not can_be_split or by != "admin" or self.is_banks
        return self.status == LAW[verb][0] and not barred.get(verb, False)

    def take(self, verb: str, by: str, release: int, inspect_until_s: float) -> None:
        self.status = LAW[verb][1]
        if verb == "confirm":
            self.confirmed.add(by)
            self.inspect_until_s = inspect_until_s if by == "seller" else self.inspect_until_s
            self.status = "SETTLING" if len(self.confirmed) == 2 else "HELD"
        self.raiser = by if verb == "dispute" else self.raiser
        if self.status == "SETTLING":
            shares = {"refund": 0, "resolve": release, "override": release}
            self.release = shares.get(verb, self.held)

    def drift(self, seen: Part, *, is_paid: bool, is_overdue: bool, now_s: float) -> None:
        """Follow a change that core makes by itself. Raises AssertionError if it is not allowed."""
        if self.status == "INITIATED" and seen.status != "INITIATED":
            assert is_overdue if seen.status == "CANCELLED" else is_paid, f"{seen}: no reason"
            self.status = "CANCELLED" if seen.status == "CANCELLED" else "HELD"
        if seen.bank_minor != self.bank:
            self._give_to_bank(seen)
        if self.status == "HELD" and seen.status != "HELD":
            assert now_s >= self.inspect_until_s, "nobody has decided this"
            self.status, self.release = "SETTLING", self.held
        if self.status == "SETTLING" and seen.status != "SETTLING":
            self.status = self._end()
        assert self.status == seen.status, f"{seen.status} where {self.status} is expected"

    def _give_to_bank(self, seen: Part) -> None:
        assert seen.bank_minor > self.bank, "the bank gives nothing back"
        settlement, was_settling = seen.settlement, self.release is not None
        self.bank = seen.bank_minor
        if settlement is not None and settlement.bank_minor:
            self.status, self.is_banks, self.release = "SETTLING", True, settlement.release_minor
            assert self.release < LEAST_MINOR
        elif was_settling:
            # The bank takes from the buyer's share first.
            assert settlement is not None
            self.release = settlement.release_minor

    def _end(self) -> str:
        if self.is_banks or not self.release or self.release < LEAST_MINOR:
            return "REFUNDED"
        return "SPLIT" if self.release < self.amount else "RELEASED"
