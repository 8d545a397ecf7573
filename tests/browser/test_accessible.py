"""Every state of a page is accessible: in both schemes, on a desk and on a phone."""

import asyncio

import pytest
from playwright.async_api import Locator, Page, Route, ViewportSize, expect

from tests.browser.conftest import DESKTOP
from tests.browser.stack import Api
from tests.browser.test_page import has_no_serious_fault_in
from tests.browser.visitor import ADMIN, Visit, Visitor

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("screen", [DESKTOP, ViewportSize(width=390, height=844)]),
]

HALF = {"amount_minor": "600000", "currency": "INR"}


async def come(visit: Visit, name: str, screen: ViewportSize) -> Visitor:
    return await visit(name, screen, reduced_motion="reduce")


async def is_sound(page: Page, shown: Locator) -> None:
    await expect(shown).to_be_visible()
    await has_no_serious_fault_in(page, "dark", "light")


async def test_login_with_errors(visit: Visit, screen: ViewportSize) -> None:
    visitor = await come(visit, "asha", screen)
    page = visitor.page
    await page.get_by_role("button", name="Account: asha").click()
    await page.get_by_role("menuitem", name="Log out").click()
    await page.get_by_role("textbox", name="Token").fill("not a token")
    await page.get_by_role("button", name="Log in", exact=True).click()
    await is_sound(page, page.get_by_role("alert").filter(has_text="token"))


async def test_a_list_that_is_empty_and_its_open_menus(visit: Visit, screen: ViewportSize) -> None:
    visitor = await come(visit, f"nobody{screen['width']}", screen)
    page = visitor.page
    await is_sound(page, page.get_by_role("heading", name="No escrows yet"))
    await page.get_by_role("button", name="Account:").click()
    await is_sound(page, page.get_by_role("menuitem", name="Log out"))
    await page.goto(f"{visitor.url}/?status=HELD")
    await is_sound(page, page.get_by_role("heading", name="Nothing matches"))
    await page.goto(f"{visitor.url}/new")
    await page.get_by_role("combobox").first.click()
    await is_sound(page, page.get_by_role("option").first)


async def test_a_list_that_is_on_its_way(visit: Visit, screen: ViewportSize) -> None:
    visitor = await come(visit, "asha", screen)
    page = visitor.page
    waiting = asyncio.Event()

    async def hold(route: Route) -> None:
        await waiting.wait()
        await route.abort()

    await page.route("**/api/v1/escrows?**", hold)
    await page.reload()
    await is_sound(page, page.locator("[aria-busy=true]").first)
    visitor.knows_of_outage = True
    waiting.set()
    await page.unroute_all(behavior="ignoreErrors")


async def test_a_new_escrow_with_errors(visit: Visit, screen: ViewportSize) -> None:
    visitor = await come(visit, "asha", screen)
    page = visitor.page
    await page.goto(f"{visitor.url}/new")
    await page.get_by_role("button", name="Create escrow").click()
    await is_sound(page, page.get_by_text("Say what it is for."))


async def test_settings_with_errors(visit: Visit, screen: ViewportSize) -> None:
    visitor = await come(visit, "ravi", screen)
    page = visitor.page
    await page.goto(f"{visitor.url}/settings")
    await page.get_by_label("Linked account").fill("ravi@bank")
    await visitor.press("Save account")
    await is_sound(page, page.get_by_text("acc_ followed by 14 letters or digits"))


async def test_milestones_have_buttons_with_names_of_their_own(
    visit: Visit, api: Api, screen: ViewportSize
) -> None:
    await api.register_payee("ravi")
    parts = [{"title": title, "amount": HALF} for title in ("Sketches", "Logo")]
    escrow_id = await api.create("asha", "ravi", 12_000, milestones=parts)
    await api.pay(escrow_id, "asha")
    visitor = await come(visit, "asha", screen)
    await visitor.open(escrow_id)
    buttons = visitor.page.get_by_role("main").get_by_role("button")
    names = await buttons.evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label') ?? one.textContent)"
    )
    assert len(names) == len(set(names)), names
    await is_sound(visitor.page, buttons.first)


async def test_every_dialog_of_an_escrow(visit: Visit, api: Api, screen: ViewportSize) -> None:
    escrow_id = await api.create("asha", "ravi", 900)
    await api.pay(escrow_id, "asha")
    visitor = await come(visit, "asha", screen)
    page = visitor.page
    await visitor.open(escrow_id)
    dialog = page.get_by_role("dialog")
    for name in ("I have received it", "Pay ravi now", "Dispute"):
        await visitor.press(name)
        await is_sound(page, dialog)
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()


async def test_a_dispute_and_its_verdict_with_errors(
    visit: Visit, api: Api, screen: ViewportSize
) -> None:
    escrow_id = await api.create("asha", "ravi", 900, arbiter_id="meera")
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "dispute", "asha", reason="The frame is cracked.")
    buyer = await come(visit, "asha", screen)
    await buyer.open(escrow_id)
    await is_sound(buyer.page, buyer.page.get_by_text("The frame is cracked.").first)
    arbiter = await come(visit, "meera", screen)
    await arbiter.open(escrow_id)
    await arbiter.press("Decide")
    dialog = arbiter.page.get_by_role("dialog")
    await is_sound(arbiter.page, dialog)
    await dialog.get_by_label("For ravi, before the fee").fill("1,000")
    await dialog.locator("button[type=submit]").click()
    await is_sound(arbiter.page, dialog.get_by_text("No more than ₹900 is held."))
    await expect(dialog.locator("[aria-invalid=true]")).to_have_count(2)


async def test_toasts(visit: Visit, api: Api, screen: ViewportSize) -> None:
    escrow_id = await api.create("asha", "ravi", 900)
    await api.pay(escrow_id, "asha")
    visitor = await come(visit, "asha", screen)
    await visitor.open(escrow_id)
    await visitor.press("I have received it")
    await visitor.answer("I have received it, pay ravi")
    toast = visitor.page.get_by_role("log").get_by_text("You confirmed")
    await toast.hover()  # It stays as long as somebody reads it.
    await is_sound(visitor.page, toast)
    await expect(toast).to_be_visible()


async def test_every_part_of_the_operators_room(
    visit: Visit, api: Api, screen: ViewportSize
) -> None:
    seller = f"farida{screen['width']}"
    await api.name_account(seller, "inactive000001")
    escrow_id = await api.create("asha", seller, 900)
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "release", "asha")
    await api.create("asha", "ravi", 900)
    visitor = await come(visit, ADMIN, screen)
    page = visitor.page
    await page.goto(f"{visitor.url}/operator/attention")
    await is_sound(page, page.locator(f"tr[data-row^='{escrow_id}']").get_by_text("PAYEE_REFUSED"))
    await page.goto(f"{visitor.url}/operator/lookup?id={escrow_id}")
    await is_sound(page, page.locator("[data-verdict]").first)
    await visitor.press("Decide anew")
    await is_sound(page, page.get_by_role("dialog"))
    await page.goto(f"{visitor.url}/operator/lookup?q=table")
    await is_sound(page, page.get_by_role("table", name="Found"))
    await page.goto(f"{visitor.url}/operator/payees")
    await visitor.press("Save account")
    await is_sound(page, page.get_by_text("A linked account is acc_"))
    await page.goto(f"{visitor.url}/operator/books")
    await visitor.press("Check the books")
    await is_sound(page, page.get_by_text("Done:"))
    await page.goto(f"{visitor.url}/operator/tokens")
    await page.get_by_label("User").fill("kiran")
    await visitor.press("End all sessions…")
    await is_sound(page, page.get_by_role("dialog"))


async def test_webhooks_in_the_operators_room(visit: Visit, api: Api, screen: ViewportSize) -> None:
    visitor = await come(visit, ADMIN, screen)
    page = visitor.page
    url = f"https://93.184.215.14/{screen['width']}"
    await page.goto(f"{visitor.url}/operator/webhooks")
    await visitor.press("Add an endpoint")
    dialog = page.get_by_role("dialog")
    await visitor.press("Save")
    await is_sound(page, dialog.get_by_text("An address begins with https://."))
    await dialog.get_by_label("Address").fill(url)
    await visitor.answer("Save")
    await is_sound(page, page.locator("[data-secret]"))
    await visitor.press("I have kept it")
    row = page.get_by_role("row").filter(has_text=url)
    for name in ("Edit", "New secret", "Delete"):
        await row.get_by_role("button", name=name).click()
        await is_sound(page, dialog)
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
    await row.get_by_role("button", name="Deliveries").click()
    await is_sound(page, page.get_by_text("No deliveries."))
