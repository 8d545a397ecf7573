"""The faults that the sandbox shows on request: a plan of probabilities, and the random choice."""

import dataclasses
import random
from collections.abc import Mapping
from typing import Any, TypeVar

MAX_WAIT_S = 60.0
# Razorpay's own silence before a client gives up is not documented; most clients wait less.
DEFAULT_HOLD_S = 30.0

Part = TypeVar("Part", "WebhookFaults", "ApiFaults")


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookFaults:
    """What goes wrong with a webhook: probabilities, and a delay in seconds."""

    duplicate: float = 0.0
    drop: float = 0.0
    reorder: float = 0.0
    delay_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class ApiFaults:
    """What goes wrong with a call of Razorpay's API: probabilities, and two times in seconds."""

    error: float = 0.0
    timeout_after_success: float = 0.0
    rate_limit: float = 0.0
    insufficient_balance: float = 0.0
    latency_s: float = 0.0
    # How long an answer is withheld by timeout_after_success before the connection is dropped.
    timeout_hold_s: float = DEFAULT_HOLD_S


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """All faults."""

    webhooks: WebhookFaults = WebhookFaults()
    api: ApiFaults = ApiFaults()


class Faults:
    """The plan in force, and the random generator."""

    def __init__(self, rng: random.Random) -> None:
        self.plan = Plan()
        self._rng = rng

    def strikes(self, chance: float) -> bool:
        """Decide at random whether something with this probability happens."""
        return chance > 0 and self._rng.random() < chance

    def within(self, limit_s: float) -> float:
        """Choose a random time up to a limit."""
        return self._rng.uniform(0, limit_s)

    def balance_is_short(self) -> bool:
        """Decide at random whether an account is short of money."""
        return self.strikes(self.plan.api.insufficient_balance)

    def show(self) -> dict[str, Any]:
        """Answer the plan as PUT /sandbox/faults takes it."""
        return dataclasses.asdict(self.plan)


def parse_plan(body: object) -> Plan:
    """Read a plan. A fault that it does not name does not happen.

    Raises ValueError with a sentence that names the field.
    """
    fields = _object(body, "The body", {"webhooks", "api"})
    return Plan(
        webhooks=_part(WebhookFaults, fields.get("webhooks", {}), "webhooks"),
        api=_part(ApiFaults, fields.get("api", {}), "api"),
    )


def _part(kind: type[Part], body: object, name: str) -> Part:
    fields = _object(body, name, {field.name for field in dataclasses.fields(kind)})
    return kind(**{key: _number(f"{name}.{key}", value) for key, value in fields.items()})


def _object(body: object, name: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise ValueError(f"{name} must be an object.")
    unknown = sorted(set(body) - known)
    if unknown:
        raise ValueError(f"{name} has no field {unknown[0]!r:.60}; it has {sorted(known)}.")
    return body


def _number(name: str, value: object) -> float:
    limit = MAX_WAIT_S if name.endswith("_s") else 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number.")
    if not 0 <= value <= limit:
        raise ValueError(f"{name} must be between 0 and {limit:g}.")
    return float(value)
