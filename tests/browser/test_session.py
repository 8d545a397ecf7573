"""How long a session lives in a real browser, with clocks that lie and machines that sleep.

The bridge, core and the tokens are real. Only the login server is played, by the test.
"""

import asyncio

import pytest
from playwright.async_api import Browser, expect

from tests.browser.library import LYING_CLOCK, Answer, OpenTab, Tab, sleep_of, token
from tests.browser.stack import Api, Stack
from tests.browser.visitor import Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

WRONG_S = [7_200, -7_200]
CONNECTED = "service.status === 'connected'"


def good() -> str:
    return token("asha", 3_600)


def away() -> str:
    raise ConnectionError("the login server is away")


async def never() -> None:
    await asyncio.Event().wait()


async def watching(tab: Tab, api: Api, ttl_s: int) -> str:
    escrow_id = await api.create("asha", "ravi", 900)
    await tab.connect(token("asha", ttl_s))
    await tab.page.evaluate("id => service.subscribe(id)", escrow_id)
    await tab.becomes("heard.some(m => m.type === 'subscribed')")
    return escrow_id


async def hears_all(tab: Tab, api: Api, escrow_id: str) -> None:
    """Every version after the first came once and in order, and new ones still come."""
    await api.do(escrow_id, "accept", "ravi")
    last = await api.version(escrow_id, "asha")
    await tab.becomes(f"heard.some(m => m.type === 'escrow_update' && m.version === {last})")
    assert await tab.versions(escrow_id) == list(range(2, last + 1))


@pytest.mark.parametrize("lie_s", WRONG_S)
async def test_a_device_with_a_wrong_clock_logs_in_stays_and_comes_back(
    visit: Visit, api: Api, stack: Stack, lie_s: int
) -> None:
    visitor = await visit("asha")
    visitor.knows_of_outage = True
    await visitor.context.add_init_script(LYING_CLOCK % (lie_s * 1000))
    await visitor.page.reload()
    await visitor.sees_connection("Live")
    await visitor.page.get_by_role("button", name="Account: asha").click()
    await visitor.page.get_by_role("menuitem", name="Log out").click()
    await visitor.page.get_by_label("Token", exact=True).fill(token("asha", 3_600))
    await visitor.press("Log in")
    await visitor.sees_connection("Live")
    stack.bridge.kill()
    await visitor.sees_connection("Reconnecting")
    await stack.start()
    await visitor.sees_connection("Live")
    await visitor.open(await api.create("asha", "ravi", 900))
    await expect(visitor.page.locator("li[data-version='1']")).to_contain_text("just now")


@pytest.mark.parametrize("lie_s", WRONG_S)
async def test_with_a_wrong_clock_only_what_has_expired_is_renewed(
    tab: OpenTab, api: Api, lie_s: int
) -> None:
    page = await tab(good, lie_s=lie_s)
    escrow_id = await watching(page, api, 1_800)
    first = await page.ask("service.token")
    await page.ask("service.reconnect()")
    await page.becomes("heard.filter(m => m.type === 'connected').length === 2")
    assert await page.ask("service.token") == first
    await hears_all(page, api, escrow_id)


async def test_a_clock_that_is_set_back_in_the_middle_stops_nothing(
    tab: OpenTab, api: Api, stack: Stack
) -> None:
    page = await tab(good, lie_s=0)
    escrow_id = await watching(page, api, 1_800)
    stack.bridge.terminate()
    await page.becomes("heard.some(m => m.type === 'reconnect')")
    await page.ask("window.lie_ms = -7200000")
    await stack.bridge.exit_code()
    await stack.start()
    await page.becomes(CONNECTED)
    await hears_all(page, api, escrow_id)


@pytest.mark.parametrize("first", [away, never, lambda: token("ravi", 3_600), lambda: "e30.e30.x"])
async def test_a_refresh_that_goes_wrong_once_is_made_again_on_the_open_connection(
    tab: OpenTab, api: Api, first: Answer
) -> None:
    page = await tab(first, good)
    escrow_id = await watching(page, api, 20)
    await page.becomes("heard.some(m => m.type === 'authenticated')")
    assert await page.count("connected") == 1
    await hears_all(page, api, escrow_id)


async def test_a_session_whose_login_server_stays_away_lives_until_its_time_is_over(
    tab: OpenTab, api: Api
) -> None:
    page = await tab(away, maxAttempts=2)
    await watching(page, api, 4)
    await page.becomes("heard.some(m => m.type === 'error' && m.code === 'TOKEN_REFRESH_FAILED')")
    assert await page.ask(CONNECTED)
    await page.becomes("service.status === 'disconnected'")
    assert await page.ask("heard.at(-1)") == {
        "type": "disconnected",
        "code": 4401,
        "reason": "The token is missing, invalid or expired.",
        "will_reconnect": False,
    }


async def test_revoked_in_the_middle_it_is_renewed_once_and_misses_nothing(
    tab: OpenTab, api: Api
) -> None:
    async def later() -> str:
        await asyncio.sleep(1.5)  # A token of the same second as the revocation is refused with it.
        return good()

    page = await tab(later, refreshMs=10_000)
    escrow_id = await watching(page, api, 600)
    await api.revoke("asha")
    await page.becomes("heard.some(m => m.type === 'disconnected' && m.code === 4401)")
    await page.becomes(CONNECTED)
    assert await page.count("connected") == 2
    await hears_all(page, api, escrow_id)


async def test_a_laptop_sleeps_past_the_end_of_its_token(
    tab: OpenTab, api: Api, chromium: Browser
) -> None:
    page = await tab(never, away, good)
    escrow_id = await watching(page, api, 4)
    sleep = await sleep_of(chromium)
    await sleep.for_(6)
    await page.becomes("heard.filter(m => m.type === 'connected').length === 2")
    await hears_all(page, api, escrow_id)


async def test_a_laptop_sleeps_while_the_bridge_is_replaced(
    tab: OpenTab, api: Api, stack: Stack, chromium: Browser
) -> None:
    page = await tab(good)
    escrow_id = await watching(page, api, 4)

    async def replace() -> None:
        stack.bridge.kill()
        await stack.start()

    sleep = await sleep_of(chromium)
    await asyncio.gather(sleep.for_(6), replace())
    await page.becomes("heard.filter(m => m.type === 'connected').length === 2")
    await hears_all(page, api, escrow_id)


async def test_a_bridge_that_hangs_past_the_end_of_the_token(
    tab: OpenTab, api: Api, stack: Stack
) -> None:
    page = await tab(good, silenceMs=60_000)
    escrow_id = await watching(page, api, 40)
    stack.bridge.pause()
    try:
        await page.connect(token("asha", 5))
        await asyncio.sleep(6)
    finally:
        stack.bridge.resume()
    await page.becomes(CONNECTED)
    await hears_all(page, api, escrow_id)
