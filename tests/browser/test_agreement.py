"""Before the money moves: who has accepted, until when, and who gets how much of it."""

import pytest
from playwright.async_api import expect

from tests.browser.stack import Api
from tests.browser.visitor import PHONE, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def agree(buyer: Visitor, seller: str, rupees: str) -> str:
    """Create an escrow on screen; answer its id."""
    await buyer.page.goto(f"{buyer.url}/new")
    await buyer.page.get_by_label("What is it for?").fill("Road bicycle, 54 cm")
    await buyer.page.get_by_label("Who is the seller?").fill(seller)
    await buyer.page.get_by_label("Amount").fill(rupees)
    await buyer.reads(f"{seller} gets ₹")
    await buyer.fits()
    await buyer.press("Create escrow")
    await buyer.page.wait_for_url("**/escrows/*")
    return buyer.page.url.rsplit("/", 1)[1]


async def test_the_seller_accepts_through_the_invitation_before_the_buyer_can_pay(
    visit: Visit, api: Api
) -> None:
    await api.register_payee("ravi")
    buyer = await visit("asha", PHONE, permissions=["clipboard-read", "clipboard-write"])
    switch = "ravi must accept before I pay"
    await buyer.page.goto(f"{buyer.url}/new")
    await buyer.page.get_by_label("Who is the seller?").fill("ravi")
    await expect(buyer.page.get_by_role("switch", name=switch)).to_be_checked()
    escrow_id = await agree(buyer, "ravi", "12,500.50")
    await buyer.reads("Waiting for ravi to accept.")
    await buyer.reads("ravi has not accepted yet")
    await expect(buyer.page.get_by_role("button", name="Pay ₹12,500.50")).to_be_hidden()
    await buyer.fits()
    await buyer.press("Copy the link")
    link = await buyer.page.evaluate("navigator.clipboard.readText()")
    assert link == f"{buyer.url}/escrows/{escrow_id}"

    seller = await visit("ravi", PHONE, path=link.removeprefix(buyer.url))
    await expect(seller.page.get_by_role("heading", name="Road bicycle")).to_be_visible()
    await seller.reads("asha has agreed this with you")
    await seller.press("Accept")
    dialog = seller.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("You sell “Road bicycle, 54 cm” to asha for ₹12,500.50.")
    await expect(dialog).to_contain_text("You get ₹12,187.99; ₹312.51 is the platform")
    await expect(dialog).to_contain_text("asha has 3 days to pay, and 7 days to inspect")
    await seller.fits()
    await seller.answer("Accept")
    for visitor in (buyer, seller):
        await visitor.reads("Accepted by the seller")
        accepted = visitor.page.locator("dt", has_text="Accepted").locator("..")
        await expect(accepted).to_contain_text("ravi")
        await expect(accepted).to_contain_text("IST")
    await expect(buyer.page.get_by_role("button", name="Pay ₹12,500.50")).to_be_visible()
    await expect(buyer.page.get_by_text("Send ravi this link")).to_be_hidden()


async def test_a_payment_without_acceptance_is_refused_in_words_for_people(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "ravi", 900, terms={"acceptance_required": True})
    # The page of somebody who does not know yet that acceptance is asked for.
    stale = await api.escrow(escrow_id, "asha")
    stale["terms"]["acceptance_required"] = False
    stale["version"] = "1000"
    buyer = await visit("asha")
    buyer.knows_of_outage = True  # The browser itself reports the refusal.
    await buyer.page.route(
        f"**/api/v1/escrows/{escrow_id}",
        lambda route: route.fulfill(json={"escrow": stale}),
    )
    await buyer.open(escrow_id)
    await buyer.page.get_by_role("button", name="Pay ₹900").click()
    await expect(buyer.page.get_by_role("alert")).to_contain_text(
        "The other side must accept this escrow before it can be paid."
    )


async def test_the_buyer_takes_the_money_back_from_a_seller_who_is_not_there(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "Ravi", 1_200)
    await api.pay(escrow_id, "asha")
    buyer = await visit("asha", PHONE)
    await buyer.open(escrow_id)
    await buyer.reads("Ravi has not accepted yet; until then you can take it back.")
    await buyer.press("Take my money back")
    await buyer.fits()
    await buyer.answer("Take ₹1,200 back")
    await buyer.sees_status("Refunded")
    await buyer.reads("₹1,200 are on their way back, usually 5 to 7 working days")


async def test_a_seller_who_has_accepted_keeps_the_buyer_from_taking_it_back(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "ravi", 1_200)
    await api.pay(escrow_id, "asha")
    buyer = await visit("asha")
    await buyer.open(escrow_id)
    offer = buyer.page.get_by_role("button", name="Take my money back")
    await expect(offer).to_be_visible()
    await api.do(escrow_id, "accept", "ravi")
    await expect(offer).to_be_hidden()


async def test_the_clock_is_told_to_both_with_the_way_to_object_beside_it(
    visit: Visit, api: Api
) -> None:
    await api.register_payee("ravi")
    escrow_id = await api.create("asha", "ravi", 0, amount=rupees("12500.50"))
    buyer, seller = await visit("asha", PHONE), await visit("ravi", PHONE)
    await buyer.open(escrow_id)
    await buyer.reads("After that this escrow is cancelled.")
    await expect(buyer.page.locator("[data-deadline]")).to_contain_text("IST")
    await seller.open(escrow_id)
    await seller.reads("asha has until")

    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "confirm", "ravi")
    words = "If you say nothing, ₹12,187.99 goes to ravi."
    await buyer.reads(words)
    await seller.reads("If asha says nothing, ₹12,187.99 goes to you.")
    clock = buyer.page.locator("[data-deadline]").filter(has_text=words)
    await expect(clock).to_contain_text("Inspect until")
    await expect(clock).to_contain_text("IST")
    for visitor in (buyer, seller):
        await visitor.fits()
        await visitor.page.goto(visitor.url)
        row = visitor.page.locator(f"li[data-escrow='{escrow_id}'] [data-deadline]")
        await expect(row).to_contain_text("IST")
        await visitor.fits()
    await buyer.open(escrow_id)
    await clock.get_by_role("button", name="Dispute").click()
    await buyer.page.get_by_label("What is wrong?").fill("The frame is bent.")
    await buyer.answer("Raise the dispute")
    await expect(clock).to_be_hidden()


async def test_a_near_deadline_is_told_and_then_passes(visit: Visit, api: Api) -> None:
    await api.register_payee("ravi")
    escrow_id = await api.create("asha", "ravi", 900, terms={"inspection_period": "5s"})
    await api.pay(escrow_id, "asha")
    buyer = await visit("asha")
    await buyer.open(escrow_id)
    await api.do(escrow_id, "confirm", "ravi")
    await buyer.reads("The time to inspect is nearly over")
    await buyer.reads("if asha says nothing")
    await buyer.sees_status("Released")
    await buyer.reads("ravi has been paid ₹877.50.")


async def test_each_milestone_has_its_own_clock_and_payout(visit: Visit, api: Api) -> None:
    parts = [
        {"title": title, "amount": rupees(amount)}
        for title, amount in (("Frame", "400"), ("Wheels", "600"))
    ]
    escrow_id = await api.create("asha", "ravi", 1_000, milestones=parts)
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "confirm", "ravi", milestone_id="m2")
    buyer = await visit("asha", PHONE)
    await buyer.open(escrow_id)
    frame, wheels = (buyer.page.locator(f"li[data-milestone='m{n}']") for n in (1, 2))
    await expect(wheels).to_contain_text("If you say nothing, ₹585 goes to ravi.")
    await expect(wheels.get_by_role("button", name="Dispute")).to_be_visible()
    await expect(frame).to_contain_text("ravi gets ₹390")
    await expect(frame.locator("[data-deadline]")).to_be_hidden()
    await buyer.fits()


async def test_both_sides_read_the_fee_from_the_agreement_to_the_release(
    visit: Visit, api: Api
) -> None:
    escrow_id = await api.create("asha", "ravi", 0, amount=rupees("12500.50"))
    buyer, seller = await visit("asha", PHONE), await visit("ravi", PHONE)
    for visitor, gets in ((buyer, "ravi gets"), (seller, "You get")):
        await visitor.open(escrow_id)
        payout = visitor.page.locator("dt", has_text=gets).locator("..")
        await expect(payout).to_contain_text("₹12,187.99")
        await visitor.reads("₹312.51 (2.5 % of what is paid out)")
    await api.pay(escrow_id, "asha")
    for verb, visitor, gets in (
        ("I have received it", buyer, "ravi gets"),
        ("Pay ravi now", buyer, "ravi gets"),
        ("I have delivered it", seller, "You get"),
    ):
        await visitor.press(verb)
        dialog = visitor.page.get_by_role("dialog")
        await expect(dialog).to_contain_text(f"{gets} ₹12,187.99; ₹312.51 is the platform")
        await visitor.fits()
        await visitor.press("Back")
        await expect(dialog).to_be_hidden()


def rupees(amount: str) -> dict[str, str]:
    whole, _, rest = amount.partition(".")
    return {"amount_minor": whole + rest.ljust(2, "0"), "currency": "INR"}
