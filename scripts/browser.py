"""A browser without a browser: one user's WebSocket, whose frames are told a line each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

Frame = dict[str, Any]


class Closed(Exception):
    """The bridge ended the connection; the message says with which code."""


@dataclass
class Browser:
    """A WebSocket of one user, and every frame that it has got."""

    name: str
    socket: aiohttp.ClientWebSocketResponse
    tell: Callable[[str, str], None]
    frames: list[Frame] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        """Take frames until the connection ends; Closed when that happens."""
        async for message in self.socket:
            frame = message.json()
            self.tell(self.name, f"◀ {told(frame)}")
            async with self.news:
                self.frames.append(frame)
                self.news.notify_all()
        raise Closed(f"the {self.name}'s WebSocket was closed with {self.socket.close_code}")

    async def subscribe(self, escrow_id: str) -> None:
        self.tell(self.name, f"▶ subscribe {escrow_id}")
        await self.socket.send_json({"type": "subscribe", "escrow_id": escrow_id})
        await self.has(lambda frame: frame["type"] == "subscribed")

    async def sees(self, status: str) -> None:
        """Wait for the update that says that the escrow stands in this status."""
        await self.has(
            lambda frame: frame["type"] == "escrow_update" and frame["data"]["status"] == status
        )

    async def has(self, wanted: Callable[[Frame], bool]) -> None:
        async with self.news:
            await self.news.wait_for(lambda: any(wanted(frame) for frame in self.frames))


def told(frame: Frame) -> str:
    """Say what a server frame says; a type that is unknown here is shown whole."""
    kind = frame.get("type", "?")
    known = _SENTENCES.get(kind)
    rest = known(frame) if known else {name: v for name, v in frame.items() if name != "type"}
    version = f"v{frame['version']}" if "version" in frame else ""
    return f"{kind:<14} {version:<4} {rest}".rstrip()


def _update(frame: Frame) -> str:
    data = frame["data"]
    sums = ", ".join(
        f"{name} {data[f'{name}_minor'] / 100:,.2f}"
        for name in ("held", "released", "refunded", "fee")
        if data[f"{name}_minor"]
    )
    return f"{data.get('event_type', 'snapshot')}: {data['status']}" + (sums and f" ({sums})")


_SENTENCES = {
    "connected": lambda frame: frame["user_id"],
    "subscribed": _update,
    "payment_status": lambda frame: frame["status"],
    "status_change": lambda frame: f"{frame['old_status']} → {frame['new_status']}",
    "escrow_update": _update,
}
