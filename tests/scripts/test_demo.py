"""The demo as a newcomer starts it: with a stack of its own, real processes and free ports."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fakes.port import free_port

LIMIT_S = 100


def demo(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run it in an empty folder, so that the test sees whether it leaves a database behind."""
    ours = ("RAZORPAY_", "JWT_", "DATABASE_", "CORE_", "BRIDGE_")
    return subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            "PORT": str(free_port()),
            "CORE_LISTEN": f"127.0.0.1:{free_port()}",
            "SANDBOX_PORT": str(free_port()),
            "JWT_SECRET": "a secret that is long enough for HS256",
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def test_the_demo_plays_the_whole_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = demo(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in ("buyer", "seller"):
        told = re.findall(rf"{name} +◀ (\w+) +v\d+ +(.*)", result.stdout)
        changes = [what for kind, what in told if kind == "status_change"]
        assert changes == ["INITIATED → HELD", "HELD → SETTLING", "SETTLING → RELEASED"]
        captured = told.index(("payment_status", "captured"))
        assert told[captured + 1] == ("status_change", "INITIATED → HELD")
        assert told[captured + 2][1].startswith("payment_captured: HELD")
    assert "It balances" in result.stdout
    assert not list(tmp_path.iterdir())


def test_the_demo_does_not_touch_real_money(tmp_path: Path) -> None:
    result = demo(tmp_path, RAZORPAY_KEY_ID="rzp_live_x", RAZORPAY_KEY_SECRET="y")
    assert result.returncode == 1
    assert "real Razorpay keys are set" in result.stderr
