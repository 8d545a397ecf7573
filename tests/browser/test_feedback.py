"""What people are told after an action, in a dialog that has become moot, and by notifications."""

import asyncio

import pytest
from playwright.async_api import Page, expect

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


async def test_a_toast_says_what_was_done(visit: Visit, api: Api) -> None:
    await api.register_payee("ravi")
    escrow_id = await api.create("asha", "ravi", 1_200)
    await api.pay(escrow_id, "asha")
    buyer = await visit("asha")
    await buyer.open(escrow_id)
    payout = int((await api.escrow(escrow_id, "asha"))["payout"]["amount_minor"]) // 100
    await buyer.press("Pay ravi now")
    await buyer.answer("Pay out")
    toasts = buyer.page.get_by_role("log", name="What has just happened")
    # What was decided is told before, unless the money has moved before the answer came.
    await expect(toasts).to_contain_text(f"Paid out ₹{payout:,} to ravi")
    await toasts.get_by_role("button", name="Close this message").last.click()
    await expect(toasts).not_to_contain_text("Paid out")


async def test_a_dialog_that_became_moot_says_so_and_keeps_what_was_typed(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "noor", 900)
    await api.pay(escrow_id, "asha")
    buyer, seller = await visit("asha"), await visit("noor")
    await buyer.open(escrow_id)
    await seller.open(escrow_id)
    await buyer.press("Dispute")
    await buyer.page.get_by_label("What is wrong?").fill("The saddle is missing.")
    await seller.press("Refund")
    await seller.answer("Refund")
    dialog = buyer.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("This is no longer possible")
    await expect(dialog).to_contain_text("Nothing was sent")
    await expect(dialog.get_by_role("textbox")).to_have_value("The saddle is missing.")
    await buyer.answer("Back")
    await expect(buyer.page.locator("main")).to_be_focused()


async def test_a_dialog_that_the_clock_made_moot_says_so_and_keeps_what_was_typed(
    visit: Visit, api: Api
) -> None:
    # The clock pays only a seller who can be paid.
    await api.register_payee("kabir")
    terms = {"inspection_period": "5s"}
    escrow_id = await api.create("asha", "kabir", 900, terms=terms)
    await api.pay(escrow_id, "asha")
    buyer = await visit("asha")
    await buyer.open(escrow_id)
    await buyer.press("Dispute")
    await buyer.page.get_by_label("What is wrong?").fill("The saddle is missing.")
    dialog = buyer.page.get_by_role("dialog")
    await api.do(escrow_id, "confirm", "kabir")
    await buyer.sees_version(await api.version(escrow_id, "asha"))
    await expect(dialog).not_to_contain_text("This is no longer possible")
    # From here on nobody does anything: the time to inspect runs out.
    await expect(dialog).to_contain_text("This is no longer possible", timeout=30_000)
    await expect(dialog).to_contain_text("Nothing was sent")
    await expect(dialog.get_by_role("textbox")).to_have_value("The saddle is missing.")
    await buyer.answer("Back")
    assert "dispute" not in await api.escrow(escrow_id, "asha")


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
