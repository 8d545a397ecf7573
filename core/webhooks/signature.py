"""Secrets, and signatures as the Standard Webhooks specification has them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from core.webhooks.pace import US_PER_S

# Random bytes in a secret; the specification asks for 24 to 64.
SECRET_BYTES = 32


def new_secret() -> str:
    """Make a secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed(keys: Sequence[str], delivery_id: str, time_us: int, body: bytes) -> Mapping[str, str]:
    """Answer the headers of a delivery, with a signature by each of the secrets."""
    at, text = datetime.fromtimestamp(time_us // US_PER_S, UTC), body.decode()
    signatures = [Webhook(key).sign(delivery_id, at, text) for key in keys]
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(time_us // US_PER_S),
        "webhook-signature": " ".join(signatures),
    }
