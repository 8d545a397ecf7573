"""Whether this bridge can do its job, deliver events and take webhooks, or why not.

It asks for core's health, and makes a call with the bridge's own token. It has connections of its
own, so that its calls wait behind no others: a core that is only busy does not count as away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import time

import structlog

from bridge.limits import Limits
from bridge.upstream.core import Core
from bridge.upstream.endpoint import Health
from bridge.upstream.error import CoreError
from holdfast.tokens import KeysUnavailable, TokenRefused, Verifier

_log = structlog.get_logger("bridge.upstream.standing")

AWAY = "Core cannot be reached."
REFUSED = (
    "Core refuses BRIDGE_TOKEN. Set a fresh one with the role service, and restart the bridge."
)
# How long before the expiry of BRIDGE_TOKEN a warning is logged, in seconds.
ANNOUNCED_S = (30 * 86_400.0, 7 * 86_400.0, 86_400.0, 3_600.0, 600.0)
_DENIED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


class Standing:
    """Checks once every `standing_every_s`, and keeps what the last check has found."""

    def __init__(
        self, core: Core, probe: Core, token: str, verifier: Verifier, limits: Limits
    ) -> None:
        """`probe` is a client of the same addresses as `core`, which nothing else uses."""
        self._core = core
        self._probe = probe
        self._token = token
        self._verifier = verifier
        self._limits = limits
        self._announced_s = float("inf")
        # When the token expires, seconds since the epoch; None while that is not known.
        self._expires_at: float | None = None
        # Why the bridge cannot do its job; empty while it can.
        self.problem = ""
        # Called after each check that has changed `problem`.
        self.changed: Callable[[], None] = lambda: None

    @property
    def token_left_s(self) -> float:
        """Seconds until the bridge's own token expires; NaN while that is not known."""
        return float("nan") if self._expires_at is None else self._expires_at - time()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._limits.standing_every_s)

    async def look(self) -> None:
        """Check now, and set `problem`."""
        problem = await self._token_problem() or await self._core_problem()
        if problem != self.problem:
            if problem:
                _log.error("this bridge cannot deliver events or take webhooks", why=problem)
            else:
                _log.warning("this bridge can do its job again")
            self.problem = problem
            self.changed()

    async def _token_problem(self) -> str:
        try:
            problem = await token_problem(self._verifier, self._token)
            if not problem:
                self._expires_at = (await self._verifier.verify(self._token)).expires_at
        except KeysUnavailable:
            return ""  # It cannot be checked here; core may know.
        self._announce()
        return problem

    def _announce(self) -> None:
        due = [limit_s for limit_s in ANNOUNCED_S if self.token_left_s <= limit_s]
        if due and due[-1] < self._announced_s and self.token_left_s > 0:
            self._announced_s = due[-1]
            _log.warning(
                "BRIDGE_TOKEN expires soon: set a fresh one", left_s=int(self.token_left_s)
            )

    async def _core_problem(self) -> str:
        healths = await self._probe.health_each(self._limits.standing_s)
        self._core.prefer(healths)
        if Health.SERVING not in healths:
            return AWAY
        self._probe.prefer(healths)
        try:
            await self._probe.greet()
        except CoreError as error:
            if error.code in _DENIED:
                return REFUSED
        return ""


async def token_problem(verifier: Verifier, token: str) -> str:
    """Answer what is wrong with a token for the bridge; empty if nothing is.

    Raises KeysUnavailable if it cannot be checked now.
    """
    try:
        identity = await verifier.verify(token)
    except TokenRefused as error:
        return f"BRIDGE_TOKEN is not valid: {error}"
    if "service" not in identity.roles:
        return "BRIDGE_TOKEN lacks the role service, with which the bridge calls core"
    return ""
