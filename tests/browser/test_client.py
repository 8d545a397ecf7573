"""The client library's own tests, run against a real bridge."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.browser.stack import DASHBOARD, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE = Path(sys.executable).parent / "node"
VITEST = DASHBOARD / "node_modules" / "vitest" / "vitest.mjs"
RUN_LIMIT_S = 90.0


async def test_the_clients_own_tests_pass_against_a_real_bridge(stack: Stack) -> None:
    if not (NODE.exists() and VITEST.exists()):
        pytest.skip("needs the extra `web` and npm ci in bridge/dashboard: make test brings both")
    run = await asyncio.create_subprocess_exec(
        *(str(NODE), str(VITEST), "run", "tests/websocket.test.ts", "tests/lists.test.ts"),
        cwd=DASHBOARD,
        env={**os.environ, "HOLDFAST_URL": stack.url, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(RUN_LIMIT_S):
            told, _ = await run.communicate()
    finally:
        if run.returncode is None:
            run.kill()
            await run.wait()
    assert run.returncode == 0, told.decode()
    assert " passed" in told.decode()
