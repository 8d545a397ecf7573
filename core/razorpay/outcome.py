"""How a call to Razorpay can fail, told apart by what the caller may conclude from it."""


class GatewayError(Exception):
    """A call to Razorpay did not give its answer."""


class GatewayUnavailable(GatewayError):
    """Nothing happened at Razorpay, for certain: the call may be repeated as it is.

    A pure read that fails for any reason but a refusal is of this kind too.
    """


class OutcomeUnknown(GatewayError):
    """A write was sent and its answer is missing or cannot be read: it may have been done.

    Look before repeating a call that has no idempotency key.
    """


class GatewayRefused(GatewayError):
    """Razorpay understood the call and said no; the same call will be refused again.

    `reason` is the machine-readable word where Razorpay gives one; absent values are empty.
    """

    def __init__(self, *, status: int, code: str, reason: str, description: str) -> None:
        super().__init__(f"Razorpay refused ({status} {reason or code}): {description}")
        self.status = status
        self.code = code
        self.reason = reason
        self.description = description
