"""An escrow as its public message. Pure."""

from __future__ import annotations

from escrow.v1 import escrow_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from core.law.escrow import Escrow
from core.law.part import BANK, Dispute, Part, Settlement
from core.law.payment import RefundMade, Surplus
from core.law.status import Status

US_PER_S = 1_000_000


def timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // US_PER_S, nanos=time_us % US_PER_S * 1000)


def duration(span_us: int) -> Duration:
    return Duration(seconds=span_us // US_PER_S, nanos=span_us % US_PER_S * 1000)


def write_time(message: Timestamp | Duration, time_us: int) -> None:
    """Write a moment or a span in place, for to set a message as a field of another copies it."""
    message.seconds, rest_us = divmod(time_us, US_PER_S)
    message.nanos = rest_us * 1000


def span_us(message: Duration) -> int:
    """Read a protobuf duration as whole microseconds, rounded towards zero."""
    return message.seconds * US_PER_S + int(message.nanos / 1000)


# The numbers of the public enums, by the words of the law.
STATUSES = {one: pb.EscrowStatus.Value(f"ESCROW_STATUS_{one}") for one in Status}


def escrow_message(escrow: Escrow) -> pb.Escrow:
    """Write an escrow as its public message."""
    message = pb.Escrow()
    write_escrow(escrow, message)
    return message


def write_escrow(escrow: Escrow, message: pb.Escrow) -> None:
    """Write an escrow into a public message that has nothing yet; each command does it."""
    currency = escrow.currency
    message.escrow_id = escrow.escrow_id
    message.buyer_id = escrow.buyer_id
    message.seller_id = escrow.seller_id
    message.arbiter_id = escrow.arbiter_id
    message.title = escrow.title
    message.description = escrow.description
    message.version = escrow.version
    _write_standing(message, escrow, currency)
    terms = message.terms
    write_time(terms.payment_window, escrow.payment_window_us)
    write_time(terms.inspection_period, escrow.inspection_period_us)
    terms.acceptance_required = escrow.acceptance_required
    write_time(message.create_time, escrow.create_time_us)
    write_time(message.update_time, escrow.update_time_us)
    message.attention = escrow.attention
    message.fee_bps = escrow.fee_bps
    message.refunded_by = escrow.refunded_by
    message.external_id = escrow.external_id
    message.created_by = escrow.created_by
    if escrow.metadata:
        message.metadata.update(escrow.metadata)
    payment = _payment_message(escrow)
    if payment is not None:
        message.payment.CopyFrom(payment)
    deadline_us = escrow.deadline_us
    if deadline_us is not None:
        write_time(message.deadline, deadline_us)
        action = pb.DeadlineAction.Value(f"DEADLINE_ACTION_{escrow.deadline_action}")
        message.deadline_action = action
    for item in escrow.attentions:
        message.attentions.add(
            code=pb.AttentionCode.Value(f"ATTENTION_CODE_{item.code}"),
            message=item.message,
            since=timestamp(item.since_us),
            milestone_id=item.part_id,
        )
    for one in escrow.acceptances:
        message.acceptances.add(
            party=pb.Party.Value(f"PARTY_{one.party}"), time=timestamp(one.time_us)
        )
    for surplus in escrow.surplus:
        message.returned_payments.append(_returned_message(surplus))
    if not escrow.has_milestones:
        _write_decisions(message, escrow.parts[0], currency)
        return
    for part in escrow.parts:
        milestone = message.milestones.add(milestone_id=part.part_id, title=part.title)
        _write_standing(milestone, part, currency)
        if part.deadline_us is not None:
            write_time(milestone.deadline, part.deadline_us)
            milestone.deadline_action = pb.DEADLINE_ACTION_RELEASE
        _write_decisions(milestone, part, currency)


def _write_standing(
    message: pb.Escrow | pb.Milestone, standing: Escrow | Part, currency: str
) -> None:
    """Write the status and the amounts that the whole and its parts have alike."""
    message.status = STATUSES[standing.status]
    _write_money(message.amount, standing.amount_minor, currency)
    _write_money(message.held, standing.held_minor, currency)
    _write_money(message.released, standing.released_minor, currency)
    _write_money(message.refunded, standing.refunded_minor, currency)
    _write_money(message.fee, standing.fee_minor, currency)
    _write_money(message.payout, standing.payout_minor, currency)


def _write_money(message: pb.Money, amount_minor: int, currency: str) -> None:
    message.amount_minor = amount_minor
    message.currency = currency


def _returned_message(surplus: Surplus) -> pb.ReturnedPayment:
    def money(amount_minor: int) -> pb.Money:
        return pb.Money(amount_minor=amount_minor, currency=surplus.currency)

    return pb.ReturnedPayment(
        payment_id=surplus.payment_id,
        amount=money(surplus.amount_minor),
        why=surplus.why,
        refunded=money(surplus.refunded_minor),
        refund=_refund_message(surplus.refund, surplus.currency) if surplus.refund else None,
    )


def _refund_message(refund: RefundMade, currency: str) -> pb.Refund:
    return pb.Refund(
        refund_id=refund.refund_id,
        amount=pb.Money(amount_minor=refund.amount_minor, currency=currency),
        bank_reference=refund.bank_reference,
        time=timestamp(refund.time_us),
    )


def _payment_message(escrow: Escrow) -> pb.Payment | None:
    payment = escrow.payment
    if payment.status is None:
        return None
    message = pb.Payment(
        status=pb.PaymentStatus.Value(f"PAYMENT_STATUS_{payment.status}"),
        order_id=payment.order_id,
        payment_id=payment.payment_id,
        amount=pb.Money(
            amount_minor=payment.amount_minor or escrow.amount_minor, currency=escrow.currency
        ),
    )
    if payment.is_captured:
        for name, amount_minor in (
            ("refunded", payment.refunded_minor),
            ("gateway_fee", payment.gateway_fee_minor),
            ("gateway_tax", payment.gateway_tax_minor),
        ):
            getattr(message, name).MergeFrom(
                pb.Money(amount_minor=amount_minor, currency=escrow.currency)
            )
        _write_unusual(message, escrow)
    return message


def _write_unusual(message: pb.Payment, escrow: Escrow) -> None:
    """Write what only some payments have."""
    payment, currency = escrow.payment, escrow.currency
    for name, amount_minor in (
        ("customer_fee", payment.customer_fee_minor),
        ("charged_back", payment.charged_back_minor),
    ):
        if amount_minor:
            money = pb.Money(amount_minor=amount_minor, currency=currency)
            getattr(message, name).CopyFrom(money)
    message.refunds.extend(_refund_message(one, currency) for one in payment.refunds)


def _write_decisions(message: pb.Escrow | pb.Milestone, part: Part, currency: str) -> None:
    for confirmation in part.confirmations:
        message.confirmations.add(
            party=pb.Party.Value(f"PARTY_{confirmation.party}"),
            time=timestamp(confirmation.time_us),
        )
    if part.dispute is not None:
        message.dispute.CopyFrom(_dispute_message(part.dispute))
    if part.settlement is not None:
        message.settlement.CopyFrom(_settlement_message(part.settlement, currency))


def _dispute_message(dispute: Dispute) -> pb.Dispute:
    return pb.Dispute(
        raised_by=dispute.raised_by,
        reason=dispute.reason,
        status=pb.DisputeStatus.Value(f"DISPUTE_STATUS_{dispute.status}"),
        raise_time=timestamp(dispute.raise_time_us),
        end_time=None if dispute.end_time_us is None else timestamp(dispute.end_time_us),
        note=dispute.note,
    )


def _settlement_message(settlement: Settlement, currency: str) -> pb.Settlement:
    complete_us = settlement.complete_time_us
    return pb.Settlement(
        release=pb.Money(amount_minor=settlement.release_minor, currency=currency),
        refund=pb.Money(amount_minor=settlement.refund_minor, currency=currency),
        fee=pb.Money(amount_minor=settlement.fee_minor, currency=currency),
        decided_by=settlement.decided_by,
        note=settlement.note,
        start_time=timestamp(settlement.start_time_us),
        complete_time=None if complete_us is None else timestamp(complete_us),
        refunded_by=BANK if settlement.bank_minor else "",
    )
