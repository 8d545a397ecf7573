"""Prints what the law lets each user do, in every state that escrows come into, as lines of JSON.

The dashboard's tests read it (`bridge/dashboard/tests/law.test.ts`), so that no button is offered
that is always refused. Each line is one escrow as its public message, with what is allowed of it.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from google.protobuf.json_format import MessageToDict

from core.errors import Refusal
from core.law import command as c
from core.law.attention import OBSTACLES
from core.law.command import CLOCK, RAZORPAY, SETTLEMENT, Caller, Command
from core.law.escrow import Escrow
from core.law.message import escrow_message
from core.law.rules import decide, outstanding
from core.law.status import AttentionCode, Status
from tests.core.law.story import (
    ADMIN,
    ARBITER,
    BUYER,
    SELLER,
    STRANGER,
    Story,
    bank_dispute,
    create,
    milestones,
    payment,
)

ADMIN_BUYER = replace(BUYER, roles=frozenset({"admin"}))
USERS = (BUYER, SELLER, ARBITER, ADMIN, STRANGER, ADMIN_BUYER)


def main() -> None:
    for name, escrow in states():
        line = {"name": name, "escrow": _wire(escrow), "users": [_user(escrow, u) for u in USERS]}
        sys.stdout.write(json.dumps(line) + "\n")


def _wire(escrow: Escrow) -> dict[str, Any]:
    return MessageToDict(escrow_message(escrow), preserving_proto_field_name=True)


def _user(escrow: Escrow, user: Caller) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "roles": sorted(user.roles),
        "allowed": [
            [verb, part_id]
            for verb, part_id, command in _commands(escrow)
            if _is_allowed(escrow, command, user)
        ],
        "retries": _may_retry(escrow, user),
    }


def _is_allowed(escrow: Escrow, command: Command, user: Caller) -> bool:
    try:
        decide(escrow, command, user, escrow.update_time_us + 1)
    except Refusal:
        return False
    return True


def _may_retry(escrow: Escrow, user: Caller) -> bool:
    """Whether `core.settlement.retry` takes it: with the law, or for settlement or comparison."""
    if any(p.status is Status.SETTLING for p in escrow.parts) and escrow.attentions:
        return _is_allowed(escrow, c.RetrySettlement(), user)
    differs = any(one.code is AttentionCode.BOOKS_DIFFER for one in escrow.attentions)
    return "admin" in user.roles and (outstanding(escrow) or differs)


def _commands(escrow: Escrow) -> Iterator[tuple[str, str, Command]]:
    """Every command behind a button, by the button's name, for the whole and for each milestone."""
    yield "accept", "", c.AcceptEscrow()
    yield "pay", "", c.RecordOrder("order_9")
    yield "cancel", "", c.CancelEscrow()
    for part_id in {"", *(p.part_id for p in escrow.parts)}:
        yield "release", part_id, c.ReleaseEscrow(part_id=part_id)
        yield "refund", part_id, c.RefundEscrow(part_id=part_id)
    for part in escrow.parts:
        held, part_id = part.held_minor, part.part_id
        yield "confirm", part_id, c.AddConfirmation(part_id)
        yield "dispute", part_id, c.RaiseDispute("It is broken", part_id)
        yield "withdrawDispute", part_id, c.WithdrawDispute(part_id)
        yield "resolve", part_id, c.ResolveDispute(held, 0, "It is whole", part_id)
        yield "override", part_id, c.OverrideSettlement(0, held, "Anew", part_id, escrow.version)


def states() -> Iterator[tuple[str, Escrow]]:
    """Escrows in every status, alone and in milestones, with everything that a person looks at."""
    for kind, made in (("one", create()), ("two", milestones(60_000, 40_000))):
        for name, story in _walks(made):
            yield f"{kind}: {name}", story.escrow
            for code in _raised(story.escrow):
                yield f"{kind}: {name}, {code}", _troubled(story, code)


def _raised(escrow: Escrow) -> Iterator[AttentionCode]:
    """List what may come up: settlement stops while it works, and books are compared at rest."""
    for code in AttentionCode:
        is_at_work = outstanding(escrow)
        if code is AttentionCode.BOOKS_DIFFER:
            if not is_at_work:
                yield code
        elif code not in OBSTACLES or is_at_work:
            yield code


def _troubled(story: Story, code: AttentionCode) -> Escrow:
    escrow = story.escrow
    command = c.FailSettlement("Somebody has to look.", code=code, subject="x")
    event = decide(escrow, command, SETTLEMENT, escrow.update_time_us + 1)
    return event.escrow if event else escrow


def _walks(made: c.CreateEscrow) -> Iterator[tuple[str, Story]]:
    first = "m1" if made.milestones else ""

    def story(by: Caller = BUYER, **changes: Any) -> Story:
        return Story(replace(made, **changes), by)

    def held() -> Story:
        walked = story().pay()
        for part in walked.escrow.parts:
            walked.hold(part.part_id)
        return walked

    def then(*commands: tuple[Command, Caller]) -> Story:
        walked = held()
        for command, caller in commands:
            walked.tell(command, caller)
        return walked

    accepted = (c.AcceptEscrow(), SELLER)
    disputed = (c.RaiseDispute("It is broken", first), BUYER)
    released = (c.ReleaseEscrow(part_id=first), BUYER)
    refunded = (c.RefundEscrow(part_id=first), SELLER)
    yield "new", story()
    yield "new of the seller", story(SELLER)
    yield "to be accepted", story(acceptance_required=True)
    yield "to be accepted by the buyer", story(SELLER, acceptance_required=True)
    yield "paid", story().pay()
    yield "held", held()
    yield "accepted", then(accepted)
    yield "delivered", then((c.AddConfirmation(first), SELLER))
    yield "received", then((c.AddConfirmation(first), BUYER))
    yield "disputed", then(disputed)
    yield "disputed by the seller", then((c.RaiseDispute("Unpaid", first), SELLER))
    yield "dispute withdrawn", then(disputed, (c.WithdrawDispute(first), BUYER))
    yield "releasing", then(released)
    yield "refunding", then(accepted, refunded)
    yield "refund begun", _begun(then(accepted, refunded), first)
    yield "divided", then(disputed, (_half(held(), first), ARBITER))
    yield "divided, refund begun", _begun(then(disputed, (_half(held(), first), ARBITER)), first)
    yield "released", then(released).settle(first)
    yield "refunded", then(accepted, refunded).settle(first)
    yield "cancelled", _told(story(), c.CancelEscrow(), BUYER)
    yield "cancelled by the clock", _passed(story())
    yield (
        "paid too late",
        _told(_passed(story()), payment(amount_minor=made.amount_minor), RAZORPAY),
    )
    for phase in ("created", "won", "lost"):
        yield f"bank dispute {phase}", then((bank_dispute(phase, amount=10_000), RAZORPAY))
        yield (
            f"releasing, bank dispute {phase}",
            then(released, (bank_dispute(phase, amount=10_000), RAZORPAY)),
        )
    taken = then((bank_dispute("lost", amount=10_000), RAZORPAY))
    taken.tell(c.TakeBack("disp_1", 10_000, first), SETTLEMENT)
    yield "the bank took some", taken
    yield "the bank took some, releasing", _told(taken, *released)
    lost = then(released).settle(first)
    yield "the platform bears it", _told(lost, bank_dispute("lost", amount=10_000), RAZORPAY)


def _half(story: Story, part_id: str) -> c.ResolveDispute:
    part = story.escrow.part(part_id)
    assert part is not None
    half = part.held_minor // 2
    return c.ResolveDispute(half, part.held_minor - half, "Half each", part_id)


def _begun(story: Story, part_id: str) -> Story:
    part = story.escrow.part(part_id)
    assert part is not None
    assert part.settlement is not None
    owing = part.settlement.repay_minor
    report = c.ReportRefund(f"rfnd_{part_id}", "pay_1", owing, part_id)
    return _told(story, report, RAZORPAY)


def _told(story: Story, command: Command, caller: Caller) -> Story:
    story.tell(command, caller)
    return story


def _passed(story: Story) -> Story:
    story.now_us += 10 * story.escrow.payment_window_us
    return _told(story, c.PassDeadline(), CLOCK)


if __name__ == "__main__":
    main()
