"""Endpoints of webhooks and their deliveries: read from calls, changed, and written as messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import webhook_service_pb2 as rpc

from core.errors import Reason, Refusal, field_invalid
from core.law.message import timestamp
from core.service.check import Check
from core.service.guard import caller
from core.storage.outgoing import PENDING, Delivery, Endpoint
from core.storage.transaction import Transaction

# Types of events that one endpoint names.
MAX_TYPES = 50

_TYPE, _STATE = "EVENT_TYPE_", "DELIVERY_STATE_"
_ID = re.compile(r"(ep|msg)_[0-9a-f]{32}")


async def change(
    transaction: Transaction,
    before: Endpoint,
    changes: dict[str, Any],
    is_disabled: bool | None,
    now_us: int,
) -> None:
    """Change a locked endpoint; `is_disabled` is None where that stays."""
    rows = transaction.webhooks
    is_new_try = changes.get("url", before.url) != before.url
    if is_disabled and before.disabled_us is None:
        changes |= {"disabled_us": now_us, "disabled_reason": f"By {caller().user_id}."}
    elif is_disabled is False and before.disabled_us is not None:
        is_new_try = True
        changes |= {"disabled_us": None, "disabled_reason": ""}
    if is_new_try:
        changes |= {"failing_since_us": None}
        await rows.begin_anew(before.endpoint_id)
        await rows.hurry(before.endpoint_id, now_us)
    if changes.get("unordered") and not before.unordered:
        await rows.loosen(before.endpoint_id, now_us)
    if changes:
        await rows.change(before.endpoint_id, **changes)


async def send_again(
    transaction: Transaction, endpoint: Endpoint, delivery_id: str, now_us: int
) -> Delivery:
    """Make a delivery of a locked endpoint due, unless it is just being tried."""
    rows = transaction.webhooks
    found = await rows.read([delivery_id])
    if not found:
        raise not_found(Reason.DELIVERY_NOT_FOUND)
    before = found[0]
    if before.lease_id is not None and (before.due_us or 0) > now_us:
        return before
    again = {"state": PENDING, "in_order": False, "due_us": now_us, "lease_id": None}
    anew = {"first_us": None, "end_time_us": None}
    await rows.put([{"delivery_id": delivery_id, **again, **anew}])
    if before.state != PENDING:
        await rows.change(endpoint.endpoint_id, pending=endpoint.pending + 1)
    elif before.in_order:
        # It holds back nothing any more.
        await rows.release(endpoint.endpoint_id, [before.escrow_id], now_us)
    return (await rows.read([delivery_id]))[0]


async def locked(transaction: Transaction, endpoint_id: str) -> Endpoint:
    """Lock an endpoint. Raises Refusal ENDPOINT_NOT_FOUND."""
    endpoint = await transaction.webhooks.lock(endpoint_id)
    if endpoint is None:
        raise not_found(Reason.ENDPOINT_NOT_FOUND)
    return endpoint


def read_types(check_: Check, given: Sequence[int]) -> str:
    """Read types of events as they are stored."""
    if any(one == 0 or one not in pb.EventType.values() for one in given):
        check_.problem("types", "must be types of events")
        return ""
    if len(given) > MAX_TYPES:
        check_.problem("types", f"must be at most {MAX_TYPES}")
    names = {pb.EventType.Name(one).removeprefix(_TYPE) for one in given}  # type: ignore[arg-type]
    return ",".join(sorted(names))


def read_id(field: str, value: str, reason: Reason) -> str:
    """Check the form of an id; one that cannot exist does not."""
    if not value:
        raise field_invalid(field, "must be given")
    if not _ID.fullmatch(value):
        raise not_found(reason)
    return value


def read_state(check_: Check, state: int) -> str:
    """Read a state of deliveries as it is stored; empty for all."""
    if state not in rpc.DeliveryState.values():
        check_.problem("state", "is not a state of a delivery")
        return ""
    return rpc.DeliveryState.Name(state).removeprefix(_STATE) if state else ""  # type: ignore[arg-type]


def not_found(reason: Reason) -> Refusal:
    return Refusal(reason, reason.meaning)


def endpoint_message(endpoint: Endpoint, now_us: int) -> rpc.Endpoint:
    """Write an endpoint as its message, which never has a secret."""
    message = rpc.Endpoint(
        endpoint_id=endpoint.endpoint_id,
        url=endpoint.url,
        types=[pb.EventType.Value(f"{_TYPE}{one}") for one in sorted(endpoint.wants)],
        description=endpoint.description,
        unordered=endpoint.unordered,
        create_time=timestamp(endpoint.create_time_us),
        disabled=endpoint.disabled_us is not None,
        disabled_reason=endpoint.disabled_reason,
        pending=endpoint.pending,
        position=endpoint.position,
    )
    until_us = endpoint.previous_until_us
    _set_times(
        message,
        disabled_time=endpoint.disabled_us,
        failing_since=endpoint.failing_since_us,
        last_success_time=endpoint.last_success_us,
        previous_secret_until=until_us if until_us is not None and until_us > now_us else None,
    )
    return message


def delivery_message(delivery: Delivery) -> rpc.Delivery:
    """Write a delivery as its message."""
    message = rpc.Delivery(
        delivery_id=delivery.delivery_id,
        endpoint_id=delivery.endpoint_id,
        position=delivery.position,
        escrow_id=delivery.escrow_id,
        version=delivery.version,
        type=pb.EventType.Value(f"{_TYPE}{delivery.type}"),
        state=rpc.DeliveryState.Value(f"{_STATE}{delivery.state}"),
        attempts=delivery.attempts,
        last_status=delivery.last_status,
        last_problem=delivery.last_problem,
        create_time=timestamp(delivery.create_time_us),
    )
    _set_times(
        message,
        next_time=delivery.due_us,
        last_time=delivery.last_us,
        end_time=delivery.end_time_us,
    )
    return message


def _set_times(message: Any, **times_us: int | None) -> None:
    for name, time_us in times_us.items():
        if time_us is not None:
            getattr(message, name).CopyFrom(timestamp(time_us))
