"""CreateEscrow's request to a command: what may be agreed, and the defaults of what is not said."""

from __future__ import annotations

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as rpc

from core.errors import Reason
from core.law import command as c
from core.law.message import duration
from core.service import check
from core.service.check import Check

# The payment window where the terms name none.
DEFAULT_WINDOW_US = 3 * check.DAY_US
# The longest payment window; the shortest is 1 s.
MAX_WINDOW_US = 30 * check.DAY_US
# The inspection period where the terms name none.
DEFAULT_INSPECTION_US = 7 * check.DAY_US
# The longest inspection period; the shortest is 1 s.
MAX_INSPECTION_US = 90 * check.DAY_US

_CASE = "the case of letters"


def new_escrow(
    request: rpc.CreateEscrowRequest, escrow_id: str, *, fee_bps: int, remind_before_us: int
) -> c.CreateEscrow:
    """Check every field. Raises Refusal FIELD_INVALID or AMOUNT_INVALID, naming all that is bad."""
    check_ = Check()
    check_.request_id(request.request_id)
    parties = {
        "buyer_id": check_.user_id("buyer_id", request.buyer_id),
        "seller_id": check_.user_id("seller_id", request.seller_id),
        "arbiter_id": check_.user_id("arbiter_id", request.arbiter_id, may_be_empty=True),
    }
    _different_people(check_, **parties)
    title = check_.text("title", request.title, least=1, most=check.MAX_TITLE)
    description = check_.text("description", request.description, most=check.MAX_DESCRIPTION)
    amount = check_.amount("amount", request.amount)
    terms = request.terms
    window = check_.span(
        "terms.payment_window",
        terms.payment_window,
        is_set=terms.HasField("payment_window"),
        default=DEFAULT_WINDOW_US,
        most=MAX_WINDOW_US,
    )
    inspection = check_.span(
        "terms.inspection_period",
        terms.inspection_period,
        is_set=terms.HasField("inspection_period"),
        default=DEFAULT_INSPECTION_US,
        most=MAX_INSPECTION_US,
    )
    milestones = _milestones(check_, request)
    external_id = check_.external_id("external_id", request.external_id)
    metadata = check_.metadata("metadata", request.metadata)
    check_.done()
    return c.CreateEscrow(
        escrow_id=escrow_id,
        title=title,
        description=description,
        amount_minor=amount,
        currency=request.amount.currency,
        fee_bps=fee_bps,
        payment_window_us=window,
        inspection_period_us=inspection,
        milestones=milestones,
        acceptance_required=terms.acceptance_required,
        remind_before_us=remind_before_us,
        external_id=external_id,
        metadata=metadata,
        **parties,
    )


def default_terms() -> pb.Terms:
    """Answer the terms of an escrow whose creator names none."""
    return pb.Terms(
        payment_window=duration(DEFAULT_WINDOW_US),
        inspection_period=duration(DEFAULT_INSPECTION_US),
    )


def _different_people(check_: Check, buyer_id: str, seller_id: str, arbiter_id: str) -> None:
    """Refuse an id twice, and ids that differ only in case: people would pay the wrong one.

    It looks at one escrow alone. Were an id refused because another escrow has one like it, whoever
    creates an escrow first could keep a user out.
    """
    if seller_id and seller_id == buyer_id:
        check_.problem("seller_id", "must not be the buyer")
    elif seller_id and check.is_alike(seller_id, buyer_id):
        check_.problem("seller_id", f"must differ from buyer_id in more than {_CASE}")
    if arbiter_id and arbiter_id in (buyer_id, seller_id):
        check_.problem("arbiter_id", "must be neither the buyer nor the seller")
    elif arbiter_id and any(check.is_alike(arbiter_id, one) for one in (buyer_id, seller_id)):
        check_.problem("arbiter_id", f"must differ from both sides in more than {_CASE}")


def _milestones(check_: Check, request: rpc.CreateEscrowRequest) -> tuple[c.NewMilestone, ...]:
    if len(request.milestones) > check.MAX_MILESTONES:
        check_.problem("milestones", f"must be at most {check.MAX_MILESTONES}")
        return ()
    milestones = []
    for i, given in enumerate(request.milestones):
        title = check_.text(f"milestones[{i}].title", given.title, least=1, most=check.MAX_TITLE)
        amount = check_.amount(f"milestones[{i}].amount", given.amount)
        milestones.append(c.NewMilestone(title, amount))
    if milestones and sum(m.amount_minor for m in milestones) != request.amount.amount_minor:
        check_.problem("milestones", "must add up to amount", Reason.AMOUNT_INVALID)
    return tuple(milestones)
