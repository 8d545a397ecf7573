"""The page in Hindi: chosen by the browser, kept when changed, and nothing left in English."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.hindi import hindi, untranslated
from tests.browser.stack import Api, Stack
from tests.browser.visitor import PHONE, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

TITLE = "पुरानी साइकिल"
PEOPLE = ("asha", "ravi", "meera", "admin", "lakshmi", "kabir")
# What people and Razorpay have written themselves.
WRITTEN = (*PEOPLE, "The linked account is not activated")
HALF = {"amount_minor": "5000000", "currency": "INR"}
SOON_MS = 30_000


@pytest_asyncio.fixture(loop_scope="module")
async def page(chromium: Browser, stack: Stack) -> AsyncIterator[Page]:
    """A page of a browser that asks for Hindi."""
    context = await chromium.new_context(
        viewport=PHONE, locale="hi-IN", timezone_id="Asia/Kolkata", reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(stack.url)
    yield page
    await context.close()


async def come(page: Page, api: Api, user_id: str, path: str) -> None:
    """Log in as a user, at a page."""
    token = await api.token(user_id, *(["admin"] if user_id == "admin" else []))
    await page.evaluate("token => sessionStorage.setItem('holdfast.token', token)", token)
    await page.goto(api.stack.url + path)
    await expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=20_000)
    await expect(page.get_by_role("status", name="कनेक्शन")).to_have_text("लाइव", timeout=20_000)


async def is_all_hindi(page: Page) -> None:
    await expect(page.locator(".mantine-Skeleton-root")).to_have_count(0)
    assert await untranslated(page, *WRITTEN) == [], page.url
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(overflow) == 0, page.url


async def show_dialog(page: Page, name: str) -> None:
    """Open a dialog by its button, read it, and close it."""
    await page.get_by_role("button", name=name, exact=True).first.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await is_all_hindi(page)
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()


async def test_nothing_on_screen_is_left_in_english(page: Page, api: Api) -> None:
    await expect(page.get_by_role("heading", name="Holdfast")).to_be_visible()
    assert await page.evaluate("document.documentElement.lang") == "hi"
    await is_all_hindi(page)
    invited = await api.create(
        "asha", "ravi", 900, title=TITLE, terms={"acceptance_required": True}
    )
    held, disputed, refunded, cancelled = [
        await api.create("asha", "ravi", 100_000, title=TITLE, arbiter_id="meera") for _ in range(4)
    ]
    for escrow_id in (held, disputed, refunded):
        await api.pay(escrow_id, "asha")
    await api.do(held, "confirm", "ravi")
    await api.do(disputed, "dispute", "asha", reason="पहिया टूटा है")
    await api.do(refunded, "refund", "ravi")
    await api.do(cancelled, "cancel", "asha")
    for user_id, escrow_id in (
        ("asha", invited),
        ("ravi", invited),
        ("asha", held),
        ("ravi", held),
        ("asha", disputed),
        ("meera", disputed),
        ("asha", refunded),
        ("ravi", cancelled),
        ("admin", disputed),
    ):
        await come(page, api, user_id, f"/escrows/{escrow_id}")
        await is_all_hindi(page)
    await come(page, api, "ravi", "/settings")
    await is_all_hindi(page)
    await page.locator("main button[type=submit]").first.click()
    await is_all_hindi(page)
    await come(page, api, "asha", "/new")
    await page.locator("main button[type=submit]").click()
    await is_all_hindi(page)
    await come(page, api, "asha", "/nowhere")
    await is_all_hindi(page)
    await come(page, api, "meera", f"/escrows/{invited}")
    await is_all_hindi(page)


async def test_the_list_is_all_in_hindi_with_its_filters_and_its_menus(
    page: Page, api: Api
) -> None:
    await come(page, api, "lakshmi", "/")
    await expect(page.get_by_role("heading", name=hindi("list.none"))).to_be_visible()
    await is_all_hindi(page)
    escrow_id = await api.create("lakshmi", "ravi", 900, title=TITLE)
    await api.pay(escrow_id, "lakshmi")
    for user_id in ("lakshmi", "admin"):
        await come(page, api, user_id, "/")
        await expect(page.get_by_role("link", name=TITLE).first).to_be_visible()
        # The options of native lists are on the page also while no list is open.
        for name in ("list.status", "list.part", "list.order", "list.dates"):
            options = page.get_by_role("combobox", name=hindi(name)).locator("option")
            assert await options.count() > 1
        await is_all_hindi(page)
    async with page.expect_download():
        await page.get_by_role("button", name=hindi("list.csv")).click()
    await expect(page.get_by_text("सहेज").last).to_be_visible()
    await is_all_hindi(page)
    await page.get_by_role("banner").get_by_role("button").last.click()
    await expect(page.get_by_role("menuitem").first).to_be_visible()
    await is_all_hindi(page)
    await page.goto(f"{api.stack.url}/?status=CANCELLED&q=क्ष")
    await expect(page.get_by_role("heading", name=hindi("list.nothing"))).to_be_visible()
    await is_all_hindi(page)


async def test_every_dialog_is_all_in_hindi(page: Page, api: Api) -> None:
    more = {"title": TITLE, "arbiter_id": "meera"}
    invited = await api.create("asha", "ravi", 900, terms={"acceptance_required": True}, **more)
    held, disputed = [await api.create("asha", "ravi", 900, **more) for _ in range(2)]
    parts = [{"title": title, "amount": HALF} for title in ("पहिया", "घंटी")]
    parted = await api.create("asha", "ravi", 100_000, milestones=parts, **more)
    for escrow_id in (held, disputed, parted):
        await api.pay(escrow_id, "asha")
    await api.do(disputed, "dispute", "asha", reason="पहिया टूटा है")
    pay_ravi = hindi("action.release.label", seller="ravi")
    for user_id, escrow_id, names in (
        ("asha", invited, ["action.cancel.label"]),
        ("ravi", invited, ["action.accept.label", "action.decline.label"]),
        ("asha", held, ["action.confirm.buyer.label", "action.dispute.label"]),
        ("asha", held, ["action.takeBack.label"]),
        ("ravi", held, ["action.confirm.seller.label", "action.giveBack.label"]),
        ("asha", disputed, ["action.withdraw.label"]),
        ("meera", disputed, ["action.decide"]),
        ("admin", disputed, ["action.decide"]),
    ):
        await come(page, api, user_id, f"/escrows/{escrow_id}")
        for name in names:
            await show_dialog(page, hindi(name))
    await come(page, api, "asha", f"/escrows/{held}")
    await show_dialog(page, pay_ravi)
    await come(page, api, "meera", f"/escrows/{disputed}")
    await page.get_by_role("button", name=hindi("action.decide"), exact=True).click()
    await page.get_by_role("dialog").locator("button[type=submit]").click()
    await is_all_hindi(page)
    await come(page, api, "asha", f"/escrows/{parted}")
    await is_all_hindi(page)
    buttons = page.get_by_role("main").locator("li").get_by_role("button")
    for at in range(await buttons.count()):
        await buttons.nth(at).click()
        if await page.get_by_role("dialog").count():
            await is_all_hindi(page)
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_the_operators_room_is_all_in_hindi(page: Page, api: Api) -> None:
    # A seller of this test's own: the other tests pay ravi, in any order.
    await api.name_account("kabir", "inactive000001")
    stuck = await api.create("asha", "kabir", 4_500, title=TITLE)
    await api.pay(stuck, "asha")
    await api.do(stuck, "release", "asha")
    await come(page, api, "admin", "/operator/attention")
    row = page.locator(f"tr[data-row^='{stuck}']")
    await expect(row).to_contain_text("PAYEE_REFUSED", timeout=SOON_MS)
    await is_all_hindi(page)
    await come(page, api, "admin", f"/operator/lookup?id={stuck}")
    await expect(page.locator("[data-verdict]").first).to_be_visible(timeout=SOON_MS)
    await is_all_hindi(page)
    await show_dialog(page, hindi("operator.remedy.override"))
    await api.create("asha", "kabir", 900, title=TITLE)  # A single one is shown at once.
    await come(page, api, "admin", "/operator/lookup?q=साइकिल")
    await expect(page.get_by_text(hindi("operator.lookup.found"))).to_be_visible()
    await is_all_hindi(page)
    await come(page, api, "admin", "/operator/payees?user=kabir")
    await page.locator("main button[type=submit]").click()
    await is_all_hindi(page)
    await come(page, api, "admin", "/operator/books")
    await page.get_by_role("button", name=hindi("operator.books.start")).click()
    await expect(page.get_by_role("button", name=hindi("operator.books.start"))).to_be_visible(
        timeout=SOON_MS
    )
    await is_all_hindi(page)
    await come(page, api, "admin", "/operator/tokens")
    await page.get_by_label(hindi("operator.tokens.user")).fill("lakshmi")
    await show_dialog(page, hindi("operator.tokens.revoke"))
    await come(page, api, "admin", "/operator/webhooks")
    await is_all_hindi(page)
    await page.get_by_role("button", name=hindi("operator.hooks.add")).click()
    dialog = page.get_by_role("dialog")
    await dialog.locator("button[type=submit]").click()
    await is_all_hindi(page)
    await dialog.get_by_label(hindi("operator.hooks.url")).fill("https://127.0.0.1/hook")
    await dialog.locator("button[type=submit]").click()
    await expect(dialog.get_by_role("alert")).to_be_visible()
    await is_all_hindi(page)
    await dialog.get_by_label(hindi("operator.hooks.url")).fill("https://93.184.215.14/hook")
    await dialog.locator("button[type=submit]").click()
    secret = page.locator("[data-secret]")
    await expect(secret).to_be_visible()
    assert await secret.evaluate("one => one.getBoundingClientRect().right <= innerWidth")
    await is_all_hindi(page)
    for deed in ("rotate", "delete"):
        await show_dialog(page, hindi(f"operator.hooks.{deed}"))
    await show_dialog(page, hindi("operator.hooks.edit"))
    await page.get_by_role("button", name=hindi("operator.hooks.deliveries")).click()
    await expect(page.get_by_text(hindi("operator.hooks.noDeliveries"))).to_be_visible()
    await is_all_hindi(page)
    await page.get_by_role("button", name=hindi("operator.hooks.delete"), exact=True).click()
    await dialog.get_by_role("button", name=hindi("operator.hooks.deleteDeed")).click()
    await expect(page.get_by_text(hindi("operator.hooks.empty"))).to_be_visible()


async def test_a_language_that_the_user_chose_stays_after_a_reload(visit: Visit) -> None:
    visitor = await visit("asha", path="/settings")
    await visitor.page.get_by_text("हिन्दी").click()
    await expect(visitor.page.get_by_role("heading", name="सेटिंग")).to_be_visible()
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("heading", name="सेटिंग")).to_be_visible()
    assert await visitor.page.evaluate("document.documentElement.lang") == "hi"


async def test_the_technical_record_is_one_click_away(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 900, title=TITLE)
    await api.pay(escrow_id, "asha")
    visitor = await visit("asha", path=f"/escrows/{escrow_id}")
    technical = visitor.page.locator("[data-technical]")
    await visitor.press("Hide the technical record")
    await expect(technical).to_have_count(0)
    await expect(visitor.page.get_by_text("payment_captured")).to_have_count(0)
    await visitor.press("Show the technical record")
    captured = technical.filter(has_text="payment_captured")
    await expect(captured).to_contain_text("no. ")
    await expect(captured).to_contain_text("IST")
