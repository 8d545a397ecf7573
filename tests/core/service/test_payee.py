"""The payee calls: who may, what is repeated, what the record says, and what is paid meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import payment_service_pb2 as rpc

from core.law.payee import register
from core.settlement.deadline import Clock
from core.storage import tables as t
from core.storage.row import PayeeRow
from core.storage.trip import payee as payees
from tests.core.counter import Counter, Failed, open_counter, pay
from tests.fakes.wait import until

OLD, NEW, NEWER = "acc_Old00000000001", "acc_New00000000001", "acc_New00000000002"
SELLER = "seller-1"


async def name(counter: Counter, account_id: str, **more: Any) -> rpc.Payee:
    request = rpc.RegisterPayeeRequest(user_id=SELLER, account_id=account_id, **more)
    payee: rpc.Payee = (await counter.call(request, SELLER)).payee
    return payee


async def read(counter: Counter) -> rpc.Payee:
    payee: rpc.Payee = (await counter.call(rpc.GetPayeeRequest(user_id=SELLER), SELLER)).payee
    return payee


async def types(counter: Counter) -> list[str]:
    request = rpc.ListPayeeEventsRequest(user_id=SELLER)
    events = (await counter.call(request, SELLER)).events
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    prefix = "PAYEE_EVENT_TYPE_"
    return [rpc.PayeeEventType.Name(event.type).removeprefix(prefix) for event in events]


async def refused(counter: Counter, request: Any, *who: str) -> str:
    with pytest.raises(Failed) as failed:
        await counter.call(request, *who)
    return str(failed.value.reason)


async def test_a_change_waits_a_day_and_is_shown(counter: Counter) -> None:
    first = await name(counter, OLD)
    assert first.effective_time == first.update_time
    changing = await name(counter, NEW)
    assert (changing.account_id, changing.pending_account_id) == (OLD, NEW)
    wait_s = changing.pending_time.seconds - changing.update_time.seconds
    assert wait_s == 86_400
    assert await read(counter) == changing
    assert await types(counter) == ["REGISTERED", "CHANGE_STARTED"]


async def test_it_is_called_off_by_the_seller_and_waived_by_an_admin(counter: Counter) -> None:
    await name(counter, OLD)
    await name(counter, NEW)
    await counter.call(rpc.CancelPayeeChangeRequest(user_id=SELLER), SELLER)
    assert (await read(counter)).pending_account_id == ""
    await name(counter, NEW)
    waive = rpc.WaivePayeeWaitRequest(user_id=SELLER, note="Known in person")
    for who in ((SELLER, "user"), ("service-1", "service")):
        assert await refused(counter, waive, *who) == "ROLE_MISSING"
    assert (await counter.call(waive, "admin-1", "admin")).payee.account_id == NEW
    assert (await types(counter))[1:] == [
        "CHANGE_STARTED",
        "CHANGE_CALLED_OFF",
        "CHANGE_STARTED",
        "WAIT_WAIVED",
    ]
    events = await counter.call(rpc.ListPayeeEventsRequest(user_id=SELLER), "admin-1", "admin")
    last = events.events[-1]
    assert (last.actor_id, last.note) == ("admin-1", "Known in person")


async def test_strangers_see_and_change_nothing(counter: Counter) -> None:
    await name(counter, OLD)
    for request in (
        rpc.CancelPayeeChangeRequest(user_id=SELLER),
        rpc.ListPayeeEventsRequest(user_id=SELLER),
        rpc.GetPayeeRequest(user_id=SELLER),
        rpc.RegisterPayeeRequest(user_id=SELLER, account_id=NEW),
    ):
        assert await refused(counter, request, "stranger-1") == "NOT_A_PARTY"
    nothing = rpc.CancelPayeeChangeRequest(user_id=SELLER)
    assert await refused(counter, nothing, SELLER) == "PAYEE_CHANGE_NOT_FOUND"


async def test_a_repeated_request_answers_as_the_first(counter: Counter) -> None:
    await name(counter, OLD)
    first = await name(counter, NEW, request_id="one")
    cancel = rpc.CancelPayeeChangeRequest(user_id=SELLER, request_id="two")
    called_off = await counter.call(cancel, SELLER)
    assert await counter.call(cancel, SELLER) == called_off
    assert await name(counter, NEW, request_id="one") == first
    assert (await read(counter)).pending_account_id == ""
    other = rpc.CancelPayeeChangeRequest(user_id=SELLER, request_id="one")
    assert await refused(counter, other, SELLER) == "REQUEST_ID_REUSED"


async def test_pages_of_the_record_hold_each_once(counter: Counter) -> None:
    for account_id in (OLD, NEW, OLD, NEW):
        await name(counter, account_id)
    seen: list[int] = []
    has_more = True
    while has_more:
        request = rpc.ListPayeeEventsRequest(
            user_id=SELLER, after_version=seen[-1] if seen else 0, page_size=3
        )
        answer = await counter.call(request, SELLER)
        seen += [event.version for event in answer.events]
        has_more = answer.has_more
    assert seen == [1, 2, 3, 4]


async def test_a_repeat_of_what_changed_nothing_changes_nothing_later(counter: Counter) -> None:
    await name(counter, OLD)
    kept = await name(counter, OLD, request_id="one")
    assert (kept.account_id, kept.pending_account_id) == (OLD, "")
    changing = await name(counter, NEW)
    # A late repeat: by a fresh id it would call the change off.
    assert await name(counter, OLD, request_id="one") == kept
    assert await read(counter) == changing
    other = rpc.RegisterPayeeRequest(user_id=SELLER, account_id=NEW, request_id="one")
    assert await refused(counter, other, SELLER) == "REQUEST_ID_REUSED"
    again = await name(counter, NEW, request_id="two")
    assert (again.pending_account_id, again.pending_time) == (NEW, changing.pending_time)
    assert (await types(counter))[1:] == ["NAMED_AGAIN", "CHANGE_STARTED", "NAMED_AGAIN"]
    await hasten(counter)
    assert (await read(counter)).account_id == NEW


async def test_a_request_id_is_for_one_payee_of_all(counter: Counter) -> None:
    """A service names the accounts of many; one id of its own must not stand for two of them."""
    requests = [
        rpc.RegisterPayeeRequest(user_id=f"seller-{n}", account_id=OLD, request_id="one")
        for n in range(4)
    ]
    outcomes = await asyncio.gather(
        *(counter.call(request, "service-1", "service") for request in requests),
        return_exceptions=True,
    )
    failures = [one for one in outcomes if isinstance(one, Failed)]
    assert [one.reason for one in failures] == ["REQUEST_ID_REUSED"] * 3
    assert len(outcomes) - len(failures) == 1


async def test_a_further_change_waits_anew(counter: Counter) -> None:
    await name(counter, OLD)
    first = await name(counter, NEW)
    second = await name(counter, NEWER)
    assert (second.account_id, second.pending_account_id) == (OLD, NEWER)
    assert second.pending_time.ToMicroseconds() > first.pending_time.ToMicroseconds()
    (waiting,) = await counter.core.rooms.store.due_payees(2**60, 10)
    assert waiting == SELLER
    events = (await counter.call(rpc.ListPayeeEventsRequest(user_id=SELLER), SELLER)).events
    before, after = events[-2:]
    assert (before.payee, after.payee) == (first, second)
    assert {event.actor_id for event in events} == {SELLER}
    # The admin had looked into the one that waited before.
    waive = rpc.WaivePayeeWaitRequest(user_id=SELLER, note="Known", account_id=NEW)
    assert await refused(counter, waive, "admin-1", "admin") == "PAYEE_CHANGE_NOT_FOUND"
    waive.account_id = NEWER
    assert (await counter.call(waive, "admin-1", "admin")).payee.account_id == NEWER
    assert await refused(counter, waive, "admin-1", "admin") == "PAYEE_CHANGE_NOT_FOUND"


async def test_a_repeated_waiver_answers_as_the_first(counter: Counter) -> None:
    await name(counter, OLD)
    await name(counter, NEW)
    waive = rpc.WaivePayeeWaitRequest(user_id=SELLER, note="Known", request_id="one")
    first = await counter.call(waive, "admin-1", "admin")
    await name(counter, OLD)
    assert await counter.call(waive, "admin-1", "admin") == first
    assert (await read(counter)).pending_account_id == OLD
    waive.note = "Known well"
    assert await refused(counter, waive, "admin-1", "admin") == "REQUEST_ID_REUSED"


async def test_it_is_called_off_until_it_counts_and_no_later(counter: Counter) -> None:
    await name(counter, OLD)
    await name(counter, NEW)
    cancel = rpc.CancelPayeeChangeRequest(user_id=SELLER)
    for who in (("admin-1", "admin"), ("service-1", "service")):
        assert (await counter.call(cancel, *who)).payee.pending_account_id == ""
        await hasten(counter)
        assert (await name(counter, NEW)).account_id == OLD
    await hasten(counter)
    assert await refused(counter, cancel, SELLER) == "PAYEE_CHANGE_NOT_FOUND"
    assert (await read(counter)).account_id == NEW


async def hasten(counter: Counter) -> None:
    """Let the wait of the change be over."""
    rooms = counter.core.rooms
    async with rooms.store.write() as transaction:
        await transaction._connection.execute(
            sa.update(t.payees).where(t.payees.c.pending_us.is_not(None)).values(pending_us=1)
        )
        await transaction._connection.execute(sa.update(t.payee_changes).values(due_us=1))
    clocks = [
        Clock(
            rooms.store,
            rooms.executor,
            now_us=rooms.now_us,
            ring_settlement=rooms.settler.ring,
        )
        for _ in range(3)
    ]
    await asyncio.gather(*(clock.look_at_payees() for clock in clocks))


async def test_the_wait_passes_once_however_many_look(counter: Counter) -> None:
    await name(counter, OLD)
    await name(counter, NEW)
    await hasten(counter)
    assert (await read(counter)).account_id == NEW
    assert await types(counter) == ["REGISTERED", "CHANGE_STARTED", "CHANGE_DONE"]
    assert await counter.core.rooms.store.due_payees(2**60, 10) == []


async def test_no_wait_passes_while_the_clock_is_not_believed(counter: Counter) -> None:
    await name(counter, OLD)
    await name(counter, NEW)
    rooms = counter.core.rooms
    clock = Clock(rooms.store, rooms.executor, now_us=lambda: 2**60, is_believed=lambda: False)
    assert await clock.look_at_payees() == 0
    assert (await read(counter)).account_id == OLD


async def paid_to(counter: Counter) -> str:
    """Pay an escrow and have it released; answers the account that got the transfer."""
    escrow = await counter.create()
    await counter.call(await pay(counter, escrow.escrow_id))
    await counter.call(escrows.ReleaseEscrowRequest(escrow_id=escrow.escrow_id))

    def transfers() -> list[dict[str, Any]]:
        return [
            one
            for one in counter.sandbox.books.all("transfer")
            if one["notes"]["escrow_id"] == escrow.escrow_id and not one["on_hold"]
        ]

    await until(transfers)
    (transfer,) = transfers()
    return str(transfer["recipient"])


async def test_the_old_account_is_paid_until_the_new_one_counts(counter: Counter) -> None:
    await name(counter, OLD)
    assert await paid_to(counter) == OLD
    await name(counter, NEW)
    assert await paid_to(counter) == OLD
    await hasten(counter)
    assert await paid_to(counter) == NEW


async def released_to_nobody(counter: Counter) -> str:
    """Have an escrow released while Razorpay refuses the seller's account; answers its id."""
    escrow = await counter.create()
    await counter.call(await pay(counter, escrow.escrow_id))
    await counter.call(escrows.ReleaseEscrowRequest(escrow_id=escrow.escrow_id))
    await reaches(counter, escrow.escrow_id, "SETTLING", ["PAYEE_REFUSED"])
    return str(escrow.escrow_id)


async def reaches(counter: Counter, escrow_id: str, status: str, attentions: list[str]) -> None:
    async with asyncio.timeout(10):
        while True:
            now = await counter.core.rooms.store.escrow(escrow_id)
            assert now is not None
            if (now.status, [one.code for one in now.attentions]) == (status, attentions):
                return
            await asyncio.sleep(0.02)


async def test_what_an_account_could_not_get_any_more_goes_to_the_new_one(
    counter: Counter,
) -> None:
    await name(counter, OLD)
    assert await paid_to(counter) == OLD
    counter.sandbox.books.account_status[OLD] = "rejected"
    escrow_id = await released_to_nobody(counter)
    assert (await name(counter, NEW)).pending_account_id == NEW
    await hasten(counter)
    counter.core.rooms.settler.ring()
    await reaches(counter, escrow_id, "RELEASED", [])


async def test_an_account_that_was_never_good_is_replaced_at_once(counter: Counter) -> None:
    counter.sandbox.books.account_status[OLD] = "rejected"
    await name(counter, OLD)
    escrow_id = await released_to_nobody(counter)
    assert (await name(counter, NEW)).account_id == NEW
    await reaches(counter, escrow_id, "RELEASED", [])
    assert (await name(counter, OLD)).pending_account_id == OLD


@pytest.fixture
async def earlier(database_url: str) -> AsyncIterator[Counter]:
    async with open_counter(database_url) as counter:
        async with counter.core.rooms.store.write() as transaction:
            payee = register(None, SELLER, OLD, "", 1, 0)
            assert payee is not None
            await transaction.run(payees.add(PayeeRow(payee, "rpc:8:seller-1:long-ago", b"")))
        yield counter


async def test_an_account_of_before_counts_since_it_was_named(earlier: Counter) -> None:
    payee = await read(earlier)
    assert (payee.account_id, payee.effective_time, payee.pending_account_id) == (
        OLD,
        payee.update_time,
        "",
    )


@pytest.mark.postgres
async def test_many_registrations_at_once_stop_nobody(postgres_url: str) -> None:
    async with open_counter(postgres_url) as counter:
        for _ in range(6):
            escrow = await counter.create()
            await counter.call(await pay(counter, escrow.escrow_id))
            await counter.call(escrows.ReleaseEscrowRequest(escrow_id=escrow.escrow_id))
        await asyncio.gather(*(name(counter, (OLD, NEW)[i % 2]) for i in range(12)))
        assert (await read(counter)).account_id in (OLD, NEW)


async def counts(counter: Counter, account_id: str) -> None:
    """Wait until core's own clock has let an account count."""
    async with asyncio.timeout(20):
        while (await read(counter)).account_id != account_id:  # noqa: ASYNC110 - core's doing
            await asyncio.sleep(0.02)


DONE = ["REGISTERED", "CHANGE_STARTED", "CHANGE_DONE"]


async def test_a_wait_goes_on_while_core_is_away(database_url: str) -> None:
    async with open_counter(database_url, payee_cooling_s=2) as counter:
        await name(counter, OLD)
        changing = await name(counter, NEW)
    # With another wait by now: a change keeps the one that it began with.
    async with open_counter(database_url) as counter:
        assert changing.pending_account_id == NEW
        await counts(counter, NEW)
        assert await types(counter) == DONE
        done = await read(counter)
        assert done.effective_time.ToMicroseconds() >= changing.pending_time.ToMicroseconds()


@pytest.mark.postgres
async def test_two_cores_change_an_account_once(postgres_url: str) -> None:
    async with (
        open_counter(postgres_url, payee_cooling_s=1) as one,
        open_counter(postgres_url, payee_cooling_s=1) as other,
    ):
        await name(one, OLD)
        asked = [name(core, NEW, request_id="one") for core in (one, other) * 3]
        first, *rest = await asyncio.gather(*asked)
        assert rest == [first] * 5
        assert first.pending_account_id == NEW
        await asyncio.gather(counts(one, NEW), counts(other, NEW))
        assert await types(one) == await types(other) == DONE


async def test_payees_are_listed_in_pages_each_once_as_it_stands(counter: Counter) -> None:
    ids = sorted(f"seller-{n}" for n in range(5))
    for number, user_id in enumerate(ids):
        account_id = f"acc_{number:014}"
        request = rpc.RegisterPayeeRequest(user_id=user_id, account_id=account_id)
        await counter.call(request, "service-1", "service")
    await name(counter, NEW)
    listed: list[rpc.Payee] = []
    token = ""
    while True:
        page = rpc.ListPayeesRequest(page_size=2, page_token=token)
        answer = await counter.call(page, "admin-1", "admin")
        listed += answer.payees
        token = answer.next_page_token
        if not token:
            break
        assert len(answer.payees) == 2
    assert [one.user_id for one in listed] == ids
    assert [one.user_id for one in listed if one.pending_account_id == NEW] == [SELLER]
    waiting = rpc.ListPayeesRequest(waiting=True)
    answer = await counter.call(waiting, "admin-1", "admin")
    assert [one.user_id for one in answer.payees] == [SELLER]


async def test_a_list_of_payees_is_for_keepers_and_its_token_for_its_filter(
    counter: Counter,
) -> None:
    for number in range(2):
        request = rpc.RegisterPayeeRequest(
            user_id=f"{SELLER}~{number}", account_id=f"acc_{number:014}"
        )
        await counter.call(request, "service-1", "service")
    assert await refused(counter, rpc.ListPayeesRequest(), SELLER) == "ROLE_MISSING"
    first = await counter.call(rpc.ListPayeesRequest(page_size=1), "admin-1", "admin")
    other = rpc.ListPayeesRequest(page_token=first.next_page_token, waiting=True)
    assert await refused(counter, other, "admin-1", "admin") == "PAGE_TOKEN_INVALID"
    many = rpc.ListPayeesRequest(page_size=201)
    assert await refused(counter, many, "admin-1", "admin") == "FIELD_INVALID"
