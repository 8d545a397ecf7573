"""Several tabs of one user in a real browser: one renews for all, and a new one needs no login."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.library import Tab, open_tab, token
from tests.browser.stack import Api, Stack
from tests.browser.visitor import Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLD_BROWSERS = {
    "without locks": "Object.defineProperty(navigator, 'locks', { value: undefined });",
    "without both": "Object.defineProperty(navigator, 'locks', { value: undefined });"
    "delete window.BroadcastChannel;",
}


@dataclass
class Login:
    """The login server: what it answers, one after the other, and the pages that have asked."""

    answers: list[Callable[[], Awaitable[str]]]
    asked: list[Page] = field(default_factory=list)

    async def answer(self, source: dict[str, Any]) -> str:
        self.asked.append(source["page"])
        number = min(len(self.asked), len(self.answers)) - 1
        return await self.answers[number]()


OpenTabs = Callable[..., Awaitable[tuple[list[Tab], Login]]]


@pytest_asyncio.fixture(loop_scope="module")
async def tabs(chromium: Browser, stack: Stack, library: Path) -> AsyncIterator[OpenTabs]:
    """Opens so many tabs of one browser, with one login server."""
    async with AsyncExitStack() as opened:

        async def come(
            count: int, *answers: Callable[[], Awaitable[str]], script: str = ""
        ) -> tuple[list[Tab], Login]:
            login = Login(list(answers))
            context = await chromium.new_context()
            opened.push_async_callback(context.close)
            await context.expose_binding("freshToken", login.answer)
            await context.add_init_script(script or "0")
            found = [await open_tab(context, stack, library) for _ in range(count)]
            for tab in found:
                await tab.start(intervalMs=300, refreshMs=20_000)
            return found, login

        yield come


async def good() -> str:
    await asyncio.sleep(0.3)  # As long as a real login server may take.
    return token("asha", 3_600)


async def later() -> str:
    await asyncio.sleep(1.5)  # A token of the same second as a revocation is refused with it.
    return token("asha", 3_600)


async def never() -> str:
    await asyncio.Event().wait()
    return ""


async def log_in(found: list[Tab], api: Api, ttl_s: int) -> str:
    escrow_id = await api.create("asha", "ravi", 900)
    used = token("asha", ttl_s)
    for tab in found:
        await tab.page.evaluate("id => service.subscribe(id)", escrow_id)
        await tab.connect(used)
    for tab in found:
        await tab.becomes(f"heard.some(m => m.type === 'subscribed') || service.token !== '{used}'")
    return used


async def all_renewed(found: list[Tab], used: str) -> set[str]:
    for tab in found:
        await tab.becomes(f"service.status === 'connected' && service.token !== '{used}'")
    return {await tab.ask("service.token") for tab in found}


async def test_one_tab_renews_for_all_on_their_open_connections(tabs: OpenTabs, api: Api) -> None:
    found, login = await tabs(3, good)
    used = await log_in(found, api, 20)
    assert len(await all_renewed(found, used)) == 1
    assert len(login.asked) == 1
    assert [await tab.count("connected") for tab in found] == [1, 1, 1]


async def test_one_tab_renews_for_all_when_the_token_is_revoked(tabs: OpenTabs, api: Api) -> None:
    found, login = await tabs(3, later)
    used = await log_in(found, api, 600)
    await api.revoke("asha")
    assert len(await all_renewed(found, used)) == 1
    assert len(login.asked) == 1


async def test_a_tab_that_is_closed_while_it_renews_leaves_it_to_another(
    tabs: OpenTabs, api: Api
) -> None:
    found, login = await tabs(3, never, good)
    used = await log_in(found, api, 20)
    async with asyncio.timeout(20):
        while not login.asked:  # noqa: ASYNC110 - the page asks
            await asyncio.sleep(0.05)
    await login.asked[0].close()
    left = [tab for tab in found if tab.page is not login.asked[0]]
    assert len(left) == 2
    assert len(await all_renewed(left, used)) == 1
    assert len(login.asked) == 2


async def test_a_tab_that_hangs_in_its_renewal_holds_nobody(tabs: OpenTabs, api: Api) -> None:
    found, login = await tabs(2, good)
    hanging = "void navigator.locks.request('holdfast.renewal asha', () => new Promise(() => {}))"
    await found[0].ask(hanging)
    await found[1].ask("service.configure({ refreshMs: 3_000 })")
    used = await log_in(found[1:], api, 20)
    await all_renewed(found[1:], used)
    assert len(login.asked) == 1


@pytest.mark.parametrize("name", OLD_BROWSERS)
async def test_in_an_old_browser_each_tab_renews_for_itself(
    tabs: OpenTabs, api: Api, name: str
) -> None:
    found, login = await tabs(2, good, script=OLD_BROWSERS[name])
    used = await log_in(found, api, 20)
    await all_renewed(found, used)
    if name == "without locks" and len(login.asked) == 1:
        return  # The other one was told of it before it would have asked.
    assert set(login.asked) == {tab.page for tab in found}


async def test_a_new_tab_needs_no_login_and_a_logout_is_one_of_all_tabs(visit: Visit) -> None:
    visitor = await visit("asha")
    second = await visitor.context.new_page()
    await second.goto(visitor.url)
    state = second.get_by_role("status", name="Connection")
    await expect(state).to_have_text("Live", timeout=30_000)
    await second.get_by_role("button", name="Account: asha").click()
    await second.get_by_role("menuitem", name="Log out").click()
    for page in (second, visitor.page):
        await expect(page.get_by_label("or as somebody else")).to_be_visible()
    await second.reload()
    await expect(second.get_by_label("or as somebody else")).to_be_visible()


async def test_two_tabs_may_be_two_users(visit: Visit) -> None:
    visitor = await visit("asha")
    second = await visitor.context.new_page()
    await second.goto(f"{visitor.url}/escrows/unknown")
    await second.get_by_role("button", name="Log in as somebody else").click()
    await second.get_by_label("or as somebody else").fill("ravi")
    await second.get_by_role("button", name="Come in", exact=True).click()
    await expect(second.get_by_role("button", name="Account: ravi")).to_be_visible()
    await visitor.sees_connection("Live")
    await expect(visitor.page.get_by_role("button", name="Account: asha")).to_be_visible()
