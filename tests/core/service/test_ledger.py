"""LedgerService: who may read what of the books, and what the entries say."""

from typing import Any

import pytest
from escrow.v1 import ledger_service_pb2 as rpc

from core.books.match import BANK
from core.law.ledger import BALANCE, Posting
from tests.core.counter import Counter, Failed, pay
from tests.core.room import recon_row

ADMIN = ("admin-1", "admin")
SERVICE = ("service-1", "service")


async def settled(counter: Counter) -> tuple[str, str]:
    """A paid escrow whose payment a settlement has brought; its id and the payment's."""
    escrow = await counter.create()
    confirm = await pay(counter, escrow.escrow_id)
    await counter.call(confirm)
    store = counter.core.rooms.store
    async with store.write() as transaction:
        await transaction.recon.save("2026-11-05", 0, [recon_row(confirm.payment_id)])
        lines = [Posting(BALANCE, -700, "INR", "setl_1"), Posting(BANK, 700, "INR", "setl_1")]
        await transaction.recon.post(lines, now_us=1)
    return escrow.escrow_id, confirm.payment_id


async def entries(counter: Counter, *who: str, **which: Any) -> list[rpc.Entry]:
    answer = await counter.call(rpc.ListEntriesRequest(**which), *who)
    return list(answer.entries)


@pytest.mark.parametrize("who", [ADMIN, SERVICE])
async def test_keepers_find_entries_by_razorpays_id_and_by_settlement(
    counter: Counter, who: tuple[str, str]
) -> None:
    escrow_id, payment_id = await settled(counter)
    found = await entries(counter, *who, entity_id=payment_id)
    assert {(e.escrow_id, e.settlement_id, e.settlement_utr) for e in found} == {
        (escrow_id, "setl_1", "UTR1")
    }
    brought = await entries(counter, *who, settlement_id="setl_1")
    assert {e.entity_id for e in brought} == {payment_id}
    assert await entries(counter, *who, settlement_id="setl_2") == []


async def test_an_entry_of_no_escrow_names_none(lite: Counter) -> None:
    await settled(lite)
    bank = await entries(lite, *ADMIN, account=BANK)
    (entry,) = bank
    assert (entry.escrow_id, entry.version, entry.entity_id) == ("", 0, "setl_1")
    assert (entry.amount.amount_minor, entry.amount.currency) == (700, "INR")


async def test_a_party_sees_its_entries_and_not_how_the_platform_is_paid(lite: Counter) -> None:
    escrow_id, payment_id = await settled(lite)
    found = await entries(lite, escrow_id=escrow_id)
    assert {e.entity_id for e in found} == {payment_id}
    assert {(e.settlement_id, e.settlement_utr) for e in found} == {("", "")}


@pytest.mark.parametrize("which", ["entity_id", "settlement_id"])
async def test_a_party_may_not_search_by_razorpays_ids(lite: Counter, which: str) -> None:
    escrow_id, _ = await settled(lite)
    for more in ({}, {"escrow_id": escrow_id}):
        with pytest.raises(Failed) as failed:
            await entries(lite, **{which: "setl_1"}, **more)
        assert failed.value.reason == "ROLE_MISSING"


async def test_a_list_without_a_filter_is_refused(lite: Counter) -> None:
    with pytest.raises(Failed) as failed:
        await entries(lite, *ADMIN)
    assert failed.value.reason == "FIELD_INVALID"
    assert set(failed.value.fields) == {"account"}


async def test_pages_of_one_search_are_no_pages_of_another(lite: Counter) -> None:
    await settled(lite)
    first = await lite.call(rpc.ListEntriesRequest(account=BALANCE, page_size=1), *ADMIN)
    assert len(first.entries) == 1
    rest = rpc.ListEntriesRequest(account=BALANCE, page_token=first.next_page_token)
    second = await lite.call(rest, *ADMIN)
    assert first.entries[0] not in second.entries
    assert len(second.entries) > 1
    other = rpc.ListEntriesRequest(entity_id="setl_1", page_token=first.next_page_token)
    with pytest.raises(Failed) as failed:
        await lite.call(other, *ADMIN)
    assert failed.value.reason == "PAGE_TOKEN_INVALID"


async def test_the_balance_of_an_account_is_for_keepers(counter: Counter) -> None:
    await settled(counter)
    answer = await counter.call(rpc.GetBalanceRequest(account=BANK), *SERVICE)
    assert [(m.currency, m.amount_minor) for m in answer.balances] == [("INR", 700)]
    with pytest.raises(Failed) as failed:
        await counter.call(rpc.GetBalanceRequest(account=BANK))
    assert failed.value.reason == "ROLE_MISSING"


async def test_the_last_check_tells_of_the_settlement_reports(counter: Counter) -> None:
    before = await counter.call(rpc.GetLastCheckRequest(), *ADMIN)
    assert not before.HasField("recon_time")
    assert not before.HasField("check_time")
    now_us = counter.core.rooms.now_us()
    text = "Razorpay: pay_x credit ₹5; the books: nothing"
    async with counter.core.rooms.store.write() as transaction:
        rows = [recon_row("pay_x", message=text), recon_row("pay_1")]
        await transaction.recon.save("2999-12-31", 0, rows)
        await transaction.recon.looked("2999-12-31", now_us=now_us, due_us=None)
    answer = await counter.call(rpc.GetLastCheckRequest(), *ADMIN)
    assert (answer.recon_day, answer.recon_lines) == ("2999-12-31", 2)
    assert answer.recon_time.ToMicroseconds() == now_us
    (finding,) = answer.recon_findings
    assert (finding.check, finding.message) == ("RECON_MISSING", f"2999-12-31: {text}")


async def test_the_last_check_tells_how_far_the_walk_is(counter: Counter) -> None:
    rooms = counter.core.rooms
    result = await rooms.auditor.look_due()
    assert result is not None
    answer = await counter.call(rpc.GetLastCheckRequest(), *ADMIN)
    assert answer.check_time.ToMicroseconds() == result.check_time_us
    assert answer.walk_begin_time.ToMicroseconds() <= result.check_time_us
    assert (answer.walk_checked, answer.walk_total, list(answer.findings)) == (0, 0, [])
    assert not answer.HasField("whole_end_time")


async def test_the_books_are_checked_page_by_page_each_escrow_once(lite: Counter) -> None:
    for _ in range(5):
        await lite.create()
    checked, token, pages = 0, "", 0
    while pages == 0 or token:
        request = rpc.CheckBooksRequest(page_size=2, page_token=token)
        answer = await lite.call(request, "admin-1", "admin")
        assert answer.balanced
        checked, token, pages = checked + answer.escrows_checked, answer.next_page_token, pages + 1
    assert (checked, pages) == (5, 3)


async def test_a_page_of_the_books_has_a_limit_and_a_token_of_its_own(lite: Counter) -> None:
    for _ in range(2):
        escrow = await lite.create()
    first = await lite.call(rpc.CheckBooksRequest(page_size=1), "admin-1", "admin")
    bad = {
        "FIELD_INVALID": [
            rpc.CheckBooksRequest(page_size=201),
            rpc.CheckBooksRequest(page_size=1, escrow_id=escrow.escrow_id),
        ],
        "PAGE_TOKEN_INVALID": [
            rpc.CheckBooksRequest(
                page_size=1, page_token=first.next_page_token, with_razorpay=True
            ),
        ],
    }
    for reason, requests in bad.items():
        for request in requests:
            with pytest.raises(Failed) as failed:
                await lite.call(request, "admin-1", "admin")
            assert failed.value.reason == reason
