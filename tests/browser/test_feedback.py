"""What people are told after an action, and in a dialog that has become moot."""

import pytest
from playwright.async_api import expect

from tests.browser.stack import Api
from tests.browser.visitor import Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
