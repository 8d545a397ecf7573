"""The lines in docs/webhooks.md verify what Holdfast signs."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from core.webhooks.signature import new_secret, signed

PAGE = Path(__file__).parents[3] / "docs/webhooks.md"
BODY = '{"type":"escrow_created","data":{"title":"साइकिल"}}'.encode()


@pytest.fixture
def verify() -> Any:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names["verify"]


def test_they_take_what_is_signed(verify: Any) -> None:
    secret, old = new_secret(), new_secret()
    for keys in ([secret], [secret, old], [old, secret]):
        verify(secret, dict(signed(keys, "msg_1", time.time_ns() // 1000, BODY)), BODY)


def test_they_refuse_everything_else(verify: Any) -> None:
    secret, now_us = new_secret(), time.time_ns() // 1000
    headers = dict(signed([secret], "msg_1", now_us, BODY))
    late = dict(signed([secret], "msg_1", now_us - 400_000_000, BODY))
    for given, body in (
        (headers, BODY + b" "),
        (headers | {"webhook-id": "msg_2"}, BODY),
        (headers | {"webhook-signature": "v1,é v1a,x"}, BODY),
        (dict(signed([new_secret()], "msg_1", now_us, BODY)), BODY),
        (late, BODY),
    ):
        with pytest.raises(ValueError, match=r"secret|long ago"):
            verify(secret, given, body)
