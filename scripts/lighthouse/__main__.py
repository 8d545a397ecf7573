"""Lets Lighthouse judge the dashboard: `make lighthouse`.

URL names a stack that runs, and asha needs an escrow there. Without it, a stack with the example
escrows is started on ports of its own, with a temporary database. REPORTS names a folder for the
reports as HTML. Exits with 1 if a page is below the goals of run.mjs, or could not be judged.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections import deque
from pathlib import Path

from scripts.run.children import Children
from scripts.run.secret import Refusal, keep
from scripts.run.seed import seed
from scripts.run.stack import Stopped, plan, running

HERE = Path(__file__).parent
PORTS = {"PORT": "18000", "SANDBOX_PORT": "18001", "CORE_LISTEN": "127.0.0.1:18051"}
LOG_LINES = 40


async def judge(url: str) -> int:
    """Run Lighthouse; answer its exit code."""
    reports = os.environ.get("REPORTS", "")
    command = ["node", str(HERE / "run.mjs"), url, *([reports] if reports else [])]
    process = await asyncio.create_subprocess_exec(*command)
    return await process.wait()


async def judge_own_stack() -> int:
    """Start a stack, add the example escrows, and run Lighthouse. Raises Refusal or Stopped."""
    log: deque[str] = deque(maxlen=LOG_LINES)
    with tempfile.TemporaryDirectory(prefix="holdfast-lighthouse-") as folder:
        database = f"sqlite+aiosqlite:///{folder}/holdfast.db"
        stack = plan({**os.environ, **PORTS, "DATABASE_URL": database}, keep())
        if not stack.sandbox:
            raise Refusal("unset RAZORPAY_KEY_ID and RAZORPAY_KEY_SECRET: this needs the sandbox")
        async with running(stack, log.append) as children:
            await seed(stack.bridge.url(), stack.sandbox.url(), print)
            return await _while_alive(children, stack.bridge.url())


async def _while_alive(children: Children, url: str) -> int:
    judging = asyncio.create_task(judge(url))
    death = asyncio.create_task(children.first_death())
    await asyncio.wait({judging, death}, return_when=asyncio.FIRST_COMPLETED)
    if not judging.done():
        judging.cancel()
        raise Stopped(str(death.result()))
    death.cancel()
    return judging.result()


def main() -> int:
    url = os.environ.get("URL", "")
    try:
        return asyncio.run(judge(url) if url else judge_own_stack())
    except (Refusal, Stopped) as why:
        print(f"Lighthouse did not run: {why}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
