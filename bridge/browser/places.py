"""The subscriptions of one socket: how each begins, what becomes of it, how all of them end."""

from __future__ import annotations

import asyncio
from typing import Protocol

from bridge.browser.following import Following
from bridge.browser.outbox import Outbox
from bridge.browser.subscription import Place, Subscription
from bridge.metrics import Metrics
from bridge.protocol import frames
from bridge.protocol.errors import CloseCode, ErrorCode
from bridge.upstream.channel import CoreError
from bridge.upstream.follow import Follows
from bridge.upstream.watch import Watches
from holdfast.tokens import Identity


class Owner(Protocol):
    """The session whose subscriptions they are."""

    identity: Identity

    def refuse(
        self,
        code: ErrorCode,
        text: str,
        *,
        escrow_id: str | None = None,
        frame_id: frames.FrameId = None,
    ) -> None:
        """Tell the browser that a command failed."""

    def end(self, code: CloseCode) -> None:
        """End the connection."""


class Places:
    """By escrow id; EVERYTHING is one of them."""

    def __init__(
        self, owner: Owner, outbox: Outbox, watches: Watches, follows: Follows, metrics: Metrics
    ) -> None:
        self._owner = owner
        self._outbox = outbox
        self._watches = watches
        self._follows = follows
        self._metrics = metrics
        self._most = watches.source.limits.subscriptions
        self._places: dict[str, Place] = {}
        self._joining: dict[str, asyncio.Task[None]] = {}

    def subscribe(self, command: frames.Subscribe) -> None:
        """Begin one, or answer again where there is one; what comes of it comes as frames."""
        escrow_id, frame_id = command.escrow_id, command.frame_id
        known = self._places.get(escrow_id)
        if known is not None:
            known.ask_again(frame_id)
        elif len(self._places) >= self._most:
            self._owner.refuse(
                ErrorCode.TOO_MANY_SUBSCRIPTIONS,
                f"at most {self._most} subscriptions on one connection",
                escrow_id=escrow_id,
                frame_id=frame_id,
            )
        else:
            place = self._places[escrow_id] = self._place(escrow_id, frame_id)
            self._metrics.subscriptions.inc()
            self._joining[escrow_id] = asyncio.create_task(self._join(place, command.after))

    def forget(self, escrow_id: str) -> None:
        """End one, where there is one."""
        place = self._places.pop(escrow_id, None)
        if place is None:
            return
        self._metrics.subscriptions.dec()
        joining = self._joining.pop(escrow_id, None)
        if joining is not None and joining is not asyncio.current_task():
            joining.cancel()
        place.leave()
        following = self._following()
        if following is not None and isinstance(place, Subscription):
            following.take_over(place)

    async def close(self) -> None:
        """End all."""
        joining = list(self._joining.values())
        # The one to everything first: it need not take over from the others.
        for escrow_id in sorted(self._places, key=lambda one: one != frames.EVERYTHING):
            self.forget(escrow_id)
        await asyncio.gather(*joining, return_exceptions=True)

    def _place(self, escrow_id: str, frame_id: frames.FrameId) -> Place:
        if escrow_id == frames.EVERYTHING:
            user_id = self._owner.identity.user_id
            return Following(user_id, frame_id, self._outbox, self._follows, self._own, self._fail)
        following = self._following()
        known = None if following is None else following.hand_over(escrow_id)
        return Subscription(escrow_id, frame_id, self._outbox, self._watches, known, self._fail)

    def _following(self) -> Following | None:
        place = self._places.get(frames.EVERYTHING)
        return place if isinstance(place, Following) else None

    def _own(self, escrow_id: str) -> Subscription | None:
        place = self._places.get(escrow_id)
        return place if isinstance(place, Subscription) else None

    async def _join(self, place: Place, after: int | None) -> None:
        try:
            await place.join(self._owner.identity, after)
        except CoreError as error:
            self._fail(place, error)
        finally:
            if self._joining.get(place.escrow_id) is asyncio.current_task():
                del self._joining[place.escrow_id]

    def _fail(self, place: Place, error: CoreError) -> None:
        if error.code == "UNAUTHENTICATED":
            self._owner.end(CloseCode.BAD_TOKEN)
            self.forget(place.escrow_id)
            return
        code, text = _refusal(error)
        for frame_id in place.asked:
            self._owner.refuse(code, text, escrow_id=place.escrow_id, frame_id=frame_id)
        self.forget(place.escrow_id)


def _refusal(error: CoreError) -> tuple[ErrorCode, str]:
    # A malformed id names no escrow either, and must not be told from a stranger's.
    if error.code in ("NOT_FOUND", "INVALID_ARGUMENT"):
        return ErrorCode.ESCROW_NOT_FOUND, "no such escrow"
    if error.code == "PERMISSION_DENIED":
        return ErrorCode.FORBIDDEN, error.message or "not allowed"
    return ErrorCode.UNAVAILABLE, "core is away; try again"
