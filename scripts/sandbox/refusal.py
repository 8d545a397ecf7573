"""Razorpay's errors: an exception with the error body, and the errors that are used twice.

The form and the reasons follow razorpay.com/docs/errors and the error index of its test suite.
"""

from typing import Any


class Refusal(Exception):
    """Razorpay refuses the request. Nothing was changed."""

    def __init__(
        self,
        description: str,
        *,
        status: int = 400,
        reason: str = "input_validation_failed",
        field: str | None = None,
        code: str = "BAD_REQUEST_ERROR",
    ) -> None:
        super().__init__(description)
        self.status = status
        self.body = error_body(description, reason=reason, field=field, code=code)


def error_body(
    description: str,
    *,
    reason: str = "NA",
    field: str | None = None,
    code: str = "BAD_REQUEST_ERROR",
) -> dict[str, Any]:
    """Make the body of every answer whose status is not 2xx."""
    error: dict[str, Any] = {
        "code": code,
        "description": description,
        "source": "NA" if reason == "NA" else "business",
        "step": "NA" if reason == "NA" else "payment_initiation",
        "reason": reason,
        "metadata": {},
    }
    if field is not None:
        error["field"] = field
    return {"error": error}


def unknown_id() -> Refusal:
    """Make the error of an unknown id: Razorpay answers 400, not 404."""
    return Refusal("The id provided does not exist", field="id")


def short_of_balance(description: str) -> Refusal:
    """Make the error of an account that does not have enough money."""
    return Refusal(description, reason="insufficient_balance")
