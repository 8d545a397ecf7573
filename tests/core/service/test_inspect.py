"""InspectEscrow and RetrySettlement: what Razorpay has, and what has stopped tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from escrow.v1 import admin_service_pb2 as admin
from escrow.v1 import escrow_pb2 as pb
from escrow.v1 import escrow_service_pb2 as escrows
from escrow.v1 import payment_service_pb2 as payments

from core.service.admin import INSPECTIONS_A_MINUTE
from tests.core.counter import Counter, Failed, pay

ADMIN = ("admin-1", "admin")
GOOD, BAD = "acc_Good0000000001", "acc_inactive000001"
ALIKE = admin.ENTITY_VERDICT_AGREES


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - the condition is not ours to signal
            await asyncio.sleep(0.02)


async def held(counter: Counter, account_id: str = GOOD) -> str:
    """Answer an escrow whose payment is captured."""
    if account_id:
        await name_account(counter, account_id)
    escrow = await counter.create()
    await counter.call(await pay(counter, escrow.escrow_id))
    return escrow.escrow_id


async def name_account(counter: Counter, account_id: str) -> None:
    request = payments.RegisterPayeeRequest(user_id="seller-1", account_id=account_id)
    await counter.call(request, *ADMIN)


async def read(counter: Counter, escrow_id: str) -> pb.Escrow:
    answer = await counter.call(escrows.GetEscrowRequest(escrow_id=escrow_id), *ADMIN)
    escrow: pb.Escrow = answer.escrow
    return escrow


async def reaches(counter: Counter, escrow_id: str, code: int) -> None:
    async def is_told() -> bool:
        return [one.code for one in (await read(counter, escrow_id)).attentions] == [code]

    await until(is_told)


async def inspect(counter: Counter, escrow_id: str) -> admin.InspectEscrowResponse:
    request = admin.InspectEscrowRequest(escrow_id=escrow_id)
    answer: admin.InspectEscrowResponse = await counter.call(request, *ADMIN)
    return answer


async def retry(counter: Counter, escrow_id: str, **more: Any) -> pb.Escrow:
    request = admin.RetrySettlementRequest(escrow_id=escrow_id, **more)
    answer: pb.Escrow = (await counter.call(request, *ADMIN)).escrow
    return answer


async def refused(counter: Counter, request: Any, *who: str) -> tuple[str, str]:
    with pytest.raises(Failed) as failed:
        await counter.call(request, *who)
    return failed.value.code, failed.value.reason


async def test_an_inspection_shows_order_payment_and_transfer_beside_the_record(
    lite: Counter,
) -> None:
    escrow_id = await held(lite)
    told: admin.InspectEscrowResponse | None = None

    async def agrees() -> bool:
        nonlocal told
        told = await inspect(lite, escrow_id)
        return len(told.entities) == 3 and all(one.verdict == ALIKE for one in told.entities)

    await until(agrees)
    assert told is not None
    order, payment, transfer = told.entities
    assert order.entity_id.startswith("order_")
    assert (payment.found.amount_minor, payment.recorded.amount_minor) == (100_000, 100_000)
    assert (transfer.on_hold, transfer.account_id, transfer.found.amount_minor) == (
        True,
        GOOD,
        97_500,
    )


async def test_an_escrow_without_an_order_has_nothing_to_inspect(lite: Counter) -> None:
    escrow = await lite.create()
    assert list((await inspect(lite, escrow.escrow_id)).entities) == []


async def test_an_inspection_is_for_admins_and_of_what_exists(lite: Counter) -> None:
    escrow = await lite.create()
    request = admin.InspectEscrowRequest(escrow_id=escrow.escrow_id)
    for who in (("buyer-1",), ("service-1", "service")):
        assert await refused(lite, request, *who) == ("PERMISSION_DENIED", "ROLE_MISSING")
    request.escrow_id = "no such"
    assert await refused(lite, request, *ADMIN) == ("NOT_FOUND", "ESCROW_NOT_FOUND")


async def test_too_many_inspections_in_a_minute_are_refused(lite: Counter) -> None:
    escrow = await lite.create()
    for _ in range(INSPECTIONS_A_MINUTE):
        await inspect(lite, escrow.escrow_id)
    request = admin.InspectEscrowRequest(escrow_id=escrow.escrow_id)
    assert await refused(lite, request, *ADMIN) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")


async def test_without_razorpay_an_inspection_says_so_soon(lite: Counter) -> None:
    escrow_id = await held(lite)
    await lite.sandbox.stop()
    request = admin.InspectEscrowRequest(escrow_id=escrow_id)
    assert await refused(lite, request, *ADMIN) == ("UNAVAILABLE", "GATEWAY_UNAVAILABLE")


async def test_a_release_that_stopped_goes_on_once_and_ends_paid(lite: Counter) -> None:
    escrow_id = await held(lite, BAD)
    await lite.call(escrows.ReleaseEscrowRequest(escrow_id=escrow_id), *ADMIN)
    await reaches(lite, escrow_id, pb.ATTENTION_CODE_PAYEE_REFUSED)
    lite.sandbox.books.account_status[BAD] = "activated"
    for _ in range(2):
        await retry(lite, escrow_id, note="KYC is done.", request_id="again")

    async def is_paid() -> bool:
        return (await read(lite, escrow_id)).status == pb.ESCROW_STATUS_RELEASED

    await until(is_paid)
    listed = await lite.call(escrows.ListEventsRequest(escrow_id=escrow_id), *ADMIN)
    retries = [one for one in listed.events if "retry" in one.data.fields]
    assert [one.data["note"] for one in retries] == ["KYC is done."]
    assert not (await read(lite, escrow_id)).attentions


async def test_a_hold_that_stopped_is_tried_again_without_an_event_of_its_own(
    lite: Counter,
) -> None:
    escrow_id = await held(lite, BAD)
    await reaches(lite, escrow_id, pb.ATTENTION_CODE_PAYEE_REFUSED)
    before = await read(lite, escrow_id)
    assert (await retry(lite, escrow_id)).version == before.version


async def test_what_has_not_stopped_is_not_tried_again(lite: Counter) -> None:
    escrow = await lite.create()
    request = admin.RetrySettlementRequest(escrow_id=escrow.escrow_id)
    assert await refused(lite, request, *ADMIN) == ("FAILED_PRECONDITION", "WRONG_STATUS")
    assert await refused(lite, request, "buyer-1") == ("PERMISSION_DENIED", "ROLE_MISSING")
