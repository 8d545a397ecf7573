"""Whether each socket is live: whether it has been sent all that core has.

A socket is not live while the bridge cannot hear from core, and not before each of its
subscriptions has been compared with core again. So `live: true` comes after what was missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress

from bridge.browser.session import Session
from bridge.browser.slices import in_slices
from bridge.limits import Limits
from bridge.upstream.follow import Follows
from bridge.upstream.standing import AWAY, Standing
from bridge.upstream.watch import Watches

BEHIND = "This bridge is catching up with core."


class Liveness:
    """Tells sockets. It costs one look at two counts in a second while all is well."""

    def __init__(
        self,
        sessions: Collection[Session],
        standing: Standing,
        watches: Watches,
        follows: Follows,
        limits: Limits,
    ) -> None:
        self._sessions = sessions
        self._standing = standing
        self._watches = watches
        self._follows = follows
        self._limits = limits
        self._problem = ""
        # Those that are not live, and since when, by the loop's time. A stream that only moves to
        # another core is back so soon that nobody need be told.
        self._late: dict[Session, float] = {}
        self._woken = asyncio.Event()
        standing.changed = self._woken.set

    def forget(self, session: Session) -> None:
        """Note that a session is over."""
        self._late.pop(session, None)

    async def run(self) -> None:
        """Look until cancelled: at once when the standing has changed, and now and then."""
        limits = self._limits
        while True:
            self._woken.clear()
            await self._look()
            is_catching_up = self._late and not self._standing.problem
            pause_s = limits.compared_every_s if is_catching_up else limits.standing_every_s
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    async def _look(self) -> None:
        problem = self._standing.problem
        has_changed, self._problem = problem != self._problem, problem
        whom: Collection[Session] = ()
        if has_changed or (not problem and self._is_behind):
            whom = self._sessions
        elif not problem:
            whom = self._late
        async for session in in_slices(tuple(whom), self._limits.slice_s):
            if session in self._sessions:
                self._tell(session, self._standing.problem)

    def _tell(self, session: Session, problem: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if not problem and session.is_current:
            self._late.pop(session, None)
            session.tell_live("")
        elif problem:
            self._late.setdefault(session, now_s)
            session.tell_live(problem)
        elif now_s - self._late.setdefault(session, now_s) >= self._limits.behind_s:
            is_away = not self._watches.source.core.connected
            session.tell_live(session.problem or (AWAY if is_away else BEHIND))

    @property
    def _is_behind(self) -> bool:
        return not (self._watches.are_current and self._follows.are_current)
