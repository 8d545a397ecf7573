"""What is written down: rows that come back as they were, events in a chain."""

import itertools
import re

import pytest
from escrow.v1 import escrow_pb2 as pb

from core.law import command as c
from core.law.command import RAZORPAY
from core.law.message import escrow_message
from core.law.record import dump_row, event_hash, event_message, load_row
from core.law.status import (
    AttentionCode,
    DeadlineAction,
    DisputeStatus,
    EventType,
    Party,
    PaymentStatus,
    Status,
)
from tests.core.law.story import (
    BUYER,
    SELLER,
    SERVICE,
    Story,
    bank_dispute,
    milestones,
    payment,
    story_in,
)

# Of the story in `chain`: an exported history must be provable years later. It changes only with
# the fields of an event; exports from before are in tests/core/storage/earlier.
GOLDEN = "d2b1afb59fc1295036c55afa3d90c41868ee92e63f52ac993e39f88e21d74839"


WORDS = {
    "EscrowStatus": Status,
    "PaymentStatus": PaymentStatus,
    "EventType": EventType,
    "Party": Party,
    "DisputeStatus": DisputeStatus,
    "AttentionCode": AttentionCode,
    "DeadlineAction": DeadlineAction,
}


@pytest.mark.parametrize("enum", WORDS)
def test_the_law_and_the_proto_have_the_same_words(enum: str) -> None:
    named = pb.DESCRIPTOR.enum_types_by_name[enum]
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum).upper() + "_"
    public = {value.name.removeprefix(prefix) for value in named.values if value.number}
    assert public == {str(word) for word in WORDS[enum]}


def rich() -> Story:
    """A story in which nearly every field is set."""
    story = Story(milestones(40_000, 60_000)).pay()
    story.tell(payment(payment_id="pay_2"), RAZORPAY)
    story.tell(bank_dispute("created"), RAZORPAY)
    story.hold("m1")
    story.tell(c.AddConfirmation("m1"), SELLER)
    story.tell(c.RaiseDispute("It is ₹ 5 short", "m2"), BUYER)
    story.tell(c.PublishUpdate("parcel_sent", {"b": [1, None, {"z": "ü"}], "a": 1.5}), SERVICE)
    return story


def chain(story: Story) -> list[pb.EscrowEvent]:
    messages: list[pb.EscrowEvent] = []
    for event in story.events:
        messages.append(event_message(event, messages[-1].hash if messages else b""))
    return messages


@pytest.mark.parametrize("status", Status)
def test_a_row_comes_back_as_it_was(status: Status) -> None:
    for story in (story_in(status), rich()):
        assert load_row(dump_row(story.escrow)) == story.escrow


def test_an_older_row_without_the_newer_fields_is_read() -> None:
    body = dump_row(story_in(Status.INITIATED).escrow)
    assert "bank_disputes" not in body
    assert load_row(body).bank_disputes == ()


def test_each_event_carries_the_hash_of_the_one_before() -> None:
    messages = chain(rich())
    assert messages[0].previous_hash == b""
    for before, after in itertools.pairwise(messages):
        assert after.previous_hash == before.hash
        assert after.version == before.version + 1
    assert all(message.hash == event_hash(message) for message in messages)


def test_a_changed_event_has_another_hash() -> None:
    for change in ("actor_id", "escrow_id", "update_type"):
        message = chain(rich())[-1]
        setattr(message, change, "somebody else")
        assert event_hash(message) != message.hash
    message = chain(rich())[-1]
    message.escrow.held.amount_minor += 1
    assert event_hash(message) != message.hash


def test_the_hash_is_the_same_after_a_journey_over_the_wire() -> None:
    for message in chain(rich()):
        arrived = pb.EscrowEvent.FromString(message.SerializeToString())
        assert event_hash(arrived) == message.hash


def test_the_hash_of_a_known_history_never_changes() -> None:
    assert chain(rich())[-1].hash.hex() == GOLDEN


def test_the_public_message_says_what_the_row_says() -> None:
    escrow = rich().escrow
    message = escrow_message(escrow)
    assert message.status == pb.ESCROW_STATUS_DISPUTED
    assert message.created_by == escrow.created_by != ""
    assert [m.milestone_id for m in message.milestones] == ["m1", "m2"]
    assert message.milestones[0].confirmations[0].party == pb.PARTY_SELLER
    assert message.milestones[1].dispute.reason == "It is ₹ 5 short"
    assert not message.HasField("dispute")
    assert message.payment.gateway_fee.amount_minor == 2_360
    assert message.held.amount_minor == 100_000
    assert message.attention == escrow.attention != ""


def test_an_escrow_that_nobody_pays_says_nothing_of_a_payment() -> None:
    assert not escrow_message(story_in(Status.INITIATED).escrow).HasField("payment")
