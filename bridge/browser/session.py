"""The session of one browser: its commands, its subscriptions, its token and its end.

Nothing here waits for the browser: frames to it go through the outbox. Calls to core run in tasks
of their own, so that a ping is answered at any time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from time import time

from bridge.browser.outbox import Flusher, Outbox
from bridge.browser.penalty import Penalties
from bridge.browser.places import Subscriptions
from bridge.browser.socket import Socket
from bridge.browser.wheel import NOWHERE, Wheel
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
    wheel: Wheel
    penalties: Penalties
    standing: Standing
    limits: Limits
    metrics: Metrics


class Stage(Enum):
    """How far a session is. The stages only follow one another, and some may be left out."""

    OPEN = auto()
    # We have sent a close frame, and wait for the peer's.
    ENDED = auto()
    # The peer broke a rule, and we wait until it sends nothing more.
    BROKEN = auto()
    # The connection is closed, though the last bytes may still be on their way.
    OVER = auto()


class Session:
    """From the accepted handshake to the close. What arrives and the wheel drive it, not a task.

    Calls `on_over` once, when it has no subscriptions any more and its connection is closed.
    """

    __slots__ = (
        "_allowance",
        "_answer",
        "_authenticating",
        "_counted_at",
        "_due",
        "_heard_at",
        "_noticed",
        "_on_over",
        "_outbox",
        "_pinged_at",
        "_shared",
        "_socket",
        "_stage",
        "_subscriptions",
        "identity",
        "problem",
        "slot",
    )

    def __init__(
        self,
        socket: Socket,
        identity: Identity,
        shared: Shared,
        on_over: Callable[[Session], None],
    ) -> None:
        self.identity = identity
        self.slot = NOWHERE
        # Why the browser was told that it is not live; empty while it is.
        self.problem = ""
        self._socket = socket
        self._shared = shared
        self._on_over = on_over
        self._outbox = Outbox(socket.transport, shared.flusher, shared.limits, self._too_slow)
        self._subscriptions = Subscriptions(
            self, self._outbox, shared.watches, shared.follows, shared.metrics
        )
        self._authenticating: asyncio.Task[None] | None = None
        self._stage = Stage.OPEN
        # The code of the peer's close frame.
        self._answer = 1000
        # When the connection is cut, once it is no longer open.
        self._due = 0.0
        self._allowance = float(shared.limits.frames_burst)
        self._heard_at = self._pinged_at = self._counted_at = _now()
        self._noticed = False

    def begin(self) -> None:
        """Send `connected`, and serve the browser from now on."""
        limits = self._shared.limits
        self._outbox.put(
            frames.connected(
                self.identity.user_id, self.identity.expires_at, limits.ping_interval_s
            )
        )
        self.tell_live(self._shared.standing.problem)
        self._look_soon()
        self._socket.listen(self)

    @property
    def is_current(self) -> bool:
        """Whether every subscription has been compared with core since its stream broke."""
        return self._subscriptions.are_current

    def tell_live(self, problem: str) -> None:
        """Tell the browser that it is live, or why not, unless it was told so before."""
        if self._stage is Stage.OPEN and problem != self.problem:
            self.problem = problem
            self._outbox.put(frames.live(not problem, problem))

    def admits(self) -> bool:
        """Count a frame; answer whether it is within the rate."""
        now = self._heard_at = _now()
        limits = self._shared.limits
        earned = (now - self._counted_at) * limits.frames_per_s
        self._counted_at = now
        self._allowance = min(limits.frames_burst, self._allowance + earned) - 1
        return self._allowance >= 0

    def hear(self, message: Message) -> None:
        """Handle a message. After our close frame, only the peer's answer to it matters."""
        if message.kind is Kind.CLOSE:
            self._answer = message.code
            self._leave()
        elif self._stage is Stage.OPEN:
            self._obey(message)

    def broken(self, code: CloseCode) -> None:
        """Close the connection, because the peer broke the protocol or a limit."""
        if code is CloseCode.TOO_FAST and self._stage is Stage.OPEN:
            self._shared.penalties.add(self.identity.user_id)
            text = f"At most {self._shared.limits.frames_per_s:g} frames a second are allowed."
            self.refuse(ErrorCode.RATE_LIMITED, text)
        self.end(code)
        if self._stage is Stage.ENDED:
            self._stage = Stage.BROKEN
            self._shared.wheel.put(self, _now())

    def block(self) -> None:
        """Let frames wait: the socket takes no more bytes for now."""
        self._outbox.block()

    def unblock(self) -> None:
        """Write again."""
        self._outbox.unblock()

    def lost(self) -> None:
        """Note that the connection is lost."""
        self._leave()
        self._shared.wheel.remove(self)

    def check(self, now: float) -> float | None:
        """Do what is due, and answer when to look again. `now` is the loop's time.

        An open connection is pinged, dropped if it is silent, and closed when its token expires. A
        closed one is cut when the peer has taken too long.
        """
        if self._stage is Stage.OPEN:
            return self._check_open(now)
        if self._stage is Stage.BROKEN:
            if not self._socket.is_quiet(now) and now < self._due:
                return now
            self._leave()
            return self._due
        if self._stage is Stage.OVER:
            # A peer that does not read would keep the unsent data in memory for ever.
            self._transport.abort()
        elif now >= self._due:
            self.cut()
        return None if now >= self._due else self._due

    def go_away(self, after_ms: int) -> None:
        """Tell the browser when to come back, and close."""
        self._outbox.put(frames.reconnect(after_ms))
        self.end(CloseCode.RESTART)

    def end(self, code: CloseCode) -> None:
        """Send what the browser can take now, and then a close frame.

        The connection is closed with the browser's answer, or after `close_s`. A second call does
        nothing.
        """
        if self._stage is not Stage.OPEN:
            return
        self._stage = Stage.ENDED
        self._shared.metrics.closes.labels(str(code.value)).inc()
        self._outbox.finish(frames.close(code, code.reason))
        self._cut_later()

    def cut(self) -> None:
        """Close the connection now. Data that is in the kernel already is still delivered."""
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    @property
    def _transport(self) -> asyncio.Transport:
        return self._socket.transport

    def _too_slow(self) -> None:
        self.end(CloseCode.TOO_SLOW)

    def _leave(self) -> None:
        if self._stage is Stage.OVER:
            return
        if self._stage is Stage.OPEN:
            # The browser has closed the connection, or it is lost.
            self._outbox.finish(frames.close(self._answer))
        self._stage = Stage.OVER
        if self._authenticating is not None:
            self._authenticating.cancel()
        self._subscriptions.close()
        self._socket.stop()
        self._transport.close()
        self._cut_later()
        self._on_over(self)

    def _cut_later(self) -> None:
        self._due = _now() + self._shared.limits.close_s
        self._shared.wheel.put(self, self._due)

    def _look_soon(self) -> None:
        self._shared.wheel.put(self, _now())

    def _check_open(self, now: float) -> float | None:
        limits = self._shared.limits
        left_s = self.identity.expires_at - time()
        if left_s <= 0:
            self.end(CloseCode.BAD_TOKEN)
            return self._due
        if left_s <= limits.token_notice_s and not self._noticed:
            self._noticed = True
            text = f"The token expires in {math.ceil(left_s)} s. Send a fresh one with auth."
            self.refuse(ErrorCode.TOKEN_EXPIRING, text)
        token_s = left_s if self._noticed else left_s - limits.token_notice_s
        return min(now + token_s, self._check_silence(now))

    def _check_silence(self, now: float) -> float:
        """Ping, or drop a silent peer; answer when to look again."""
        limits = self._shared.limits
        if self._heard_at < self._pinged_at:
            silent_at = self._pinged_at + limits.ping_silence_s
            if now < silent_at:
                return silent_at
            self._shared.metrics.closes.labels("1006").inc()
            self._transport.abort()
            return now + limits.ping_interval_s
        if now - self._pinged_at >= limits.ping_interval_s:
            self._pinged_at = now
            self._outbox.put(frames.PING)
            return now + limits.ping_silence_s
        return self._pinged_at + limits.ping_interval_s

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
        self._look_soon()
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


def _now() -> float:
    return asyncio.get_running_loop().time()
