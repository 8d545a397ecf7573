"""Our signatures agree with the official package's, and no odd string can upset them."""

import hashlib
import hmac

import pytest
import razorpay
from hypothesis import given
from hypothesis import strategies as st

from core.razorpay import verify_checkout, verify_webhook

SECRET = "whsec_current"
BODY = b'{"event":"payment.captured"}'


def sign(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def package_accepts(body: str, signature: str, secret: str) -> bool:
    try:
        return bool(razorpay.Utility().verify_webhook_signature(body, signature, secret))
    except razorpay.errors.SignatureVerificationError:
        return False


@given(
    body=st.text(st.characters(codec="utf-8")),
    secret=st.text(st.characters(codec="utf-8"), min_size=1),
    change=st.sampled_from(["", "0", "case"]),
)
def test_the_answer_is_that_of_the_official_package(body: str, secret: str, change: str) -> None:
    signature = sign(body.encode(), secret)
    signature = signature.upper() if change == "case" else signature + change
    ours = verify_webhook(body.encode(), signature, [secret])
    assert ours == package_accepts(body, signature, secret)


def test_the_current_and_the_previous_secret_are_both_accepted() -> None:
    secrets = [SECRET, "whsec_previous"]
    assert verify_webhook(BODY, sign(BODY, SECRET), secrets)
    assert verify_webhook(BODY, sign(BODY, "whsec_previous"), secrets)
    assert not verify_webhook(BODY, sign(BODY, "whsec_older"), secrets)


def test_one_changed_byte_ends_a_signature() -> None:
    signature = sign(BODY, SECRET)
    assert not verify_webhook(BODY + b" ", signature, [SECRET])


def test_a_body_that_is_not_utf_8_can_be_signed() -> None:
    assert verify_webhook(b"\xff\x00", sign(b"\xff\x00", SECRET), [SECRET])


def test_an_empty_secret_opens_nothing() -> None:
    assert not verify_webhook(BODY, sign(BODY, ""), ["", SECRET])
    assert not verify_webhook(BODY, sign(BODY, ""), [])
    assert not verify_checkout("order_1", "pay_1", sign(b"order_1|pay_1", ""), "")


@pytest.mark.parametrize("odd", ["", "\ud800", "ö" * 64, "\0", "0" * 10_000, "None"])
def test_an_odd_signature_is_only_wrong(odd: str) -> None:
    assert not verify_webhook(BODY, odd, [SECRET])
    assert not verify_checkout("order_1", "pay_1", odd, SECRET)
    assert not verify_checkout(odd, odd, odd, SECRET)
