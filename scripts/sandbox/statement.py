"""What has moved the platform's balance at Razorpay, line by line, and what was paid to its bank.

The lines are what Razorpay's settlement recon lists (RZP/api/settlements/fetch-recon). For tests a
report can be made wrong: lines altered, added or left out.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from scripts.sandbox import check
from scripts.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from scripts.sandbox.books import Books

Entity = dict[str, Any]

# What the platform has at Razorpay from other business, so that fees never keep an honest transfer
# or refund from being made: ten million rupees.
OPENING_BALANCE_MINOR = 10**9
# Settlements are in rupees. What was paid in another currency has lines of its own.
RUPEES = "INR"
# What a report has lines of.
ADJUSTMENT = "adjustment"
LINE_TYPES = ("payment", "refund", "transfer", "reversal", ADJUSTMENT)


class Statement:
    """The balance, its lines, and the settlements to the bank."""

    def __init__(self) -> None:
        self.lines: list[Entity] = []
        self._planted: dict[str, Entity | None] = {}
        self._foreign: list[Entity] = []
        # What Razorpay holds for the platform, in rupees.
        self.balance_minor = OPENING_BALANCE_MINOR

    def post(
        self, books: Books, entity_id: str, kind: str, entity: Entity, *, net: int, **more: Any
    ) -> None:
        """Write down that something has changed the balance by `net` minor units."""
        line = _line(books, entity_id, kind, entity, net) | more
        self.lines.append(line)
        if line["currency"] == RUPEES:
            self.balance_minor += net

    def settle(self, books: Books, day: dt.date | None) -> Entity | None:
        """Pay what is not settled, up to the end of a day or all of it, to the bank.

        None while the lines come to nothing or less: they wait for more, as at Razorpay. Only
        rupees are paid out.
        """
        due = [
            line
            for line in self.lines
            if not line["settled"]
            and line["currency"] == RUPEES
            and (day is None or day_of(line["created_at"]) <= day)
        ]
        amount = sum(line["credit"] - line["debit"] for line in due)
        if amount <= 0:
            return None
        settlement = books.new(
            "settlement",
            {"amount": amount, "status": "processed", "fees": 0, "tax": 0, "utr": ""},
        )
        settlement["utr"] = f"UTR{settlement['id'].removeprefix('setl_')}"
        for line in due:
            line.update(
                settled=True,
                settled_at=settlement["created_at"],
                settlement_id=settlement["id"],
                settlement_utr=settlement["utr"],
            )
        self.balance_minor -= amount
        books.tell("settlement.processed", settlement, lane=settlement["id"])
        return settlement

    def report(self, year: int, month: int, day: int | None) -> list[Entity]:
        """List the lines that were settled on a day or in a month, as the recon API does.

        Without a settlement a line counts for the day on which it was made.
        """
        found = []
        for line in [*self.lines, *self._foreign]:
            on = day_of(line["settled_at"] or line["created_at"])
            if (on.year, on.month) == (year, month) and day in (None, on.day):
                shown = self._planted.get(line["entity_id"], line)
                if shown is not None:
                    found.append(shown)
        return copy.deepcopy(found)

    def plant(self, books: Books, body: Entity) -> Entity:
        """Make the reports wrong: {"drop": id}, {"alter": id, "by": n} or {"add": {…}}."""
        verbs = [verb for verb in ("drop", "alter", "add") if verb in body]
        if len(verbs) != 1:
            raise Refusal("Plant one of drop, alter and add.", field="drop")
        if verbs == ["add"]:
            return self._add(books, body["add"])
        line = self._find(body[verbs[0]])
        if verbs == ["drop"]:
            self._planted[line["entity_id"]] = None
            return line
        net = line["credit"] - line["debit"] + _by(body)
        altered = line | {"debit": max(-net, 0), "credit": max(net, 0)}
        self._planted[line["entity_id"]] = altered
        return altered

    def _find(self, entity_id: object) -> Entity:
        for line in self.lines:
            if line["entity_id"] == entity_id:
                return line
        raise Refusal("The statement has no line of this id.", field="entity_id")

    def _add(self, books: Books, given: Any) -> Entity:
        if not isinstance(given, dict) or given.get("type", ADJUSTMENT) not in LINE_TYPES:
            raise Refusal(f"A line to add is one of {', '.join(LINE_TYPES)}.", field="type")
        amount = check.amount(given)
        net = amount if check.flag(given, "credit", default=True) else -amount
        entity_id = given.get("id", books.new_id(ADJUSTMENT))
        if not isinstance(entity_id, str):
            raise Refusal("The id must be a text.", field="id")
        entity = {"amount": amount, "currency": RUPEES}
        line = _line(books, entity_id, given.get("type", ADJUSTMENT), entity, net)
        self._foreign.append(line)
        return line


def _by(body: Entity) -> int:
    by = body.get("by")
    if type(by) is not int or by == 0 or abs(by) > check.MAX_AMOUNT_MINOR:
        raise Refusal("The by must be a whole number of minor units.", field="by")
    return by


def _line(books: Books, entity_id: str, kind: str, entity: Entity, net: int) -> Entity:
    return {
        "entity_id": entity_id,
        "type": kind,
        "debit": max(-net, 0),
        "credit": max(net, 0),
        "amount": entity["amount"],
        "currency": entity["currency"],
        "fee": 0,
        "tax": 0,
        "on_hold": False,
        "settled": False,
        "created_at": books.now_s(),
        "settled_at": None,
        "settlement_id": None,
        "settlement_utr": None,
        "posted_at": None,
        "credit_type": "default",
        "description": None,
        # Razorpay writes the notes of payments and refunds as a text, and has none of the others.
        "notes": json.dumps(entity.get("notes") or {}) if kind in ("payment", "refund") else None,
        "payment_id": None,
        "order_id": None,
        "order_receipt": None,
        "method": None,
        "card_network": None,
        "card_issuer": None,
        "card_type": None,
        "dispute_id": None,
    }


def day_of(time_s: int) -> dt.date:
    """Answer the day of a time in India, where Razorpay's days begin and end."""
    return dt.datetime.fromtimestamp(time_s, _INDIA).date()


_INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
