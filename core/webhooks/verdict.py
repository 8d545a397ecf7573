"""What a try leads to, for its delivery and for the endpoint. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.storage.outgoing import DELIVERED, FAILED, PENDING, Delivery, Endpoint
from core.webhooks.pace import US_PER_S, Pace
from core.webhooks.post import GONE, Outcome

# Characters of the reason why an endpoint is disabled.
MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Tried:
    """A try that has ended."""

    delivery: Delivery
    outcome: Outcome


def counts(stored: Delivery, tried: Tried) -> bool:
    """Whether a try still matters: a failed one does not where another process tries meanwhile."""
    if stored.state != PENDING:
        return False
    return tried.outcome.is_taken or stored.lease_id == tried.delivery.lease_id


def after(
    delivery: Delivery, tried: Tried, now_us: int, pace: Pace, chance: Callable[[], float]
) -> dict[str, Any]:
    """Answer what a delivery's row says after a try."""
    outcome = tried.outcome
    first_us = delivery.first_us if delivery.first_us is not None else now_us
    due_us = None
    if not outcome.is_taken:
        due_us = pace.next_us(first_us, now_us, chance, outcome.retry_after_s)
    state = PENDING if due_us is not None else DELIVERED if outcome.is_taken else FAILED
    return {
        "delivery_id": delivery.delivery_id,
        "state": state,
        "due_us": due_us,
        "lease_id": None,
        "first_us": first_us,
        "last_us": now_us,
        "last_status": outcome.status,
        "last_problem": outcome.problem,
        "end_time_us": None if state == PENDING else now_us,
    }


def standing(
    endpoint: Endpoint, outcomes: Sequence[Outcome], now_us: int, pace: Pace
) -> tuple[dict[str, Any], list[str]]:
    """Answer how an endpoint stands after some tries, and what the log is to say of that."""
    text: list[str] = []
    since_us, success_us = endpoint.failing_since_us, endpoint.last_success_us
    for outcome in outcomes:
        if outcome.is_taken:
            since_us, success_us = None, now_us
        elif since_us is None:
            since_us = now_us
    if since_us is not None and endpoint.failing_since_us is None:
        text.append(f"{name(endpoint)} takes nothing: {outcomes[-1].problem}")
    elif since_us is None and endpoint.failing_since_us is not None:
        text.append(f"{name(endpoint)} takes deliveries again")
    changes: dict[str, Any] = {"failing_since_us": since_us, "last_success_us": success_us}
    why = _why_no_more(outcomes, since_us, now_us, pace)
    if why and endpoint.disabled_us is None:
        changes |= {"disabled_us": now_us, "disabled_reason": why[:MAX_REASON]}
        text.append(f"{name(endpoint)} is disabled. {why}")
    return changes, text


def _why_no_more(outcomes: Sequence[Outcome], since_us: int | None, now_us: int, pace: Pace) -> str:
    """Answer why an endpoint is to be disabled; empty where it is not."""
    if any(outcome.status == GONE for outcome in outcomes):
        return "It answered 410 Gone."
    if since_us is None or now_us - since_us < pace.disable_s * US_PER_S:
        return ""
    return f"No try succeeded for {pace.disable_s / 86_400:.0f} days; {outcomes[-1].problem}"


def is_back(endpoint: Endpoint, changes: dict[str, Any], now_us: int, pace: Pace) -> bool:
    """Whether an endpoint answers again after an outage."""
    since_us = endpoint.failing_since_us
    if since_us is None or changes["failing_since_us"] is not None:
        return False
    return now_us - since_us >= pace.outage_s * US_PER_S


def name(endpoint: Endpoint) -> str:
    """Name an endpoint in the log: not by its URL, which may have a secret in it."""
    return f"the webhook endpoint {endpoint.endpoint_id}"
