"""The demo's stand-in for a browser: one user's WebSocket, which prints each frame as a line."""

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
    """One user's WebSocket, and every frame that it has received."""

    name: str
    socket: aiohttp.ClientWebSocketResponse
    tell: Callable[[str, str], None]
    frames: list[Frame] = field(default_factory=list)
    received: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        """Receive frames until the connection ends, then raise Closed."""
        async for message in self.socket:
            frame = message.json()
            self.tell(self.name, f"◀ {line(frame)}")
            async with self.received:
                self.frames.append(frame)
                self.received.notify_all()
        raise Closed(f"the {self.name}'s WebSocket was closed with {self.socket.close_code}")

    async def subscribe(self, escrow_id: str) -> None:
        self.tell(self.name, f"▶ subscribe {escrow_id}")
        await self.socket.send_json({"type": "subscribe", "escrow_id": escrow_id})
        await self.wait_for(lambda frame: frame["type"] == "subscribed")

    async def wait_for_status(self, status: str) -> None:
        """Wait for an update in which the escrow has this status."""
        await self.wait_for(
            lambda frame: frame["type"] == "escrow_update" and frame["data"]["status"] == status
        )

    async def wait_for(self, wanted: Callable[[Frame], bool]) -> None:
        async with self.received:
            await self.received.wait_for(lambda: any(wanted(frame) for frame in self.frames))


def line(frame: Frame) -> str:
    """Describe a server frame in one line. A frame of an unknown type is shown whole."""
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
