"""Checks the WebSocket: does it open, do frames come at once, does it stay open when idle?"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import aiohttp
from aiohttp import WSMsgType

from bridge.check.address import Address
from bridge.check.report import Report
from bridge.protocol.errors import CloseCode

SUBPROTOCOL = "bearer"
# How long the handshake, or a frame, may take.
FRAME_S = 5.0
# How much longer than the bridge's ping interval the connection is kept idle.
SPARE_S = 5.0
# How many pings are sent one after another.
PINGS = 3
# A clock that is off by more than this gets a note.
CLOCK_S = 30.0

_UPGRADE = (
    "the upgrade is not passed on: the WebSocket does not open",
    "In nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
    ' proxy_set_header Connection "upgrade";`',
)
_ORIGIN = (
    "the bridge refuses the pages of this very address: Origin and Host do not match",
    "Have the proxy pass the Host, scheme and port that the browser asked for, or name this"
    " origin in ALLOWED_ORIGINS.",
)
_BUFFERING = (
    "what the bridge sends does not come: something on the way keeps it back",
    "Switch buffering off for /api/v1/ws: `proxy_buffering off;` in nginx.",
)


class Line:
    """One WebSocket (the *line*), tried step by step."""

    def __init__(self, http: aiohttp.ClientSession, address: Address, report: Report) -> None:
        self._http = http
        self._address = address
        self._report = report
        self._socket: aiohttp.ClientWebSocketResponse
        self._connected: dict[str, Any] = {}

    async def check(self, token: str, *, is_good: bool, wait_s: float | None) -> None:
        """Try everything. With a fake token (not `is_good`), only its refusal can be tried.

        `wait_s` is how long the connection is kept idle, by default longer than the ping interval.
        """
        if not await self._open(token):
            return
        try:
            if await self._greeted(is_good) and await self._answered():
                await self._silent(wait_s)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FRAME_S):
                    await self._socket.close()

    async def _open(self, token: str) -> bool:
        began = time.monotonic()
        try:
            async with asyncio.timeout(FRAME_S):
                self._socket = await self._http.ws_connect(
                    self._address.socket,
                    origin=self._address.origin,
                    protocols=(SUBPROTOCOL, token),
                    autoping=False,
                )
        except aiohttp.WSServerHandshakeError as error:
            self._refused(error)
            return False
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = f"the WebSocket does not open: {error or type(error).__name__}"
            self._report.wrong(why, _UPGRADE[1])
            return False
        self._report.good(f"the WebSocket opens ({(time.monotonic() - began) * 1000:.0f} ms)")
        if self._socket.protocol != SUBPROTOCOL:
            self._report.wrong(
                "the subprotocol is lost on its way, and with it the token of the dashboard",
                "Have the proxy pass Sec-WebSocket-Protocol on, in both directions.",
            )
        return True

    def _refused(self, error: aiohttp.WSServerHandshakeError) -> None:
        if error.status == 403:
            self._report.wrong(*_ORIGIN)
        elif error.status in (200, 400, 404, 426):
            self._report.wrong(*_UPGRADE)
        else:
            self._report.wrong(
                f"the WebSocket does not open: the answer is {error.status}",
                "Pass /api/v1/ws on to the bridge; at 503 it has no place or is about to go.",
            )

    async def _greeted(self, is_good: bool) -> bool:
        message = await self._next(FRAME_S)
        if message is None:
            self._report.wrong(*_BUFFERING)
            return False
        if message.type is WSMsgType.TEXT:
            self._connected = message.json()
            self._compare_clocks()
            return True
        code = self._socket.close_code
        if code == CloseCode.BAD_TOKEN and not is_good:
            self._report.good("a bad token is refused, and the page learns why")
        elif code == CloseCode.BAD_TOKEN:
            self._report.wrong(
                "the bridge refuses the token (4401)",
                "Give a fresh one with --token; if it is, something on the way has changed it.",
            )
        else:
            self._report.wrong(
                f"the WebSocket is closed at once, with {code}", "See the log of the bridge."
            )
        return False

    def _compare_clocks(self) -> None:
        told = self._connected.get("time")
        if isinstance(told, int | float) and abs(told - time.time()) > CLOCK_S:
            off_s = told - time.time()
            self._report.note(f"the bridge's clock is {off_s:+.0f} s off from this machine's")

    async def _answered(self) -> bool:
        worst_s = 0.0
        for number in range(PINGS):
            began = time.monotonic()
            await self._socket.send_json({"type": "ping", "id": number})
            if not await self._pong(number, began + FRAME_S):
                self._report.wrong(*_BUFFERING)
                return False
            worst_s = max(worst_s, time.monotonic() - began)
        self._report.good(f"what is sent comes at once (a ping takes {worst_s * 1000:.0f} ms)")
        return True

    async def _pong(self, number: int, until: float) -> bool:
        while (left_s := until - time.monotonic()) > 0:
            message = await self._next(left_s)
            if message is None or message.type is not WSMsgType.TEXT:
                return False
            if message.json().get("id") == number:
                return True
        return False

    async def _silent(self, wait_s: float | None) -> None:
        """Send nothing for longer than the bridge's ping interval."""
        interval_s = float(self._connected.get("ping_interval", 0))
        wait_s = interval_s + SPARE_S if wait_s is None else wait_s
        began, pings = time.monotonic(), 0
        while (left_s := began + wait_s - time.monotonic()) > 0:
            message = await self._next(left_s, pings=True)
            if message is None:
                break
            if message.type is WSMsgType.PING:
                pings += 1
            elif message.type is not WSMsgType.TEXT:
                self._cut_off(time.monotonic() - began, interval_s)
                return
        if wait_s > interval_s and not pings:
            self._report.wrong(f"no ping of the bridge has come for {wait_s:.0f} s", _BUFFERING[1])
        elif not await self._still_answers():
            self._report.wrong(*_BUFFERING)
        else:
            self._report.good(f"it stays open when nobody speaks ({wait_s:.0f} s tried)")

    async def _still_answers(self) -> bool:
        with contextlib.suppress(ConnectionError):
            await self._socket.send_json({"type": "ping", "id": PINGS})
            return await self._pong(PINGS, time.monotonic() + FRAME_S)
        return False

    def _cut_off(self, after_s: float, interval_s: float) -> None:
        code = self._socket.close_code
        if code == CloseCode.RESTART:
            self._report.note("the bridge is about to go: check again")
            return
        self._report.wrong(
            f"the connection is cut after {after_s:.0f} s of silence ({code}); the bridge pings"
            f" every {interval_s:g} s only",
            "Make the proxy's idle time-outs longer: `proxy_read_timeout 75s;"
            " proxy_send_timeout 75s;` in nginx, and those of a balancer before it.",
        )

    async def _next(self, within_s: float, *, pings: bool = False) -> aiohttp.WSMessage | None:
        """Answer the next message, or None if none comes in time. Answers pings."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    message: aiohttp.WSMessage = await self._socket.receive()
                    if message.type is WSMsgType.PING:
                        await self._socket.pong(message.data)
                        if not pings:
                            continue
                    return message
        except TimeoutError:
            return None
