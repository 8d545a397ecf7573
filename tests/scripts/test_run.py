"""The supervisor with real processes: small stand-ins for core and bridge, on free ports."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import pytest

from scripts.run import secret
from scripts.run.children import Children, Program
from scripts.run.stack import plan
from tests.fakes.port import free_port

LIMIT_S = 30.0

CORE = """
import os, signal, sys
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

print("core has", sorted(n for n in os.environ if "SECRET" in n or "TOKEN" in n))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
server = grpc.server(ThreadPoolExecutor(2))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port(os.environ["CORE_LISTEN"])
server.start()
signal.sigwait({signal.SIGTERM})
print("core drains")
server.stop(None)
"""

BRIDGE = """
import os, signal, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

print("bridge has", sorted(n for n in os.environ if "SECRET" in n or "TOKEN" in n))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
server = HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready)
threading.Thread(target=server.serve_forever, daemon=True).start()
signal.sigwait({signal.SIGTERM})
print("bridge drains")
"""


@pytest.fixture
def stand_ins(tmp_path: Path) -> Path:
    """A folder in which `python -m core` and `python -m bridge` are the stand-ins."""
    for name, source in (("core", CORE), ("bridge", BRIDGE)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "__main__.py").write_text(source)
    return tmp_path


class Run:
    """`python -m scripts.run` in a folder, and its output so far."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port, self.core_port = free_port(), free_port()
        environment = {
            **{
                k: v for k, v in os.environ.items() if not k.startswith(("RAZORPAY", "JWT", "MAKE"))
            },
            "PORT": str(self.port),
            "CORE_LISTEN": f"127.0.0.1:{self.core_port}",
            "RAZORPAY_KEY_ID": "rzp_test_key",
            "RAZORPAY_KEY_SECRET": "key secret",
            "JWT_SECRET": "a secret that is long enough for HS256",
            **settings,
        }
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.run"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, wanted: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if wanted in line:
                return
        pytest.fail(f"no line with {wanted!r} in {self.lines}")

    def wait(self) -> int:
        rest, _ = self.process.communicate(timeout=LIMIT_S)
        self.lines += rest.splitlines()
        return self.process.returncode

    def place(self, text: str) -> int:
        return next(i for i, line in enumerate(self.lines) if text in line)


@pytest.fixture
def start(stand_ins: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start_run(**settings: str) -> Run:
        runs.append(Run(stand_ins, **settings))
        return runs[-1]

    yield start_run
    for run in runs:
        run.process.kill()
        run.process.communicate(timeout=LIMIT_S)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def port_is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_ready_line_is_exact_and_comes_when_all_answer(start: Callable[..., Run]) -> None:
    run = start()
    run.read_until("Holdfast is ready")
    assert run.lines[-1] == f"Holdfast is ready: http://127.0.0.1:{run.port}"
    assert port_is_open(run.port)
    assert port_is_open(run.core_port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_bridge_before_core_and_exits_0(
    start: Callable[..., Run], number: int
) -> None:
    run = start()
    run.read_until("Holdfast is ready")
    run.process.send_signal(number)
    assert run.wait() == 0
    assert run.place("[bridge] bridge drains") < run.place("[core] core drains")
    assert run.lines[-1] == "[run] everything is stopped"


def test_a_signal_that_comes_twice_changes_nothing(start: Callable[..., Run]) -> None:
    run = start()
    run.read_until("Holdfast is ready")
    run.process.send_signal(signal.SIGTERM)
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 0
    assert run.place("[bridge] bridge drains") < run.place("[core] core drains")


def test_a_signal_before_everything_answers_stops_what_has_started(
    start: Callable[..., Run], stand_ins: Path
) -> None:
    (stand_ins / "core/__main__.py").write_text("import time; print('core waits'); time.sleep(99)")
    run = start()
    run.read_until("core waits")
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 0


def test_a_child_that_dies_brings_the_rest_down_with_its_name(start: Callable[..., Run]) -> None:
    run = start()
    run.read_until("Holdfast is ready")
    victim = next(pid for pid in children_of(run.process.pid) if command_of(pid).endswith("core"))
    os.kill(victim, signal.SIGKILL)
    assert run.wait() == 1
    assert run.lines[-1] == "[run] Holdfast is not running: core was killed by SIGKILL"
    assert run.place("[bridge] bridge drains")


def test_a_child_that_cannot_start_is_named(start: Callable[..., Run], stand_ins: Path) -> None:
    (stand_ins / "core/__main__.py").write_text("raise SystemExit('JWT_SECRET is too short')")
    run = start()
    assert run.wait() == 1
    assert "[core] JWT_SECRET is too short" in run.lines
    assert run.lines[-1] == "[run] Holdfast is not running: core ended with exit code 1"


def test_no_child_outlives_a_killed_parent(start: Callable[..., Run]) -> None:
    run = start()
    run.read_until("Holdfast is ready")
    orphans = children_of(run.process.pid)
    assert len(orphans) == 2
    run.process.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))


def test_ports_in_use_are_all_named_before_anything_starts(start: Callable[..., Run]) -> None:
    with socket.socket() as taken, socket.socket() as taken_too:
        for listener in (taken, taken_too):
            listener.bind(("127.0.0.1", 0))
            listener.listen()
        port, core_port = taken.getsockname()[1], taken_too.getsockname()[1]
        run = start(PORT=str(port), CORE_LISTEN=f"127.0.0.1:{core_port}")
        assert run.wait() == 1
    (line,) = run.lines
    assert f"127.0.0.1:{port}, where the bridge would listen, is in use" in line
    assert f"127.0.0.1:{core_port}, where the core would listen, is in use" in line
    assert "set PORT" in line
    assert "set CORE_LISTEN" in line


def test_settings_that_contradict_one_another_are_all_named(start: Callable[..., Run]) -> None:
    run = start(RAZORPAY_KEY_SECRET="", PORT="none")
    assert run.wait() == 1
    (line,) = run.lines
    assert "PORT has no port" in line
    assert "RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET" in line


def test_the_bridge_gets_no_secret_of_razorpay_and_core_no_token_of_the_bridge(
    start: Callable[..., Run],
) -> None:
    run = start(RAZORPAY_WEBHOOK_SECRET="webhook secret")
    run.read_until("Holdfast is ready")
    core = "['JWT_SECRET', 'RAZORPAY_KEY_SECRET', 'RAZORPAY_WEBHOOK_SECRET']"
    assert f"[core] core has {core}" in run.lines
    assert "[bridge] bridge has ['BRIDGE_TOKEN', 'JWT_SECRET']" in run.lines


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").replace("\0", " ")


KEPT = secret.Secrets("kept jwt secret " * 3, "rzp_test_sandboxAbc", "key secret", "webhook secret")


def settings_of(environment: dict[str, str]) -> dict[str, dict[str, str]]:
    return {program.name: dict(program.environment) for program in plan(environment, KEPT).programs}


def test_without_keys_the_sandbox_comes_first_and_core_is_pointed_at_it() -> None:
    stack = plan({"PORT": "9000", "SANDBOX_PORT": "9001"}, KEPT)
    assert [program.name for program in stack.programs] == ["sandbox", "core", "bridge"]
    sandbox, core, bridge = stack.programs
    assert sandbox.command[-2:] == (
        "--webhook-url",
        "http://127.0.0.1:9000/api/v1/webhooks/razorpay",
    )
    assert core.environment["RAZORPAY_BASE_URL"] == "http://127.0.0.1:9001"
    assert core.environment["RAZORPAY_KEY_ID"] == "rzp_test_sandboxAbc"
    assert core.environment["RAZORPAY_WEBHOOK_SECRET"] == "webhook secret"
    assert bridge.environment["DEMO_LOGIN"] == "1"
    assert "DATABASE_URL" not in core.environment


def test_nats_is_for_the_cores_alone() -> None:
    url = "nats://holdfast:secret@127.0.0.1:4222"
    settings = settings_of({"NATS_URL": url})
    assert settings["core"]["NATS_URL"] == url
    assert "NATS_URL" not in settings["bridge"]


def test_with_keys_there_is_no_sandbox_and_no_demo_login() -> None:
    settings = settings_of({"RAZORPAY_KEY_ID": "rzp_live_x", "RAZORPAY_KEY_SECRET": "y"})
    assert list(settings) == ["core", "bridge"]
    assert settings["core"]["RAZORPAY_KEY_ID"] == "rzp_live_x"
    assert "RAZORPAY_BASE_URL" not in settings["core"]
    assert "DEMO_LOGIN" not in settings["bridge"]


def test_an_own_jwt_secret_wins_and_signs_the_bridges_token() -> None:
    own = "my own secret, which is long enough"
    settings = settings_of({"JWT_SECRET": own, "JWT_AUDIENCE": "holdfast"})
    assert settings["core"]["JWT_SECRET"] == own
    claims = jwt.decode(
        settings["bridge"]["BRIDGE_TOKEN"], own, algorithms=["HS256"], audience="holdfast"
    )
    assert claims["sub"] == "bridge"
    assert claims["roles"] == ["service"]
    assert claims["exp"] - claims["iat"] > 30 * 86400


def test_a_stack_on_all_interfaces_connects_to_itself_over_loopback() -> None:
    settings = {"BRIDGE_HOST": "0.0.0.0", "CORE_LISTEN": "[::]:50099"}
    stack = plan(settings, KEPT)
    assert stack.bridge.url() == "http://127.0.0.1:8000"
    assert stack.programs[-1].environment["CORE_ADDRESS"] == "[::1]:50099"


def test_secrets_survive_a_restart_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / ".run"
    made = secret.keep(folder)
    assert secret.keep(folder) == made
    assert made.sandbox_key_id.startswith("rzp_test_sandbox")
    assert len(made.jwt_secret) >= 32
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["secrets.json"]
    assert made.jwt_secret not in repr(made)


def test_broken_secrets_are_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{}")
    with pytest.raises(secret.Refusal, match="delete it"):
        secret.keep(tmp_path)


async def lines_of(code: str, monkeypatch: pytest.MonkeyPatch, limit_s: float) -> list[str]:
    lines: list[str] = []
    up = asyncio.Event()

    def say(line: str) -> None:
        lines.append(line)
        if "up" in line:
            up.set()

    monkeypatch.setattr("scripts.run.children.STOP_LIMIT_S", limit_s)
    children = Children(say)
    command = (sys.executable, "-u", "-c", code)
    await children.start(Program("child", command, os.environ))
    async with asyncio.timeout(LIMIT_S):
        await up.wait()
        await children.stop()
    return lines


async def test_a_child_that_does_not_drain_in_time_is_killed_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(99)"
    lines = await lines_of(code, monkeypatch, 0.1)
    assert lines == ["[child] up", "[run] child did not end within 0.1 s and is killed"]


async def test_lines_are_whole_and_prefixed_however_they_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = """
import sys, time
sys.stdout.buffer.write(b'one\\ntwo \\xff')
sys.stdout.flush()
sys.stderr.write(' and on\\n')
print('x' * 100_000)
print('up')
time.sleep(99)
"""
    lines = await lines_of(code, monkeypatch, 10.0)
    assert lines[:2] == ["[child] one", "[child] two \ufffd and on"]
    assert all(line.startswith("[child] ") for line in lines)
    assert sum(line.count("x") for line in lines) == 100_000
