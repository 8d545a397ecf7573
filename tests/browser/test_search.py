"""The list asks the server: it finds what it has not loaded, and follows what its filter shows."""

import asyncio
import csv
from pathlib import Path

import pytest
from playwright.async_api import Locator, Request, expect

from tests.browser.stack import Api
from tests.browser.visitor import Visit, Visitor

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = 50
MANY = 130
LOADED_MS = 20_000


def row(visitor: Visitor, escrow_id: str) -> Locator:
    return visitor.page.locator(f"li[data-escrow='{escrow_id}']")


def rows(visitor: Visitor) -> Locator:
    return visitor.page.locator("li[data-escrow]")


async def search(visitor: Visitor, words: str) -> None:
    await visitor.page.get_by_label("Search by title").fill(words)


async def test_a_search_finds_the_escrow_of_the_third_page(visit: Visit, api: Api) -> None:
    first = await api.create("anu", "ravi", 1_234, title="Harmonium, teak")
    for _ in range(MANY - 1):
        await api.create("anu", "ravi", 500)
    visitor = await visit("anu")
    await expect(rows(visitor)).to_have_count(PAGE, timeout=LOADED_MS)
    for words in ("harmon", "1,234", first):
        async with visitor.page.expect_response(lambda answer: "query=" in answer.url):
            await search(visitor, words)
        await expect(rows(visitor)).to_have_count(1)
        await expect(row(visitor, first)).to_contain_text("Harmonium, teak")
    await visitor.page.reload()
    await expect(visitor.page.get_by_label("Search by title")).to_have_value(first)
    await expect(rows(visitor)).to_have_count(1)
    await search(visitor, "no such thing")
    await expect(visitor.page.get_by_text("Nothing matches")).to_be_visible()
    await visitor.press("Clear the filters")
    await expect(rows(visitor)).to_have_count(PAGE)
    await expect(visitor.page.get_by_label("Search by title")).to_have_value("")


async def test_typing_asks_once_when_it_rests(visit: Visit, api: Api) -> None:
    await api.create("bina", "ravi", 500, title="Sitar")
    visitor = await visit("bina")
    await expect(rows(visitor)).to_have_count(1)
    asked: list[Request] = []
    visitor.page.on("request", lambda one: asked.append(one) if "query=" in one.url else None)
    field = visitor.page.get_by_label("Search by title")
    async with visitor.page.expect_response(lambda answer: "query=" in answer.url):
        await field.press_sequentially("sitar", delay=20)
    await visitor.page.wait_for_url("**/?q=sitar")
    await expect(field).to_be_focused()
    await expect(rows(visitor)).to_have_count(1)
    assert ["query=sitar" in one.url for one in asked] == [True]


async def test_what_an_event_moves_out_of_the_filter_goes_and_what_it_brings_in_comes(
    visit: Visit, api: Api
) -> None:
    one = await api.create("chitra", "ravi", 700, title="Veena")
    visitor = await visit("chitra", path="/?status=HELD")
    await expect(visitor.page.get_by_text("Nothing matches")).to_be_visible()
    await api.pay(one, "chitra")
    await expect(row(visitor, one)).to_contain_text("Held")
    await expect(visitor.page.get_by_text("₹700 held · 1 waits for you")).to_be_visible()
    await api.do(one, "dispute", "ravi", reason="No word from chitra.")
    await expect(row(visitor, one)).to_be_hidden()
    await expect(visitor.page).to_have_title("Escrows · Holdfast")


async def test_the_title_counts_what_waits(visit: Visit, api: Api) -> None:
    made = [await api.create("deepa", "ravi", 700) for _ in range(2)]
    visitor = await visit("deepa")
    await expect(visitor.page).to_have_title("(2) Escrows · Holdfast")
    await api.do(made[0], "cancel", "ravi")
    await expect(visitor.page).to_have_title("(1) Escrows · Holdfast")
    await visitor.open(made[1])
    await expect(visitor.page).to_have_title("(1) Oak table · Holdfast")
    await api.pay(made[1], "deepa")
    await api.do(made[1], "confirm", "deepa")
    await expect(visitor.page).to_have_title("Oak table · Holdfast")


async def test_what_needs_me_is_first_and_the_columns_sort(visit: Visit, api: Api) -> None:
    waits = await api.create("esha", "ravi", 700)
    newer = [await api.create("esha", "ravi", 500) for _ in range(2)]
    for escrow_id in newer:
        await api.do(escrow_id, "cancel", "ravi")
    visitor = await visit("esha")
    await expect(rows(visitor).nth(0)).to_have_attribute("data-escrow", waits)
    await visitor.press("Created")
    await expect(rows(visitor).nth(0)).to_have_attribute("data-escrow", newer[1])
    await visitor.press("Created")
    await expect(rows(visitor).nth(0)).to_have_attribute("data-escrow", waits)
    await expect(rows(visitor).nth(2)).to_have_attribute("data-escrow", newer[1])
    await visitor.page.wait_for_url("**/?order=oldest")


async def test_the_csv_has_all_pages_exact_and_disarmed(visit: Visit, api: Api) -> None:
    for number in range(PAGE + 1):
        await api.create("fatima", "ravi", 500, title=f"Loom {number}")
    paise = {"amount_minor": "100000001", "currency": "INR"}
    evil = '=HYPERLINK("http://evil.example","Oak"), 2 m'
    await api.create("fatima", "ravi", 0, title=evil, amount=paise)
    await api.create("fatima", "ravi", 900, title="Something else")
    visitor = await visit("fatima", path="/?q=ravi&status=INITIATED")
    await expect(rows(visitor)).to_have_count(PAGE)
    async with visitor.page.expect_download() as saving:
        await visitor.press("Save as CSV")
    saved = Path(await (await saving.value).path())
    text = (await asyncio.to_thread(saved.read_bytes)).decode("utf-8-sig")
    table = list(csv.DictReader(text.splitlines(keepends=True)))
    assert len(table) == PAGE + 3
    assert {one["title"]: one["amount"] for one in table}["'" + evil] == "1000000.01"
    assert {one["status"] for one in table} == {"INITIATED"}
    await expect(visitor.page.get_by_text(f"Saved {PAGE + 3} escrows as CSV")).to_be_visible()


async def test_an_empty_list_explains_itself_and_has_the_button(visit: Visit) -> None:
    visitor = await visit("gita")
    await expect(visitor.page.locator("main ol > li")).to_have_count(3)
    await visitor.page.get_by_role("link", name="Make your first escrow").click()
    await visitor.page.wait_for_url("**/new")
