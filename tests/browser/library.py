"""The client library on a page of its own: compiled as it is packed, in a real browser."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Route

from scripts.mint import mint
from tests.browser.stack import DASHBOARD, SECRETS, Stack

NODE = Path(sys.executable).parent / "node"
COMPILER = DASHBOARD / "node_modules" / "typescript" / "bin" / "tsc"

# A device whose clock is wrong by `lie_ms`. Only the clock of the calendar lies: a page cannot set
# the one that counts from the page's beginning.
LYING_CLOCK = """
window.lie_ms = %d;
const honest = Date;
window.Date = class extends honest {
    constructor(...parts) { parts.length ? super(...parts) : super(honest.now() + window.lie_ms); }
    static now() { return honest.now() + window.lie_ms; }
};
"""
_START = """async (options) => {
    const { WebSocketService } = await import('/library/services/websocket.js');
    window.service = new WebSocketService();
    window.heard = [];
    service.on('*', (message) => heard.push(message));
    const refreshToken = window.freshToken && (() => window.freshToken());
    service.configure({ refreshToken, ...options });
}"""


Answer = Callable[[], Any]
"""What the login server says: a token, or something that comes to one, or an exception."""

OpenTab = Callable[..., Awaitable["Tab"]]
"""Opens a page with the library; see the fixture `tab`."""


async def compile_library(folder: Path) -> None:
    """Compile the library as `npm pack` does."""
    command = [str(NODE), str(COMPILER), "-p", "tsconfig.lib.json", "--outDir", str(folder)]
    run = await asyncio.create_subprocess_exec(*command, cwd=DASHBOARD)
    assert await run.wait() == 0


def token(user_id: str, ttl_s: int, *roles: str) -> str:
    return mint(SECRETS.jwt_secret, user_id, roles or ("user",), ttl_s=ttl_s, environment={})


@dataclass
class Tab:
    """A page with the library, and what it has heard."""

    page: Page

    async def start(self, **options: Any) -> None:
        await self.page.evaluate(_START, options)

    async def connect(self, token: str) -> None:
        await self.page.evaluate("token => service.connect(token)", token)

    async def ask(self, expression: str) -> Any:
        return await self.page.evaluate(expression)

    async def becomes(self, expression: str, limit_s: float = 20.0) -> None:
        """Wait until an expression is true, asking from outside: the page may be asleep."""
        end = asyncio.get_running_loop().time() + limit_s
        while not await self.page.evaluate(expression):
            if asyncio.get_running_loop().time() > end:
                heard = await self.page.evaluate("heard.slice(-20)")
                raise TimeoutError(f"{expression} after {heard}")
            await asyncio.sleep(0.05)

    async def versions(self, escrow_id: str) -> list[int]:
        found: list[int] = await self.page.evaluate(
            "id => heard.filter(m => m.type === 'escrow_update' && m.escrow_id === id)"
            ".map(m => m.version)",
            escrow_id,
        )
        return found

    async def count(self, kind: str) -> int:
        return int(await self.page.evaluate("t => heard.filter(m => m.type === t).length", kind))


async def open_tab(
    context: BrowserContext, stack: Stack, folder: Path, *, lie_s: int | None = None
) -> Tab:
    """Open a page of the bridge that does nothing, and that can import the library."""
    page = await context.new_page()
    if lie_s is not None:
        await page.add_init_script(LYING_CLOCK % (lie_s * 1000))

    async def serve(route: Route) -> None:
        path = folder / route.request.url.split("/library/", 1)[1]
        script = await asyncio.to_thread(path.read_text)
        await route.fulfill(body=script, content_type="text/javascript")

    await page.route("**/library/**", serve)
    # The page itself comes from the bridge: Chromium lets no made-up one connect to this machine.
    await page.goto(f"{stack.url}/healthz")
    return Tab(page)


class Sleep:
    """Stops the processes that run a browser's pages, as a laptop that is shut does."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids

    async def for_(self, seconds: float) -> None:
        for pid in self._pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            for pid in self._pids:
                os.kill(pid, signal.SIGCONT)


async def sleep_of(browser: Browser) -> Sleep:
    """Find all processes of a browser."""
    session = await browser.new_browser_cdp_session()
    told = await session.send("SystemInfo.getProcessInfo")
    return Sleep([int(one["id"]) for one in told["processInfo"]])
