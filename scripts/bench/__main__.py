"""Measures all lines, or some: `python -m scripts.bench [--only NAME …]`.

Standard output has one JSON object a line and nothing else; progress is on standard error. The exit
code is 0 if every line was measured or cannot be measured here, 1 if one failed, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from scripts.bench import build
from scripts.bench.generator import Generator
from scripts.bench.play import LINES, play
from scripts.bench.room import Room

ESCROWS = 1_000_000
# What a bridge with nine thousand sockets needs.
DESCRIPTORS = 12_000


def main(arguments: Sequence[str] | None = None) -> int:
    given = _given(arguments)
    if not build.GENERATOR.exists():
        print("[bench] run `make bench`: the load generator is not built", file=sys.stderr)
        return 1
    # SIGINT too: a shell that starts us in the background has us ignore it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    _raise_descriptors()
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[bench {time.monotonic() - start:4.0f} s] {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        generator = Generator(build.GENERATOR, Path(folder))
        room = Room(Path(folder), generator, frozenset(given.only), say, given.escrows, [])
        try:
            for line in play(room):
                print(line.text(), flush=True)
        except KeyboardInterrupt:
            say("interrupted; everything is stopped")
            return 130
        finally:
            generator.close()
    say(f"done; these failed: {', '.join(room.failed)}" if room.failed else "done")
    return 1 if room.failed else 0


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__)
    parser.add_argument("--only", nargs="+", default=LINES, metavar="NAME", choices=LINES)
    parser.add_argument(
        "--escrows", type=int, default=ESCROWS, help="how many growth makes (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _raise_descriptors() -> None:
    """Allow the processes that we start as many files as the system allows us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most != resource.RLIM_INFINITY and most < DESCRIPTORS:
        print(f"[bench] only {most} files may be open; some lines need more", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
