"""Lists after a gap: the line is cut, escrows end and begin meanwhile, the line is back.

What is shown must be right within two seconds, without a reload, from the real bridge.
"""

import asyncio
from dataclasses import dataclass

import pytest
from playwright.async_api import expect

from tests.browser.library import OpenTab, token
from tests.browser.stack import Api, Stack
from tests.browser.visitor import ADMIN, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

RIGHT_MS = 2_000
SETTLED_S = 30.0


@dataclass
class Gap:
    """Escrows of one buyer and seller, and what becomes of them while the line is cut."""

    api: Api
    buyer: str
    seller: str
    refunded: str = ""
    cancelled: str = ""
    untouched: str = ""
    created: str = ""

    async def prepare(self) -> None:
        # None waits for the seller to accept: its end moves neither the order nor the totals.
        terms = {"acceptance_required": False}
        self.refunded, self.cancelled, self.untouched = [
            await self.api.create(self.buyer, self.seller, rupees, terms=terms)
            for rupees in (900, 800, 700)
        ]
        for escrow_id in (self.refunded, self.untouched):
            await self.api.pay(escrow_id, self.buyer)

    async def happen(self) -> None:
        await self.api.do(self.refunded, "refund", self.seller)
        await self.api.do(self.cancelled, "cancel", self.buyer)
        self.created = await self.api.create(self.buyer, self.seller, 600)
        async with asyncio.timeout(SETTLED_S):
            while await self.status(self.refunded) != "REFUNDED":  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def status(self, escrow_id: str) -> str:
        escrow = await self.api.escrow(escrow_id, self.buyer)
        return str(escrow["status"]).removeprefix("ESCROW_STATUS_")

    async def versions(self) -> dict[str, int]:
        ids = (self.refunded, self.cancelled, self.untouched, self.created)
        return {one: await self.api.version(one, self.buyer) for one in ids if one}


async def cut(visitor: Visitor) -> None:
    await visitor.context.set_offline(True)
    await visitor.sees_connection("Reconnecting")


async def sees(visitor: Visitor, escrow_id: str, words: str, version: int) -> None:
    row = visitor.page.locator(f"li[data-escrow='{escrow_id}']")
    await expect(row).to_contain_text(words, timeout=RIGHT_MS)
    await expect(row).to_have_attribute("data-version", str(version), timeout=RIGHT_MS)
    await expect(row).to_have_attribute("data-stale", "false", timeout=RIGHT_MS)


@pytest.mark.parametrize("who", ["seller", ADMIN])
async def test_the_list_is_right_again_within_two_seconds(visit: Visit, api: Api, who: str) -> None:
    gap = Gap(api, f"asha-{who}", f"ravi-{who}")
    await gap.prepare()
    visitor = await visit(gap.seller if who == "seller" else ADMIN)
    visitor.knows_of_outage = True
    row = visitor.page.locator(f"li[data-escrow='{gap.refunded}']")
    await expect(row).to_contain_text("Held")
    await visitor.page.evaluate("window.isTheSamePage = true")
    await cut(visitor)
    await expect(row).to_have_attribute("data-stale", "true")
    await gap.happen()
    versions = await gap.versions()
    await expect(row).to_contain_text("Held")

    await visitor.context.set_offline(False)
    async with asyncio.timeout(RIGHT_MS / 1000):
        await sees(visitor, gap.refunded, "Refunded", versions[gap.refunded])
        await sees(visitor, gap.cancelled, "Cancelled", versions[gap.cancelled])
        await sees(visitor, gap.created, "Awaiting payment", versions[gap.created])
        await sees(visitor, gap.untouched, "Held", versions[gap.untouched])
        await visitor.sees_connection("Live")
    assert await visitor.page.evaluate("window.isTheSamePage")


@pytest.mark.parametrize("who", ["seller", ADMIN])
async def test_the_plain_library_is_told_of_everything_once(
    tab: OpenTab, api: Api, who: str
) -> None:
    gap = Gap(api, f"asha-lib-{who}", f"ravi-lib-{who}")
    await gap.prepare()
    page = await tab()
    await page.page.evaluate("void service.subscribe('*')")
    roles = ("admin",) if who == ADMIN else ("user",)
    await page.connect(token(gap.seller if who == "seller" else ADMIN, 3_600, *roles))
    await page.becomes("service.isLive && heard.some(m => m.escrow_id === '*')")
    before = await gap.versions()
    await page.page.context.set_offline(True)
    await page.becomes("service.status === 'reconnecting'")
    await gap.happen()
    versions = await gap.versions()
    await page.page.context.set_offline(False)
    await page.becomes("service.isLive", limit_s=RIGHT_MS / 1000)
    for escrow_id, version in versions.items():
        told = await page.versions(escrow_id)
        assert told == list(range(before.get(escrow_id, 0) + 1, version + 1))


async def test_a_list_whose_core_was_away_is_right_without_a_fetch(
    visit: Visit, api: Api, stack: Stack
) -> None:
    gap = Gap(api, "asha-away", "ravi-away")
    await gap.prepare()
    visitor = await visit(gap.seller)
    visitor.knows_of_outage = True
    row = visitor.page.locator(f"li[data-escrow='{gap.cancelled}']")
    await expect(row).to_contain_text("Awaiting payment")
    # The page asks for the new order and totals, and must not need the answer.
    await visitor.page.route("**/api/v1/escrows?*", lambda route: route.abort())
    stack.core.kill()
    await visitor.sees_connection("Catching up")
    await stack.start()
    await api.do(gap.cancelled, "cancel", gap.buyer)
    await visitor.sees_connection("Live")
    await sees(visitor, gap.cancelled, "Cancelled", 2)
