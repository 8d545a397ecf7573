"""The bells between cores by NATS: a subject for each escrow and user, and one for everything.

A core subscribes to what is watched there, and hears of nothing else. A bell is a hint: while NATS
is away nothing is lost, for the sweep looks by itself. What a bell says is never believed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from core.execute import Committed
from core.heartbeat import beat, rest
from core.live.need import Kind, Need
from core.nats.line import ANSWER_S, Line, admit, heed
from core.nats.subject import bell_subject

log = logging.getLogger(__name__)

# Bells that wait to be rung; while NATS is away the oldest are forgotten.
MAX_WAITING = 10_000
# Digits of a version that a bell may say.
MAX_DIGITS = 18
# Subscriptions that are made at once, before others have their turn.
AT_ONCE = 500

Key = tuple[Kind, str]


class Bells:
    """Rings for what this core commits, and hears what others ring; `run` does both."""

    def __init__(
        self,
        line: Line,
        need: Need,
        *,
        ring: Callable[[str, int], None],
        ring_feed: Callable[[], None],
        compare: Callable[[Collection[str]], None],
    ) -> None:
        """`ring` hears an escrow's id and version; `ring_feed` that there are new positions.

        `compare` is told the escrows that begin to be listened for: bells of before may have been
        missed.
        """
        self._line = line
        self._need = need
        self._ring = ring
        self._ring_feed = ring_feed
        self._compare = compare
        self._waiting: dict[Key, str] = {}
        self._changed: dict[Key, None] = {}
        self._woken = asyncio.Event()
        # Bells by what became of them: rung, heard, forgotten.
        self.outcomes: Counter[str] = Counter()
        need.changed = self._need_changed
        line.lost.append(self._woken.set)

    def publish(self, committed: Sequence[Committed]) -> None:
        """Ring for the escrows that this core has changed, soon."""
        for one in committed:
            self._wait("escrow", one.escrow_id, str(one.version))
        self._woken.set()

    def placed(self, committed: Sequence[Committed]) -> None:
        """Ring for whoever is concerned by what has its positions now, soon."""
        for user_id in {user_id for one in committed for user_id in one.parties}:
            self._wait("user", user_id)
        self._wait("feed", "")
        self._woken.set()

    def _wait(self, kind: Kind, name: str, payload: str = "") -> None:
        self._waiting[kind, name] = payload
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self.outcomes["forgotten"] += 1

    def _need_changed(self, kind: Kind, name: str) -> None:
        if self._line.is_up:
            self._changed[kind, name] = None
            self._woken.set()

    async def run(self) -> None:
        """Ring and listen, until cancelled."""
        while True:
            heed()
            client = await self._line.client()
            try:
                await self._attend(client)
            except Exception as error:
                admit(error)
                self._line.drop(client, error)

    async def _attend(self, client: Client) -> None:
        """Use one connection until it is lost."""
        listening: dict[Key, Subscription] = {}
        self._changed = dict.fromkeys(self._need)
        self._woken.set()
        while self._line.is_current(client):
            rest()
            await self._woken.wait()
            heed()
            beat()
            self._woken.clear()
            await self._send(client)
            await self._listen(client, listening)

    async def _send(self, client: Client) -> None:
        while self._waiting and self._line.is_current(client):
            key = next(iter(self._waiting))
            payload = self._waiting.pop(key)
            await client.publish(bell_subject(*key), payload.encode())
            self.outcomes["rung"] += 1

    async def _listen(self, client: Client, listening: dict[Key, Subscription]) -> None:
        """Subscribe to what is watched from now on, and leave what is not any more."""
        begun: list[Key] = []
        for key in list(self._changed)[:AT_ONCE]:
            del self._changed[key]
            is_wanted = self._need.wants(*key)
            if is_wanted and key not in listening:
                listening[key] = await self._subscribe(client, key)
                begun.append(key)
            elif not is_wanted and key in listening:
                await listening.pop(key).unsubscribe()
        if self._changed:
            self._woken.set()
        if begun:
            # Answered when the server knows all of the subscriptions before it.
            await client.flush(timeout=ANSWER_S)
            self._compare([name for kind, name in begun if kind == "escrow"])
            self._ring_feed()

    async def _subscribe(self, client: Client, key: Key) -> Subscription:
        kind, name = key

        async def heard(message: Msg) -> None:
            self.outcomes["heard"] += 1
            if kind != "escrow":
                self._ring_feed()
            elif message.data.isdigit() and len(message.data) <= MAX_DIGITS:
                self._ring(name, int(message.data))

        return await client.subscribe(bell_subject(kind, name), cb=heard)
