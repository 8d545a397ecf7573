"""Outages: the page says that it is offline, recovers by itself, and shows each version once."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.browser.stack import Api, Stack
from tests.browser.visitor import Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFFLINE_S = 10.0


async def watching(visit: Visit, api: Api) -> tuple[Visitor, str]:
    escrow_id = await api.create("asha", "ravi", 900)
    await api.pay(escrow_id, "asha")
    visitor = await visit("ravi")
    visitor.knows_of_outage = True
    await visitor.open(escrow_id)
    return visitor, escrow_id


async def sees_each_version_once(visitor: Visitor, escrow_id: str, api: Api) -> None:
    last = await api.version(escrow_id, "asha")
    await visitor.sees_version(last)
    assert await visitor.versions() == list(range(last, 0, -1))


async def test_core_is_killed_and_restarted(visit: Visit, api: Api, stack: Stack) -> None:
    visitor, escrow_id = await watching(visit, api)
    stack.core.kill()
    await stack.start()
    await api.do(escrow_id, "confirm", "asha")
    await sees_each_version_once(visitor, escrow_id, api)
    await visitor.sees_connection("Live")


async def test_the_bridge_is_killed_and_restarted(visit: Visit, api: Api, stack: Stack) -> None:
    visitor, escrow_id = await watching(visit, api)
    stack.bridge.kill()
    await visitor.sees_connection("Reconnecting")
    await stack.start()
    await api.do(escrow_id, "confirm", "asha")
    await visitor.sees_connection("Live")
    await sees_each_version_once(visitor, escrow_id, api)


async def test_the_bridge_drains_and_another_takes_over(
    visit: Visit, api: Api, stack: Stack
) -> None:
    visitor, escrow_id = await watching(visit, api)
    stack.bridge.terminate()
    await stack.bridge.exit_code()
    await stack.start()
    await api.do(escrow_id, "confirm", "asha")
    await visitor.sees_connection("Live")
    await sees_each_version_once(visitor, escrow_id, api)


async def test_the_network_is_off_for_ten_seconds(visit: Visit, api: Api) -> None:
    visitor, escrow_id = await watching(visit, api)
    await visitor.context.set_offline(True)
    await visitor.sees_connection("Reconnecting")
    await api.do(escrow_id, "confirm", "asha")
    # The length is part of the test: the outage lasts longer than several attempts.
    await asyncio.sleep(OFFLINE_S)
    assert 0 < len(await visitor.versions()) < await api.version(escrow_id, "asha")
    await visitor.context.set_offline(False)
    await visitor.sees_connection("Live")
    await sees_each_version_once(visitor, escrow_id, api)


async def test_a_command_while_the_server_is_away_says_so_and_works_later(
    visit: Visit, api: Api, stack: Stack
) -> None:
    visitor, escrow_id = await watching(visit, api)
    stack.bridge.kill()
    await visitor.sees_connection("Reconnecting")
    await visitor.press("I have delivered it")
    dialog = visitor.page.get_by_role("dialog")
    await dialog.get_by_role("button", name="I have delivered it").click()
    await dialog.get_by_text("The server cannot be reached").wait_for()
    await stack.start()
    await visitor.answer("I have delivered it")
    await visitor.sees_connection("Live")
    await sees_each_version_once(visitor, escrow_id, api)


async def test_live_is_said_only_when_the_rows_have_been_compared(
    visit: Visit, api: Api, stack: Stack
) -> None:
    escrow_id = await api.create("asha", "ravi", 900)
    await api.pay(escrow_id, "asha")
    visitor = await visit("ravi")
    visitor.knows_of_outage = True
    row = visitor.page.locator(f"li[data-escrow='{escrow_id}']")
    await expect(row).to_have_attribute("data-stale", "false")
    version = await api.version(escrow_id, "asha")
    stack.core.kill()
    await visitor.sees_connection("Catching up")
    await expect(row).to_have_attribute("data-stale", "true")
    await expect(row).to_contain_text("May be out of date")
    await visitor.reads_banner("What you see may be out of date")
    await stack.start()
    await visitor.sees_connection("Live")
    await expect(row).to_have_attribute("data-stale", "false")
    await expect(row).to_have_attribute("data-version", str(version))
    await expect(visitor.page.get_by_text("What you see may be out of date")).to_have_count(0)


@pytest.mark.timeout(120)
async def test_pages_that_were_opened_while_core_was_away_heal_by_themselves(
    visit: Visit, api: Api, stack: Stack
) -> None:
    visitor, escrow_id = await watching(visit, api)
    other = await visit("ravi")
    other.knows_of_outage = True
    opened = [(visitor, f"/escrows/{escrow_id}", "Timeline"), (other, "/", "Oak table")]
    stack.core.kill()
    for one, path, _ in opened:
        await one.sees_connection("Catching up")
        await one.page.goto(one.url + path)
    for one, _, _ in opened:
        await one.sees_connection("Catching up")
        # The first tries of the page's calls are over: it shows that they have failed.
        await expect(one.page.get_by_role("alert").first).to_be_visible(timeout=60_000)
    await stack.start()
    for one, _, shown in opened:
        await one.sees_connection("Live")
        await expect(one.page.get_by_text(shown).first).to_be_visible(timeout=2_000)
        await expect(one.page.get_by_role("alert")).to_have_count(0)
