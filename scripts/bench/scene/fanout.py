"""One event to a thousand sockets: what a frame costs the bridge, and what it costs the peers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from scripts.bench.api import PUBLISH, update
from scripts.bench.generator import compact, require, step
from scripts.bench.line import Line, Mark, Skip
from scripts.bench.peer.servers import (
    BareAiohttp,
    Centrifugo,
    FastApi,
    NodeWs,
    Peer,
    SocketIo,
)
from scripts.bench.process import Broken
from scripts.bench.room import Room
from scripts.bench.stack import Stack, token, watched
from scripts.bench.turn import Figures, in_turns
from scripts.bench.usage import Meter

SOCKETS = 1000
# A bridge takes 20 sockets of one user.
ADMINS = 50
OPENED_PER_S = 1000.0
OPEN_LIMIT_S = 60.0
EVENTS, EVENTS_PER_S = 30, 20.0
BURSTS, BURST, BURSTS_PER_S = 6, 16, 3.0
FRAMES_LIMIT_S = 20.0
# While CPU is counted, frames may gather so long before the generator reads them (poll.go).
PATIENCE_MS = 2.0
ROUNDS = 3
OURS = "holdfast"
# How many times less a frame of ours must cost.
PEERS: dict[str, tuple[type[Peer], float]] = {
    "fanout_vs_fastapi": (FastApi, 2.5),
    "fanout_vs_socketio": (SocketIo, 5.0),
    "fanout_vs_ws": (NodeWs, 1.2),
    "fanout_vs_centrifugo": (Centrifugo, 1.0),
}
LINES = ("fanout_cost", "fanout_burst", *PEERS)
COST, BURST_COST = 1.2, 0.3

SUBSCRIBE = step({"type": "subscribe", "escrow_id": "{escrow}"}, '"subscribed"')


@dataclass
class Crowd:
    """A thousand sockets of one server, and two ways to tell it of events without waiting."""

    room: Room
    name: str
    pid: int
    single: Callable[[int], None]
    burst: Callable[[int], None]
    core_pid: int | None = None

    def one_by_one(self) -> Figures:
        """What a frame costs when one event comes after another."""
        return self._cost(EVENTS, lambda: self.single(EVENTS))

    def at_once(self) -> Figures:
        """What a frame costs when sixteen events come at the same moment."""
        return self._cost(BURSTS * BURST, self._bursts)

    def _bursts(self) -> None:
        for number in range(BURSTS):
            due = time.monotonic() + 1 / BURSTS_PER_S
            self.burst(BURST)
            if number < BURSTS - 1:
                time.sleep(max(0.0, due - time.monotonic()))

    def _cost(self, events: int, tell: Callable[[], None]) -> Figures:
        generator = self.room.generator
        generator.do("reset", group=self.name)
        generator.do("patience", ms=PATIENCE_MS)
        server, load = Meter(self.pid), Meter(generator.pid)
        core = Meter(self.core_pid) if self.core_pid else None
        tell()
        frames = events * SOCKETS
        told = generator.do("wait", group=self.name, frames=frames, timeout_s=FRAMES_LIMIT_S)
        if told["frames"] != frames or told["errors"]:
            got = f"{told['frames']} of {frames} frames came, {told['errors']}"
            raise Broken(f"{self.name}: {got}")
        figures = {
            "cpu_us": server.cpu_s() / frames * 1e6,
            "load_cpu_us": load.cpu_s() / frames * 1e6,
            "frame_bytes": told["bytes"] / frames,
        }
        return figures | ({"core_cpu_ms_per_event": core.cpu_s() / events * 1e3} if core else {})


class Fanout:
    """Our crowd and those of the peers, opened once, and measured in the same rounds."""

    def __init__(self, room: Room, stack: Stack) -> None:
        self._room, self._stack = room, stack
        self._skipped: dict[str, str] = {}
        self._broken: dict[str, str] = {}
        self._found: dict[str, Figures] = {}
        self._bursts: dict[str, Figures] = {}
        self._latency: dict[str, Any] = {}
        self._loop: dict[str, Any] = {}

    def measure(self) -> dict[str, Callable[[], Line]]:
        """Measure once for all lines that are wanted; answer how each is told."""
        with ExitStack() as ending:
            ours = self._ours()
            ending.callback(self._room.generator.do, "cut", group=OURS)
            sample = self._sample()
            crowds, peers = {OURS: ours}, {}
            for kind in self._kinds():
                try:
                    peer = ending.enter_context(self._room.peer(kind))
                except Skip as why:
                    self._skipped[kind.name] = str(why)
                    continue
                peers[kind.name] = peer
                crowds[kind.name] = self._theirs(peer, sample)
            single = {name: crowd.one_by_one for name, crowd in crowds.items()}
            self._found = in_turns(ROUNDS, single, self._broken)
            if "fanout_burst" in self._room.wanted:
                self._burst(crowds)
            with watched(self._stack.bridge, self._stack.core) as self._loop:
                ours.one_by_one()
            centrifugo = peers.get(Centrifugo.name)
            if isinstance(centrifugo, Centrifugo) and Centrifugo.name not in self._broken:
                self._compare_latency(centrifugo, json.loads(sample))
            self._room.generator.do("patience", ms=0)
        return {
            "fanout_cost": self.cost,
            "fanout_burst": self.burst,
            **{name: self._versus(name) for name in PEERS},
        }

    def _kinds(self) -> list[type[Peer]]:
        wanted = self._room.wanted
        kinds: list[type[Peer]] = [kind for name, (kind, _) in PEERS.items() if name in wanted]
        return [BareAiohttp, *kinds] if "fanout_cost" in wanted else kinds

    def _ours(self) -> Crowd:
        self._escrow_id = self._stack.api.create([("buyer-fanout", "seller-fanout")])[0]
        self._open(
            OURS,
            urls=[self._stack.socket_url()],
            tokens=[token(f"admin-{n}", "admin") for n in range(ADMINS)],
            escrows=[self._escrow_id],
            steps=[SUBSCRIBE],
        )
        return Crowd(
            self._room,
            OURS,
            self._stack.bridge.pid,
            lambda count: self._publish(count=count, callers=16, rate=EVENTS_PER_S),
            lambda count: self._publish(count=count, callers=count),
            self._stack.core.pid,
        )

    def _publish(self, **pace: Any) -> None:
        self._stack.api.load(PUBLISH, [update(self._escrow_id)], **pace)

    def _sample(self) -> str:
        """A frame of ours, which the peers are to send as well."""
        generator = self._room.generator
        generator.do("reset", group=OURS)
        self._publish(count=1)
        told = generator.do("wait", group=OURS, frames=SOCKETS, timeout_s=FRAMES_LIMIT_S)
        return str(told["sample"])

    def _theirs(self, peer: Peer, sample: str) -> Crowd:
        self._open(
            peer.name,
            urls=[peer.url],
            tokens=peer.tokens(),
            steps=peer.steps(),
            pong=peer.pong,
            lines=peer.lines,
        )

        def paced(count: int) -> None:
            start = time.monotonic()
            for number in range(count):
                time.sleep(max(0.0, start + number / EVENTS_PER_S - time.monotonic()))
                peer.tell(sample)

        return Crowd(
            self._room, peer.name, peer.process.pid, paced, lambda n: peer.tell(*[sample] * n)
        )

    def _open(self, group: str, **args: Any) -> None:
        told = self._room.generator.do(
            "open", group=group, count=SOCKETS, rate=OPENED_PER_S, timeout_s=OPEN_LIMIT_S, **args
        )
        require(told, SOCKETS, f"the sockets of {group}")

    def _burst(self, crowds: dict[str, Crowd]) -> None:
        both = {OURS: crowds[OURS].at_once, f"{OURS} single": crowds[OURS].one_by_one}
        if Centrifugo.name in crowds and Centrifugo.name not in self._broken:
            both[Centrifugo.name] = crowds[Centrifugo.name].at_once
        self._bursts = in_turns(ROUNDS, both, self._broken)

    def _compare_latency(self, centrifugo: Centrifugo, sample: dict[str, Any]) -> None:
        """How long one event takes to a thousand sockets, 20 a second: from its call to a frame."""
        pace: dict[str, Any] = {"count": EVENTS, "callers": 16, "rate": EVENTS_PER_S}
        frames = [{**sample, "version": number} for number in range(1, EVENTS + 1)]
        requests = centrifugo.requests([compact(frame) for frame in frames])
        for request, frame in zip(requests, frames, strict=True):
            request |= {"escrow": frame["escrow_id"], "version": frame["version"]}
        generator = self._room.generator
        generator.do("patience", ms=0)
        for name in (OURS, Centrifugo.name):
            generator.do("reset", group=name, records=True)
            if name == OURS:
                self._publish(**pace, trace=name)
            else:
                generator.do("posts", posts=requests, **pace, trace=name)
            generator.do("wait", group=name, frames=EVENTS * SOCKETS, timeout_s=FRAMES_LIMIT_S)
            self._latency[name] = generator.do("join", trace=name, group=name)["from_call"]

    def _of(self, name: str) -> Figures:
        """Answer a crowd's figures. Raises Skip or Broken where there are none."""
        if name in self._skipped:
            raise Skip(self._skipped[name])
        if name in self._broken:
            raise Broken(self._broken[name])
        return self._found[name]

    def cost(self) -> Line:
        ours, bare = self._of(OURS), self._of(BareAiohttp.name)
        ratio = ours["cpu_us"] / bare["cpu_us"]
        return Line(
            "fanout_cost",
            ours["cpu_us"],
            "µs CPU/frame",
            bare["cpu_us"],
            ratio,
            (Mark("ratio", ratio, "<=", COST),),
            {
                "baseline": "aiohttp alone: one transport.write of a ready frame for each socket",
                "sockets": SOCKETS,
                "events_per_s": EVENTS_PER_S,
                "holdfast": ours,
                "aiohttp": bare,
                **self._loop,
            },
        )

    def burst(self) -> Line:
        self._of(OURS)
        ours, single = self._bursts[OURS]["cpu_us"], self._bursts[f"{OURS} single"]["cpu_us"]
        detail = {"baseline": "our own cost when events come one by one", **self._bursts}
        return Line(
            "fanout_burst",
            ours,
            "µs CPU/frame",
            single,
            ours / single,
            (Mark("ratio", ours / single, "<=", BURST_COST),),
            {**detail, "events_at_once": BURST},
        )

    def _versus(self, name: str) -> Callable[[], Line]:
        kind, wanted = PEERS[name]

        def told() -> Line:
            ours, theirs = self._of(OURS), self._of(kind.name)
            ratio = theirs["cpu_us"] / ours["cpu_us"]
            detail: dict[str, Any] = {"baseline": kind.__doc__, "holdfast": ours, kind.name: theirs}
            if kind is Centrifugo:
                detail["call_to_frame"] = self._latency
            return Line(
                name,
                ours["cpu_us"],
                "µs CPU/frame",
                theirs["cpu_us"],
                ratio,
                (Mark("ratio", ratio, ">=", wanted),),
                detail,
            )

        return told
