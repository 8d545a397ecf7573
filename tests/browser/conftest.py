"""A Chromium, a stack, and users at their screens."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, async_playwright

from tests.browser.library import NODE, Answer, OpenTab, Tab, compile_library, open_tab
from tests.browser.stack import DASHBOARD, Api, Stack
from tests.browser.visitor import Picture, Visit, Visitor

# Chromium without its windows, which takes two thirds of the time; and with them.
SHELLS = ("chromium-headless-shell", "chrome-headless-shell")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP = ViewportSize(width=1440, height=900)
SHOW_THE_RECORD = "localStorage.setItem('holdfast.record', 'true')"
"""As a user who has opened the technical record once."""
SCREENSHOTS = "SCREENSHOTS"
"""The variable that names a folder; the tests write the README's pictures there when it is set."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report what the tests have measured."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if "tests/browser" in report.nodeid and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {name} = {value}")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    return find_chromium(*SHELLS, *NAMES)


def find_chromium(*names: str) -> str:
    """Answer the path of the first of these programs, or of what CHROMIUM names."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium found: apt-get install chromium, or set CHROMIUM to its path")
    if not (DASHBOARD / "dist" / "index.html").exists():
        pytest.skip("the dashboard is not built: make run, or npm run build in bridge/dashboard")
    return path


@pytest.fixture(scope="module")
def cold_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("browser"))
    yield stack
    stack.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def stack(cold_stack: Stack) -> Stack:
    """What `make run` starts. A test that breaks it gets it started again before the next test."""
    await cold_stack.start()
    return cold_stack


@pytest_asyncio.fixture(loop_scope="module")
async def api(stack: Stack) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as http:
        yield Api(stack, http)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(chromium: Browser, stack: Stack) -> AsyncIterator[Visit]:
    """Opens a browser for a user of the demo. At the end, no page may have logged an error."""
    visitors: list[Visitor] = []
    async with AsyncExitStack() as opened:

        async def come(
            name: str, viewport: ViewportSize | None = None, path: str = "", **more: Any
        ) -> Visitor:
            context = await chromium.new_context(
                viewport=viewport or DESKTOP, locale="en-IN", timezone_id="Asia/Kolkata", **more
            )
            opened.push_async_callback(context.close)
            await context.add_init_script(SHOW_THE_RECORD)
            visitor = Visitor(name, stack.url, context, await context.new_page())
            visitor.watch()
            visitors.append(visitor)
            await visitor.come_in(path)
            return visitor

        yield come
    for visitor in visitors:
        assert visitor.mishaps == [], visitor.name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def library(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client library, compiled."""
    if not NODE.exists():
        pytest.skip("needs the extra `web` and npm ci in bridge/dashboard: make test brings both")
    folder = tmp_path_factory.mktemp("library")
    await compile_library(folder)
    return folder


@pytest_asyncio.fixture(loop_scope="module")
async def tab(chromium: Browser, stack: Stack, library: Path) -> AsyncIterator[OpenTab]:
    """Opens a page with the library. `answers` are the login server's, the last one for ever."""
    async with AsyncExitStack() as opened:

        async def come(*answers: Answer, lie_s: int | None = None, **options: Any) -> Tab:
            context = await chromium.new_context()
            opened.push_async_callback(context.close)
            tab = await open_tab(context, stack, library, lie_s=lie_s)
            left = list(answers)

            async def fresh_token() -> Any:
                told = (left.pop(0) if len(left) > 1 else left[0])()
                return await told if asyncio.iscoroutine(told) else told

            if answers:
                await tab.page.expose_function("freshToken", fresh_token)
            await tab.start(**{"intervalMs": 300, "refreshMs": 1_000, **options})
            return tab

        yield come


@pytest.fixture
def picture() -> Picture:
    """Takes the README's screenshots, if the environment asks for them."""

    async def take(visitor: Visitor, name: str) -> None:
        if folder := os.environ.get(SCREENSHOTS):
            await visitor.page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")

    return take
