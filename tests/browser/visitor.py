"""A user at a screen: one browser context, logged in, whose errors are kept."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from playwright.async_api import BrowserContext, ConsoleMessage, Page, ViewportSize, expect

PHONE = ViewportSize(width=360, height=760)
"""The narrowest screen on which everything must be usable."""

ADMIN = "admin"
"""The demo's administrator, whom the login page names with the role."""

# What a browser itself prints while a server or the network is away.
_OUTAGE = re.compile(r"WebSocket connection to .* failed|Failed to load resource|ERR_")


@dataclass
class Visitor:
    """`mishaps` are the errors of the page and of its console."""

    name: str
    url: str
    context: BrowserContext
    page: Page
    mishaps: list[str] = field(default_factory=list)
    knows_of_outage: bool = False

    def watch(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.mishaps.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        # A seller without an account is a 404, which the browser reports by itself; so is a page
        # that does not exist.
        url = message.location.get("url", "")
        if "/payees/" in url or url.endswith("/nowhere"):
            return
        if not (self.knows_of_outage and _OUTAGE.search(message.text)):
            self.mishaps.append(message.text)

    async def come_in(self, path: str = "") -> None:
        """Log in on screen, as a user of the demo, at the page that was wanted."""
        await self.page.goto(self.url + path)
        if self.name == ADMIN:
            await self.page.get_by_role("button", name=ADMIN).click()
        else:
            await self.page.get_by_label("or as somebody else").fill(self.name)
            await self.page.get_by_role("button", name="Come in", exact=True).click()
        await self.sees_connection("Live")

    async def sees_connection(self, word: str) -> None:
        state = self.page.get_by_role("status", name="Connection")
        await expect(state).to_have_text(word, timeout=30_000)

    async def open(self, escrow_id: str) -> None:
        await self.page.goto(f"{self.url}/escrows/{escrow_id}")
        await expect(self.page.get_by_role("heading", name="Timeline")).to_be_visible()
        await self.sees_connection("Live")

    async def sees_status(self, words: str) -> None:
        """Wait until the badge beside the escrow's title shows this status."""
        badge = self.page.locator("article header [data-status]")
        await expect(badge).to_have_text(words, timeout=20_000)

    async def sees_version(self, version: int) -> None:
        entry = self.page.locator(f"li[data-version='{version}']")
        await expect(entry).to_be_visible(timeout=20_000)

    async def versions(self) -> list[int]:
        """Answer the versions in the timeline, from the top."""
        entries = self.page.locator("li[data-version]")
        return [int(text) for text in await entries.evaluate_all(_VERSIONS)]

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def answer(self, name: str) -> None:
        """Press a button of the open dialog, and wait until the dialog closes."""
        dialog = self.page.get_by_role("dialog")
        await dialog.get_by_role("button", name=name).click()
        await expect(dialog).to_be_hidden()

    async def reads(self, words: str) -> None:
        """Wait until these words are on the page."""
        found = self.page.locator("main").get_by_text(words).first
        await expect(found).to_be_visible(timeout=20_000)

    async def reads_banner(self, words: str) -> None:
        """Wait until these words are in the head of the page."""
        found = self.page.locator("header").get_by_text(words).first
        await expect(found).to_be_visible(timeout=20_000)

    async def fits(self) -> None:
        """Whatever is on the page now, also in a dialog, is no wider than the screen."""
        assert await self.page.evaluate(_OVERFLOW) == 0, self.page.url
        dialog = self.page.get_by_role("dialog")
        if await dialog.count():
            assert await dialog.evaluate("one => one.scrollWidth - one.clientWidth") == 0

    async def share(self, name: str) -> str:
        """Answer the amount that the legend of the money bar shows for a share."""
        return await self.page.locator(f"dd[data-share='{name}']").inner_text()


Visit = Callable[..., Awaitable[Visitor]]
"""Opens a context for a user by name, logged in; takes a viewport and Playwright's own options."""

Picture = Callable[[Visitor, str], Awaitable[None]]

_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_VERSIONS = "entries => entries.map(entry => entry.dataset.version)"
