"""The dispute room on three screens: buyer, seller and arbiter write, show files and decide."""

import hashlib
import struct
import zlib
from typing import Any

import pytest
from playwright.async_api import FilePayload, Locator, expect

from tests.browser.stack import Api
from tests.browser.visitor import PHONE, Picture, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

RESENT_LIMIT_MS = 20_000


def png(width: int, height: int, rgb: tuple[int, int, int]) -> bytes:
    """A picture of one colour (https://www.w3.org/TR/png-3/)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes(rgb) * width) * height
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


LEG = FilePayload(name="leg.png", mimeType="image/png", buffer=png(640, 480, (160, 110, 60)))
INVOICE = FilePayload(
    name="invoice.pdf",
    mimeType="application/pdf",
    buffer=b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
)


def room(visitor: Visitor) -> Locator:
    return visitor.page.locator("section[data-dispute]")


def message(visitor: Visitor, words: str) -> Locator:
    return room(visitor).locator("li[data-message]").filter(has_text=words)


async def attach(visitor: Visitor, *files: FilePayload) -> None:
    """Choose files with the button, and wait until the server has them."""
    await room(visitor).locator("input[type=file][multiple]").set_input_files(list(files))
    for file in files:
        line = room(visitor).locator(f"li[data-file='{file['name']}'][data-ready]")
        await expect(line).to_be_visible(timeout=20_000)


async def write(visitor: Visitor, words: str) -> None:
    await room(visitor).get_by_label("Your message").fill(words)
    await room(visitor).get_by_role("button", name="Send").click()


async def disputed(api: Api) -> str:
    await api.register_payee("ravi")
    escrow_id = await api.create(
        "asha", "ravi", 2_000, arbiter_id="meera", description="Solid oak, oiled."
    )
    await api.pay(escrow_id, "asha")
    await api.do(escrow_id, "dispute", "asha", reason="One leg is shorter than the others.")
    return escrow_id


async def test_three_people_talk_with_a_picture_and_a_pdf_until_the_arbiter_decides(
    visit: Visit, api: Api, picture: Picture
) -> None:
    escrow_id = await disputed(api)
    buyer, seller, arbiter = await visit("asha"), await visit("ravi"), await visit("meera")
    people = buyer, seller, arbiter
    for visitor in people:
        await visitor.open(escrow_id)
        await expect(message(visitor, "One leg is shorter")).to_contain_text("Raised the dispute")

    await attach(buyer, LEG)
    await write(buyer, "Here is the leg.")
    for visitor in people:
        said = message(visitor, "Here is the leg.")
        await expect(said).to_contain_text("Buyer")
        thumbnail = said.get_by_role("img", name="Picture “leg.png”, shown by asha")
        await expect(thumbnail).to_have_js_property("naturalWidth", 640, timeout=20_000)
    await expect(room(buyer).get_by_label("Your message")).to_have_value("")

    await attach(seller, INVOICE)
    await write(seller, "The invoice says how long they are.")
    answer = message(buyer, "The invoice says")
    await expect(answer).to_contain_text("Seller")
    announced = room(buyer).get_by_text("New message from ravi: The invoice says")
    await expect(announced).to_be_attached()
    async with buyer.page.expect_download() as download:
        await answer.get_by_role("button", name="Save invoice.pdf").click()
    saved = await download.value
    assert saved.suggested_filename == "invoice.pdf"
    assert (await saved.path()).read_bytes() == INVOICE["buffer"]
    await answer.get_by_text("Technical record").click()
    await expect(answer).to_contain_text(hashlib.sha256(INVOICE["buffer"]).hexdigest())
    await picture(buyer, "dispute-room")

    await write(arbiter, "Thank you, I have seen both.")
    for visitor in people:
        await expect(message(visitor, "I have seen both")).to_contain_text("Arbiter")
    await stranger_sees_no_file(api, escrow_id)

    await arbiter.press("Decide")
    dialog = arbiter.page.get_by_role("dialog")
    for words in (
        "One leg is shorter",
        "Solid oak, oiled.",
        "Here is the leg.",
        "The invoice says",
    ):
        await expect(dialog.get_by_text(words).first).to_be_visible()
    await dialog.get_by_role("img", name="Picture “leg.png”").click()
    await expect(arbiter.page.get_by_role("dialog", name="leg.png")).to_be_visible()
    await arbiter.page.keyboard.press("Escape")
    await expect(arbiter.page.get_by_role("dialog", name="leg.png")).to_be_hidden()
    await dialog.get_by_label("Back to asha").fill("800")
    await expect(dialog.get_by_label("For ravi")).to_have_value("1200")
    await dialog.get_by_label("Reason").fill("A carpenter will mend it for ₹800.")
    await picture(arbiter, "dispute")
    await arbiter.answer("Pay ravi ₹1,170, give asha ₹800 back")
    for visitor in people:
        await visitor.sees_status("Split")
        await expect(room(visitor)).to_contain_text("meera has decided")
        await expect(room(visitor).get_by_label("Your message")).to_have_count(0)
        await expect(message(visitor, "A carpenter will mend it")).to_contain_text("Decided")
        await expect(message(visitor, "Here is the leg.")).to_be_visible()


async def stranger_sees_no_file(api: Api, escrow_id: str) -> None:
    url = f"{api.stack.url}/api/v1/escrows/{escrow_id}"
    token = await api.token("asha")
    events: list[dict[str, Any]] = (await get_json(api, f"{url}/events", token))["events"]
    files = [f for one in events for f in (one.get("data") or {}).get("attachments", [])]
    assert {one["name"] for one in files} == {"leg.png", "invoice.pdf"}
    for file in files:
        for who, status in (("meera", 200), ("mallory", 404)):
            headers = {"Authorization": f"Bearer {await api.token(who)}"}
            async with api.http.get(f"{url}/attachments/{file['file_id']}", headers=headers) as got:
                assert got.status == status, (who, file["name"])


async def get_json(api: Api, url: str, token: str) -> dict[str, Any]:
    async with api.http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
        told: dict[str, Any] = await answer.json()
        return told


async def test_a_draft_outlives_a_reload_and_a_wrong_file_is_refused_before_it_is_sent(
    visit: Visit, api: Api
) -> None:
    escrow_id = await disputed(api)
    buyer = await visit("asha")
    await buyer.open(escrow_id)
    page = FilePayload(name="page.html", mimeType="text/html", buffer=b"<script>")
    await room(buyer).locator("input[type=file][multiple]").set_input_files(page)
    await expect(room(buyer).get_by_role("alert")).to_contain_text("Only pictures")
    await room(buyer).get_by_role("button", name="Remove page.html").click()

    await attach(buyer, LEG)
    await room(buyer).get_by_label("Your message").fill("It wobbles")
    await buyer.page.reload()
    await expect(room(buyer).get_by_label("Your message")).to_have_value("It wobbles")
    await room(buyer).get_by_role("button", name="Send").click()
    said = message(buyer, "It wobbles")
    await expect(said.get_by_role("img", name="Picture “leg.png”")).to_be_visible()


async def test_what_a_broken_network_swallowed_is_sent_again_and_not_doubled(
    visit: Visit, api: Api
) -> None:
    escrow_id = await disputed(api)
    buyer = await visit("asha")
    buyer.knows_of_outage = True
    await buyer.open(escrow_id)
    asked: list[str] = []

    async def lose_the_answer(route: Any) -> None:
        asked.append(route.request.headers["idempotency-key"])
        if len(asked) == 1:
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await buyer.page.route("**/attachments?*", lose_the_answer)
    await room(buyer).locator("input[type=file][multiple]").set_input_files(LEG)
    await expect(room(buyer).get_by_role("alert")).to_contain_text("cannot be reached")
    await room(buyer).get_by_role("button", name="Try again").click()
    await expect(room(buyer).locator("li[data-file][data-ready]")).to_have_count(1)
    assert len(set(asked)) == 1 < len(asked)

    asked.clear()
    await buyer.page.route("**:addMessage", lose_the_answer)
    await write(buyer, "Sent once")
    await expect(message(buyer, "Sent once")).to_have_count(1, timeout=RESENT_LIMIT_MS)
    # The event tells that it has arrived, though its answer was lost.
    await expect(room(buyer).get_by_label("Your message")).to_have_value("")
    assert len(asked) == 1


async def test_the_room_and_the_verdict_fit_on_a_phone(
    visit: Visit, api: Api, picture: Picture
) -> None:
    escrow_id = await disputed(api)
    buyer = await visit("asha", viewport=PHONE, has_touch=True)
    arbiter = await visit("meera", viewport=PHONE)
    await buyer.open(escrow_id)
    await attach(buyer, LEG, INVOICE)
    await buyer.fits()
    await write(buyer, "Here is the leg. " + "W" * 200)
    await expect(message(buyer, "Here is the leg.")).to_be_visible()
    await buyer.fits()
    await arbiter.open(escrow_id)
    await arbiter.press("Decide")
    dialog = arbiter.page.get_by_role("dialog")
    reason = dialog.get_by_label("Reason")
    evidence = await dialog.get_by_text("Here is the leg.").bounding_box()
    split = await reason.bounding_box()
    assert evidence is not None
    assert split is not None
    assert evidence["y"] < split["y"]
    await arbiter.fits()
