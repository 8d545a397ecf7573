"""When the money moves, or does not: what stands in the way, what was decided, how it ended."""

import pytest
from playwright.async_api import expect

from tests.browser.stack import Api
from tests.browser.visitor import PHONE, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAYS = "usually 5 to 7 working days"


async def test_a_seller_without_an_account_is_asked_for_one_and_then_paid(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "lakshmi", 45_000)
    buyer, seller = await visit("asha", PHONE), await visit("lakshmi", PHONE)
    await buyer.open(escrow_id)
    await seller.open(escrow_id)
    await seller.reads("Add where you want to be paid: ₹43,875 will go there.")
    await api.pay(escrow_id, "asha")
    await seller.reads("Add where you want to be paid: ₹43,875 are waiting.")
    await api.do(escrow_id, "release", "asha")
    await buyer.reads("Your part is done; lakshmi still has to add an account to be paid to.")
    for visitor in (buyer, seller):
        await visitor.reads("The money has not moved yet.")
        await expect(visitor.page.get_by_text("is moving the money now")).to_be_hidden()
        await expect(visitor.page.get_by_text("PAYEE_MISSING")).to_be_hidden()
        await visitor.fits()
    admin = await visit("admin")
    await admin.open(escrow_id)
    notice = admin.page.locator("[data-notice='PAYEE_MISSING']")
    await expect(notice).to_contain_text("PAYEE_MISSING")

    await seller.page.get_by_role("link", name="Add your account").click()
    await seller.page.get_by_label("Linked account").fill("acc_LakshmiSells01")
    await seller.press("Save account")
    await buyer.sees_status("Released")
    await buyer.reads("lakshmi has been paid ₹43,875.")
    await expect(admin.page.locator("[data-notice]")).to_be_hidden()


async def test_several_things_that_stand_in_the_way_are_told_at_once(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "omar", 5_000)
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "release", "asha")
    buyer = await visit("asha", PHONE)
    await buyer.open(escrow_id)
    await buyer.reads("omar still has to add an account")
    payment = (await api.escrow(escrow_id, "asha"))["payment"]["payment_id"]
    await api.bank_says(payment, "created")
    await buyer.reads("Your bank has taken this payment up again.")
    await buyer.reads("omar still has to add an account")
    await buyer.fits()


async def test_a_changed_account_is_told_in_every_session_and_called_off(
    visit: Visit, api: Api
) -> None:
    await api.name_account("nina", "NinaSells00001")
    await api.name_account("nina", "SomebodyElse01")
    phone, desk = await visit("nina", PHONE), await visit("nina")
    for visitor in (phone, desk):
        await visitor.reads("The account you are paid to is about to change")
        await visitor.reads("acc_SomebodyElse01")
        await visitor.fits()
    await phone.press("Keep the old account")
    await expect(phone.page.get_by_text("is about to change")).to_be_hidden()
    await desk.page.goto(f"{desk.url}/settings")
    await desk.reads("You are paid to acc_NinaSells00001")
    await expect(desk.page.get_by_text("is about to change")).to_be_hidden()


async def test_a_verdict_needs_a_choice_and_a_reason_and_says_what_each_side_gets(
    visit: Visit, api: Api
) -> None:
    await api.register_payee("ravi")
    escrow_id = await api.create("asha", "ravi", 10_000, arbiter_id="meera")
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "dispute", "asha", reason="The frame is bent.")
    buyer, seller = await visit("asha"), await visit("ravi")
    arbiter = await visit("meera", PHONE)
    for visitor in (buyer, seller, arbiter):
        await visitor.open(escrow_id)
    await arbiter.press("Decide")
    dialog = arbiter.page.get_by_role("dialog")
    await expect(dialog.get_by_label("For ravi")).to_have_value("")
    await dialog.get_by_role("button", name="Decide", exact=True).click()
    await expect(dialog).to_contain_text("Write an amount in rupees")
    await expect(dialog).to_contain_text("Give the reason")
    await dialog.get_by_label("For ravi").fill("6,000")
    deed = dialog.get_by_role("button", name="Pay ravi ₹5,850, give asha ₹4,000 back")
    await deed.click()
    await expect(dialog).to_contain_text("Give the reason")
    await expect(dialog).to_contain_text("₹150")
    await arbiter.fits()
    await dialog.get_by_label("Reason").fill("Both knew of the scratch.")
    await deed.click()
    await expect(dialog).to_be_hidden()
    for visitor in (buyer, seller, arbiter):
        await visitor.sees_status("Split")
        await visitor.reads("Both knew of the scratch.")
        await visitor.reads("₹5,850 to ravi, ₹4,000 back to asha")
    await seller.reads("You got ₹5,850, and asha ₹4,000 back.")
    await buyer.reads("ravi got ₹5,850, and you ₹4,000 back.")


async def test_an_admin_decides_anew_what_has_not_moved(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "petra", 2_000)
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "release", "asha")
    admin = await visit("admin")
    await admin.open(escrow_id)
    await expect(admin.page.locator("[data-notice='PAYEE_MISSING']")).to_be_visible()
    await admin.press("Decide anew")
    await admin.page.get_by_label("For petra").fill("0")
    await admin.page.get_by_label("Reason").fill("petra cannot open an account.")
    await admin.answer("Give asha ₹2,000 back")
    await admin.sees_status("Refunded")
    await admin.reads("Decided anew")


async def test_a_payment_that_came_while_the_seller_called_it_off(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 5_000)
    order_id = (await api.do(escrow_id, "pay", "asha"))["order_id"]
    buyer, seller = await visit("asha", PHONE), await visit("ravi", PHONE)
    await buyer.open(escrow_id)
    await seller.open(escrow_id)
    await seller.press("Decline")
    await seller.answer("Decline the escrow")
    await buyer.reads("ravi called it off before it was paid.")
    await api.pay_order(order_id)
    await buyer.reads(f"while you were paying; your ₹5,000 are on their way back, {DAYS}.")
    await seller.reads("You called it off while asha was paying; ₹5,000 are on their way back")
    for visitor in (buyer, seller):
        await visitor.reads("Payment received too late; it goes back")
        await expect(visitor.page.get_by_text("rfnd_").first).to_be_visible(timeout=20_000)
        await visitor.fits()


async def test_a_payment_with_an_offer_goes_back_with_the_reason(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 900)
    order_id = (await api.do(escrow_id, "pay", "asha"))["order_id"]
    buyer = await visit("asha", PHONE)
    await buyer.open(escrow_id)
    await api.pay_order(order_id, discount=10_000)
    await buyer.reads("₹800 of your money")
    await buyer.reads(DAYS)
    await buyer.reads("The reason:")
    await buyer.reads("Bank reference")
    await buyer.fits()
    # It can still be paid, in full.
    await expect(buyer.page.get_by_role("button", name="Pay ₹900")).to_be_visible()


async def test_the_fee_that_the_customer_bore_is_not_given_back_and_they_are_told(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "ravi", 1_000)
    order_id = (await api.do(escrow_id, "pay", "asha"))["order_id"]
    await api.pay_order(order_id, customer_fee=2_360)
    seller = await visit("ravi", PHONE)
    await seller.open(escrow_id)
    await seller.sees_status("Held")
    await seller.press("Refund")
    await expect(seller.page.get_by_role("dialog")).to_contain_text(
        "₹23.60 that was paid on top is Razorpay"
    )
    await seller.answer("Refund ₹1,000")
    buyer = await visit("asha", PHONE)
    await buyer.open(escrow_id)
    await buyer.sees_status("Refunded")
    await buyer.reads("₹23.60 that you paid on top is Razorpay")
    await buyer.fits()


async def test_what_the_bank_gave_back_is_told_as_the_banks_doing(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 3_000)
    await api.pay(escrow_id, "asha")
    payment = (await api.escrow(escrow_id, "asha"))["payment"]["payment_id"]
    buyer, seller = await visit("asha", PHONE), await visit("ravi", PHONE)
    await buyer.open(escrow_id)
    await seller.open(escrow_id)
    await api.bank_says(payment, "created")
    await buyer.reads("Your bank has taken this payment up again.")
    await seller.reads("bank has taken this payment up again.")
    await api.bank_says(payment, "lost")
    await buyer.sees_status("Refunded")
    await buyer.reads("Your bank has given you ₹3,000 back.")
    await seller.reads("bank has taken ₹3,000 back for asha.")
    await seller.fits()
