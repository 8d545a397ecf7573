"""What every scene gets: a folder, the load generator, and which lines are wanted."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scripts.bench.generator import Generator
from scripts.bench.line import Line, Skip, missing
from scripts.bench.peer.servers import Peer
from scripts.bench.process import Broken

PeerKind = TypeVar("PeerKind", bound=Peer)
Measure = Callable[[], Line]


@dataclass
class Room:
    """`say` tells progress. `escrows` is how many growth makes. `failed` names broken lines."""

    folder: Path
    generator: Generator
    wanted: frozenset[str]
    say: Callable[[str], None]
    escrows: int
    failed: list[str]

    def measured(self, lines: dict[str, Measure]) -> Iterator[Line]:
        """Measure those that are wanted; one that fails leaves the others alone."""
        for name, measure in lines.items():
            if name in self.wanted:
                yield self._measured(name, measure)

    def prepared(
        self, names: Sequence[str], prepare: Callable[[], dict[str, Measure]]
    ) -> Iterator[Line]:
        """Measure lines of which any needs what `prepare` does; if that fails, all of them fail."""
        wanted = [name for name in names if name in self.wanted]
        if not wanted:
            return
        try:
            lines = prepare()
        except Exception as problem:
            lines = dict.fromkeys(wanted, _raising(problem))
        yield from self.measured(lines)

    def _measured(self, name: str, measure: Measure) -> Line:
        start = time.monotonic()
        try:
            line = measure()
        except Skip as why:
            line = missing(name, str(why))
        except Exception as problem:
            self.failed.append(name)
            line = missing(name, f"{type(problem).__name__}: {problem}")
            if not isinstance(problem, Broken):
                traceback.print_exc()
        self.say(f"{name}: {_short(line)} ({time.monotonic() - start:.0f} s)")
        return line

    @contextmanager
    def peer(self, kind: type[PeerKind]) -> Iterator[PeerKind]:
        """Run a peer for a while. Raises Skip where it is not installed."""
        with ExitStack() as ending:
            one = kind(self.folder, self.generator)
            ending.callback(one.close)
            yield one


def _raising(problem: Exception) -> Measure:
    def measure() -> Line:
        raise problem

    return measure


def _short(line: Line) -> str:
    if line.value is None:
        return f"not measured: {line.detail.get('reason')}"
    parts = [f"{line.value:.4g} {line.unit}"]
    if line.baseline is not None:
        parts.append(f"baseline {line.baseline:.4g}")
    if line.ratio is not None:
        parts.append(f"ratio {line.ratio:.3g}")
    missed = [
        f"{m.what} {m.found:.3g}, wanted {m.sign} {m.wanted:g}" for m in line.marks if not m.is_met
    ]
    return ", ".join(parts) + ("; missed: " + "; ".join(missed) if missed else "")
