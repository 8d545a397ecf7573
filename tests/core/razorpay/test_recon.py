"""Settlement reports: read in every shape that Razorpay gives them, and fetched page by page."""

import json
from typing import Any

import pytest

from core.razorpay import (
    Gateway,
    GatewayRefused,
    GatewayUnavailable,
    ReconLine,
    Settlement,
    parse_recon_line,
    parse_settlement,
)
from tests.fakes.peer import Peer, http
from tests.fakes.reports import ReportServer

# As in RZP/api/settlements/fetch-recon.md, with other ids.
LINE: dict[str, Any] = {
    "entity_id": "pay_12345678901234",
    "type": "payment",
    "debit": 0,
    "credit": 97_640,
    "amount": 100_000,
    "currency": "INR",
    "fee": 2_360,
    "tax": 360,
    "on_hold": False,
    "settled": True,
    "created_at": 1_567_692_556,
    "settled_at": 1_568_176_960,
    "settlement_id": "setl_12345678901234",
    "posted_at": None,
    "credit_type": "default",
    "description": "Recurring Payment via Subscription",
    "notes": "a text, where others have an object",
    "payment_id": None,
    "settlement_utr": "1568176960vxp0rj",
    "order_id": "order_12345678901234",
    "order_receipt": None,
    "method": "card",
    "dispute_id": None,
}
READ = ReconLine(
    "pay_12345678901234",
    "payment",
    debit_minor=0,
    credit_minor=97_640,
    amount_minor=100_000,
    fee_minor=2_360,
    tax_minor=360,
    currency="INR",
    settlement_id="setl_12345678901234",
    utr="1568176960vxp0rj",
    settle_time_s=1_568_176_960,
)


def test_a_line_is_read_as_the_documentation_shows_it() -> None:
    assert parse_recon_line(LINE) == READ
    assert READ.net_minor == 97_640


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"credit": "97640"}, "credit_minor", 97_640),
        ({"debit": None}, "debit_minor", 0),
        ({"fee": None}, "fee_minor", 0),
        ({"tax": "NA"}, "tax_minor", 0),
        ({"settled_at": None}, "settle_time_s", 0),
        ({"settlement_id": None}, "settlement_id", ""),
        ({"settlement_utr": ""}, "utr", ""),
        ({"dispute_id": "disp_1"}, "dispute_id", "disp_1"),
        ({"type": "something_new"}, "type", "something_new"),
    ],
)
def test_what_is_null_missing_or_a_number_as_text_is_read(
    changes: dict[str, Any], field: str, value: object
) -> None:
    assert getattr(parse_recon_line(LINE | changes), field) == value


@pytest.mark.parametrize("name", sorted(LINE.keys() - {"entity_id", "type", "currency"}))
def test_no_field_is_needed_but_who_what_and_how_much(name: str) -> None:
    line = parse_recon_line({key: value for key, value in LINE.items() if key != name})
    assert line.problem == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"entity_id": None},
        {"entity_id": "pay_/../x"},
        {"entity_id": "x" * 37},
        {"type": 7},
        {"currency": "Rs"},
        {"credit": 976.4},
        {"credit": "976.40"},
        {"credit": -1},
        {"credit": True},
        {"credit": 10**16},
        {"debit": None, "credit": None},
        {"settlement_id": {"id": "setl_1"}},
    ],
)
def test_a_line_that_cannot_be_read_says_what_is_wrong_and_raises_nothing(
    changes: dict[str, Any],
) -> None:
    line = parse_recon_line(LINE | changes)
    assert "Razorpay's" in line.problem
    assert line.net_minor == 0


@pytest.mark.parametrize("item", [None, "a line", [], 7])
def test_what_is_no_line_at_all_is_a_problem(item: object) -> None:
    assert parse_recon_line(item).problem


def test_text_that_no_database_takes_is_made_harmless() -> None:
    line = parse_recon_line(LINE | {"settlement_utr": "a\0b\ud800"})
    assert line.utr == "a?b?"


def test_a_settlement_is_read() -> None:
    entity = {
        "id": "setl_1",
        "entity": "settlement",
        "amount": "9973635",
        "status": "processed",
        "fees": 471_699,
        "tax": 42_070,
        "utr": "1568176960vxp0rj",
        "created_at": 1_568_176_960,
    }
    read = Settlement("setl_1", 9_973_635, "processed", "1568176960vxp0rj", 1_568_176_960)
    assert parse_settlement(entity) == read
    assert parse_settlement(entity | {"utr": None}).utr == ""
    for broken in ({"amount": None}, {"id": ""}, {"status": None}, {"entity": "payment"}):
        with pytest.raises(ValueError, match="Razorpay"):
            parse_settlement(entity | broken)


async def recon(url: str) -> list[ReconLine]:
    gateway = Gateway(key_id="rzp_test_1", key_secret="x", base_url=url, timeout_s=2.0)
    try:
        return await gateway.recon(2026, 11, 5)
    finally:
        await gateway.close()


async def test_a_report_is_fetched_page_by_page_with_the_lines_that_cannot_be_read() -> None:
    items: list[Any] = [LINE | {"entity_id": f"pay_{number}"} for number in range(205)]
    items[7] = LINE | {"currency": None}
    items[9] = items[8]
    async with ReportServer() as reports:
        reports.days["2026-11-05"] = items
        lines = await recon(reports.url)
    assert [line.entity_id for line in lines] == [item["entity_id"] for item in items]
    assert [number for number, line in enumerate(lines) if line.problem] == [7]
    paths = [request.split(b" ")[1].decode() for request in reports.requests]
    assert len(paths) == 3
    for path in paths:
        assert path.startswith("/v1/settlements/recon/combined?")
        assert {"year=2026", "month=11", "day=5"} <= set(path.split("?")[1].split("&"))


async def test_a_report_that_is_not_paged_is_told_once() -> None:
    items = [LINE | {"entity_id": f"pay_{number}"} for number in range(40)]
    body = json.dumps({"entity": "collection", "count": 40, "items": items})
    async with Peer(http(200, body)) as peer:
        assert len(await recon(peer.url)) == 40


async def test_a_day_without_settlements_is_an_empty_report() -> None:
    async with ReportServer() as reports:
        assert await recon(reports.url) == []


async def test_a_settlement_is_fetched_by_its_id() -> None:
    async with ReportServer() as reports:
        reports.settle("2026-11-05", "setl_1", LINE)
        gateway = Gateway(key_id="rzp_test_1", key_secret="x", base_url=reports.url, timeout_s=2.0)
        try:
            found = await gateway.settlement("setl_1")
            with pytest.raises(GatewayRefused, match="does not exist"):
                await gateway.settlement("setl_2")
        finally:
            await gateway.close()
    assert found == Settlement("setl_1", 97_640, "processed", "utrsetl_1", 1_568_176_960)


async def test_an_answer_that_is_no_list_is_no_report() -> None:
    async with Peer(http(200, '{"entity": "collection"}')) as peer:
        with pytest.raises(GatewayUnavailable):
            await recon(peer.url)
