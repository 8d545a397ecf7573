"""A client of the release before this one, which repeats a call after the server was updated."""

import asyncio
from typing import Any

import pytest
from escrow.v1 import escrow_service_pb2 as escrows

from core.law import command as c
from core.law.command import Caller
from core.service import check
from tests.core.counter import Counter, Failed, new_escrow, token
from tests.core.service.test_service import disputed


async def test_the_same_bytes_give_the_first_answer(counter: Counter) -> None:
    request = new_escrow(request_id="one")
    first = await counter.call(request)
    assert await counter.call(request) == first
    assert (first.escrow.terms.acceptance_required, dict(first.escrow.metadata)) == (False, {})


@pytest.mark.parametrize(
    "added",
    [
        {"external_id": "order-17"},
        {"metadata": {"basket": "17"}},
        {"terms": {"acceptance_required": True}},
    ],
    ids=lambda added: str(*added),
)
async def test_the_same_id_with_a_new_field_is_another_request(
    counter: Counter, added: dict[str, Any]
) -> None:
    first = await counter.call(new_escrow(request_id="one"))
    with pytest.raises(Failed) as failed:
        await counter.call(new_escrow(request_id="one", **added))
    assert failed.value.reason == "REQUEST_ID_REUSED"
    read = await counter.call(escrows.GetEscrowRequest(escrow_id=first.escrow.escrow_id))
    assert read.escrow == first.escrow


async def test_a_field_that_this_server_does_not_know_is_part_of_the_body(
    counter: Counter,
) -> None:
    body = new_escrow(request_id="one").SerializeToString()
    bearer = token("buyer-1")
    first = await counter.send("CreateEscrow", body, bearer)
    assert await counter.send("CreateEscrow", body, bearer) == first
    unknown = b"\xfa\x7d\x03new"  # Field 2,015, a text.
    with pytest.raises(Failed) as failed:
        await counter.send("CreateEscrow", body + unknown, bearer)
    assert failed.value.reason == "REQUEST_ID_REUSED"


async def test_a_verdict_from_before_reasons_were_required_is_repeated(counter: Counter) -> None:
    escrow_id = await disputed(counter)
    request = escrows.ResolveDisputeRequest(
        escrow_id=escrow_id, release_minor=60_000, refund_minor=40_000, request_id="one"
    )
    arbiter = Caller("arbiter-1")
    rooms = counter.core.rooms
    await asyncio.wait_for(
        rooms.executor.execute(
            c.ResolveDispute(60_000, 40_000, "As it was before"),
            escrow_id=escrow_id,
            caller=arbiter,
            cause=check.cause(arbiter, "one"),
            fingerprint=check.fingerprint(request),
        ),
        timeout=10,
    )
    repeated = await counter.call(request, "arbiter-1")
    assert repeated.escrow.settlement.release.amount_minor == 60_000
    again = escrows.ResolveDisputeRequest(
        escrow_id=await disputed(counter), release_minor=60_000, refund_minor=40_000
    )
    with pytest.raises(Failed) as failed:
        await counter.call(again, "arbiter-1")
    assert (failed.value.reason, list(failed.value.fields)) == ("FIELD_INVALID", ["note"])
