"""The checks of request bodies that all of Razorpay's calls share."""

import re
from collections.abc import Mapping
from typing import Any

from scripts.sandbox.refusal import Refusal

Body = Mapping[str, Any]

MIN_AMOUNT_MINOR = 100
MAX_AMOUNT_MINOR = 10**12
MAX_RECEIPT_LENGTH = 40
MAX_NOTES = 15
MAX_NOTE_LENGTH = 256
# The currencies that do not have two decimals. Of three decimals Razorpay takes only the first two.
# fmt: off
ZERO_DECIMALS = frozenset({
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW",
    "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
})
# fmt: on
THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "OMR", "TND"})
_CURRENCY = re.compile(r"[A-Z]{3}")


def amount(body: Body, *, currency: str = "INR") -> int:
    """Read `amount` in minor units."""
    value = body.get("amount")
    if value is None:
        raise Refusal("The amount field is required.", field="amount")
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal("The amount must be an integer.", field="amount")
    if value < MIN_AMOUNT_MINOR:
        raise Refusal(
            "Amount less than minimum amount allowed",
            reason="amount_less_than_minimum_amount",
            field="amount",
        )
    if value > MAX_AMOUNT_MINOR:
        raise Refusal(
            "Amount exceeds maximum amount allowed.",
            reason="amount_exceeds_maximum_amount_allowed",
            field="amount",
        )
    if currency in THREE_DECIMALS and value % 10:
        raise Refusal(f"The last digit of an amount in {currency} must be 0.", field="amount")
    return value


def currency(body: Body, *, default: str | None = None) -> str:
    """Read `currency`, an ISO code."""
    value = body.get("currency", default)
    if value is None:
        raise Refusal("The currency field is required.", field="currency")
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise Refusal("Currency is not supported", field="currency")
    return value


def notes(body: Body) -> dict[str, Any] | list[Any]:
    """Read `notes` as Razorpay returns them: no notes are an empty list."""
    value = body.get("notes")
    if value is None or value == [] or value == {}:
        return []
    if not isinstance(value, dict):
        raise Refusal("The notes must be an array.", field="notes")
    if len(value) > MAX_NOTES:
        raise Refusal(f"The notes may have at most {MAX_NOTES} keys.", field="notes")
    for key, text in value.items():
        if isinstance(text, dict | list):
            raise Refusal("A note must not hold other values.", field="notes")
        if max(len(key), len(str(text))) > MAX_NOTE_LENGTH:
            raise Refusal(f"A note is longer than {MAX_NOTE_LENGTH} characters.", field="notes")
    return dict(value)


def receipt(body: Body) -> str | None:
    """Read `receipt`, which may be absent."""
    value = body.get("receipt")
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal("The receipt must be a string.", field="receipt")
    if len(value) > MAX_RECEIPT_LENGTH:
        raise Refusal(
            f"The receipt may not be greater than {MAX_RECEIPT_LENGTH} characters.",
            field="receipt",
        )
    return value


def flag(body: Body, name: str, *, default: bool) -> bool:
    """Read a boolean, which Razorpay also takes as 0 or 1."""
    value = body.get(name, default)
    if value in (0, 1) and isinstance(value, int):
        return bool(value)
    raise Refusal(f"The {name} field must be true or false.", field=name)
