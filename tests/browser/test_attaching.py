"""Files come into the dispute room as people bring them, and over networks as they are."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import FilePayload, Locator, Request, expect

from tests.browser.stack import Api
from tests.browser.test_dispute_room import LEG, attach, disputed, message, png, room, write
from tests.browser.visitor import PHONE, Visit, Visitor
from tests.fakes.relay import CHUNK, Relay, to_port
from tests.fakes.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENT_MS = 20_000
MEGABYTE = 1024 * 1024
# For each 64 KiB, so that a file of 8 MB is under way for half a minute.
SLOW_S = 0.25
LARGE = FilePayload(
    name="large.png", mimeType="image/png", buffer=LEG["buffer"] + bytes(8 * MEGABYTE)
)
_GIVE = """(target, [kind, name, type, text]) => {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name, { type }));
    const how = { bubbles: true, cancelable: true };
    const event = kind === 'paste'
        ? new ClipboardEvent(kind, { ...how, clipboardData: files })
        : new DragEvent(kind, { ...how, dataTransfer: files });
    target.dispatchEvent(event);
}"""


def line(visitor: Visitor, name: str) -> Locator:
    return room(visitor).locator(f"li[data-file='{name}']")


async def give(target: Locator, kind: str, file: FilePayload) -> None:
    """Drop or paste a file, as a browser tells a page of it."""
    text = base64.b64encode(file["buffer"]).decode()
    await target.evaluate(_GIVE, [kind, file["name"], file["mimeType"], text])


async def shown(visitor: Visitor, words: str, name: str) -> Locator:
    """Send what is attached, and see it in the conversation."""
    await write(visitor, words)
    picture = message(visitor, words).get_by_role("img", name=f"Picture “{name}”")
    await expect(picture).to_be_visible(timeout=SENT_MS)
    return picture


async def test_a_file_is_dropped_on_the_message(visit: Visit, api: Api) -> None:
    buyer = await visit("asha")
    await buyer.open(await disputed(api))
    form = room(buyer).locator("form")
    await give(form, "dragover", LEG)
    await expect(form).to_have_attribute("data-over", "true")
    await give(form, "drop", LEG)
    await expect(form).not_to_have_attribute("data-over", "true")
    await expect(line(buyer, "leg.png").and_(buyer.page.locator("[data-ready]"))).to_be_visible()
    await shown(buyer, "Dropped here.", "leg.png")


async def test_a_picture_is_pasted_from_the_clipboard(visit: Visit, api: Api) -> None:
    """The clipboard is the system's own: what was copied is pasted by the keys."""
    buyer = await visit("asha", permissions=["clipboard-read", "clipboard-write"])
    await buyer.open(await disputed(api))
    picture = base64.b64encode(png(64, 48, (10, 120, 60))).decode()
    await buyer.page.evaluate(
        """async (text) => {
            const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            const item = { 'image/png': new Blob([bytes], { type: 'image/png' }) };
            await navigator.clipboard.write([new ClipboardItem(item)]);
        }""",
        picture,
    )
    words = room(buyer).get_by_label("Your message")
    await words.fill("As on my screen")
    await words.press("Control+V")
    pasted = line(buyer, "image.png")
    await expect(pasted).to_have_attribute("data-ready", "true", timeout=SENT_MS)
    # The words are as they were: a picture is not pasted as text too.
    await expect(words).to_have_value("As on my screen")
    seen = await shown(buyer, "As on my screen", "image.png")
    await expect(seen).to_have_js_property("naturalWidth", 64, timeout=SENT_MS)


async def test_a_phone_takes_a_picture(visit: Visit, api: Api) -> None:
    phone: dict[str, Any] = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    buyer = await visit("asha", PHONE, **phone)
    await buyer.open(await disputed(api))
    camera = room(buyer).locator("input[type=file][capture]")
    await expect(camera).to_have_attribute("capture", "environment")
    await expect(camera).to_have_attribute("accept", "image/jpeg")
    # A JPEG of the camera: its first bytes are what the server judges it by.
    taken = FilePayload(
        name="IMG_2041.jpg", mimeType="image/jpeg", buffer=b"\xff\xd8\xff\xe0" + bytes(4_000)
    )
    async with buyer.page.expect_file_chooser() as choosing:
        await room(buyer).get_by_role("button", name="Take a picture").tap()
    await (await choosing.value).set_files(taken)
    ready = line(buyer, "IMG_2041.jpg")
    await expect(ready).to_have_attribute("data-ready", "true", timeout=SENT_MS)
    await buyer.fits()
    await write(buyer, "From my phone.")
    await expect(message(buyer, "From my phone.")).to_be_visible()


@pytest_asyncio.fixture(loop_scope="module")
async def network(api: Api) -> AsyncIterator[Relay]:
    """The way from one visitor's browser to the bridge."""
    port = urlsplit(api.stack.url).port
    assert port is not None
    async with Relay(to_port(port), holds_bytes=CHUNK) as relay:
        yield relay


async def come_by(network: Relay, visit: Visit, escrow_id: str) -> Visitor:
    buyer = await visit("asha")
    buyer.knows_of_outage = True
    buyer.url = f"http://127.0.0.1:{network.port}"
    await buyer.come_in()
    await buyer.open(escrow_id)
    return buyer


async def begin(visitor: Visitor, network: Relay) -> Locator:
    """Choose a file that is long under way, and wait until some of it has come to the server."""
    network.delay_s = SLOW_S
    await room(visitor).locator("input[type=file][multiple]").set_input_files(LARGE)
    going = line(visitor, "large.png")
    await expect(going.get_by_role("progressbar", name="Sending large.png")).to_be_visible()
    return going


async def test_what_is_cancelled_under_way_is_stored_nowhere(
    visit: Visit, api: Api, network: Relay
) -> None:
    buyer = await come_by(network, visit, await disputed(api))
    unsent = api.stack.unsent()
    going = await begin(buyer, network)
    await until(lambda: api.stack.unsent() == unsent + 1, 15)
    await going.get_by_role("button", name="Cancel sending large.png").click()
    await expect(going).to_have_count(0)
    # What the systems between had taken over already still comes, and is not all.
    network.delay_s = 0.0
    await until(lambda: api.stack.unsent() == unsent, 15)
    # The next file goes as ever, and the message has it alone.
    await attach(buyer, LEG)
    await shown(buyer, "Only this one.", "leg.png")
    await expect(message(buyer, "Only this one.").get_by_role("img")).to_have_count(1)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            FilePayload(name="huge.png", mimeType="image/png", buffer=bytes(11 * MEGABYTE)),
            "This file has 11.0 MB. It may have at most 10 MB.",
        ),
        (FilePayload(name="film.mp4", mimeType="video/mp4", buffer=bytes(100)), "Only pictures"),
        (FilePayload(name="none.png", mimeType="image/png", buffer=b""), "empty"),
        # It says that it is a picture, and the server looks.
        (
            FilePayload(name="page.png", mimeType="image/png", buffer=b"<script>alert(1)</script>"),
            "it must be a PNG, JPEG or WebP picture, or a PDF",
        ),
    ],
    ids=["large", "film", "empty", "lie"],
)
async def test_a_file_that_cannot_be_used_says_why(
    visit: Visit, api: Api, file: FilePayload, words: str
) -> None:
    buyer = await visit("asha")
    buyer.knows_of_outage = True  # The browser reports each refusal by itself.
    await buyer.open(await disputed(api))
    await room(buyer).locator("input[type=file][multiple]").set_input_files(file)
    refused = line(buyer, file["name"])
    await expect(refused.get_by_role("alert")).to_contain_text(words, timeout=SENT_MS)
    # To send the same file again cannot help.
    await expect(refused.get_by_role("button", name="Try again")).to_have_count(0)
    await room(buyer).get_by_label("Your message").fill("See")
    await room(buyer).get_by_role("button", name="Send").click()
    await expect(message(buyer, "See")).to_have_count(0)
    await refused.get_by_role("button", name=f"Remove {file['name']}").click()
    await write(buyer, "See")
    await expect(message(buyer, "See")).to_be_visible()


async def test_a_network_that_is_lost_in_an_upload_and_comes_back_loses_nothing(
    visit: Visit, api: Api, network: Relay
) -> None:
    escrow_id = await disputed(api)
    buyer = await come_by(network, visit, escrow_id)
    unsent = api.stack.unsent()
    keys: list[str] = []

    def asked(request: Request) -> None:
        if "/attachments?" in request.url:
            keys.append(request.headers["idempotency-key"])

    buyer.page.on("request", asked)
    going = await begin(buyer, network)
    await until(lambda: api.stack.unsent() == unsent + 1, 15)
    await buyer.context.set_offline(True)
    network.go()
    await expect(going.get_by_role("alert")).to_contain_text("cannot be reached", timeout=SENT_MS)
    network.delay_s = 0.0
    await network.listen(network.port)
    await buyer.context.set_offline(False)
    # Nobody presses anything.
    await expect(going).to_have_attribute("data-ready", "true", timeout=SENT_MS)
    assert len(keys) > 1
    assert len(set(keys)) == 1
    await shown(buyer, "It came through.", "large.png")
    events = (await api.events(escrow_id, "asha"))["events"]
    files = [one for event in events for one in (event.get("data") or {}).get("attachments", [])]
    assert [one["name"] for one in files] == ["large.png"], json.dumps(files)
