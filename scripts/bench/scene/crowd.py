"""Five thousand browsers with an escrow each: what they hold, what they cost, how they come back.

And nine thousand that all look at one.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from scripts.bench.api import PUBLISH, update
from scripts.bench.bulk.write import Bulk
from scripts.bench.generator import Told, compact, require, step
from scripts.bench.line import Line, Mark
from scripts.bench.peer.servers import BareAiohttp
from scripts.bench.process import Broken
from scripts.bench.room import Measure, Room
from scripts.bench.stack import Stack, token, watched
from scripts.bench.usage import Meter, memory_kb

BROWSERS = 5000
MISSED = 20
OPENED_PER_S = 500.0
OPEN_LIMIT_S = 90.0
# Who is not current by then is counted as missing, so that all lines keep to their time.
STORM_LIMIT_S = 45.0
# A bridge may keep a watch for a moment after its last socket: the storm finds none.
LINGER_S = 5.0
QUIET_S, IDLE_S = 8.0, 26.0
# A second storm follows only a short first one, for the time that all lines have together.
STORM_ROUNDS, SHORT_STORM_S = 2, 15.0
OURS, BARE = "crowd", "bare crowd"
BRIDGE_PERCENT, CORE_PERCENT, KB = 2.0, 1.0, 29.0
SIGN_INS = 0.4
BRIDGE_MS, CORE_MS = 0.6, 0.5
_SUBSCRIBE = {"type": "subscribe", "escrow_id": "{escrow}"}
_RESUME = '{"type":"subscribe","escrow_id":"{escrow}","after":{after}}'
LINES = ("connection_memory", "idle_cost", "reconnect_storm")


class Browsers:
    """Opened once, for all lines that are about them."""

    def __init__(self, room: Room, stack: Stack, bulk: Bulk) -> None:
        self._room, self._stack, self._bulk = room, stack, bulk
        self._is_open = False

    def open(self) -> dict[str, Measure]:
        """Measure the processes before, the way of the browsers in, and the memory after.

        Answers how each line is measured from there.
        """
        bridge, core = self._stack.bridge.pid, self._stack.core.pid
        time.sleep(2)
        before = Meter(bridge), Meter(core)
        time.sleep(QUIET_S)
        self._quiet = {"bridge": before[0].share(), "core": before[1].share()}
        empty = memory_kb([bridge]), memory_kb([core])
        way_in = Meter(bridge), Meter(core)
        self._is_open = True
        self._opened = self._room.generator.do(
            "open",
            group=OURS,
            urls=[self._stack.socket_url()],
            tokens=[token(user) for user in self._bulk.buyers(BROWSERS)],
            escrows=self._bulk.escrow_ids,
            steps=[step(_SUBSCRIBE, '"subscribed"')],
            resume=[step(_RESUME, '"subscribed"')],
            tracks=True,
            checks=True,
            count=BROWSERS,
            rate=OPENED_PER_S,
            timeout_s=OPEN_LIMIT_S,
        )
        if self._opened["ready"] != BROWSERS:
            raise Broken(f"{self._opened['ready']} of {BROWSERS} browsers are served")
        self._cpu_ms = {
            "bridge": way_in[0].cpu_s() / BROWSERS * 1e3,
            "core": way_in[1].cpu_s() / BROWSERS * 1e3,
        }
        time.sleep(2)
        self._kb = {
            "bridge": (memory_kb([bridge]) - empty[0]) / BROWSERS,
            "core": (memory_kb([core]) - empty[1]) / BROWSERS,
        }
        return {
            "connection_memory": self.connection_memory,
            "idle_cost": self.idle_cost,
            "reconnect_storm": self.reconnect_storm,
        }

    def close(self) -> None:
        if self._is_open:
            self._room.generator.do("cut", group=OURS)

    def connection_memory(self) -> Line:
        with self._bare() as bare:
            empty, way_in = memory_kb([bare.process.pid]), Meter(bare.process.pid)
            self._open_bare(bare, rate=OPENED_PER_S)
            bare_kb = (memory_kb([bare.process.pid]) - empty) / BROWSERS
            bare_ms = way_in.cpu_s() / BROWSERS * 1e3
        in_all = self._kb["bridge"] + self._kb["core"]
        refused = sum(self._opened["errors"].values())
        return Line(
            "connection_memory",
            in_all,
            "KB in bridge and core for each browser",
            bare_kb,
            in_all / bare_kb,
            (
                Mark("value", in_all, "<=", KB),
                Mark("refused", refused, "==", 0),
                Mark("subscription_ms.core", self._cpu_ms["core"], "<=", CORE_MS),
                Mark("subscription_ms.bridge", self._cpu_ms["bridge"], "<=", BRIDGE_MS),
            ),
            {
                "baseline": "aiohttp alone, which checks the same token",
                "browsers": BROWSERS,
                "opened_per_s": OPENED_PER_S,
                "kb": self._kb,
                "subscription_ms": self._cpu_ms,
                "bare_handshake_ms": bare_ms,
                "refused": self._opened["errors"],
                "until_subscribed": self._opened["taken"],
            },
        )

    def idle_cost(self) -> Line:
        bridge, core = Meter(self._stack.bridge.pid), Meter(self._stack.core.pid)
        time.sleep(IDLE_S)
        found = {"bridge": bridge.share(), "core": core.share()}
        return Line(
            "idle_cost",
            found["bridge"],
            "% of a core, the bridge",
            self._quiet["bridge"],
            found["bridge"] / self._quiet["bridge"],
            (
                Mark("bridge_percent", found["bridge"], "<=", BRIDGE_PERCENT),
                Mark("core_percent", found["core"], "<=", CORE_PERCENT),
            ),
            {
                "baseline": "the same processes before the first browser came",
                "browsers": BROWSERS,
                "seconds": IDLE_S,
                "with_browsers": found,
                "without": self._quiet,
            },
        )

    def reconnect_storm(self) -> Line:
        generator = self._room.generator
        ours: list[Told] = []
        bare: list[float] = []
        with self._bare() as peer:
            self._open_bare(peer)
            for _ in range(STORM_ROUNDS):
                generator.do("cut", group=OURS)
                generator.do("cut", group=BARE)
                time.sleep(LINGER_S)
                with watched(self._stack.bridge, self._stack.core) as loops:
                    storm = generator.do("resume", group=OURS, after=1, timeout_s=STORM_LIMIT_S)
                ours.append(storm)
                told = generator.do("resume", group=BARE, timeout_s=OPEN_LIMIT_S)
                bare.append(require(told, BROWSERS, "bare handshakes")["seconds"])
                if storm["seconds"] > SHORT_STORM_S:
                    break
        seconds = statistics.median(one["seconds"] for one in ours)
        bare_s = statistics.median(bare)
        missing, twice = (sum(one[key] for one in ours) for key in ("missing", "twice"))
        errors = sum(sum(one["errors"].values()) for one in ours)
        behind = sum(BROWSERS - one["ready"] for one in ours)
        sign_ins = statistics.median(one["ready"] / one["seconds"] for one in ours)
        ratio = sign_ins / (BROWSERS / bare_s)
        return Line(
            "reconnect_storm",
            seconds,
            "s until all are current",
            bare_s,
            ratio,
            (
                Mark("errors", errors, "==", 0),
                Mark("missing", missing + behind * MISSED, "==", 0),
                Mark("twice", twice, "==", 0),
                Mark("ratio", ratio, ">=", SIGN_INS),
            ),
            {
                "baseline": "s until as many handshakes of aiohttp alone, with the same token",
                "browsers": BROWSERS,
                "missed_events_each": MISSED,
                "sign_ins_per_s": sign_ins,
                "not_current_in_time": behind,
                "bare_handshakes_per_s": BROWSERS / bare_s,
                "rounds": [
                    {key: one[key] for key in ("seconds", "ready", "errors", "missing", "twice")}
                    for one in ours
                ],
                **loops,
            },
        )

    @contextmanager
    def _bare(self) -> Iterator[BareAiohttp]:
        with ExitStack() as ending:
            yield ending.enter_context(self._room.peer(BareAiohttp))

    def _open_bare(self, bare: BareAiohttp, rate: float = 0) -> None:
        told = self._room.generator.do(
            "open",
            group=BARE,
            urls=[bare.url],
            tokens=[token(user) for user in self._bulk.buyers(BROWSERS)],
            steps=bare.steps(),
            resume=bare.steps(),
            count=BROWSERS,
            rate=rate,
            timeout_s=OPEN_LIMIT_S,
        )
        require(told, BROWSERS, "bare handshakes")


SOCKETS = 9000
ADMINS = 500
EVENTS, EVENTS_PER_S = 8, 2.0
OTHERS, OTHER_ESCROWS, OTHERS_PER_S = 100, 50, 150.0
LAST_MS, OTHERS_P99_MS = 120.0, 10.0


def large_fanout(room: Room, stack: Stack, bulk: Bulk) -> Line:
    """One event to nine thousand sockets, while others are told of their own escrows."""
    generator = room.generator
    large, *others = bulk.escrow_ids[: OTHER_ESCROWS + 1]
    with ExitStack() as ending:
        for group, count, escrows, rate in (
            ("large", SOCKETS, [large], 600.0),
            ("others", OTHERS, others, 100.0),
        ):
            told = generator.do("open", **_admins(stack, group, count, escrows, rate))
            require(told, count, f"the {group} sockets")
            ending.callback(generator.do, "cut", group=group)
            generator.do("reset", group=group, records=True)
        seconds = EVENTS / EVENTS_PER_S
        with watched(stack.bridge, stack.core) as loops:
            pace: dict[str, Any] = {"rate": OTHERS_PER_S, "seconds": seconds, "callers": 64}
            moving = stack.api.begin(
                PUBLISH, [update(one) for one in others], **pace, trace="others"
            )
            pace = {"rate": EVENTS_PER_S, "count": EVENTS, "callers": 4}
            stack.api.load(PUBLISH, [update(large)], **pace, trace="large")
            moved = moving.result()
            if moved["errors"]:
                raise Broken(f"updates failed: {moved['errors']}")
            told = generator.do("wait", group="large", frames=EVENTS * SOCKETS, timeout_s=20)
        if told["frames"] != EVENTS * SOCKETS:
            raise Broken(f"{told['frames']} of {EVENTS * SOCKETS} frames came, {told['errors']}")
        last = generator.do("join", trace="large", group="large")["until_last"]
        during = {"during_trace": "large", "during_group": "large"}
        meanwhile = generator.do("join", trace="others", group="others", **during)["from_call"]
        calm = generator.do("join", trace="others", group="others")["from_call"]
    bare = _bare_large(room, told["sample"])
    return Line(
        "large_fanout",
        last["p50_ms"],
        "ms until the last of 9,000 sockets has it",
        bare["p50_ms"],
        last["p50_ms"] / bare["p50_ms"],
        (
            Mark("value", last["p50_ms"], "<=", LAST_MS),
            Mark("others_p99_ms", meanwhile["p99_ms"], "<=", OTHERS_P99_MS),
        ),
        {
            "baseline": "aiohttp alone: from the call to the last of as many sockets",
            "until_last": last,
            "other_frames_meanwhile": meanwhile,
            "other_frames_at_all_times": calm,
            **loops,
        },
    )


def _admins(stack: Stack, group: str, count: int, escrows: list[str], rate: float) -> Told:
    return {
        "group": group,
        "urls": [stack.socket_url()],
        "tokens": [token(f"{group}-admin-{n}", "admin") for n in range(ADMINS)],
        "escrows": escrows,
        "steps": [step(_SUBSCRIBE, '"subscribed"')],
        "tracks": True,
        "count": count,
        "rate": rate,
        "timeout_s": OPEN_LIMIT_S,
    }


def _bare_large(room: Room, frame: str) -> Told:
    """The same with aiohttp alone."""
    generator = room.generator
    with room.peer(BareAiohttp) as bare:
        told = generator.do(
            "open",
            group="bare large",
            urls=[bare.url],
            tokens=bare.tokens(),
            steps=bare.steps(),
            count=SOCKETS,
            rate=2000.0,
            timeout_s=OPEN_LIMIT_S,
        )
        require(told, SOCKETS, "bare sockets")
        generator.do("reset", group="bare large", records=True)
        parts = _versions(frame)
        generator.do(
            "posts",
            posts=[{"url": f"http://{bare.port.address}/tell", **one} for one in parts],
            count=EVENTS,
            rate=EVENTS_PER_S,
            callers=4,
            trace="bare large",
        )
        generator.do("wait", group="bare large", frames=EVENTS * SOCKETS, timeout_s=20)
        last: Told = generator.do("join", trace="bare large", group="bare large")["until_last"]
    return last


def _versions(frame: str) -> list[Told]:
    """The frame as that of several events."""
    given = json.loads(frame)
    return [
        {
            "body": compact({**given, "version": number}).encode(),
            "escrow": given["escrow_id"],
            "version": number,
        }
        for number in range(1, EVENTS + 1)
    ]
