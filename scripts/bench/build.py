"""Builds what is not Python: the load generator, Centrifugo, and the npm package ws.

`python -m scripts.bench.build` does all three, each only if it is not there in its newest form. Go
and Node.js come as wheels. Without Centrifugo or ws their lines are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = Path(sys.prefix) / "bench"
LOAD = HERE / "load"
# Tests name one that they have built themselves.
GENERATOR = Path(os.environ.get("HOLDFAST_BENCH_GENERATOR") or FOLDER / "generator")
# Go checks what it downloads against its public log of checksums.
CENTRIFUGO_VERSION = "v6.9.1"
CENTRIFUGO = FOLDER / "centrifugo"
_WHY_NOT = FOLDER / "centrifugo.why"
NODE = HERE / "peer/node"
NODE_MODULES = NODE / "node_modules"
BUILD_LIMIT_S = 900


def node() -> Path:
    """The Node.js of the wheel."""
    return Path(sys.prefix) / "bin/node"


def why_not() -> str:
    """Why Centrifugo could not be built, or how to do it."""
    if _WHY_NOT.is_file():
        return _WHY_NOT.read_text()
    return "run `python -m scripts.bench.build`"


def path() -> str:
    """Where programs are looked for: first beside this Python."""
    return f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


def build_generator(program: Path = GENERATOR) -> None:
    """Build the load generator. Raises CalledProcessError."""
    sources = [*LOAD.glob("*.go"), LOAD / "go.mod"]
    newest = max(one.stat().st_mtime for one in sources)
    if not program.exists() or program.stat().st_mtime < newest:
        _say("building the load generator")
        _go("build", "-o", str(program), ".", folder=LOAD)


def build_centrifugo() -> None:
    """Build Centrifugo, which takes some minutes, or write down why it cannot be built."""
    wanted = FOLDER / f"centrifugo-{CENTRIFUGO_VERSION}"
    if wanted.exists() and CENTRIFUGO.exists():
        return
    _say(f"building Centrifugo {CENTRIFUGO_VERSION}: some minutes, once")
    package = f"github.com/centrifugal/centrifugo/v6@{CENTRIFUGO_VERSION}"
    try:
        _go("install", package, folder=FOLDER)
        wanted.touch()
        _WHY_NOT.unlink(missing_ok=True)
    except (OSError, subprocess.SubprocessError) as error:
        last = getattr(error, "stderr", None) or str(error)
        _WHY_NOT.write_text(last.strip().splitlines()[-1])
        _say(f"without Centrifugo: {why_not()}")


def install_ws() -> None:
    """Install the npm package ws from its lock, or leave its line to be skipped."""
    lock, done = NODE / "package-lock.json", NODE_MODULES / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    try:
        _run(["npm", "ci", "--no-audit", "--no-fund"], NODE, {})
    except (OSError, subprocess.SubprocessError) as error:
        _say(f"without ws: {error}")


def _go(*arguments: str, folder: Path) -> None:
    # GOFLAGS of the machine may ask for what this build does not want.
    environment = {"GOBIN": str(FOLDER), "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    _run(["go", *arguments], folder, environment)


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    program = shutil.which(command[0], path=path())
    if program is None:
        raise OSError(f"there is no {command[0]}: the extra `bench` brings it")
    subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env={**os.environ, "PATH": path(), **environment},
        check=True,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
    )


def _say(text: str) -> None:
    print(f"[bench] {text}", file=sys.stderr, flush=True)


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    try:
        build_generator()
    except (OSError, subprocess.SubprocessError) as error:
        _say(f"the load generator cannot be built: {getattr(error, 'stderr', None) or error}")
        return 1
    build_centrifugo()
    install_ws()
    return 0


if __name__ == "__main__":
    sys.exit(main())
