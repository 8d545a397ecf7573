"""Notifications, which only a Chromium with windows has."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import NAMES, find_chromium
from tests.browser.stack import Api
from tests.browser.visitor import Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEEP_NOTICES = """
window.notices = [];
window.Notification = class extends window.Notification {
    constructor(title, options) {
        super(title, options);
        window.notices.push(this);
    }
};
"""
HIDE = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })"
TOLD = "window.notices.map(one => one.body)"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    return find_chromium(*NAMES)


async def test_notifications_come_once_to_hidden_tabs_and_open_the_escrow(
    visit: Visit, api: Api
) -> None:
    visitor = await visit("hema")
    await visitor.context.add_init_script(KEEP_NOTICES)
    await visitor.context.grant_permissions(["notifications"], origin=visitor.url)
    await visitor.page.reload()
    await visitor.press("Notify me")
    await expect(visitor.page.get_by_role("button", name="Notifications on")).to_be_visible()
    second = await visitor.context.new_page()
    await second.goto(visitor.url)
    await expect(second.get_by_role("status", name="Connection")).to_have_text("Live")
    pages = [visitor.page, second]
    await api.create("ravi", "hema", 500, title="Seen")
    for page in pages:
        await expect(page.get_by_text("Seen")).to_be_visible()
        assert await page.evaluate(TOLD) == []
        await page.evaluate(HIDE)
    escrow_id = await api.create("ravi", "hema", 500, title="Tabla")
    await api.pay(escrow_id, "ravi")
    await api.do(escrow_id, "dispute", "ravi", reason="No word.")
    assert sorted(await told_by(pages, 3)) == [
        "Tabla: Your turn to accept",
        "ravi has paid ₹500 for Tabla",
        "ravi raised a dispute about Tabla",
    ]
    for page in pages:
        await page.evaluate("window.notices.find(one => one.body.includes('dispute'))?.onclick()")
    opened = [page.url for page in pages if "/escrows/" in page.url]
    assert opened == [f"{visitor.url}/escrows/{escrow_id}"]


async def told_by(pages: list[Page], count: int) -> list[str]:
    told: list[str] = []
    async with asyncio.timeout(10):
        while len(told) < count:
            told = [one for page in pages for one in await page.evaluate(TOLD)]
            await asyncio.sleep(0.05)
    return told
