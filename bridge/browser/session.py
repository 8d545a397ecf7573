"""The session of one browser: its commands, its subscriptions, its token and its end.

Nothing here waits for the browser: frames to it go through the outbox. Calls to core run in tasks
of their own, so that a ping is answered at any time.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from time import time

from aiohttp import web

from bridge.browser.outbox import Flusher, Outbox
from bridge.browser.penalty import Penalties
from bridge.browser.places import Subscriptions
from bridge.browser.socket import Socket
from bridge.limits import Limits
from bridge.metrics import Metrics
from bridge.protocol import frames
from bridge.protocol.decoder import Kind, Message
from bridge.protocol.errors import BadFrame, CloseCode, ErrorCode
from bridge.upstream.follow import Follows
from bridge.upstream.standing import Standing
from bridge.upstream.watch import Watches
from holdfast.tokens import Identity, KeysUnavailable, TokenRefused, Verifier


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions share."""

    watches: Watches
    follows: Follows
    verifier: Verifier
    flusher: Flusher
    penalties: Penalties
    standing: Standing
    limits: Limits
    metrics: Metrics


class Session:
    """From the accepted handshake to the close."""

    def __init__(
        self,
        socket: Socket,
        identity: Identity,
        shared: Shared,
    ) -> None:
        self.identity = identity
        self._socket = socket
        self._transport = transport = socket.transport
        self._shared = shared
        self._limits = shared.limits
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(transport, shared.flusher, shared.limits, self._too_slow)
        self._subscriptions = Subscriptions(
            self, self._outbox, shared.watches, shared.follows, shared.metrics
        )
        self._authenticating: asyncio.Task[None] | None = None
        self._ended = False
        # Set when no more messages will come. `_answer` is the code of the peer's close frame.
        self._heard = asyncio.Event()
        self._answer = 1000
        self._is_broken = False
        self._over = asyncio.Event()
        self._allowance = float(shared.limits.frames_burst)
        self._heard_at = self._pinged_at = self._counted_at = self._loop.time()
        self._noticed = False

    async def run(self, request: web.Request) -> None:
        """Serve the browser until the connection is over."""
        limits = self._limits
        self._outbox.put(
            frames.connected(
                self.identity.user_id, self.identity.expires_at, limits.ping_interval_s
            )
        )
        if self._shared.standing.problem:
            self.tell_live()
        try:
            self._socket.listen(self, request)
            await self._heard.wait()
            if self._is_broken:
                await self._socket.wait_until_quiet(limits.close_s)
        finally:
            await self._leave()

    def tell_live(self) -> None:
        """Tell the browser whether events reach it now."""
        problem = self._shared.standing.problem
        if not self._ended:
            self._outbox.put(frames.live(not problem, problem))

    def admits(self) -> bool:
        """Count a frame; answer whether it is within the rate."""
        now = self._heard_at = self._loop.time()
        earned = (now - self._counted_at) * self._limits.frames_per_s
        self._counted_at = now
        self._allowance = min(self._limits.frames_burst, self._allowance + earned) - 1
        return self._allowance >= 0

    def hear(self, message: Message) -> None:
        """Handle a message. After our close frame, only the peer's answer to it matters."""
        if message.kind is Kind.CLOSE:
            self._answer = message.code
            self._heard.set()
        elif not self._ended:
            self._obey(message)

    def broken(self, code: CloseCode) -> None:
        """Close the connection, because the peer broke the protocol or a limit."""
        if code is CloseCode.TOO_FAST and not self._ended:
            self._shared.penalties.add(self.identity.user_id)
            text = f"At most {self._limits.frames_per_s:g} frames a second are allowed."
            self.refuse(ErrorCode.RATE_LIMITED, text)
        self.end(code)
        self._is_broken = True
        self._heard.set()

    def lost(self) -> None:
        """Note that the connection is lost."""
        self._heard.set()

    def check(self, now: float) -> None:
        """Do what is due: ping, drop a silent peer, announce and enforce the token's expiry.

        `now` is the loop's time.
        """
        if self._ended:
            return
        left_s = self.identity.expires_at - time()
        if left_s <= 0:
            self.end(CloseCode.BAD_TOKEN)
        elif left_s <= self._limits.token_notice_s and not self._noticed:
            self._noticed = True
            text = f"The token expires in {math.ceil(left_s)} s. Send a fresh one with auth."
            self.refuse(ErrorCode.TOKEN_EXPIRING, text)
        waited_s = now - self._pinged_at
        if self._heard_at < self._pinged_at:
            if waited_s >= self._limits.ping_silence_s:
                self._shared.metrics.closes.labels("1006").inc()
                self._transport.abort()
        elif waited_s >= self._limits.ping_interval_s:
            self._pinged_at = now
            self._outbox.put(frames.PING)

    def go_away(self, after_ms: int) -> None:
        """Tell the browser when to come back, and close."""
        self._outbox.put(frames.reconnect(after_ms))
        self.end(CloseCode.RESTART)

    def end(self, code: CloseCode) -> None:
        """Send what the browser can take now, and then a close frame.

        `run` ends with the browser's answer, or after `close_s`. A second call does nothing.
        """
        if self._ended:
            return
        self._ended = True
        self._shared.metrics.closes.labels(str(code.value)).inc()
        self._outbox.finish(frames.close(code, code.reason))
        self._loop.call_later(self._limits.close_s, self.cut)

    def cut(self) -> None:
        """Close the connection now. Data that is in the kernel already is still delivered."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    async def over(self) -> None:
        """Wait until `run` has ended."""
        await self._over.wait()

    def _too_slow(self) -> None:
        self.end(CloseCode.TOO_SLOW)

    async def _leave(self) -> None:
        if not self._ended:
            # The browser has closed the connection, or it is lost.
            self._ended = True
            self._outbox.finish(frames.close(self._answer))
        if self._authenticating is not None:
            self._authenticating.cancel()
            await asyncio.gather(self._authenticating, return_exceptions=True)
        await self._subscriptions.close()
        self._transport.close()
        # Otherwise a peer that does not read would keep the unsent data in memory for ever.
        self._loop.call_later(self._limits.close_s, self._transport.abort)
        self._over.set()

    def _obey(self, message: Message) -> None:
        if message.kind is Kind.TEXT:
            self._take(message.text)
        elif message.kind is Kind.BINARY:
            self.refuse(ErrorCode.BAD_FRAME, "Binary frames are not supported. Send JSON as text.")
        elif message.kind is Kind.PING:
            self._outbox.put(frames.ws_pong(message.data))

    def _take(self, text: str) -> None:
        try:
            command = frames.parse(text)
        except BadFrame as bad:
            self.refuse(ErrorCode.BAD_FRAME, bad.message, frame_id=bad.frame_id)
            return
        match command:
            case frames.Subscribe():
                self._subscriptions.subscribe(command)
            case frames.Unsubscribe():
                self._outbox.put(frames.unsubscribed(command.escrow_id, command.frame_id))
                self._subscriptions.unsubscribe(command.escrow_id)
            case frames.Ping():
                self._outbox.put(frames.pong(command.frame_id))
            case frames.Authenticate():
                self._authenticate(command)

    def _authenticate(self, command: frames.Authenticate) -> None:
        if self._authenticating is not None and not self._authenticating.done():
            text = "The previous token is still being checked. Send this one again."
            self.refuse(ErrorCode.UNAVAILABLE, text, frame_id=command.frame_id)
            return
        self._authenticating = asyncio.create_task(self._renew(command))

    async def _renew(self, command: frames.Authenticate) -> None:
        try:
            identity = await self._shared.verifier.verify(command.token)
        except TokenRefused:
            text = "The token is invalid or expired. The connection keeps its previous token."
            self.refuse(ErrorCode.TOKEN_INVALID, text, frame_id=command.frame_id)
        except KeysUnavailable:
            text = "Tokens cannot be checked right now. Send the token again."
            self.refuse(ErrorCode.UNAVAILABLE, text, frame_id=command.frame_id)
        else:
            self._take_over(identity, command.frame_id)

    def _take_over(self, identity: Identity, frame_id: frames.FrameId) -> None:
        if identity.user_id != self.identity.user_id:
            text = "The token belongs to another user. The connection keeps its previous token."
            self.refuse(ErrorCode.USER_MISMATCH, text, frame_id=frame_id)
            return
        has_other_rights = set(identity.roles) != set(self.identity.roles)
        self.identity, self._noticed = identity, False
        self._outbox.put(frames.authenticated(identity.expires_at, frame_id))
        if has_other_rights:
            self._subscriptions.check_again()

    def refuse(
        self,
        code: ErrorCode,
        text: str,
        *,
        escrow_id: str | None = None,
        frame_id: frames.FrameId = None,
    ) -> None:
        """Tell the browser that a command failed."""
        self._shared.metrics.errors.labels(code.name).inc()
        self._outbox.put(frames.error(code, text, escrow_id=escrow_id, frame_id=frame_id))
