"""Razorpay's two signatures, both hex HMAC-SHA256: over a webhook's bytes and over a checkout.

Our own and not the package's: it takes only text for a body and raises on an odd signature.
"""

import hashlib
import hmac
from collections.abc import Sequence


def verify_webhook(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Tell whether one of `secrets` signed exactly these bytes.

    Any string is a valid question. Empty secrets never match, so that an unset one opens nothing.
    """
    # Every secret is tried, so that the time taken tells nobody which one matched.
    matches = [_matches(body, signature, secret) for secret in secrets if secret]
    return True in matches


def verify_checkout(order_id: str, payment_id: str, signature: str, key_secret: str) -> bool:
    """Tell whether Checkout signed this pair; `order_id` must be the one that we stored.

    It proves that the pair belongs together, not that anything was captured.
    """
    if not key_secret:
        return False
    return _matches(_bytes(f"{order_id}|{payment_id}"), signature, key_secret)


def _matches(message: bytes, signature: str, secret: str) -> bool:
    expected = hmac.new(_bytes(secret), message, hashlib.sha256).hexdigest()
    return hmac.compare_digest(_bytes(expected), _bytes(signature))


def _bytes(text: str) -> bytes:
    # A lone surrogate can come out of a header or of JSON, and must not raise.
    return text.encode("utf-8", "surrogatepass")
