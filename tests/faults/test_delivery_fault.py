"""Webhooks that make no sense, or not yet: each is taken, and Razorpay is asked for the truth."""

import secrets
from typing import Any

import pytest

from core.settlement.webhook import CATCH_UP_EVERY_S
from tests.fakes.database import on_both
from tests.fakes.deal import AMOUNT_MINOR, Deal
from tests.fakes.stack import Client
from tests.faults.test_webhook_fault import SILENT, news, paid_in_silence

pytestmark = on_both("whole", is_long=True)

CUSTOMER_FEE_MINOR = 2_500

NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"event":"\xff\xfe"}',
}


@pytest.mark.parametrize("name", list(NO_JSON))
async def test_a_body_that_is_no_json_is_refused_even_if_signed(client: Client, name: str) -> None:
    status, told = await client.webhook(NO_JSON[name])
    assert (status, told["error"]["reason"]) == (400, "WEBHOOK_MALFORMED")


NONSENSE: dict[str, bytes] = {
    "null": b"null",
    "a number": b"1e999",
    "a long number": b"1" * 10_000,
    "a list": b"[]",
    "no event": b'{"payload":{}}',
    "event no text": b'{"event":7,"payload":{}}',
    "payload no object": b'{"event":"payment.captured","payload":[]}',
    "payload empty": b'{"event":"payment.captured","payload":{}}',
    "entity missing": b'{"event":"payment.captured","payload":{"payment":{}}}',
    "entity null": b'{"event":"payment.captured","payload":{"payment":{"entity":null}}}',
    "deeply nested": b'{"event":"payment.captured","payload":' + b"[" * 100_000,
    "refund missing": b'{"event":"refund.processed","payload":{"payment":{"entity":{}}}}',
    "dispute missing": b'{"event":"payment.dispute.created","payload":{}}',
}


@pytest.mark.parametrize("name", list(NONSENSE))
async def test_signed_nonsense_is_taken_once_so_that_razorpay_goes_on_telling(
    client: Client, name: str
) -> None:
    event_id = secrets.token_hex(8)
    for outcome in ("ignored", "duplicate"):
        status, told = await client.webhook(NONSENSE[name], event_id=event_id)
        assert (status, told["outcome"]) == (200, outcome)
    assert f"webhook {event_id} is signed and not understood" in client.stack.core.lines


async def test_what_a_webhook_meant_that_is_not_understood_is_looked_up_at_razorpay(
    client: Client, deal: Deal
) -> None:
    await paid_in_silence(deal)
    said = "Asha Rao, 98450 12345"
    body = await news(deal, "payment.captured", amount=said, currency=said, email=said)
    status, told = await client.webhook(body, event_id=secrets.token_hex(8))
    assert (status, told["outcome"]) == (200, "ignored")
    await deal.until_status("HELD")
    assert "Asha" not in client.stack.core.lines
    assert "98450" not in client.stack.core.lines


async def test_a_fee_that_the_customer_bore_waits_for_the_orders_word(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    await deal.order()
    await client.faults(webhooks=SILENT, api={"error": 1})
    await client.pay(deal.order_id, customer_fee=CUSTOMER_FEE_MINOR)
    body = await news(deal, "payment.captured")
    status, _ = await client.webhook(body, event_id=secrets.token_hex(8))
    assert status == 200
    # Without the order's word nobody knows whether this is a fee or a wrong amount.
    assert await deal.types() == ["ESCROW_CREATED", "PAYMENT_STARTED"]
    await client.faults(webhooks=SILENT)
    held = await deal.until_status("HELD", 2 * CATCH_UP_EVERY_S)
    assert held.held.amount_minor == AMOUNT_MINOR
    assert (await deal.money()).refunded == 0


async def test_order_paid_brings_the_orders_word_along(client: Client, deal: Deal) -> None:
    await deal.agree()
    await deal.order()
    await client.faults(webhooks=SILENT, api={"error": 1})
    await client.pay(deal.order_id, customer_fee=CUSTOMER_FEE_MINOR)
    status, told = await client.webhook(await news(deal, "order.paid"))
    assert (status, told["outcome"]) == (200, "applied")
    assert (await deal.get()).held.amount_minor == AMOUNT_MINOR


FIELDS: dict[str, list[Any]] = {
    "id": [None, "", 7, "x" * 10_000, {"a": 1}, "\ud800", "pay_\u0000"],
    "order_id": [None, "", 7, "x" * 10_000, [], "\u0000"],
    "status": [None, "", 7, "unheard_of", []],
    "amount": [None, "", -1, 0, 2**63, 2**70, 1.5, "100", True, []],
    "currency": [None, "", "inr", "USD", 7, "₹"],
    "fee": [-1, 2**70, "x", 1.5, []],
    "tax": [-1, 2**70, "x", []],
    "notes": [7, "x", None, [1], {"escrow_id": 7}],
    "error_reason": [7, [], "x" * 100_000],
}


@pytest.mark.parametrize("field", list(FIELDS))
async def test_a_wrong_field_of_a_webhook_is_never_refused(
    client: Client, deal: Deal, field: str
) -> None:
    await paid_in_silence(deal)
    for value in FIELDS[field]:
        body = await news(deal, "payment.captured", **{field: value})
        status, told = await client.webhook(body, event_id=secrets.token_hex(8))
        assert status == 200, (value, told)
    after = await deal.get()
    is_as_told = after.status == deal.status("HELD") and after.held.amount_minor == AMOUNT_MINOR
    assert is_as_told or after.held.amount_minor == 0
    # Whatever it was taken for, the truth still gets through.
    await client.webhook(await news(deal, "payment.captured"), event_id=secrets.token_hex(8))
    core_log = client.stack.core.lines
    assert "Traceback" not in core_log
