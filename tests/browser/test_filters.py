"""The list by reason and by days, and a search that has far to go."""

import asyncio
import datetime
from typing import Any

import pytest
from playwright.async_api import Route, expect

from tests.browser.stack import Api
from tests.browser.test_operator import stopped
from tests.browser.test_search import row, rows, search
from tests.browser.visitor import PHONE, Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON_MS = 30_000
MANY = 14


async def choose(visitor: Visitor, label: str, option: str) -> None:
    await visitor.page.get_by_label(label, exact=True).select_option(label=option)


async def test_an_operator_lists_what_stopped_for_one_reason(visit: Visit, api: Api) -> None:
    escrow_id = await stopped(api, "gopal")
    admin = await visit("admin", path="/?attention=yes")
    await expect(row(admin, escrow_id)).to_be_visible(timeout=SOON_MS)
    await choose(admin, "Needs a person", "Somebody changed a transfer at Razorpay by hand")
    await expect(admin.page.get_by_text("Nothing matches")).to_be_visible()
    await choose(
        admin,
        "Needs a person",
        "Razorpay does not pay the seller\N{RIGHT SINGLE QUOTATION MARK}s account",
    )
    await expect(row(admin, escrow_id)).to_be_visible()
    await admin.page.wait_for_url("**/?attention=PAYEE_REFUSED")
    # What is mended leaves the list by itself.
    await api.name_account("gopal", "GopalSells0001")
    await expect(row(admin, escrow_id)).to_be_hidden(timeout=SOON_MS)


async def test_days_are_of_the_last_change_where_that_is_chosen(visit: Visit, api: Api) -> None:
    escrow_id = await api.create("hema", "ravi", 700)
    visitor = await visit("hema", PHONE)
    today = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=5, minutes=30)
    tomorrow = today + datetime.timedelta(days=1)
    await choose(visitor, "Which days", "Last changed")
    async with visitor.page.expect_request(lambda one: "update_time_from=" in one.url) as asked:
        await visitor.page.get_by_label("Last changed on or after this day").fill(f"{tomorrow:%F}")
    assert "create_time" not in (await asked.value).url
    await expect(visitor.page.get_by_text("Nothing matches")).to_be_visible()
    await visitor.page.get_by_label("Last changed on or after this day").fill(f"{today:%F}")
    await expect(row(visitor, escrow_id)).to_be_visible()
    await visitor.fits()


async def test_a_search_that_has_far_to_go_says_how_far_it_is_and_can_be_stopped(
    visit: Visit, api: Api
) -> None:
    """The server's answers are made those of a list in which each call finds nothing yet."""
    wanted = await api.create("isha", "ravi", 500, title="Sarangi, old")
    for _ in range(MANY):
        await api.create("isha", "ravi", 500)
    visitor = await visit("isha")
    await expect(rows(visitor)).to_have_count(MANY + 1)
    calls = 0
    is_under_way, is_open = asyncio.Event(), asyncio.Event()

    async def one_by_one(route: Route) -> None:
        nonlocal calls
        calls += 1
        if calls == 8:
            is_under_way.set()
            await is_open.wait()
        url = route.request.url.replace("page_size=50", "page_size=1")
        url = url.replace("query=sarangi", "query=ravi")
        answer = await route.fetch(url=url)
        told: dict[str, Any] = await answer.json()
        found = [one for one in told.get("escrows", []) if one["escrow_id"] == wanted]
        await route.fulfill(response=answer, json={**told, "escrows": found})

    await visitor.page.route("**/api/v1/escrows?*query=sarangi*", one_by_one)
    await search(visitor, "sarangi")
    said = visitor.page.get_by_text("Searching. Reached")
    await expect(said).to_contain_text(f"{datetime.datetime.now(datetime.UTC):%Y} so far.")
    await is_under_way.wait()
    await visitor.press("Stop searching")
    await expect(visitor.page.get_by_text("Nothing found so far")).to_be_visible()
    is_open.set()
    stopped_at = calls
    assert stopped_at == 8
    await visitor.press("Search further")
    await expect(row(visitor, wanted)).to_be_visible(timeout=SOON_MS)
    await expect(said).to_be_hidden()
    assert calls > stopped_at
