"""What it costs core that others follow all events: a reader, a webhook endpoint, NATS."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from escrow.v1 import webhook_service_pb2 as rpc

from scripts.bench.api import CREATE
from scripts.bench.line import Line, Skip
from scripts.bench.postgres import Postgres
from scripts.bench.process import Broken, Port, Process
from scripts.bench.room import Room
from scripts.bench.scene.transition import BODIES, MANY, calls
from scripts.bench.stack import Stack
from scripts.bench.turn import Figures, in_turns

ROUNDS, SECONDS = 2, 2.0
# The pace at which the lateness of events is measured, and for how long.
STEADY_PER_S, STEADY_S = 200.0, 4.0
# What has been committed is sent on for so long at most before the next is measured.
SETTLE_LIMIT_S = 8.0
CREATE_ENDPOINT = "/escrow.v1.WebhookService/CreateEndpoint"
# Who follows in each kind.
KINDS = {
    "alone": (),
    "reader": ("reader",),
    "endpoint": ("endpoint",),
    "nats": ("nats",),
    "all": ("reader", "endpoint", "nats"),
}


class Follower:
    """The process that reads and takes webhooks (scripts.bench.peer.follower)."""

    def __init__(self, folder: Path, *core: str) -> None:
        self._port = Port()
        command = [sys.executable, "-m", "scripts.bench.peer.follower", str(self._port.number)]
        self._process = Process("follower", [*command, *core], {}, folder, talks=True)
        self._process.until(self._port.is_served)

    @property
    def url(self) -> str:
        return f"http://{self._port.address}/"

    def told(self) -> dict[str, float]:
        """What has come since the last time."""
        self._process.input.write(b"\n")
        self._process.input.flush()
        told: dict[str, float] = json.loads(self._process.output.readline())
        return told

    def close(self) -> None:
        self._process.kill()
        self._port.close()


class Followed:
    """A core on a database of its own, and those who follow it."""

    def __init__(self, room: Room, ending: ExitStack, name: str, url: str, nats_url: str) -> None:
        self._room = room
        kinds = KINDS[name]
        folder = room.folder / f"feed-{name}"
        folder.mkdir()
        self._stack = Stack(folder, room.generator, database_url=url)
        self._stack.set_core("WEBHOOKS_ALLOW_PRIVATE", "1")
        if "nats" in kinds:
            self._stack.set_core("NATS_URL", nats_url)
        ending.callback(self._stack.kill)
        core = self._stack.start_core()
        reading = (core.port.address, self._stack.service) if "reader" in kinds else ()
        self._follower = Follower(folder, *reading)
        ending.callback(self._follower.close)
        told = {"events": "reader", "webhooks": "endpoint"}
        self._expected = [what for what, who in told.items() if who in kinds]
        if "endpoint" in kinds:
            body = rpc.CreateEndpointRequest(url=self._follower.url).SerializeToString()
            room.generator.call(core.port.address, CREATE_ENDPOINT, self._stack.service, body)

    def measure(self) -> Figures:
        """Create as fast as the callers can; then wait until all of it has been sent on."""
        pid = self._stack.core.pid
        figures = calls(self._room, self._stack.api, pid, CREATE, BODIES, MANY, SECONDS)
        self._settle(round(figures["rate"] * SECONDS))
        return figures

    def steady(self) -> Figures:
        """How late events come to the reader, from the time that they have."""
        self._follower.told()
        self._stack.api.load(CREATE, BODIES, rate=STEADY_PER_S, seconds=STEADY_S, callers=MANY)
        time.sleep(0.5)
        return self._follower.told()

    def _settle(self, count: int) -> None:
        left = dict.fromkeys(self._expected, count)
        end = time.monotonic() + SETTLE_LIMIT_S
        while any(one > 0 for one in left.values()) and time.monotonic() < end:
            time.sleep(0.1)
            told = self._follower.told()
            left = {what: one - int(told[what]) for what, one in left.items()}


@contextmanager
def _nats(folder: Path) -> Iterator[str]:
    """Run a NATS server with JetStream. Raises Skip where there is none."""
    program = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if program is None:
        raise Skip("there is no nats-server: the extra `bench` brings it")
    port = Port()
    where = ["-a", "127.0.0.1", "-p", str(port.number), "-js", "-sd", str(folder / "streams")]
    port.close()  # The server does not set SO_REUSEADDR.
    process = Process("nats", [program, *where], {}, folder)
    try:
        process.until(port.is_served)
        yield f"nats://{port.address}"
    finally:
        process.kill()


def feed_cost(room: Room, server: Postgres) -> Line:
    """Compare a core that nobody follows with those that are followed, in turns."""
    with ExitStack() as ending:
        nats_url = ending.enter_context(_nats(room.folder))
        followed = {
            name: Followed(room, ending, name, server.database(f"feed_{name}"), nats_url)
            for name in KINDS
        }
        found = in_turns(ROUNDS, {name: one.measure for name, one in followed.items()})
        late = followed["reader"].steady()
    if not late["events"]:
        raise Broken("the reader of WatchEvents has got nothing")
    value, base = found["all"]["rate"], found["alone"]["rate"]
    detail: dict[str, Any] = {
        "baseline": "the same while nobody follows",
        "ratios": {name: one["rate"] / base for name, one in found.items()},
        "until_reader": {"events_per_s": STEADY_PER_S, **late},
        **found,
    }
    return Line("feed_cost", value, "transitions/s", base, value / base, (), detail)
