"""The order of the scenes. Lines that share a stack stand together; one stack runs at a time."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from scripts.bench.bulk import story
from scripts.bench.bulk.write import write
from scripts.bench.line import Line, Skip, missing
from scripts.bench.postgres import Postgres
from scripts.bench.process import Broken
from scripts.bench.room import Room
from scripts.bench.scene import crowd, fanout
from scripts.bench.scene.deploy import deploy
from scripts.bench.scene.feed import feed_cost
from scripts.bench.scene.frame import CommitToFrame
from scripts.bench.scene.growth import growth
from scripts.bench.scene.money import Money
from scripts.bench.scene.replica import replica_idle_cost
from scripts.bench.scene.transition import Transitions
from scripts.bench.stack import Stack

Lines = Iterator[Line]


def _sqlite(room: Room) -> Lines:
    with _stack(room, "sqlite") as stack:
        transitions = Transitions(room, stack, "sqlite")
        yield from room.measured(
            {
                "transitions_sqlite": transitions.rate,
                "transitions_batched": transitions.batched,
                "command_cost_sqlite": transitions.cost,
            }
        )


def _postgres(room: Room) -> Lines:
    with ExitStack() as ending:
        server = Postgres(room.folder / "postgres")
        ending.callback(server.close)
        stack = ending.enter_context(_stack(room, "postgresql", url=server.url()))
        transitions = Transitions(room, stack, "postgres")
        yield from room.measured(
            {
                "transitions_postgres": transitions.rate,
                "command_cost_postgres": transitions.cost,
                "replica_idle_cost": lambda: replica_idle_cost(stack),
            }
        )


def _feed(room: Room) -> Lines:
    room.say("starting the cores for the feed")
    server = Postgres(room.folder / "postgres-feed")
    try:
        yield from room.measured({"feed_cost": lambda: feed_cost(room, server)})
    finally:
        server.close()


def _sockets(room: Room) -> Lines:
    with _stack(room, "sockets", has_bridge=True) as stack:
        yield from room.prepared(fanout.LINES, fanout.Fanout(room, stack).measure)
        yield from room.measured(
            {
                "commit_to_frame": CommitToFrame(room, stack).measure,
                "deploy": lambda: deploy(room, stack),
            }
        )


def _crowd(room: Room) -> Lines:
    folder = room.folder / "crowd"
    template = story.told(room.generator, folder, lambda one: one.updated(crowd.MISSED))
    bulk = write(room.folder / "crowd.db", crowd.BROWSERS, (template, 1), per_user=1)
    with _stack(room, "many sockets", url=bulk.url, has_bridge=True) as stack:
        browsers = crowd.Browsers(room, stack, bulk)
        yield from room.prepared(crowd.LINES, browsers.open)
        browsers.close()
        yield from room.measured({"large_fanout": lambda: crowd.large_fanout(room, stack, bulk)})


def _money(room: Room) -> Lines:
    with _stack(room, "money", has_bridge=True) as stack:
        stack.start_sandbox()
        money = Money(room, stack)
        yield from room.measured({"settlement": money.settlement, "webhook_ack": money.webhook_ack})


def _growth(room: Room) -> Lines:
    yield from room.measured({"growth": lambda: growth(room)})


# Each scene with its lines, in the order in which they are measured.
SCENES: tuple[tuple[Callable[[Room], Lines], tuple[str, ...]], ...] = (
    (_sqlite, ("transitions_sqlite", "transitions_batched", "command_cost_sqlite")),
    (_postgres, ("transitions_postgres", "command_cost_postgres", "replica_idle_cost")),
    (_feed, ("feed_cost",)),
    (_sockets, (*fanout.LINES, "commit_to_frame", "deploy")),
    (_crowd, (*crowd.LINES, "large_fanout")),
    (_money, ("settlement", "webhook_ack")),
    (_growth, ("growth",)),
)
LINES = tuple(name for _, names in SCENES for name in names)


def play(room: Room) -> Lines:
    """Yield a line for each that is wanted, measured or not."""
    for scene, names in SCENES:
        left = [name for name in names if name in room.wanted]
        if not left:
            continue
        try:
            for line in scene(room):
                left.remove(line.name)
                yield line
        except Skip as why:
            reason = str(why)
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            room.failed += left
            if not isinstance(problem, Broken):
                traceback.print_exc()
        else:
            reason = "it was not measured"
        for name in left:
            room.say(f"{name}: not measured: {reason}")
            yield missing(name, reason)


@contextmanager
def _stack(room: Room, name: str, *, url: str = "", has_bridge: bool = False) -> Iterator[Stack]:
    """Run a stack for one scene, in a folder of its own."""
    room.say(f"starting the stack for {name}")
    folder = room.folder / f"stack-{name.replace(' ', '-')}"
    folder.mkdir()
    stack = Stack(folder, room.generator, database_url=url)
    try:
        stack.start_core()
        if has_bridge:
            stack.start_bridge()
        yield stack
    finally:
        stack.kill()
