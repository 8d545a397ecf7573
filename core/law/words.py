"""Sentences for people: why a command is refused, and amounts as they are written. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from core.law import command as c
from core.law.command import Command
from core.law.status import Status

# What the command would have done, after "can" or "cannot".
_DEEDS: Mapping[type[Command], str] = {
    c.RecordOrder: "be paid",
    c.CancelEscrow: "be called off",
    c.AcceptEscrow: "be accepted",
    c.AddConfirmation: "be confirmed",
    c.ReleaseEscrow: "be paid out",
    c.RefundEscrow: "be refunded",
    c.RaiseDispute: "be disputed",
}

# What the caller wanted to do, after "Only the buyer can".
_ACTS: Mapping[type[Command], str] = {
    c.RecordOrder: "pay this escrow",
    c.CancelEscrow: "call this escrow off",
    c.AcceptEscrow: "accept this escrow",
    c.AddConfirmation: "confirm this escrow",
    c.ReleaseEscrow: "have this escrow paid out",
    c.RefundEscrow: "have this escrow refunded",
    c.RetrySettlement: "have this escrow tried again",
    c.RaiseDispute: "dispute this escrow",
    c.WithdrawDispute: "withdraw this dispute",
    c.ResolveDispute: "decide this dispute",
    c.AddDisputeMessage: "write in this dispute",
    c.OverrideSettlement: "divide anew what is settling",
    c.PublishUpdate: "publish an update",
}

_STATES: Mapping[Status, str] = {
    Status.INITIATED: "has not been paid yet and cannot {}",
    Status.HELD: "is paid already and can no longer {}",
    Status.DISPUTED: "is in dispute and cannot {} until the dispute has ended",
    Status.SETTLING: "is decided and its money is on its way, so that it can no longer {}",
    Status.RELEASED: "was paid out to the seller and can no longer {}",
    Status.REFUNDED: "was refunded to the buyer and can no longer {}",
    Status.SPLIT: "was divided between seller and buyer and can no longer {}",
    Status.CANCELLED: "was cancelled and can no longer {}",
}

# Commands about something that is not there, whatever the status is.
_NOTHING: Mapping[type[Command], str] = {
    c.WithdrawDispute: "is not in dispute",
    c.ResolveDispute: "is not in dispute",
    c.AddDisputeMessage: "is not in dispute",
    c.OverrideSettlement: "is not being paid out or refunded",
    c.RetrySettlement: "is not being paid out or refunded",
}

_PEOPLE: Mapping[str, str] = {
    "buyer": "the buyer",
    "seller": "the seller",
    "arbiter": "the arbiter",
    "raiser": "whoever raised it",
    "invited": "the side that did not create it",
    "lone_buyer": "the buyer before the seller has accepted or done anything",
    "admin": "an administrator",
    "service": "a service of the platform",
}


def wrong_status(command: Command, status: Status, *, is_part: bool) -> str:
    """Say why a status does not allow what the caller wanted."""
    what = "This milestone" if is_part else "This escrow"
    if type(command) in _NOTHING:
        return f"{what} {_NOTHING[type(command)]}."
    return f"{what} {_STATES[status].format(_DEEDS[type(command)])}."


def not_for(command: Command, by: frozenset[str]) -> str:
    """Say who may do what the caller wanted."""
    if type(command) not in _ACTS:
        return "Only Holdfast itself reports this."
    people = [words for name, words in _PEOPLE.items() if name in by]
    *first, last = people
    who = f"{', '.join(first)} or {last}" if first else last
    return f"Only {who} can {_ACTS[type(command)]}."


def money(amount_minor: int, currency: str) -> str:
    """Write an amount as people do: `₹12,34,567.89`, or `USD 12.34` for another currency."""
    whole, minor = divmod(amount_minor, 100)
    if currency != "INR":
        return f"{currency} {whole:,}.{minor:02}"
    rupees = _grouped(str(whole))
    return f"₹{rupees}.{minor:02}" if minor else f"₹{rupees}"


def _grouped(digits: str) -> str:
    """Group as India does: the last three digits, then pairs."""
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)]
    return ",".join([*reversed(pairs), tail])
