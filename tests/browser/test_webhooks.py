"""Webhooks out in the operator's room: an endpoint, its secret, its deliveries, sending again."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Locator, expect
from standardwebhooks.webhooks import Webhook

from tests.browser.stack import Api, Stack
from tests.browser.visitor import Visit, Visitor
from tests.fakes.receiver import Receiver
from tests.fakes.wait import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON_MS = 30_000


@pytest.fixture(scope="module")
def cold_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """As an operator sets it up whose receivers are on a network of their own."""
    stack = Stack(tmp_path_factory.mktemp("webhooks"), WEBHOOKS_ALLOW_PRIVATE="1")
    yield stack
    stack.stop()


def row_of(visitor: Visitor, words: str) -> Locator:
    return visitor.page.get_by_role("row").filter(has_text=words)


async def add(admin: Visitor, url: str) -> str:
    """Add an endpoint on screen; answer its secret."""
    await admin.press("Add an endpoint")
    dialog = admin.page.get_by_role("dialog")
    await dialog.get_by_label("Address").fill(url)
    await dialog.get_by_label("What it is for").fill("The shop")
    await admin.answer("Save")
    secret = await admin.page.locator("[data-secret]").inner_text()
    await expect(row_of(admin, url)).to_contain_text("Well")
    return secret


async def test_an_endpoint_gets_signed_events_and_its_secret_is_shown_once(
    visit: Visit, api: Api
) -> None:
    async with Receiver() as receiver:
        admin = await visit("admin", path="/operator/webhooks")
        secret = await add(admin, receiver.url)
        await admin.press("I have kept it")
        await expect(admin.page.locator("[data-secret]")).to_have_count(0)

        escrow_id = await api.create("asha", "ravi", 900)
        [received] = await receiver.wait(1)
        assert received.place == (escrow_id, 1)
        Webhook(secret).verify(received.body, received.headers)

        await admin.page.reload()
        await row_of(admin, receiver.url).get_by_role("button", name="Deliveries").click()
        delivery = row_of(admin, "escrow_created")
        await expect(delivery).to_contain_text("Delivered", timeout=SOON_MS)
        await expect(delivery).to_contain_text("204")
        assert secret not in await admin.page.content()

        await row_of(admin, receiver.url).get_by_role("button", name="New secret").click()
        await admin.answer("Make a new secret")
        anew = await admin.page.locator("[data-secret]").inner_text()
        assert anew != secret
        await api.create("asha", "ravi", 901)
        _, later = await receiver.wait(2)
        Webhook(anew).verify(later.body, later.headers)

        await row_of(admin, receiver.url).get_by_role("button", name="Delete").click()
        await admin.answer("Delete the endpoint")
        await expect(row_of(admin, receiver.url)).to_have_count(0)


async def test_what_failed_is_sent_again_by_the_button(visit: Visit, api: Api) -> None:
    async with Receiver(answer=500) as receiver:
        admin = await visit("admin", path="/operator/webhooks")
        secret = await add(admin, receiver.url)
        escrow_id = await api.create("asha", "ravi", 902)
        await until(lambda: len(receiver.tries) == 1)
        await row_of(admin, receiver.url).get_by_role("button", name="Deliveries").click()
        delivery = row_of(admin, "escrow_created")
        await expect(delivery).to_contain_text("To be sent", timeout=SOON_MS)
        await expect(delivery).to_contain_text("answered 500: as you say", timeout=SOON_MS)

        receiver.answer = 204
        await delivery.get_by_role("button", name="Send again").click()
        [received] = await receiver.wait(1)
        assert received.place == (escrow_id, 1)
        assert received.id == receiver.tries[0].id, "a receiver must know that it is the same"
        Webhook(secret).verify(received.body, received.headers)
        await expect(delivery).to_contain_text("Delivered", timeout=SOON_MS)
