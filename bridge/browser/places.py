"""All subscriptions of one socket: begins them, answers for them and ends them.

Each one is a place where the socket listens: an escrow (subscription.py) or `*` (following.py).
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from bridge.browser.following import UserSubscription
from bridge.browser.outbox import Outbox
from bridge.browser.subscription import EscrowSubscription, Subscription
from bridge.metrics import Metrics
from bridge.protocol import frames
from bridge.protocol.errors import CloseCode, ErrorCode
from bridge.upstream.error import CoreError
from bridge.upstream.follow import Follows
from bridge.upstream.watch import Watches
from holdfast.tokens import Identity

# The roles for which `*` means every escrow there is.
SEES_ALL = frozenset({"admin", "service"})


class Owner(Protocol):
    """The session that has the subscriptions."""

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


class Subscriptions:
    """The subscriptions of one socket, by escrow id; the one to `*` is under EVERYTHING."""

    def __init__(
        self, owner: Owner, outbox: Outbox, watches: Watches, follows: Follows, metrics: Metrics
    ) -> None:
        self._owner = owner
        self._outbox = outbox
        self._watches = watches
        self._follows = follows
        self._metrics = metrics
        self._most = watches.source.limits.subscriptions
        self._subscriptions: dict[str, Subscription] = {}
        self._joining: dict[str, asyncio.Task[None]] = {}
        self._checking: set[asyncio.Task[None]] = set()

    @property
    def are_current(self) -> bool:
        """Whether all have been compared with core since their streams broke."""
        return all(one.is_current for one in self._subscriptions.values())

    def subscribe(self, command: frames.Subscribe) -> None:
        """Begin a subscription, or answer again if there is one. The answer comes as frames."""
        escrow_id, frame_id = command.escrow_id, command.frame_id
        known = self._subscriptions.get(escrow_id)
        if known is not None:
            known.ask_again(frame_id)
        elif len(self._subscriptions) >= self._most:
            self._owner.refuse(
                ErrorCode.TOO_MANY_SUBSCRIPTIONS,
                f"A connection can have {self._most} subscriptions; unsubscribe from one first.",
                escrow_id=escrow_id,
                frame_id=frame_id,
            )
        else:
            begun = self._subscriptions[escrow_id] = self._begin(escrow_id, frame_id)
            self._metrics.subscriptions.inc()
            self._joining[escrow_id] = asyncio.create_task(self._join(begun, command.after))

    def unsubscribe(self, escrow_id: str) -> None:
        """End a subscription, if there is one."""
        ended = self._subscriptions.pop(escrow_id, None)
        if ended is None:
            return
        self._metrics.subscriptions.dec()
        joining = self._joining.pop(escrow_id, None)
        if joining is not None and joining is not asyncio.current_task():
            joining.cancel()
        ended.leave()
        to_all = self._to_all()
        if to_all is not None and isinstance(ended, EscrowSubscription):
            to_all.take_over(ended)

    def check_again(self) -> None:
        """End the subscriptions that the owner's new token does not allow.

        The one to `*` goes on with what the new roles let see.
        """
        to_all = self._to_all()
        if to_all is not None and to_all.user_id != self._followed():
            self._begin_anew(to_all)
        for subscription in self._subscriptions.values():
            if isinstance(subscription, EscrowSubscription):
                checking = asyncio.create_task(self._check(subscription))
                self._checking.add(checking)
                checking.add_done_callback(self._checking.discard)

    async def _check(self, subscription: EscrowSubscription) -> None:
        core = self._watches.source.core
        while self._subscriptions.get(subscription.escrow_id) is subscription:
            try:
                await core.get_escrow_as(self._owner.identity, subscription.escrow_id)
                return
            except CoreError as error:
                if not error.away:
                    self._fail(subscription, error)
                    return

    def close(self) -> None:
        """End all subscriptions."""
        for checking in self._checking:
            checking.cancel()
        # The one to `*` first, so that it does not take over from the others.
        for escrow_id in sorted(self._subscriptions, key=lambda one: one != frames.EVERYTHING):
            self.unsubscribe(escrow_id)

    def _begin(self, escrow_id: str, frame_id: frames.FrameId) -> Subscription:
        if escrow_id == frames.EVERYTHING:
            return UserSubscription(
                self._followed(),
                frame_id,
                self._outbox,
                self._follows,
                self._to_escrow,
                self._fail,
            )
        to_all = self._to_all()
        known = None if to_all is None else to_all.hand_over(escrow_id)
        return EscrowSubscription(
            self._owner, escrow_id, frame_id, self._outbox, self._watches, known, self._fail
        )

    def _followed(self) -> str:
        """Whose escrows `*` means: the user's, or, by an empty name, everybody's."""
        identity = self._owner.identity
        return "" if SEES_ALL & set(identity.roles) else identity.user_id

    def _begin_anew(self, to_all: UserSubscription) -> None:
        after = to_all.position if to_all.is_answered else to_all.after
        asked = to_all.asked
        self.unsubscribe(frames.EVERYTHING)
        for frame_id in asked:
            self.subscribe(frames.Subscribe(frames.EVERYTHING, after, frame_id))

    def _to_all(self) -> UserSubscription | None:
        found = self._subscriptions.get(frames.EVERYTHING)
        return found if isinstance(found, UserSubscription) else None

    def _to_escrow(self, escrow_id: str) -> EscrowSubscription | None:
        found = self._subscriptions.get(escrow_id)
        return found if isinstance(found, EscrowSubscription) else None

    async def _join(self, subscription: Subscription, after: int | None) -> None:
        try:
            await subscription.join(self._owner.identity, after)
        except CoreError as error:
            self._fail(subscription, error)
        finally:
            if self._joining.get(subscription.escrow_id) is asyncio.current_task():
                del self._joining[subscription.escrow_id]
            to_all = self._to_all()
            if to_all is not None:
                to_all.note_joined()

    def _fail(self, subscription: Subscription, error: CoreError) -> None:
        escrow_id = subscription.escrow_id
        if error.code == "UNAUTHENTICATED":
            self._owner.end(CloseCode.BAD_TOKEN)
            self.unsubscribe(escrow_id)
            return
        code, text = _refusal(error)
        for frame_id in subscription.asked:
            self._owner.refuse(code, text, escrow_id=escrow_id, frame_id=frame_id)
        self.unsubscribe(escrow_id)


def _refusal(error: CoreError) -> tuple[ErrorCode, str]:
    if error.reason == "POSITION_UNKNOWN":
        return (
            ErrorCode.POSITION_UNKNOWN,
            "There is no such position yet: core may have been restored from a backup. Subscribe"
            " without `after`, and forget what you have.",
        )
    # A malformed id gets the same answer as the id of an escrow that the user may not see.
    if error.code in ("NOT_FOUND", "INVALID_ARGUMENT"):
        return ErrorCode.ESCROW_NOT_FOUND, "There is no such escrow."
    if error.code == "PERMISSION_DENIED":
        return ErrorCode.FORBIDDEN, error.message or "You are not allowed to see this."
    return ErrorCode.UNAVAILABLE, "Core is temporarily unavailable; try again."
