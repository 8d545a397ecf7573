"""Events and escrows as bytes: exact fields, encoded for JSON, framed for a WebSocket."""

import json
import struct
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from bridge.protocol import frames, view
from bridge.upstream.stream import Encoder


def unframe(wire: bytes) -> list[dict[str, Any]]:
    """Decode unmasked, final text frames (RFC 6455 section 5.2)."""
    found = []
    while wire:
        assert wire[0] == 0x81
        size, start = wire[1], 2
        if size == 126:
            (size,), start = struct.unpack("!H", wire[2:4]), 4
        elif size == 127:
            (size,), start = struct.unpack("!Q", wire[2:10]), 10
        found.append(json.loads(wire[start : start + size]))
        wire = wire[start + size :]
    return found


def escrow(**changed: Any) -> pb.Escrow:
    fields: dict[str, Any] = {
        "escrow_id": "e1",
        "buyer_id": "buyer",
        "seller_id": "seller",
        "arbiter_id": "arbiter",
        "title": "A cow",
        "description": "brown",
        "amount": pb.Money(amount_minor=100_050, currency="INR"),
        "status": pb.ESCROW_STATUS_HELD,
        "version": 4,
        "held": pb.Money(amount_minor=100_050, currency="INR"),
        "create_time": Timestamp(seconds=1_700_000_000),
        "update_time": Timestamp(seconds=1_700_000_001, nanos=500_000_000),
    }
    return pb.Escrow(**{**fields, **changed})


def test_data_of_a_plain_escrow_is_exactly_this() -> None:
    assert view.escrow_data(escrow()) == {
        "escrow_id": "e1",
        "status": "HELD",
        "version": 4,
        "amount": 1000.5,
        "amount_minor": 100_050,
        "currency": "INR",
        "held_minor": 100_050,
        "released_minor": 0,
        "refunded_minor": 0,
        "fee_minor": 0,
        "buyer_id": "buyer",
        "seller_id": "seller",
        "arbiter_id": "arbiter",
        "title": "A cow",
        "description": "brown",
        "terms": {
            "payment_window_s": 0,
            "inspection_period_s": 0,
            "acceptance_required": False,
        },
        "payment": {
            "status": None,
            "order_id": None,
            "payment_id": None,
            "customer_fee_minor": 0,
            "charged_back_minor": 0,
            "refunds": [],
        },
        "returned_payments": [],
        "created_by": None,
        "acceptances": [],
        "confirmations": [],
        "dispute": None,
        "settlement": None,
        "deadline": None,
        "deadline_action": None,
        "fee_bps": 0,
        "payout_minor": 0,
        "refunded_by": None,
        "milestones": [],
        "attention": "",
        "attentions": [],
        "external_id": "",
        "metadata": {},
        "created_at": "2023-11-14T22:13:20Z",
        "updated_at": "2023-11-14T22:13:21.500Z",
    }


def test_payment_confirmations_dispute_and_settlement_have_no_prefixes() -> None:
    data = view.escrow_data(
        escrow(
            payment=pb.Payment(
                status=pb.PAYMENT_STATUS_PARTIALLY_REFUNDED, order_id="order_1", payment_id="pay_1"
            ),
            confirmations=[
                pb.Confirmation(party=pb.PARTY_BUYER, time=Timestamp(seconds=1_700_000_000))
            ],
            dispute=pb.Dispute(
                raised_by="buyer", reason="late", status=pb.DISPUTE_STATUS_OPEN, note="half"
            ),
            settlement=pb.Settlement(
                release=pb.Money(amount_minor=3),
                refund=pb.Money(amount_minor=2),
                decided_by="arbiter",
                note="half",
            ),
        )
    )
    paid = {"status": "partially_refunded", "order_id": "order_1", "payment_id": "pay_1"}
    assert data["payment"] | paid == data["payment"]
    assert data["confirmations"] == [{"party": "buyer", "time": "2023-11-14T22:13:20Z"}]
    assert data["dispute"] == {
        "raised_by": "buyer",
        "reason": "late",
        "status": "open",
        "note": "half",
    }
    assert data["settlement"] == {
        "decided_by": "arbiter",
        "note": "half",
        "refunded_by": None,
        "release_minor": 3,
        "refund_minor": 2,
        "fee_minor": 0,
    }


def test_what_people_will_know_next_is_in_plain_words() -> None:
    data = view.escrow_data(
        escrow(
            created_by="buyer",
            acceptances=[
                pb.Acceptance(party=pb.PARTY_SELLER, time=Timestamp(seconds=1_700_000_000))
            ],
            deadline=Timestamp(seconds=1_700_000_060),
            deadline_action=pb.DEADLINE_ACTION_RELEASE,
            fee_bps=250,
            payout=pb.Money(amount_minor=97_549, currency="INR"),
            attentions=[
                pb.Attention(
                    code=pb.ATTENTION_CODE_PAYEE_MISSING,
                    message="No account.",
                    since=Timestamp(seconds=1_700_000_000),
                    milestone_id="m1",
                )
            ],
        )
    )
    assert data["created_by"] == "buyer"
    assert data["acceptances"] == [{"party": "seller", "time": "2023-11-14T22:13:20Z"}]
    assert (data["deadline"], data["deadline_action"]) == ("2023-11-14T22:14:20Z", "RELEASE")
    assert (data["fee_bps"], data["payout_minor"]) == (250, 97_549)
    assert data["attentions"] == [
        {
            "code": "PAYEE_MISSING",
            "message": "No account.",
            "since": "2023-11-14T22:13:20Z",
            "milestone_id": "m1",
        }
    ]


def test_money_on_its_way_back_has_its_refund_and_the_banks_reference() -> None:
    refund = pb.Refund(
        refund_id="rfnd_1",
        amount=pb.Money(amount_minor=500, currency="INR"),
        bank_reference="ARN1",
        time=Timestamp(seconds=1_700_000_000),
    )
    told = {
        "refund_id": "rfnd_1",
        "amount_minor": 500,
        "bank_reference": "ARN1",
        "time": "2023-11-14T22:13:20Z",
    }
    surplus = pb.ReturnedPayment(
        payment_id="pay_2",
        amount=pb.Money(amount_minor=500, currency="INR"),
        why="the escrow is paid already",
        refunded=pb.Money(amount_minor=500, currency="INR"),
        refund=refund,
    )
    waiting = pb.ReturnedPayment(payment_id="pay_3", why="too little was paid")
    data = view.escrow_data(
        escrow(
            payment=pb.Payment(customer_fee=pb.Money(amount_minor=20), refunds=[refund]),
            returned_payments=[surplus, waiting],
            refunded_by="bank",
        )
    )
    assert data["payment"]["customer_fee_minor"] == 20
    assert data["payment"]["refunds"] == [told]
    assert data["returned_payments"][0] == {
        "payment_id": "pay_2",
        "amount_minor": 500,
        "currency": "INR",
        "why": "the escrow is paid already",
        "refunded_minor": 500,
        "refund": told,
    }
    assert data["returned_payments"][1]["refund"] is None
    assert data["refunded_by"] == "bank"


def test_a_milestone_has_the_fields_of_a_small_escrow() -> None:
    milestone = pb.Milestone(
        milestone_id="m1",
        title="half",
        amount=pb.Money(amount_minor=500),
        status=pb.ESCROW_STATUS_DISPUTED,
        fee=pb.Money(amount_minor=1),
        dispute=pb.Dispute(raised_by="seller", reason="x", status=pb.DISPUTE_STATUS_RESOLVED),
    )
    assert view.escrow_data(escrow(milestones=[milestone]))["milestones"] == [
        {
            "milestone_id": "m1",
            "title": "half",
            "amount_minor": 500,
            "status": "DISPUTED",
            "held_minor": 0,
            "released_minor": 0,
            "refunded_minor": 0,
            "fee_minor": 1,
            "confirmations": [],
            "dispute": {"raised_by": "seller", "reason": "x", "status": "resolved", "note": ""},
            "settlement": None,
            "deadline": None,
            "deadline_action": None,
            "payout_minor": 0,
        }
    ]


@pytest.mark.parametrize(
    ("minor", "rupees"),
    [(100_000, "1000"), (100_050, "1000.5"), (1, "0.01"), (0, "0"), (10**12, "10000000000")],
)
def test_amount_is_a_number_of_rupees(minor: int, rupees: str) -> None:
    data = view.escrow_data(escrow(amount=pb.Money(amount_minor=minor)))
    assert json.dumps(data["amount"]) == rupees


def event(**changed: Any) -> pb.EscrowEvent:
    fields: dict[str, Any] = {
        "escrow_id": "e1",
        "version": 4,
        "type": pb.EVENT_TYPE_CONFIRMATION_ADDED,
        "create_time": Timestamp(seconds=1_700_000_000),
        "actor_id": "buyer",
        "old_status": pb.ESCROW_STATUS_HELD,
        "new_status": pb.ESCROW_STATUS_HELD,
        "escrow": escrow(),
    }
    return pb.EscrowEvent(**{**fields, **changed})


def types(one: pb.EscrowEvent) -> list[str]:
    ready = frames.event_frames(one)
    told = unframe(ready.wire)
    assert len(told) == ready.count
    assert {frame["version"] for frame in told} == {ready.version}
    return [frame["type"] for frame in told]


def test_an_event_implies_only_the_frames_of_what_changed() -> None:
    assert types(event()) == ["escrow_update"]
    captured = event(payment_status=pb.PAYMENT_STATUS_CAPTURED)
    assert types(captured) == ["payment_status", "escrow_update"]
    settling = event(new_status=pb.ESCROW_STATUS_SETTLING)
    assert types(settling) == ["status_change", "escrow_update"]
    first = event(
        old_status=pb.ESCROW_STATUS_UNSPECIFIED, new_status=pb.ESCROW_STATUS_INITIATED, version=1
    )
    assert types(first) == ["escrow_update"]


def test_an_update_says_what_happened_beside_the_escrow() -> None:
    one = event(milestone_id="m1")
    one.data.update({"escrow_id": "other", "n": 3, "list": [1, None, {"a": True}]})
    (told,) = unframe(frames.event_frames(one).wire)
    data = told["data"]
    assert (data["escrow_id"], data["event_type"]) == ("e1", "confirmation_added")
    assert (data["actor_id"], data["milestone_id"]) == ("buyer", "m1")
    assert data["time"] == "2023-11-14T22:13:20Z"
    assert data["event_data"] == {"escrow_id": "other", "n": 3, "list": [1, None, {"a": True}]}


def test_each_event_has_its_own_escrow_whatever_was_written_before_it() -> None:
    """Events of one escrow in a row may share what has not changed."""
    held = {"held": pb.Money(amount_minor=100_049, currency="INR")}
    milestone = pb.Milestone(milestone_id="m1", title="A horn")
    later = Timestamp(seconds=1_700_000_099)
    changes: list[dict[str, Any]] = [
        *({"version": version, "update_time": later} for version in range(5, 9)),
        *({"version": version, **held} for version in range(9, 12)),
        *({"version": version, "milestones": [milestone]} for version in range(12, 15)),
        {"version": 15, "metadata": {"shop": "1"}},
        {"version": 16, "metadata": {"shop": "2"}},
        *({"version": version, "escrow_id": f"e{version % 2}"} for version in range(17, 22)),
        {"version": 4},
        {"version": 4},
    ]
    for change in changes:
        one = escrow(**change)
        before = one.SerializeToString(deterministic=True)
        (update,) = unframe(frames.event_frames(event(escrow=one)).wire)
        expected = view.escrow_data(pb.Escrow.FromString(before))
        assert {key: update["data"][key] for key in expected} == expected, change
        assert one.SerializeToString(deterministic=True) == before


def test_numbers_that_json_does_not_know_do_not_break_the_frame() -> None:
    one = event()
    one.data.update({"nan": float("nan"), "inf": float("-inf"), "big": 1e300})
    (told,) = unframe(frames.event_frames(one).wire)
    assert told["data"]["event_data"] == {"nan": None, "inf": None, "big": 1e300}


def test_values_of_a_newer_core_are_named_by_number() -> None:
    told = view.escrow_data(escrow(status=99))
    assert told["status"] == "UNKNOWN_99"
    assert view.event_type(event(type=99)) == "unknown_99"


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 1_000_000])
def test_the_header_fits_every_size(size: int) -> None:
    payload = json.dumps({"x": "y" * size}).encode()
    assert unframe(frames.wire(payload)) == [{"x": "y" * size}]


def test_a_snapshot_is_inserted_unchanged_and_the_id_comes_back() -> None:
    snapshot = frames.snapshot(escrow(title='"ü\u2028'))
    for frame_id in (None, 7, "a", '"\ud800'):
        (told,) = unframe(frames.subscribed("e1", 4, snapshot, frame_id))
        assert told["data"]["title"] == '"ü\u2028'
        assert (told["type"], told["version"]) == ("subscribed", 4)
        assert told.get("id") == frame_id


@pytest.mark.parametrize("size", [1, 60, 110, 300, 65_200, 70_000])
def test_a_position_is_put_into_each_frame_of_an_event_and_nothing_else_changes(size: int) -> None:
    """Whatever the length of the header before and after."""
    one = event(
        escrow=escrow(description="x" * size),
        payment_status=pb.PAYMENT_STATUS_CAPTURED,
        old_status=pb.ESCROW_STATUS_INITIATED,
    )
    ready = frames.event_frames(one)
    placed = frames.at(ready, 2**53)
    assert unframe(placed.wire) == [frame | {"position": 2**53} for frame in unframe(ready.wire)]
    assert (placed.position, placed.count, placed.version) == (2**53, 3, ready.version)
    assert placed.escrow is ready.escrow


def test_only_who_follows_everything_is_told_a_position() -> None:
    assert "position" not in unframe(frames.subscribed("e1", 4, b"{}", None))[0]
    told = unframe(frames.subscribed("e1", 4, b"{}", 7, 0))[0]
    assert told == {
        "type": "subscribed",
        "escrow_id": "e1",
        "version": 4,
        "data": {},
        "id": 7,
        "position": 0,
    }


def test_an_event_is_encoded_once_for_all_who_follow_it(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = []
    real = frames.event_frames

    def count(one: pb.EscrowEvent) -> frames.EventFrames:
        encoded.append(one)
        return real(one)

    monkeypatch.setattr(frames, "event_frames", count)
    encoder = Encoder(8)
    one = event()
    placed = encoder.encode(one, 7)
    assert encoder.encode(one, 7) is placed
    assert encoder.encode(one).position == 0
    assert encoder.encode(one) is encoder.encode(one)
    assert encoded == [one]


@pytest.mark.parametrize("seconds", [1, 951_782_400, 1_700_000_000, 253_402_300_799])
@pytest.mark.parametrize("nanos", [0, 1, 999, 1_000, 123_456_000, 5_000_000, 900_000_000])
def test_times_are_written_as_proto3_json_has_them(seconds: int, nanos: int) -> None:
    time = Timestamp(seconds=seconds, nanos=nanos)
    (frame,) = unframe(frames.event_frames(event(create_time=time)).wire)[-1:]
    assert frame["data"]["time"] == time.ToJsonString()


def test_text_of_every_script_comes_as_it_is() -> None:
    title = 'साइकिल 🚲 \u2028 \\ " é \x7f'
    (frame,) = unframe(frames.event_frames(event(escrow=escrow(title=title))).wire)[-1:]
    assert frame["data"]["title"] == title
