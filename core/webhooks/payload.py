"""What a delivery says: an event as JSON. Pure."""

from __future__ import annotations

import json

from escrow.v1 import escrow_pb2 as pb
from google.protobuf import json_format


def type_of(event: pb.EscrowEvent) -> str:
    """Answer an event's type as frames and deliveries write it: `payment_captured`."""
    return pb.EventType.Name(event.type).removeprefix("EVENT_TYPE_").lower()


def payload(position: int, stored: bytes) -> bytes:
    """Write a stored event as the body of its deliveries: the same bytes each time."""
    event = pb.EscrowEvent.FromString(stored)
    data = json_format.MessageToDict(
        event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    # A string, as proto3 JSON writes all numbers of 64 bits.
    body = {
        "type": type_of(event),
        "timestamp": event.create_time.ToJsonString(),
        "data": {"position": str(position), **data},
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
