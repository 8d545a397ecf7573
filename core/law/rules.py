"""The law: which command is allowed in which status, by whom, and what it makes.

One table, one judge. Pure: no I/O, no clock, no randomness. Whatever the table does not name is
refused and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import Reason, Refusal, field_invalid
from core.law import acceptance, chargeback, deal, news, progress, refund, talk, verdict, words
from core.law import command as c
from core.law.command import Caller, Command
from core.law.escrow import Escrow, Event
from core.law.part import Part
from core.law.status import EventType, Status

_S = Status
_ALL = frozenset(Status)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    by:     who may give the command: capacities (buyer, seller, arbiter) or roles.
    of:     the function that judges it, for each status in which it is allowed.
    scope:  whose status counts and what the function gets: the escrow, one part, or several parts.
    quiet:  whether a command that fits no status is ignored, as a report or a deadline is.
    """

    by: frozenset[str]
    of: Mapping[Status, Callable[..., Event | None]]
    scope: str = "escrow"
    quiet: bool = False


def _rule(by: str, of: Mapping[Status, Callable[..., Event | None]], scope: str = "escrow") -> Rule:
    return Rule(frozenset(by.split()), of, scope)


def _news(by: str, of: Mapping[Status, Callable[..., Event | None]], scope: str = "escrow") -> Rule:
    return Rule(frozenset(by.split()), of, scope, quiet=True)


def _everywhere(then: Callable[..., Event | None]) -> Mapping[Status, Callable[..., Event | None]]:
    return dict.fromkeys(_ALL, then)


CREATORS = frozenset({"buyer", "seller", "service", "admin"})

TABLE: Mapping[type[Command], Rule] = {
    c.RecordOrder: _rule("buyer service admin", {_S.INITIATED: deal.record_order}),
    c.CancelEscrow: _rule("buyer seller service admin", {_S.INITIATED: deal.cancel}),
    c.AcceptEscrow: _rule("invited", dict.fromkeys((_S.INITIATED, _S.HELD), acceptance.accept)),
    c.AddConfirmation: _rule("buyer seller", {_S.HELD: deal.confirm}, "part"),
    c.ReleaseEscrow: _rule(
        "buyer service admin", {_S.HELD: deal.release, _S.SETTLING: deal.retry}, "parts"
    ),
    c.RefundEscrow: _rule(
        "seller lone_buyer service admin", {_S.HELD: deal.refund, _S.SETTLING: deal.retry}, "parts"
    ),
    c.RetrySettlement: _rule("service admin", {_S.SETTLING: deal.retry}, "parts"),
    c.RaiseDispute: _rule("buyer seller", {_S.HELD: verdict.raise_dispute}, "part"),
    c.WithdrawDispute: _rule("raiser", {_S.DISPUTED: verdict.withdraw_dispute}, "part"),
    c.ResolveDispute: _rule("arbiter admin", {_S.DISPUTED: verdict.resolve_dispute}, "part"),
    c.AddDisputeMessage: _rule(
        "buyer seller arbiter admin", {_S.DISPUTED: talk.add_message}, "part"
    ),
    c.OverrideSettlement: _rule("admin", {_S.SETTLING: verdict.override}, "part"),
    c.PublishUpdate: _rule("service", _everywhere(deal.publish)),
    c.PassDeadline: _news("clock", _everywhere(deal.pass_deadline)),
    c.ReportPayment: _news("razorpay", _everywhere(news.payment_reported)),
    c.ReportRefund: _news("razorpay", _everywhere(refund.refund_reported)),
    c.ReportBankDispute: _news("razorpay", _everywhere(chargeback.reported)),
    c.ReportHold: _news(
        "settlement",
        dict.fromkeys((_S.HELD, _S.DISPUTED, _S.SETTLING), progress.hold_reported),
        "part",
    ),
    c.TakeBack: _news("settlement", _everywhere(chargeback.taken_back)),
    c.WriteOff: _news("settlement", _everywhere(chargeback.written_off)),
    c.CompleteSettlement: _news("settlement", {_S.SETTLING: progress.settlement_completed}, "part"),
    c.FailSettlement: _news("settlement", _everywhere(progress.settlement_failed)),
    c.EndAttention: _news("settlement", _everywhere(progress.attention_ended)),
}


def decide(escrow: Escrow | None, command: Command, caller: Caller, now_us: int) -> Event | None:
    """Judge one command: answer its event, or None where it changes nothing.

    Raises Refusal: ESCROW_NOT_FOUND (also for what the caller may not see), NOT_A_PARTY,
    WRONG_STATUS, and what the entry itself refuses. The same input always gives the same answer.
    """
    if isinstance(command, c.CreateEscrow):
        _require_creator(command, caller)
        return deal.create(command, caller, now_us)
    if escrow is None or not may_see(escrow, caller):
        raise Refusal(Reason.ESCROW_NOT_FOUND, "There is no such escrow.")
    rule = TABLE[type(command)]
    target = _target(escrow, rule, command)
    _require_capacity(escrow, target, rule, command, caller)
    status = _status_of(target)
    then = rule.of.get(status) if status else None
    if then is None:
        if rule.quiet:
            return None
        raise _wrong_status(escrow, status, target, command)
    if rule.scope == "escrow":
        event = then(escrow, command, caller, now_us)
    else:
        event = then(escrow, target, command, caller, now_us)
    return event and acceptance.by_act(event, command, caller)


def require_may_talk(escrow: Escrow, caller: Caller) -> None:
    """Let only those on who may write in a dispute of this escrow that is open.

    Raises Refusal NOT_A_PARTY, WRONG_STATUS. The caller may see the escrow.
    """
    message = c.AddDisputeMessage("")
    _require_capacity(escrow, escrow, TABLE[c.AddDisputeMessage], message, caller)
    if escrow.status is not Status.DISPUTED:
        raise _wrong_status(escrow, escrow.status, escrow, message)


def may_see(escrow: Escrow, caller: Caller) -> bool:
    """Whether this caller may know that this escrow exists."""
    return caller.sees_all or caller.user_id in (
        escrow.buyer_id,
        escrow.seller_id,
        escrow.arbiter_id,
    )


def _require_creator(command: c.CreateEscrow, caller: Caller) -> None:
    if caller.user_id in (command.buyer_id, command.seller_id):
        return
    if caller.roles.isdisjoint(CREATORS):
        raise Refusal(
            Reason.NOT_A_PARTY,
            "You can create an escrow only as its buyer or its seller.",
        )


def _target(escrow: Escrow, rule: Rule, command: Command) -> Escrow | Part | list[Part]:
    """Answer what the command is about: the escrow, one part of it, or several."""
    if rule.scope == "escrow":
        return escrow
    part_id: str = getattr(command, "part_id")  # noqa: B009 - only these scopes have it
    if rule.scope == "parts" and not part_id:
        return _parts_of_all(escrow, rule)
    if escrow.has_milestones and not part_id:
        raise field_invalid("milestone_id", "must name one of the escrow's milestones")
    part = escrow.part(part_id)
    if part is None:
        raise Refusal(Reason.MILESTONE_NOT_FOUND, f"The escrow has no milestone {part_id!r:.40}.")
    return part if rule.scope == "part" else [part]


def _parts_of_all(escrow: Escrow, rule: Rule) -> list[Part]:
    for status in rule.of:  # In the table's order: what is held before what settles.
        parts = [p for p in escrow.parts if p.status is status]
        if parts:
            return parts
    return []


def _status_of(target: Escrow | Part | Sequence[Part]) -> Status | None:
    if isinstance(target, Escrow | Part):
        return target.status
    return target[0].status if target else None


def _require_capacity(
    escrow: Escrow, target: Any, rule: Rule, command: Command, caller: Caller
) -> None:
    capacities = set(caller.roles)
    for capacity, user_id in (
        ("buyer", escrow.buyer_id),
        ("seller", escrow.seller_id),
        ("arbiter", escrow.arbiter_id),
    ):
        if user_id == caller.user_id:
            capacities.add(capacity)
    if isinstance(target, Part) and target.dispute and target.dispute.raised_by == caller.user_id:
        capacities.add("raiser")
    if acceptance.is_invited(escrow, caller):
        capacities.add("invited")
    if "buyer" in capacities and acceptance.is_seller_absent(escrow):
        capacities.add("lone_buyer")
    if rule.by.isdisjoint(capacities):
        raise Refusal(Reason.NOT_A_PARTY, words.not_for(command, rule.by))


def _wrong_status(escrow: Escrow, status: Status | None, target: Any, command: Command) -> Refusal:
    is_part = isinstance(target, Part) and escrow.has_milestones
    sentence = words.wrong_status(command, status or escrow.status, is_part=is_part)
    return Refusal(Reason.WRONG_STATUS, sentence)


def outstanding(escrow: Escrow) -> bool:
    """Whether the provider has not yet done what the escrow wants, so that settlement has work."""
    payment = escrow.payment
    if any(not s.is_returned for s in escrow.surplus):
        return True
    if chargeback.unsettled(escrow):
        return True
    if escrow.status is Status.INITIATED:
        return payment.status == "AUTHORIZED"
    if escrow.status is Status.CANCELLED:
        return escrow.held_minor > 0
    return any(
        p.status is Status.SETTLING
        or (p.status in (Status.HELD, Status.DISPUTED) and not _is_on_hold(escrow, p))
        for p in escrow.parts
    )


def _is_on_hold(escrow: Escrow, part: Part) -> bool:
    """Whether the seller's transfer stands, and is no larger than what is held gives."""
    most = part.held_minor - part.fee_on(part.held_minor, escrow.fee_bps)
    return 0 < part.on_hold_minor <= most


def moves_money(before: Escrow, event: Event) -> bool:
    """Whether this event gives settlement something new to look at."""
    return event.type is EventType.SETTLEMENT_STARTED or _money(before) != _money(event.escrow)


def _money(escrow: Escrow) -> tuple[object, ...]:
    """All that settlement's next step depends on."""
    parts = [(p.settlement, p.held_minor, p.refunded_minor, p.on_hold_minor) for p in escrow.parts]
    return escrow.payment, escrow.surplus, escrow.chargebacks, escrow.bank_disputes, parts
