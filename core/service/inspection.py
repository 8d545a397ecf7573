"""An inspection as its message."""

from __future__ import annotations

from escrow.v1 import admin_service_pb2 as rpc
from escrow.v1 import escrow_pb2 as pb

from core.settlement.inspection import Line


def entity(line: Line) -> rpc.InspectedEntity:
    message = rpc.InspectedEntity(
        kind=rpc.EntityKind.Value(f"ENTITY_KIND_{line.kind}"),
        entity_id=line.entity_id,
        parent_id=line.parent_id,
        status=line.status,
        verdict=rpc.EntityVerdict.Value(f"ENTITY_VERDICT_{line.verdict}"),
        message=line.message,
        milestone_id=line.part_id,
        on_hold=line.on_hold,
        account_id=line.account_id,
    )
    for field, amount in (("found", line.found_minor), ("recorded", line.recorded_minor)):
        if amount is not None:
            getattr(message, field).CopyFrom(pb.Money(amount_minor=amount, currency=line.currency))
    return message
