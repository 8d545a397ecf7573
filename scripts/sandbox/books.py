"""All entities of the sandbox, as Razorpay would show them, oldest first.

Everything here runs on one event loop without an await, so that each change is atomic.
"""

import copy
import random
import string
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol

from scripts.sandbox.refusal import Refusal, unknown_id
from scripts.sandbox.statement import RUPEES, Statement

Entity = dict[str, Any]

MAX_ENTITIES_PER_KIND = 500_000
PREFIXES = {
    "order": "order_",
    "payment": "pay_",
    "refund": "rfnd_",
    "transfer": "trf_",
    "reversal": "rvrsl_",
    "dispute": "disp_",
    "settlement": "setl_",
    "adjustment": "adj_",
}
_ID_LETTERS = string.ascii_letters + string.digits


class Tell(Protocol):
    """Sends the webhook of an event. Events of the same `lane` keep their order."""

    def __call__(self, event: str, payload: dict[str, Entity], *, lane: str) -> None: ...


class Books:
    """All entities by kind and id; and the timer, the randomness and the webhooks they need."""

    def __init__(
        self,
        *,
        rng: random.Random,
        tell: Tell,
        later: Callable[[Callable[[], None]], None],
        balance_is_short: Callable[[], bool],
        now_s: Callable[[], int] = lambda: now_s(),
    ) -> None:
        self._rng = rng
        self._tell = tell
        self._kinds: dict[str, dict[str, Entity]] = {kind: {} for kind in PREFIXES}
        self._children: dict[tuple[str, str], list[Entity]] = defaultdict(list)
        # Calls a function after the short time that Razorpay takes to process something.
        self.later = later
        self._fault_of_balance = balance_is_short
        self.now_s = now_s
        self.statement = Statement()
        # The KYC of linked accounts, where it is not that of their name.
        self.account_status: dict[str, str] = {}
        # Orders whose payments wait for a capture call.
        self.manual_capture: set[str] = set()
        self.order_of_receipt: dict[str, Entity] = {}
        # By idempotency key: the fingerprint of its request, and the refund that it made.
        self.refund_of_key: dict[str, tuple[str, Entity]] = {}

    def new(self, kind: str, fields: Entity, *, parent: str = "") -> Entity:
        """Add an entity with a new id; `parent` is the id that it is listed under."""
        known = self._kinds[kind]
        if len(known) >= MAX_ENTITIES_PER_KIND:
            raise Refusal(f"The sandbox is full: it has {len(known)} of {kind}.")
        entity = {"id": self.new_id(kind), "entity": kind, **fields, "created_at": self.now_s()}
        known[entity["id"]] = entity
        if parent:
            self._children[kind, parent].append(entity)
        return entity

    def find(self, kind: str, entity_id: object) -> Entity:
        """Find an entity, or refuse as Razorpay does."""
        entity = self._kinds[kind].get(entity_id) if isinstance(entity_id, str) else None
        if entity is None:
            raise unknown_id()
        return entity

    def all(self, kind: str) -> list[Entity]:
        """List a kind, oldest first."""
        return list(self._kinds[kind].values())

    def of(self, kind: str, parent: str) -> list[Entity]:
        """List the entities of a kind under a parent's id, oldest first."""
        return list(self._children.get((kind, parent), ()))

    def tell(self, event: str, *entities: Entity, lane: str) -> None:
        """Send the webhook of an event, with its entities as they are now."""
        payload = {e["entity"]: {"entity": copy.deepcopy(e)} for e in entities}
        self._tell(event, payload, lane=lane)

    def balance_is_short(self, amount: int = 0, currency: str = RUPEES) -> bool:
        """Say whether the platform's balance does not cover an amount, or a fault says so.

        Of other currencies than rupees there is always enough.
        """
        has_end = currency == RUPEES
        return self._fault_of_balance() or (has_end and amount > self.statement.balance_minor)

    def state(self) -> dict[str, list[Entity]]:
        """Answer all entities but disputes and what only reports show, oldest first."""
        hidden = ("dispute", "settlement", "adjustment")
        return {f"{kind}s": self.all(kind) for kind in PREFIXES if kind not in hidden}

    def new_id(self, kind: str) -> str:
        """Make an id that nothing has."""
        return PREFIXES[kind] + "".join(self._rng.choices(_ID_LETTERS, k=14))


def now_s() -> int:
    """Answer the time as Razorpay writes it: whole seconds since the epoch."""
    return int(time.time())
