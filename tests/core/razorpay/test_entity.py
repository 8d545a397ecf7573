"""Razorpay's JSON is read strictly, and in every shape that Razorpay gives it."""

from typing import Any

import pytest

from core.razorpay import (
    parse_dispute,
    parse_order,
    parse_payment,
    parse_refund,
    parse_reversal,
    parse_transfer,
)
from core.settlement.report import dispute_report
from core.storage import tables as t

ORDER = {
    "id": "order_12345678901234",
    "entity": "order",
    "amount": 100_000,
    "currency": "INR",
    "receipt": "escrow-1",
    "status": "created",
    "notes": [],
}
PAYMENT = {
    "id": "pay_12345678901234",
    "entity": "payment",
    "amount": 100_000,
    "currency": "INR",
    "status": "captured",
    "order_id": "order_12345678901234",
    "fee": 2_360,
    "tax": 360,
    "amount_refunded": 0,
    "error_reason": None,
    "created_at": 1_700_000_000,
}
TRANSFER = {
    "id": "trf_12345678901234",
    "entity": "transfer",
    "status": "processed",
    "settlement_status": "on_hold",
    "source": "pay_12345678901234",
    "recipient": "acc_12345678901234",
    "amount": 97_500,
    "currency": "INR",
    "amount_reversed": 0,
    "notes": {"escrow_id": "e1"},
    "on_hold": True,
    "error": {"code": None, "reason": None},
}
REVERSAL = {
    "id": "rvrsl_12345678901234",
    "entity": "reversal",
    "transfer_id": "trf_12345678901234",
    "amount": 100,
    "currency": "INR",
    "notes": [],
}
REFUND = {
    "id": "rfnd_12345678901234",
    "entity": "refund",
    "payment_id": "pay_12345678901234",
    "amount": 100,
    "currency": "INR",
    "status": "pending",
    "notes": {},
}
DISPUTE = {
    "id": "disp_12345678901234",
    "entity": "dispute",
    "payment_id": "pay_12345678901234",
    "amount": 100_000,
    "currency": "INR",
    "reason_code": "goods_or_services_not_received",
    "status": "open",
}
KINDS: list[tuple[Any, dict[str, Any]]] = [
    (parse_order, ORDER),
    (parse_payment, PAYMENT),
    (parse_transfer, TRANSFER),
    (parse_reversal, REVERSAL),
    (parse_refund, REFUND),
    (parse_dispute, DISPUTE),
]


@pytest.mark.parametrize(
    ("notes", "read"), [([], {}), ({}, {}), (None, {}), ({"a": 1}, {"a": "1"})]
)
def test_notes_are_read_from_a_list_and_from_an_object(notes: object, read: object) -> None:
    assert parse_transfer({**TRANSFER, "notes": notes}).notes == read
    assert parse_refund({**REFUND, "notes": notes}).notes == read


def test_a_transfer_status_is_read_under_both_of_its_names() -> None:
    without = {name: value for name, value in TRANSFER.items() if name != "status"}
    assert parse_transfer({**without, "transfer_status": "failed"}).status == "failed"
    assert parse_transfer(TRANSFER).status == "processed"


def test_absent_values_are_empty_however_razorpay_writes_them() -> None:
    for absent in (None, "", "NA"):
        payment = parse_payment(
            {**PAYMENT, "fee": absent, "tax": absent, "error_reason": absent, "order_id": absent}
        )
        assert (payment.fee_minor, payment.tax_minor) == (None, None)
        assert (payment.error_reason, payment.order_id) == ("", "")
        assert parse_transfer({**TRANSFER, "settlement_status": absent}).settlement_status == ""
        assert parse_order({**ORDER, "receipt": absent}).receipt == ""


def test_a_failed_transfer_tells_why() -> None:
    error = {"code": "BAD_REQUEST_TRANSFER_INSUFFICIENT_BALANCE", "reason": "insufficient_balance"}
    failed = parse_transfer({**TRANSFER, "status": "failed", "error": error})
    assert failed.error_reason == "insufficient_balance"


@pytest.mark.parametrize(("parse", "entity"), KINDS)
@pytest.mark.parametrize("amount", [None, "1.00", 100.0, True, -1, [], {}])
def test_an_amount_that_is_no_whole_number_is_refused(
    parse: Any, entity: dict[str, Any], amount: object
) -> None:
    with pytest.raises(ValueError, match="'amount'"):
        parse({**entity, "amount": amount})


@pytest.mark.parametrize(("parse", "entity"), KINDS)
@pytest.mark.parametrize("wrong", [None, [], "text", 7, {}, {"entity": "invoice"}])
def test_what_is_no_such_entity_is_refused(
    parse: Any, entity: dict[str, Any], wrong: object
) -> None:
    with pytest.raises(ValueError, match="Razorpay"):
        parse(wrong)
    with pytest.raises(ValueError, match="Razorpay"):
        parse({**entity, "entity": "invoice"})


def test_a_dispute_is_read_in_whatever_state_it_is() -> None:
    """One in a state that is new to us must not hide all the others of a list."""
    assert parse_dispute({**DISPUTE, "status": "unheard_of"}).status == "unheard_of"
    with pytest.raises(ValueError, match="'status'"):
        parse_dispute({**DISPUTE, "status": None})


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if "status" in k[1] and k[0] is not parse_dispute]
)
@pytest.mark.parametrize("status", [None, "", "Captured", "unheard_of", 1, {}, []])
def test_an_unknown_status_is_refused(kind: tuple[Any, dict[str, Any]], status: object) -> None:
    parse, entity = kind
    with pytest.raises(ValueError, match="status must be one of"):
        parse({**entity, "status": status})


@pytest.mark.parametrize("kind", [k for k in KINDS if k[0] not in (parse_reversal, parse_dispute)])
@pytest.mark.parametrize("currency", [None, "", "inr", "RUPEE", "₹₹₹", 356])
def test_an_odd_currency_is_refused(kind: tuple[Any, dict[str, Any]], currency: object) -> None:
    parse, entity = kind
    with pytest.raises(ValueError, match="'currency'"):
        parse({**entity, "currency": currency})


@pytest.mark.parametrize(("parse", "entity"), KINDS)
@pytest.mark.parametrize("odd_id", [None, "", "NA", 7, "inv_12345678901234"])
def test_an_id_of_another_kind_is_refused(
    parse: Any, entity: dict[str, Any], odd_id: object
) -> None:
    with pytest.raises(ValueError, match="'id'"):
        parse({**entity, "id": odd_id})


@pytest.mark.parametrize("unwritable", ["\ud800", "\0"])
def test_free_text_that_cannot_be_kept_is_mended(unwritable: str) -> None:
    odd, mended = f"bad{unwritable}card", "bad?card"
    assert parse_payment({**PAYMENT, "error_reason": odd}).error_reason == mended
    assert parse_transfer({**TRANSFER, "error": {"reason": odd}}).error_reason == mended
    dispute = parse_dispute({**DISPUTE, "reason_code": odd, "status": odd})
    assert (dispute.reason_code, dispute.status) == (mended, mended)


def test_whole_characters_stay_as_they_are() -> None:
    said = "कार्ड अस्वीकृत \N{CROSS MARK} \U0001f4b3"
    assert parse_payment({**PAYMENT, "error_reason": said}).error_reason == said


def test_free_text_is_cut_to_what_can_be_kept() -> None:
    endless = "x" * 100_000
    assert parse_payment({**PAYMENT, "error_reason": endless}).error_reason == "x" * 200
    dispute = parse_dispute({**DISPUTE, "id": "disp_".ljust(64, "x"), "status": endless})
    assert len(dispute_report(dispute).cause) <= (
        getattr(t.events.c.cause.type, "length", None) or 0
    )


@pytest.mark.parametrize(("parse", "entity"), KINDS)
@pytest.mark.parametrize("unwritable", ["\ud800", "\0", "x" * 100_000])
def test_an_id_that_cannot_be_kept_is_refused(
    parse: Any, entity: dict[str, Any], unwritable: str
) -> None:
    with pytest.raises(ValueError, match="'id'") as refused:
        parse({**entity, "id": entity["id"] + unwritable})
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("odd", [[], {}, 1.5, True])
def test_what_nothing_depends_on_hides_nothing_else(odd: object) -> None:
    payment = parse_payment({**PAYMENT, "error_reason": odd, "offer_id": odd})
    assert (payment.payment_id, payment.error_reason, payment.offer_id) == (PAYMENT["id"], "", "")
    refund = parse_refund({**REFUND, "acquirer_data": {"arn": odd, "rrn": "123456789012"}})
    assert refund.bank_reference == "123456789012"
    dispute = parse_dispute({**DISPUTE, "reason_code": odd, "phase": odd})
    assert (dispute.reason_code, dispute.phase) == ("", "")


@pytest.mark.parametrize(
    ("data", "reference"),
    [
        ({"arn": "74332742109100000000001"}, "74332742109100000000001"),
        ({"arn": None, "rrn": 123456789012}, "123456789012"),
        ({"utr": "NA"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_a_refund_has_the_number_that_the_bank_gave_it(data: object, reference: str) -> None:
    assert parse_refund({**REFUND, "acquirer_data": data}).bank_reference == reference


def test_a_dispute_tells_its_phase_and_what_it_took() -> None:
    taken = parse_dispute({**DISPUTE, "phase": "pre_arbitration", "amount_deducted": 500})
    assert (taken.phase, taken.deducted_minor) == ("pre_arbitration", 500)


def test_an_error_names_the_field_and_nothing_that_a_person_wrote() -> None:
    secret = "Asha Rao, 98450 12345, asha@example.com"
    wrong: list[tuple[Any, dict[str, Any]]] = [
        (parse_refund, {**REFUND, "notes": secret}),
        (parse_refund, {**REFUND, "notes": [secret]}),
        (parse_payment, {**PAYMENT, "order_id": secret}),
        (parse_payment, {**PAYMENT, "status": secret}),
        (parse_payment, {**PAYMENT, "amount": secret}),
        (parse_payment, {**PAYMENT, "amount": {"to": secret}}),
        (parse_payment, {**PAYMENT, "currency": secret}),
        (parse_payment, {**PAYMENT, "entity": secret}),
        (parse_transfer, {**TRANSFER, "on_hold": secret}),
        (parse_dispute, {**DISPUTE, "id": secret}),
    ]
    for parse, entity in wrong:
        with pytest.raises(ValueError, match="Razorpay") as refused:
            parse(entity)
        assert not any(word in str(refused.value) for word in ("Asha", "98450", "example.com"))
