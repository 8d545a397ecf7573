"""A signature is one that the specification's own library takes."""

import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from core.webhooks.signature import new_secret, signed

BODY = '{"type":"escrow_created","data":{"title":"साइकिल 🚲"}}'.encode()


def now_us() -> int:
    return round(time.time() * 1_000_000)


def test_the_specifications_own_library_takes_it() -> None:
    secret = new_secret()
    headers = dict(signed([secret], "msg_1", now_us(), BODY))
    assert Webhook(secret).verify(BODY, headers)["type"] == "escrow_created"
    assert headers["webhook-id"] == "msg_1"


def test_a_changed_body_id_or_time_is_not_taken() -> None:
    secret = new_secret()
    headers = dict(signed([secret], "msg_1", now_us(), BODY))
    later = str(int(headers["webhook-timestamp"]) + 1)
    for body, change in (
        (BODY + b" ", {}),
        (BODY, {"webhook-id": "msg_2"}),
        (BODY, {"webhook-timestamp": later}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers | change)


def test_both_secrets_sign_while_one_takes_over_from_the_other() -> None:
    old, new = new_secret(), new_secret()
    headers = dict(signed([new, old], "msg_1", now_us(), BODY))
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


def test_the_example_of_the_specification_comes_out() -> None:
    """The test vector that the libraries of the specification share."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = signed([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000_000, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_as_long_as_the_specification_wants_it() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert secret != new_secret()
