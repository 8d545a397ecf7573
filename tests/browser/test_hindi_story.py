"""The whole story in Hindi on a phone: from the invitation to the payout, with a dispute."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, expect

from tests.browser.hindi import hindi, untranslated
from tests.browser.stack import Stack
from tests.browser.test_dispute_room import LEG
from tests.browser.visitor import Picture, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE = ViewportSize(width=390, height=844)
BUYER, SELLER, ARBITER = "kavita", "dinesh", "farida"
WRITTEN = (BUYER, SELLER, ARBITER, str(LEG["name"]))
ACCOUNT = "acc_dinesh00000000"

Phone = Callable[..., Awaitable[Visitor]]


@pytest_asyncio.fixture(loop_scope="module")
async def phone(chromium: Browser, stack: Stack) -> AsyncIterator[Phone]:
    """Opens a phone whose browser speaks Hindi. At the end, no page may have logged an error."""
    people: list[Visitor] = []
    async with AsyncExitStack() as opened:

        async def come(name: str, path: str = "") -> Visitor:
            context = await chromium.new_context(
                viewport=PHONE, locale="hi-IN", timezone_id="Asia/Kolkata", has_touch=True
            )
            opened.push_async_callback(context.close)
            visitor = Visitor(name, stack.url, context, await context.new_page())
            visitor.watch()
            people.append(visitor)
            await visitor.page.goto(stack.url + path)
            await visitor.page.get_by_label(hindi("login.other")).fill(name)
            await looks_right(visitor, "asha", "ravi", "meera", "admin")
            await visitor.press(hindi("login.comeIn"))
            await live(visitor)
            return visitor

        yield come
    for visitor in people:
        assert visitor.mishaps == [], visitor.name


async def looks_right(visitor: Visitor, *more: str) -> None:
    """No wider than the phone, and nothing in another language."""
    await visitor.fits()
    assert await untranslated(visitor.page, *WRITTEN, *more) == [], visitor.page.url


async def live(visitor: Visitor) -> None:
    state = visitor.page.get_by_role("status", name=hindi("frame.connection.name"))
    await expect(state).to_have_text(hindi("frame.connection.connected"), timeout=30_000)


async def sees(visitor: Visitor, status: str) -> None:
    await visitor.sees_status(hindi(f"escrow.status.{status}"))
    await looks_right(visitor)


async def name_the_account(seller: Visitor) -> None:
    await seller.page.goto(f"{seller.url}/settings")
    await seller.page.get_by_label(hindi("settings.account")).fill(ACCOUNT)
    await looks_right(seller, "English")
    await seller.press(hindi("settings.save"))
    await expect(seller.page.get_by_text(ACCOUNT).first).to_be_visible()
    await looks_right(seller, "English")


async def create(buyer: Visitor) -> str:
    """Create an escrow for ₹2,000, which the seller must accept; answer the path of its page."""
    page = buyer.page
    await page.goto(f"{buyer.url}/new")
    await page.get_by_label(hindi("create.what")).fill("सागौन की मेज़")
    await page.get_by_label(hindi("create.agreed"), exact=True).fill("ठोस सागौन, तेल लगी हुई।")
    await page.get_by_label(hindi("create.whoSeller")).fill(SELLER)
    await page.get_by_label(hindi("create.whoArbiter")).fill(ARBITER)
    await page.get_by_role("textbox", name=hindi("create.amount")).fill("2,000")
    await looks_right(buyer)
    await buyer.press(hindi("create.create"))
    await page.wait_for_url("**/escrows/*")
    await sees(buyer, "INITIATED")
    link = page.get_by_label(hindi("invite.label", who=SELLER))
    return (await link.input_value()).removeprefix(buyer.url)


async def accept(seller: Visitor) -> None:
    await sees(seller, "INITIATED")
    await seller.press(hindi("action.accept.label"))
    await expect(seller.page.get_by_role("dialog")).to_be_visible()
    await looks_right(seller)
    await seller.answer(hindi("action.accept.label"))


async def pay(buyer: Visitor) -> None:
    await buyer.press(hindi("action.pay", amount="₹2,000"))
    await buyer.page.wait_for_url("**/sandbox/checkout/**")
    await looks_right(buyer)
    await buyer.page.locator("button[value=captured]").click()
    await buyer.page.wait_for_url(f"{buyer.url}/escrows/**")
    await live(buyer)


async def dispute(buyer: Visitor) -> None:
    await buyer.page.get_by_role("button", name=hindi("action.dispute.label")).first.click()
    dialog = buyer.page.get_by_role("dialog")
    await dialog.get_by_label(hindi("action.dispute.reason")).fill("एक पाया छोटा है।")
    await looks_right(buyer)
    await buyer.answer(hindi("action.dispute.deed"))


async def show_a_picture(buyer: Visitor) -> None:
    room = buyer.page.locator("section[data-dispute]")
    await room.locator("input[type=file][multiple]").set_input_files(LEG)
    await expect(room.locator("li[data-file][data-ready]")).to_be_visible(timeout=20_000)
    await room.get_by_label(hindi("dispute.say")).fill("यह रहा पाया।")
    await looks_right(buyer)
    await room.get_by_role("button", name=hindi("dispute.send"), exact=True).click()


async def sees_the_picture(visitor: Visitor) -> None:
    said = visitor.page.locator("li[data-message]").filter(has_text="यह रहा पाया।")
    await said.scroll_into_view_if_needed()
    thumbnail = said.get_by_role("img", name=str(LEG["name"]))
    await expect(thumbnail).to_have_js_property("naturalWidth", 640, timeout=20_000)
    await looks_right(visitor)


async def decide(arbiter: Visitor, picture: Picture) -> None:
    await arbiter.press(hindi("action.decide"))
    dialog = arbiter.page.get_by_role("dialog")
    for words in ("एक पाया छोटा है।", "ठोस सागौन, तेल लगी हुई।", "यह रहा पाया।"):
        await expect(dialog.get_by_text(words).first).to_be_visible()
    await dialog.get_by_label(hindi("dispute.verdict.forBuyer", buyer=BUYER)).fill("800")
    await dialog.get_by_label(hindi("dispute.verdict.why")).fill("बढ़ई ₹800 में ठीक कर देगा।")
    await looks_right(arbiter)
    await picture(arbiter, "verdict-hindi")
    deed = {"seller": SELLER, "buyer": BUYER, "payout": "₹1,170", "refund": "₹800"}
    await arbiter.answer(hindi("dispute.verdict.both", **deed))


async def test_a_dispute_is_shown_decided_and_paid_out_in_hindi_on_a_phone(
    phone: Phone, picture: Picture
) -> None:
    buyer = await phone(BUYER)
    path = await create(buyer)

    seller = await phone(SELLER, path)
    await accept(seller)
    await name_the_account(seller)
    await seller.page.goto(seller.url + path)
    await pay(buyer)
    for visitor in (buyer, seller):
        await sees(visitor, "HELD")

    await dispute(buyer)
    await show_a_picture(buyer)
    arbiter = await phone(ARBITER, path)
    for visitor in (buyer, seller, arbiter):
        await sees(visitor, "DISPUTED")
        await sees_the_picture(visitor)
    await picture(buyer, "dispute-hindi")

    await decide(arbiter, picture)
    for visitor in (buyer, seller, arbiter):
        await sees(visitor, "SPLIT")
        await expect(visitor.page.get_by_text("बढ़ई ₹800 में ठीक कर देगा।").first).to_be_visible()
    assert await seller.page.locator("dd[data-share=refunded]").inner_text() == "₹800"
    assert await seller.page.locator("dd[data-share=released]").inner_text() == "₹1,170"
    await picture(seller, "paid-out-hindi")
