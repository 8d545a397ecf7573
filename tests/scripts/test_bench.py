"""The benchmark's own arithmetic: lines, turns, what the system counts, the watchdog."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.bench.__main__ import main
from scripts.bench.line import Line, Mark, Skip, missing
from scripts.bench.play import LINES
from scripts.bench.process import Broken, Process
from scripts.bench.room import Measure, Room
from scripts.bench.turn import Figures, in_turns
from scripts.bench.usage import Meter, memory_kb
from tests.fakes.wait import until

FIELDS = ["name", "value", "unit", "baseline", "ratio", "detail"]
ROOT = Path(__file__).resolve().parents[2]
BLOCKING = """
import asyncio, pathlib, time

async def hold():
    time.sleep(0.05)

async def main():
    pathlib.Path(__file__).with_name("started").touch()
    for _ in range(100):
        await asyncio.create_task(hold())
        await asyncio.sleep(0.02)

asyncio.run(main())
"""


def test_a_line_is_one_json_object_with_the_fields_of_the_contract() -> None:
    mark = Mark("ratio", 0.7, ">=", 0.65)
    text = Line("x", 1234.5678, "a second", 1763.0, 0.7, (mark,), {"why": "µs"}).text()
    assert "\n" not in text
    told = json.loads(text)
    assert list(told) == FIELDS
    assert told["value"] == 1235
    assert told["detail"]["marks"] == [
        {"what": "ratio", "found": 0.7, "wanted": ">= 0.65", "met": True}
    ]


def test_what_was_not_measured_has_no_value_and_a_reason() -> None:
    told = json.loads(missing("x", "there is no Go here").text())
    assert list(told) == FIELDS
    assert told["value"] is None
    assert told["detail"]["reason"] == "there is no Go here"


@pytest.mark.parametrize(
    ("sign", "found", "met"),
    [(">=", 5.0, True), (">=", 4.9, False), ("<=", 5.0, True), ("<=", 5.1, False), ("==", 5, True)],
)
def test_a_mark_is_met_or_not(sign: str, found: float, met: bool) -> None:
    assert Mark("value", found, sign, 5.0).is_met is met


def test_what_is_compared_is_measured_in_turns_and_the_median_counts() -> None:
    called: list[str] = []
    ours, theirs = iter([3.0, 100.0, 5.0]), iter([1.0, 2.0, 3.0])

    def measure(name: str, figures: Figures) -> Figures:
        called.append(name)
        return figures

    found = in_turns(
        3,
        {
            "a": lambda: measure("a", {"ms": next(ours)}),
            "b": lambda: measure("b", {"ms": next(theirs)}),
        },
    )
    assert called == ["a", "b"] * 3
    assert found == {"a": {"ms": 5.0}, "b": {"ms": 2.0}}


def test_one_that_breaks_leaves_the_others_alone_where_that_is_asked_for() -> None:
    def breaks() -> Figures:
        raise Broken("it is gone")

    broken: dict[str, str] = {}
    found = in_turns(2, {"a": breaks, "b": lambda: {"ms": 1.0}}, broken)
    assert found == {"b": {"ms": 1.0}}
    assert broken == {"a": "it is gone"}
    with pytest.raises(Broken):
        in_turns(1, {"a": breaks})


def test_the_cpu_of_a_process_and_of_its_children_counts(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\ntime.sleep(30)"
    parent = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {busy!r}])\n"
        "time.sleep(30)"
    )
    process = Process("busy", [sys.executable, "-c", parent], {}, tmp_path)
    try:
        end = time.monotonic() + 20
        while Meter(process.pid)._cpu_s < 0.3:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert memory_kb([process.pid]) > 1_000
        meter = Meter(process.pid)
        time.sleep(0.3)
        assert meter.cpu_s() < 0.1
    finally:
        process.kill()


def test_a_process_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    process = Process("x", [sys.executable, "-c", "raise SystemExit('no room')"], {}, tmp_path)
    with pytest.raises(Broken, match="no room"):
        process.until(lambda: False)


async def test_a_process_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    parent = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
        "time.sleep(60)"
    )
    process = Process("x", [sys.executable, "-c", parent], {}, tmp_path, talks=True)
    child = int(process.output.readline())
    process.kill()
    await until(lambda: not _lives(child))


def _lives(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def test_the_watchdog_names_what_blocks_a_loop_and_only_while_it_is_asked(
    tmp_path: Path,
) -> None:
    (tmp_path / "blocking.py").write_text(BLOCKING)
    report = tmp_path / "report.json"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "scripts.bench.watchdog", str(report), "blocking"]
    process = _spawn(command, PYTHONPATH=path)
    try:
        await until((tmp_path / "started").exists, 20)
        process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(0.4)
        process.send_signal(signal.SIGUSR2)
        await until(report.exists, 20)
    finally:
        process.kill()
        process.wait()
    told = json.loads(report.read_text())
    assert told["longest_block_ms"] >= 50
    assert told["longest_block_cpu_ms"] < 50
    assert told["blocks_over_5_ms"] >= 2
    assert told["longest_is"] == "hold"


def _spawn(command: list[str], **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})


def test_every_line_is_told_of_in_the_documentation() -> None:
    text = (ROOT / "docs/benchmark.md").read_text()
    assert len(set(LINES)) == len(LINES) == 22
    assert [name for name in LINES if f"`{name}`" not in text] == []


def test_an_unknown_line_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--only", "speed"])
    assert stopped.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "transitions_sqlite" in told.err


def _room(tmp_path: Path, *wanted: str) -> Room:
    nothing: Any = None
    return Room(tmp_path, nothing, frozenset(wanted), lambda _text: None, 0, [])


def test_a_line_that_fails_leaves_the_others_alone_and_is_told(tmp_path: Path) -> None:
    def breaks() -> Line:
        raise Broken("core is gone")

    def skips() -> Line:
        raise Skip("there is no Node.js")

    room = _room(tmp_path, "a", "b", "c")
    good = Line("c", 1.0, "ms")
    unwanted = {"d": breaks}
    found = list(room.measured({"a": breaks, "b": skips, "c": lambda: good, **unwanted}))
    assert [line.name for line in found] == ["a", "b", "c"]
    assert found[0].detail["reason"] == "Broken: core is gone"
    assert found[1].detail["reason"] == "there is no Node.js"
    assert found[2] is good
    # What cannot be measured here is no failure.
    assert room.failed == ["a"]


def test_lines_whose_common_set_up_fails_are_all_told_of(tmp_path: Path) -> None:
    def breaks() -> dict[str, Measure]:
        raise Broken("no socket opens")

    room = _room(tmp_path, "a", "b")
    found = list(room.prepared(("a", "b", "c"), breaks))
    assert [(line.name, line.value) for line in found] == [("a", None), ("b", None)]
    assert room.failed == ["a", "b"]
    assert list(room.prepared(("c",), breaks)) == []
