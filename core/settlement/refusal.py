"""What a caller is told where Razorpay refuses a call or does not answer it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Reason, Refusal
from core.razorpay import GatewayError, GatewayRefused


@contextmanager
def answering() -> Iterator[None]:
    """Raise Refusal GATEWAY_REFUSED or GATEWAY_UNAVAILABLE for what a call to Razorpay raises.

    A call that takes longer than it may (TimeoutError) is one without an answer.
    """
    try:
        yield
    except GatewayRefused as refusal:
        text = f"Razorpay refuses: {refusal.description}"
        raise Refusal(Reason.GATEWAY_REFUSED, text) from refusal
    except (GatewayError, TimeoutError) as error:
        text = "Razorpay does not answer; try again in a moment."
        raise Refusal(Reason.GATEWAY_UNAVAILABLE, text) from error
