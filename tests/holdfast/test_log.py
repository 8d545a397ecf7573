"""The log of a process of its own: no token in it, whoever logs it and however."""

import json
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

ROOT = Path(__file__).parents[2]
TOKEN = jwt.encode({"sub": "asha", "exp": 1_900_000_000}, "s" * 32, "HS256")

# Each line is one way by which a token could get out. `t` is the token.
WAYS = f"""
import asyncio, logging, sys, threading, warnings
import structlog
from holdfast import log
t = {TOKEN!r}
log.set_up(sys.argv[1], "debug")
ours, theirs = structlog.get_logger("ours"), logging.getLogger("aiohttp.server")

def tried(number):
    if number == 0: ours.info("asked", path="/ws?token=" + t)
    if number == 1: ours.info("asked " + t)
    if number == 2: ours.info("asked", token=t, authorization="x" + t)
    if number == 3: ours.info("asked", nested=dict(deep=[t, (t,)], raw=t.encode()))
    if number == 4: theirs.error("Error handling request %s", t)
    if number == 5: theirs.error("bad %r", ("GET /ws?token=" + t[:30] + " " + t[30:]).encode())
    if number == 6: theirs.error("bad", extra=dict(header="Bearer " + t))
    if number == 7: theirs.error("%d" + t, "no number " + t)
    if number == 8: theirs.error("bad", stack_info=True, extra=dict(protocols=["bearer", t]))
    if number == 9:
        try:
            raise ValueError("Invalid header\\n\\n  b'" + t[:9] + "\\\\r" + t[9:] + "'\\n   ^")
        except ValueError:
            theirs.exception("Error handling request")
    if number == 10:
        try:
            try:
                raise KeyError(t)
            except KeyError as error:
                raise RuntimeError(f"?token={{t}}") from error
        except RuntimeError:
            ours.exception("failed", url=t)
    if number == 11: warnings.warn("Bearer " + t)
    if number == 12:
        thread = threading.Thread(target=lambda: int(t)); thread.start(); thread.join()
    if number == 13:
        async def later():
            async def fails(): raise RuntimeError(t)
            task = asyncio.ensure_future(fails()); await asyncio.sleep(0); del task
        asyncio.run(later()); import gc; gc.collect()
    if number == 14:
        class Unlucky:
            def __del__(self): raise RuntimeError(t)
        Unlucky()
    if number == 15: theirs.debug("\\udcff" + t)
    if number == 16: int(t)

tried(int(sys.argv[2]))
"""


def said(log_format: str, way: int) -> str:
    command = [sys.executable, "-c", WAYS, log_format, str(way)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.parametrize("log_format", ["console", "json"])
@pytest.mark.parametrize("way", range(17))
def test_no_record_of_any_logger_holds_a_token(log_format: str, way: int) -> None:
    told = said(log_format, way)
    assert told
    for i in range(len(TOKEN) - 10):
        assert TOKEN[i : i + 10] not in told, told
    if log_format == "json" and way != 7:
        assert all(isinstance(json.loads(line), dict) for line in told.splitlines())


STRANGERS = """
import logging, sys
from holdfast import log
log.set_up("json", "info")
sparing = log.Sparing("bridge.door")
for n in range(1000):
    sparing.info("a request could not be read", why="x" * 100_000, n=n)
    logging.getLogger("aiohttp.server").error("Error handling request from %s", n)
logging.getLogger("core.settlement").warning("stuck\\x1b[2J\\nforged line")
for n in range(100):
    logging.getLogger("core.settlement").warning("an escrow is stuck", extra={"escrow_id": n})
"""


def test_what_strangers_cause_is_little_and_short_and_the_rest_is_all_there() -> None:
    command = [sys.executable, "-c", STRANGERS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    by_logger = {
        name: [one for one in lines if one["logger"] == name]
        for name in ("bridge.door", "aiohttp.server", "core.settlement")
    }
    assert len(by_logger["bridge.door"]) == 10
    assert len(by_logger["aiohttp.server"]) == 10
    assert max(map(len, done.stderr.splitlines())) < 3_000
    assert by_logger["core.settlement"][0]["event"] == "stuck\\x1b[2J\\nforged line"
    assert [one["escrow_id"] for one in by_logger["core.settlement"][1:]] == list(range(100))
