"""Makes the locks: every package that is installed, with the hashes of its files.

`requirements.lock` has what core and bridge need, `requirements-build.lock` what builds them too,
`requirements-dev.lock` the tools of tests and lint as well, `requirements-bench.lock` what the
benchmark compares with. No address of an index stands in them.

    python -m scripts.lock            make them anew, with the same versions where possible
    python -m scripts.lock --upgrade  the same with the newest versions that pyproject.toml allows
    python -m scripts.lock --check    say whether pyproject.toml has changed since
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"  # The oldest that is supported; the locks hold for all newer ones, too.
# Each lock, the extras in it, and the lock whose versions it keeps.
LOCKS: dict[str, tuple[tuple[str, ...], str]] = {
    "requirements.lock": ((), ""),
    "requirements-build.lock": (("build", "web"), "requirements.lock"),
    "requirements-dev.lock": (("build", "web", "test", "lint"), "requirements-build.lock"),
    "requirements-bench.lock": (("build", "web", "bench"), "requirements-dev.lock"),
}
_OPTIONS = ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")


def digest(root: Path = ROOT) -> str:
    """Answer what identifies all that pyproject.toml asks for."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    asked = [
        project["build-system"]["requires"],
        project["project"]["requires-python"],
        project["project"]["dependencies"],
        project["project"]["optional-dependencies"],
    ]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def header(root: Path = ROOT) -> str:
    """Answer the first line of each lock."""
    return f"# Made by `make lock`; do not edit. pyproject.toml asked for: {digest(root)}\n"


def stale(root: Path = ROOT) -> list[str]:
    """Name the locks that were made from another pyproject.toml, or are not there."""
    paths = [root / name for name in LOCKS]
    return [p.name for p in paths if not p.exists() or not p.read_text().startswith(header(root))]


def make(*, upgrade: bool) -> None:
    """Write all locks."""
    for name, (extras, base) in LOCKS.items():
        command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml"]
        command += [*_OPTIONS, "--python-version", PYTHON, "--no-emit-index-url", "-o", name]
        command += [part for extra in extras for part in ("--extra", extra)]
        command += ["-c", base] if base else []
        command += ["--upgrade"] if upgrade else []
        subprocess.run(command, cwd=ROOT, check=True)
        path = ROOT / name
        path.write_text(header() + path.read_text())
        print(f"lock: {name} is made", file=sys.stderr)


def main() -> None:
    """Exit with 1 when `--check` finds a stale lock."""
    parser = argparse.ArgumentParser(prog="python -m scripts.lock", description=__doc__)
    parser.add_argument("--upgrade", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if not arguments.check:
        make(upgrade=arguments.upgrade)
    elif found := stale():
        sys.exit(f"lock: pyproject.toml has changed since {', '.join(found)}: run `make lock`")


if __name__ == "__main__":
    main()
