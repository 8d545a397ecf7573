"""Razorpay's settlement reports on a real socket, with the lines that a test wants."""

import asyncio
import json
import re
from collections import defaultdict
from typing import Any

from tests.fakes.peer import Answer, Peer, http

Line = dict[str, Any]


def line_of(entity_id: str, kind: str, net_minor: int, **more: Any) -> Line:
    """One line, in the shape of RZP/api/settlements/fetch-recon.md."""
    return {
        "entity_id": entity_id,
        "type": kind,
        "debit": max(-net_minor, 0),
        "credit": max(net_minor, 0),
        "amount": abs(net_minor),
        "currency": "INR",
        "fee": 0,
        "tax": 0,
        "on_hold": False,
        "settled": True,
        "created_at": 1_567_692_556,
        "settled_at": 1_568_176_960,
        "settlement_id": None,
        "posted_at": None,
        "credit_type": "default",
        "description": None,
        "notes": [],
        "payment_id": None,
        "settlement_utr": None,
        "order_id": None,
        "dispute_id": None,
        **more,
    }


class ReportServer(Peer):
    """Answers the two calls of settlement reports; use with `async with`."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        # By day, as YYYY-MM-DD.
        self.days: defaultdict[str, list[Line]] = defaultdict(list)
        self.settlements: dict[str, Line] = {}
        self.is_away = False

    def settle(self, day: str, settlement_id: str, *lines: Line) -> None:
        """Bring lines to the bank together."""
        utr = f"utr{settlement_id}"
        settled = {"settlement_id": settlement_id, "settlement_utr": utr}
        self.days[day] += [line | settled for line in lines]
        self.settlements[settlement_id] = {
            "id": settlement_id,
            "entity": "settlement",
            "amount": sum(line["credit"] - line["debit"] for line in lines),
            "status": "processed",
            "fees": 0,
            "tax": 0,
            "utr": utr,
            "created_at": 1_568_176_960,
        }

    async def _reply(self, writer: asyncio.StreamWriter) -> None:
        path = self.requests[-1].split(b" ")[1].decode()
        await self._answer_to(path)(writer)

    def _answer_to(self, path: str) -> Answer:
        if self.is_away:
            return http(503, "{}")
        if "/recon/combined" in path:
            asked = {name: int(n) for name, n in re.findall(r"[?&](\w+)=(\d+)", path)}
            lines = self.days[f"{asked['year']}-{asked['month']:02}-{asked['day']:02}"]
            page = lines[asked["skip"] : asked["skip"] + asked["count"]]
            return _json(200, {"entity": "collection", "count": len(page), "items": page})
        found = self.settlements.get(path.split("?")[0].rsplit("/", 1)[1])
        if found is None:
            error = {"code": "BAD_REQUEST_ERROR", "description": "The id provided does not exist"}
            return _json(400, {"error": error})
        return _json(200, found)


def _json(status: int, body: object) -> Answer:
    return http(status, json.dumps(body))
