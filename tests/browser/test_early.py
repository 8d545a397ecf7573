"""What the page shows is asked for while its code is on its way, if somebody is logged in."""

import asyncio
import re

import pytest
from playwright.async_api import Frame, Request, Route, expect

from tests.browser.stack import Api
from tests.browser.visitor import Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = re.compile(r"/assets/start-[^/]+\.js$")
WAIT_S = 20


class Held:
    """Holds the code of the next page back, and keeps the calls that it makes meanwhile."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._go = asyncio.Event()
        self.calls: asyncio.Queue[str] = asyncio.Queue()
        self._is_there = False
        # The next page's own requests: the one before may still be asking.
        self._made: set[Request] = set()

    async def start(self) -> None:
        await self._visitor.page.route(CODE, self._hold)
        self._visitor.page.on("framenavigated", self._begin)
        self._visitor.page.on("request", self._make)
        self._visitor.page.on("requestfinished", self._note)

    async def call(self, path: str) -> None:
        """Wait until a call of the API whose address has this in it has been answered."""
        async with asyncio.timeout(WAIT_S):
            while path not in await self.calls.get():
                pass

    def release(self) -> None:
        self._go.set()

    async def _hold(self, route: Route) -> None:
        await self._go.wait()
        await route.continue_()

    def _begin(self, _: Frame) -> None:
        self._is_there = True

    def _make(self, request: Request) -> None:
        if self._is_there:
            self._made.add(request)

    def _note(self, request: Request) -> None:
        if request in self._made and "/api/v1/" in request.url:
            self.calls.put_nowait(request.url)


async def test_the_list_is_asked_for_before_its_code_is_there(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 1_100)
    visitor = await visit("asha")
    held = Held(visitor)
    await held.start()
    await visitor.page.goto(visitor.url, wait_until="commit")
    await held.call("/escrows?order_by=ESCROW_ORDER_NEEDS_ME&page_size=50")
    # What happens after that answer is shown as well.
    later_id = await api.create("ravi", "asha", 700)
    held.release()
    for one in (escrow_id, later_id):
        await expect(visitor.page.locator(f"li[data-escrow='{one}']")).to_be_visible()
    await visitor.sees_connection("Live")


async def test_an_escrow_is_asked_for_before_its_code_is_there(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("asha", "ravi", 1_100)
    visitor = await visit("asha")
    held = Held(visitor)
    await held.start()
    await visitor.page.goto(f"{visitor.url}/escrows/{escrow_id}", wait_until="commit")
    await held.call(f"/escrows/{escrow_id}/events")
    await api.pay(escrow_id, "asha")
    version = await api.version(escrow_id, "asha")
    held.release()
    await visitor.sees_version(version)
    assert await visitor.versions() == list(range(version, 0, -1))


async def test_who_is_not_logged_in_asks_for_nothing_early(visit: Visit) -> None:
    visitor = await visit("asha")
    await visitor.page.evaluate("sessionStorage.clear()")
    await visitor.page.evaluate("sessionStorage.setItem('holdfast.left', 'yes')")
    held = Held(visitor)
    await held.start()
    async with visitor.page.expect_request(CODE):
        await visitor.page.goto(visitor.url, wait_until="commit")
    await expect(visitor.page.locator(".hf-shell")).to_be_visible()
    held.release()
    await expect(visitor.page.get_by_role("heading", name="Holdfast")).to_be_visible()
    calls = [held.calls.get_nowait() for _ in range(held.calls.qsize())]
    assert [one for one in calls if "/escrows" in one] == []
