"""One escrow on paper: what it must do, in as few lines as it takes."""

from dataclasses import dataclass, field

FEE_BPS, LEAST_MINOR = 250, 100
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


def fee_of(release_minor: int) -> int:
    return min(release_minor * FEE_BPS // 10_000, max(release_minor - LEAST_MINOR, 0))


def fees_of(amounts: list[int]) -> list[int]:
    """The fee on the whole, divided by amount; what rounding leaves goes to the largest rests."""
    fee, total = fee_of(sum(amounts)), sum(amounts)
    fees = [fee * amount // total for amount in amounts]
    rests = sorted(range(len(amounts)), key=lambda i: -(fee * amounts[i] % total))
    for i in rests[: fee - sum(fees)]:
        fees[i] += 1
    return [min(fee, a - LEAST_MINOR) for fee, a in zip(fees, amounts, strict=True)]


@dataclass
class Sheet:
    """One part of it, or the whole of an escrow without milestones."""

    amount: int
    full_fee: int
    status: str = "INITIATED"
    confirmed: set[str] = field(default_factory=set)
    raiser: str = ""
    inspect_until_s: float = float("inf")
    # What goes to the seller, the fee included, and to the buyer; decided once.
    plan: tuple[int, int] | None = None

    @property
    def fee(self) -> int:
        """The fee on what is planned to be released."""
        return self.fee_on(self.plan[0] if self.plan else 0)

    def fee_on(self, release: int) -> int:
        return self.full_fee if release == self.amount else fee_of(release)

    def allows(self, verb: str, by: str, release: int, *, beside_refund: bool) -> bool:
        """`beside_refund`: of another part, after which Razorpay makes no transfer anew."""
        is_legal = all(n == 0 or n >= LEAST_MINOR for n in (release, self.amount - release))
        excess = self.amount - self.full_fee - release + self.fee_on(release)
        is_legal = is_legal and not (beside_refund and 0 < excess < LEAST_MINOR)
        return (
            self.status == LAW[verb][0]
            and not (verb == "confirm" and by in self.confirmed)
            and not (verb == "withdraw" and by != self.raiser)
            and (verb != "resolve" or is_legal)
        )

    def take(self, verb: str, by: str, release: int, inspect_until_s: float) -> None:
        self.status = LAW[verb][1]
        if verb == "confirm":
            self.confirmed.add(by)
            self.inspect_until_s = inspect_until_s if by == "seller" else self.inspect_until_s
        if verb == "dispute":
            self.raiser = by
        if verb == "resolve":
            self.plan = (release, self.amount - release)
        elif verb == "refund":
            self.plan = (0, self.amount)
        elif verb == "release" or len(self.confirmed) == 2:
            self.status, self.plan = "SETTLING", (self.amount, 0)

    def drift(self, seen: str, *, is_paid: bool, is_overdue: bool, now_s: float) -> None:
        """Follow what happens by itself; anything that may not is an AssertionError."""
        if self.status == "INITIATED" and seen != "INITIATED":
            assert is_overdue if seen == "CANCELLED" else is_paid, f"{seen} without a reason"
            self.status = "HELD" if is_paid and seen != "CANCELLED" else seen
        if self.status == "HELD" and seen not in ("HELD", "CANCELLED"):
            assert now_s >= self.inspect_until_s, "nobody has decided this"
            self.status, self.plan = "SETTLING", (self.amount, 0)
        if self.status == "SETTLING" and seen != "SETTLING":
            assert self.plan is not None
            self.status = "SPLIT" if all(self.plan) else "RELEASED" if self.plan[0] else "REFUNDED"
        assert self.status == seen, f"{seen} where {self.status} is expected"
