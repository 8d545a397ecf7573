"""The sandbox's payment page, where the dashboard sends a buyer."""

import pytest
from playwright.async_api import expect

from tests.browser.stack import Api
from tests.browser.test_page import has_no_serious_fault_in
from tests.browser.visitor import PHONE, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACES = """document.fonts.ready.then(() => [...document.fonts]
    .filter(face => face.status === 'loaded').map(face => face.family.replaceAll('"', '')))"""


async def at_the_checkout(visit: Visit, api: Api) -> tuple[Visitor, str]:
    await api.register_payee("ravi")
    escrow_id = await api.create("asha", "ravi", 125_000, title="Oak table")
    buyer = await visit("asha", PHONE, reduced_motion="reduce")
    await buyer.open(escrow_id)
    await buyer.page.get_by_role("button", name="Pay ₹1,25,000").click()
    await buyer.page.wait_for_url("**/sandbox/checkout/**")
    return buyer, escrow_id


async def test_a_buyer_reads_what_is_paid_and_to_whom_and_can_go_back(
    visit: Visit, api: Api
) -> None:
    buyer, escrow_id = await at_the_checkout(visit, api)
    for words in ("Oak table", "to ravi", "No real money moves"):
        await expect(buyer.page.get_by_text(words)).to_be_visible()
    await expect(buyer.page.get_by_role("button", name="Pay ₹1,25,000")).to_be_visible()
    assert set(await buyer.page.evaluate(FACES)) == {"Inter Variable", "Source Serif 4 Variable"}
    await buyer.fits()
    await has_no_serious_fault_in(buyer.page, "light", "dark")
    await buyer.page.get_by_role("link", name="Go back without paying").click()
    await buyer.page.wait_for_url(f"{buyer.url}/escrows/{escrow_id}")
    await buyer.sees_status("Awaiting payment")


async def test_a_buyer_who_reads_hindi_pays_in_hindi(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 125_000, title="Oak table")
    buyer = await visit("asha", PHONE, reduced_motion="reduce")
    await buyer.page.evaluate("localStorage.setItem('holdfast.language', 'hi')")
    await buyer.page.goto(f"{buyer.url}/escrows/{escrow_id}")
    await buyer.page.get_by_role("button", name="₹1,25,000").click()
    await buyer.page.wait_for_url("**/sandbox/checkout/**")
    await expect(buyer.page.locator("html")).to_have_attribute("lang", "hi")
    await expect(buyer.page.get_by_text("ravi को")).to_be_visible()
    await buyer.fits()
    await has_no_serious_fault_in(buyer.page, "light", "dark")
    await buyer.page.get_by_role("button", name="₹1,25,000 चुकाएँ").click()
    await buyer.page.wait_for_url(f"{buyer.url}/escrows/{escrow_id}**")
    await expect(buyer.page.locator("article header [data-status]")).to_have_attribute(
        "data-status", "HELD"
    )


@pytest.mark.parametrize(
    ("presses", "button"),
    [
        (1, "Pay ₹1,25,000"),
        (3, "Leave it being authorised"),
        (4, "Authorise, then capture later"),
    ],
)
async def test_each_way_of_paying_ends_in_held_by_the_keyboard_alone(
    visit: Visit, api: Api, presses: int, button: str
) -> None:
    buyer, escrow_id = await at_the_checkout(visit, api)
    for _ in range(presses):
        await buyer.page.keyboard.press("Tab")
    await expect(buyer.page.get_by_role("button", name=button)).to_be_focused()
    await buyer.page.keyboard.press("Enter")
    await buyer.page.wait_for_url(f"{buyer.url}/escrows/{escrow_id}**")
    await buyer.sees_status("Held")


async def test_a_payment_that_fails_leads_back_and_can_be_tried_again(
    visit: Visit, api: Api
) -> None:
    buyer, escrow_id = await at_the_checkout(visit, api)
    await buyer.page.get_by_role("button", name="Let the payment fail").click()
    await buyer.page.wait_for_url(f"{buyer.url}/escrows/{escrow_id}?razorpay_error=payment_failed")
    await expect(buyer.page.get_by_role("button", name="Pay ₹1,25,000")).to_be_enabled()
    await buyer.sees_status("Awaiting payment")
