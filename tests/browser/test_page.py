"""What holds for every page: small, without errors, accessible, at every width, light and dark."""

import asyncio
import gzip
from typing import Literal

import pytest
from playwright.async_api import Page, Response, expect

from tests.browser.stack import DASHBOARD, Api, Stack
from tests.browser.visitor import PHONE, Picture, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT_LIMIT_BYTES = 300_000
AXE = DASHBOARD / "node_modules" / "axe-core" / "axe.min.js"
AXE_RUN = """async (rules) => {
    const { violations } = await axe.run(rules ? { runOnly: rules } : {});
    return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => [id, ...nodes.map(node => node.html + node.failureSummary)]);
}"""
# A change of scheme is animated, and in the middle of it the contrast means nothing.
COLOURS_ARE_THERE = """() => Promise.allSettled(
    document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished)
)"""


async def turn(page: Page, scheme: Literal["dark", "light"]) -> None:
    await page.emulate_media(color_scheme=scheme)
    await expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
    await page.evaluate(COLOURS_ARE_THERE)


async def has_no_serious_fault_in(page: Page, *schemes: Literal["dark", "light"]) -> None:
    """In each scheme, by the whole of axe's rules."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in bridge/dashboard")
    # The pages' content security policy allows no other script, but the debugger may inject one.
    await page.evaluate(await asyncio.to_thread(AXE.read_text))
    is_ours = await page.locator("html[data-mantine-color-scheme]").count()
    for scheme in schemes:
        if is_ours:
            await turn(page, scheme)
        else:
            await page.emulate_media(color_scheme=scheme)
            await page.evaluate(COLOURS_ARE_THERE)
        assert await page.evaluate(AXE_RUN) == [], f"{page.url}, {scheme}"


async def has_no_serious_fault(page: Page) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in bridge/dashboard")
    # The pages' content security policy allows no other script, but the debugger may inject one.
    await page.evaluate(await asyncio.to_thread(AXE.read_text))
    assert await page.evaluate(AXE_RUN) == [], page.url
    await turn(page, "dark")
    assert await page.evaluate(AXE_RUN, ["color-contrast"]) == [], f"{page.url} in the dark"
    await turn(page, "light")


async def some_escrows(api: Api, buyer: str = "asha") -> dict[str, str]:
    """One of each kind that looks different; their ids by name."""
    await api.register_payee("ravi")
    titles = {
        "refunded": ("Concert tickets", 7_800),
        "released": ("Vintage camera", 36_000),
        "new": ("Wedding photographs", 85_000),
        "held": ("Oak dining table, 2 m", 48_500),
        "disputed": ("Road bike, 54 cm", 64_999),
    }
    made = {
        name: await api.create(buyer, "ravi", rupees, title=title, arbiter_id="meera")
        for name, (title, rupees) in titles.items()
    }
    half = {"amount_minor": "6000000", "currency": "INR"}
    parts = [{"title": title, "amount": half} for title in ("Sketches", "Final logo")]
    made["split"] = await api.create(
        buyer, "ravi", 120_000, title="Logo and brand book", milestones=parts
    )
    for name in made.keys() - {"new"}:
        await api.pay(made[name], buyer)
    await api.do(made["refunded"], "refund", "ravi", note="Called off")
    await api.do(made["released"], "release", buyer)
    await api.do(made["held"], "confirm", "ravi")
    await api.do(made["split"], "release", buyer, milestone_id="m1")
    await api.do(made["disputed"], "dispute", buyer, reason="The frame is cracked.")
    return made


async def test_the_first_load_is_small(visit: Visit, stack: Stack) -> None:
    visitor = await visit("asha")
    scripts: list[Response] = []
    visitor.page.on(
        "response",
        lambda response: (
            scripts.append(response) if response.request.resource_type == "script" else None
        ),
    )
    await visitor.page.reload()
    await visitor.sees_connection("Live")
    bodies = [await script.body() for script in scripts]
    assert bodies
    assert sum(len(gzip.compress(body)) for body in bodies) < SCRIPT_LIMIT_BYTES


async def test_no_page_has_a_serious_accessibility_fault(
    visit: Visit, api: Api, stack: Stack
) -> None:
    made = await some_escrows(api)
    visitor = await visit("asha", reduced_motion="reduce")
    await expect(visitor.page.get_by_text("Oak dining table, 2 m").first).to_be_visible()
    await has_no_serious_fault(visitor.page)
    for name in made:
        await visitor.open(made[name])
        await has_no_serious_fault(visitor.page)
    await visitor.open(made["disputed"])
    await visitor.press("Withdraw dispute")
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()
    await has_no_serious_fault(visitor.page)
    for path in ("/new", "/settings", "/nowhere"):
        await visitor.page.goto(stack.url + path)
        await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        await has_no_serious_fault(visitor.page)
    arbiter = await visit("meera", reduced_motion="reduce")
    await arbiter.open(made["disputed"])
    await arbiter.press("Decide")
    await expect(arbiter.page.get_by_label("For ravi")).to_be_visible()
    await has_no_serious_fault(arbiter.page)
    await arbiter.page.get_by_label("For ravi").fill("100,000")
    await arbiter.page.get_by_role("dialog").get_by_role("button", name="Decide").click()
    await expect(arbiter.page.get_by_text("Give the reason")).to_be_visible()
    await has_no_serious_fault(arbiter.page)
    await arbiter.press("Back")
    await arbiter.page.get_by_role("button", name="Account: meera").click()
    await arbiter.page.get_by_role("menuitem", name="Log out").click()
    await expect(arbiter.page.get_by_text("Come in as")).to_be_visible()
    await has_no_serious_fault(arbiter.page)


async def test_what_people_are_told_and_asked_has_no_serious_accessibility_fault(
    visit: Visit, api: Api
) -> None:
    await api.name_account("devi", "DeviSells00001")
    await api.name_account("devi", "SomebodyElse01")
    asked = await api.create("asha", "devi", 900, terms={"acceptance_required": True})
    held = await api.create("asha", "noor", 900)
    await api.pay(held, "asha")
    await api.do(held, "confirm", "noor")
    returned = await api.create("asha", "devi", 900)
    order_id = (await api.do(returned, "pay", "asha"))["order_id"]
    await api.pay_order(order_id, discount=10_000)
    buyer = await visit("asha", PHONE, reduced_motion="reduce")
    for escrow_id, words in (
        (asked, "Send devi this link"),
        (held, "If you say nothing"),
        (returned, "Bank reference"),
    ):
        await buyer.open(escrow_id)
        await buyer.reads(words)
        await has_no_serious_fault(buyer.page)
    await buyer.open(held)
    await buyer.press("Pay noor now")
    await has_no_serious_fault(buyer.page)
    seller = await visit("devi", PHONE, path=f"/escrows/{asked}", reduced_motion="reduce")
    await seller.reads("is about to change")
    await seller.press("Accept")
    await expect(seller.page.get_by_role("dialog")).to_be_visible()
    await has_no_serious_fault(seller.page)
    await seller.press("Back")
    await has_no_serious_fault(seller.page)
    without_account = await visit("noor", PHONE, reduced_motion="reduce")
    await without_account.open(held)
    await without_account.reads("Add where you want to be paid")
    await has_no_serious_fault(without_account.page)


async def test_nothing_is_wider_than_a_phone(
    visit: Visit,
    api: Api,
    stack: Stack,
    picture: Picture,
) -> None:
    made = await some_escrows(api)
    visitor = await visit("asha", PHONE, device_scale_factor=2)
    await expect(visitor.page.get_by_text("Oak dining table, 2 m").first).to_be_visible()
    await visitor.fits()
    for name in made:
        await visitor.open(made[name])
        await visitor.fits()
    await visitor.open(made["held"])
    await picture(visitor, "mobile")
    for path in ("/new", "/settings"):
        await visitor.page.goto(stack.url + path)
        await expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        await visitor.fits()


async def test_the_list_is_filtered_by_words_status_and_part(
    visit: Visit, api: Api, picture: Picture
) -> None:
    made = await some_escrows(api, "priya")
    visitor = await visit("priya")
    row = {name: visitor.page.locator(f"li[data-escrow='{made[name]}']") for name in made}
    await expect(row["held"]).to_be_visible()
    for name, words in (("released", "Released"), ("refunded", "Refunded")):
        status = row[name].locator("[data-status]")
        await expect(status).to_have_text(words, timeout=20_000)
    await picture(visitor, "list")

    await visitor.page.get_by_label("Search by title").fill("oak")
    await expect(row["held"]).to_be_visible()
    await expect(row["disputed"]).to_be_hidden()
    await visitor.page.get_by_label("Search by title").fill("")
    await visitor.page.get_by_role("combobox", name="Status").select_option("In dispute")
    await expect(row["disputed"]).to_be_visible()
    await expect(row["held"]).to_be_hidden()
    # The filter is in the address, so that a reload keeps it.
    await visitor.page.reload()
    await expect(row["disputed"]).to_be_visible()
    await expect(row["held"]).to_be_hidden()


async def test_the_keyboard_alone_opens_an_escrow_and_gets_out_of_a_dialog(
    visit: Visit, api: Api
) -> None:
    made = await some_escrows(api)
    visitor = await visit("asha")
    page = visitor.page
    link = page.locator(f"li[data-escrow='{made['held']}'] a")
    await link.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Oak dining table")).to_be_visible()
    await expect(page.locator("main")).to_be_focused()
    opener = page.get_by_role("button", name="Pay ravi now", exact=True)
    await opener.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Note (optional)")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(opener).to_be_focused()


async def test_an_error_is_shown_at_its_field(visit: Visit, stack: Stack) -> None:
    visitor = await visit("asha")
    page = visitor.page
    await page.goto(f"{stack.url}/new")
    await visitor.press("Create escrow")
    for words in ("Say what it is for.", "Say who it is with.", "Write an amount in rupees"):
        await expect(page.get_by_text(words)).to_be_visible()
    await expect(page.get_by_label("What is it for?")).to_have_attribute("aria-invalid", "true")
    await page.goto(f"{stack.url}/settings")
    await page.get_by_label("Linked account").fill("ravi@bank")
    await visitor.press("Save account")
    await expect(page.get_by_text("acc_ followed by 14 letters or digits")).to_be_visible()


async def test_a_stranger_is_told_that_it_cannot_be_shown(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 900)
    stranger = await visit("mallory")
    stranger.knows_of_outage = True  # The browser itself reports the 404.
    await stranger.page.goto(f"{stranger.url}/escrows/{escrow_id}")
    heading = stranger.page.get_by_role("heading", name="This escrow cannot be shown")
    await expect(heading).to_be_visible()


async def test_the_package_of_the_client_needs_nothing_but_react() -> None:
    manifest = (DASHBOARD / "package.json").read_text()
    assert '"dependencies"' not in manifest
