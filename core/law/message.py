"""An escrow as its public message. Pure."""

from __future__ import annotations

from escrow.v1 import escrow_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from core.law.escrow import Escrow
from core.law.part import BANK, Dispute, Part, Settlement
from core.law.payment import RefundMade, Surplus

US_PER_S = 1_000_000


def timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // US_PER_S, nanos=time_us % US_PER_S * 1000)


def duration(span_us: int) -> Duration:
    return Duration(seconds=span_us // US_PER_S, nanos=span_us % US_PER_S * 1000)


def span_us(message: Duration) -> int:
    """Read a protobuf duration as whole microseconds, rounded towards zero."""
    return message.seconds * US_PER_S + int(message.nanos / 1000)


def escrow_message(escrow: Escrow) -> pb.Escrow:
    """Write an escrow as its public message."""

    def money(amount_minor: int) -> pb.Money:
        return pb.Money(amount_minor=amount_minor, currency=escrow.currency)

    whole = escrow.parts[0] if not escrow.has_milestones else None
    message = pb.Escrow(
        escrow_id=escrow.escrow_id,
        buyer_id=escrow.buyer_id,
        seller_id=escrow.seller_id,
        arbiter_id=escrow.arbiter_id,
        title=escrow.title,
        description=escrow.description,
        amount=money(escrow.amount_minor),
        status=pb.EscrowStatus.Value(f"ESCROW_STATUS_{escrow.status}"),
        version=escrow.version,
        held=money(escrow.held_minor),
        released=money(escrow.released_minor),
        refunded=money(escrow.refunded_minor),
        fee=money(escrow.fee_minor),
        payment=_payment_message(escrow),
        terms=pb.Terms(
            payment_window=duration(escrow.payment_window_us),
            inspection_period=duration(escrow.inspection_period_us),
            acceptance_required=escrow.acceptance_required,
        ),
        create_time=timestamp(escrow.create_time_us),
        update_time=timestamp(escrow.update_time_us),
        attention=escrow.attention,
        fee_bps=escrow.fee_bps,
        payout=money(escrow.payout_minor),
        refunded_by=escrow.refunded_by,
        external_id=escrow.external_id,
        metadata=dict(escrow.metadata),
        created_by=escrow.created_by,
    )
    if escrow.deadline_us is not None:
        message.deadline.CopyFrom(timestamp(escrow.deadline_us))
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
    if whole is not None:
        _write_decisions(message, whole, escrow.currency)
        return message
    for part in escrow.parts:
        milestone = message.milestones.add(
            milestone_id=part.part_id,
            title=part.title,
            amount=money(part.amount_minor),
            status=pb.EscrowStatus.Value(f"ESCROW_STATUS_{part.status}"),
            held=money(part.held_minor),
            released=money(part.released_minor),
            refunded=money(part.refunded_minor),
            fee=money(part.fee_minor),
            payout=money(part.payout_minor),
        )
        if part.deadline_us is not None:
            milestone.deadline.CopyFrom(timestamp(part.deadline_us))
            milestone.deadline_action = pb.DEADLINE_ACTION_RELEASE
        _write_decisions(milestone, part, escrow.currency)
    return message


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
