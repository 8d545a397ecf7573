"""The operator's room: each of its parts, with the real stack, down to the empty queue."""

import pytest
from playwright.async_api import Locator, expect

from tests.browser.stack import Api
from tests.browser.visitor import PHONE, Picture, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = "inactive000001"
SOON_MS = 30_000


def panel(visitor: Visitor, title: str) -> Locator:
    return visitor.page.get_by_role("region", name=title)


async def stopped(api: Api, seller: str, *, tail: str = BAD) -> str:
    """Answer an escrow that is released to an account which Razorpay does not pay."""
    await api.name_account(seller, tail)
    escrow_id = await api.create("asha", seller, 4_500, title=f"Loom of {seller}")
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "release", "asha")
    return escrow_id


async def test_what_stopped_is_in_the_queue_until_its_seller_has_an_account(
    visit: Visit, api: Api
) -> None:
    escrow_id = await stopped(api, "farida")
    admin = await visit("admin", path="/operator")
    row = admin.page.locator(f"tr[data-row^='{escrow_id}']")
    await expect(row).to_contain_text("PAYEE_REFUSED", timeout=SOON_MS)
    await expect(row).to_contain_text("₹4,500")
    await row.get_by_role("link", name="Name an account").click()
    await expect(admin.page.get_by_label("User", exact=True)).to_have_value("farida")
    await admin.page.get_by_label("Linked account", exact=True).fill("acc_FaridaSells001")
    await admin.press("Save account")
    await admin.reads("farida is paid to acc_FaridaSells001 from now on.")
    await admin.page.get_by_role("link", name="Needs attention").click()
    await admin.reads("Nothing needs you.")
    await admin.open(escrow_id)
    await admin.sees_status("Released")
    assert (await api.escrow(escrow_id, "asha"))["status"] == "ESCROW_STATUS_RELEASED"


async def test_any_escrow_is_found_by_razorpays_id_and_agrees_line_by_line(
    visit: Visit, api: Api, picture: Picture
) -> None:
    await api.register_payee("gita")
    escrow_id = await api.create("asha", "gita", 900, title="Six cups")
    await api.pay(escrow_id, "asha")
    payment = (await api.escrow(escrow_id, "asha"))["payment"]["payment_id"]
    admin = await visit("admin", path="/operator/lookup")
    await admin.page.get_by_label("Id or words").fill(payment)
    await admin.press("Find")
    compared = panel(admin, "Razorpay beside the record")
    await expect(compared).to_contain_text(payment, timeout=SOON_MS)
    await expect(compared.locator("[data-verdict='AGREES']").first).to_be_visible()
    await expect(panel(admin, "Postings")).to_contain_text("razorpay:balance")
    await expect(panel(admin, "Six cups")).to_contain_text("₹900")
    await picture(admin, "operator")


async def test_the_list_of_payees_shows_a_change_and_when_it_counts(visit: Visit, api: Api) -> None:
    await api.name_account("hari", "HariSells00001")
    await api.name_account("hari", "HariOther00001")
    admin = await visit("admin", PHONE, path="/operator/payees")
    listed = panel(admin, "Payees")
    await listed.get_by_label("Only changes under way").check()
    await expect(listed.locator("tr[data-row='hari']")).to_contain_text("acc_HariOther00001 from")
    await admin.fits()


async def test_the_books_are_checked_now_and_balances_are_shown(visit: Visit, api: Api) -> None:
    await api.create("asha", "indu", 700)
    admin = await visit("admin", path="/operator/books")
    await admin.press("Check the books")
    now = panel(admin, "Check now")
    await expect(now).to_contain_text("Done:", timeout=SOON_MS)
    await expect(now).to_contain_text("Nothing is wrong.")
    balance = admin.page.locator("[data-account='razorpay:balance']")
    await expect(balance).to_contain_text("₹")


async def test_a_person_whose_sessions_are_ended_is_named_first_and_logged_out(
    visit: Visit, api: Api
) -> None:
    admin, kiran = await visit("admin", path="/operator/tokens"), await visit("kiran")
    await admin.page.get_by_label("User").fill("kiran")
    await admin.press("End all sessions…")
    dialog = admin.page.get_by_role("dialog")
    await expect(dialog).to_contain_text("kiran is logged out everywhere within a second")
    await expect(kiran.page.get_by_role("heading", name="Escrows", exact=True)).to_be_visible()
    await dialog.get_by_role("button", name="Log kiran out everywhere").click()
    await admin.reads("kiran is logged out everywhere.")
    await expect(kiran.page.get_by_role("heading", name="Come in as")).to_be_visible(
        timeout=SOON_MS
    )


async def test_an_endpoint_at_a_private_address_is_refused_by_the_name_of_its_field(
    visit: Visit, api: Api
) -> None:
    admin = await visit("admin", path="/operator/webhooks")
    admin.knows_of_outage = True  # The browser logs the refusal.
    await admin.press("Add an endpoint")
    dialog = admin.page.get_by_role("dialog")
    await dialog.get_by_label("Address").fill("https://127.0.0.1/hook")
    await dialog.get_by_role("button", name="Save").click()
    # This stack sends to no private address: the field is named, and nothing is added.
    await expect(dialog.get_by_role("alert")).to_contain_text("url")
    await dialog.get_by_role("button", name="Back").click()
    await admin.reads("No endpoint yet.")


async def test_others_find_no_room_for_operators_and_do_not_download_it(
    visit: Visit, api: Api
) -> None:
    buyer = await visit("asha")
    fetched: list[str] = []
    buyer.page.on("request", lambda request: fetched.append(request.url))
    await expect(buyer.page.get_by_role("link", name="Operations")).to_have_count(0)
    await buyer.page.goto(f"{buyer.url}/settings")
    await buyer.reads("Where you are paid")
    await buyer.page.goto(f"{buyer.url}/new")
    await expect(buyer.page.get_by_role("heading", name="New escrow")).to_be_visible()
    assert not [url for url in fetched if "/assets/operator-" in url.lower()]
    await buyer.page.goto(f"{buyer.url}/operator/attention")
    await expect(buyer.page.get_by_role("navigation", name="Operations")).to_have_count(0)
