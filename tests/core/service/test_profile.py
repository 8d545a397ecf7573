"""Names over gRPC: who may give them, and who is told whose."""

import asyncio

import pytest
import sqlalchemy as sa
from escrow.v1 import profile_service_pb2 as rpc

from core.service.profile import MAX_ASKED
from core.storage.profile import calls, profiles
from tests.core.counter import Counter, Failed, new_escrow

PEOPLE = ("buyer-1", "seller-1", "arbiter-1", "stranger-1")
ALIEN = new_escrow(buyer_id="stranger-1", seller_id="other-1", arbiter_id="")
NAMES = {one: f"{one.title()} आशा" for one in PEOPLE}


async def put(counter: Counter, user_id: str, name: str, request_id: str = "", **who: str) -> str:
    request = rpc.PutProfileRequest(user_id=user_id, display_name=name, request_id=request_id)
    answer = await counter.call(request, "platform", who.get("role", "service"))
    assert answer.profile.user_id == user_id
    written: str = answer.profile.display_name
    return written


async def names(counter: Counter, *ids: str, reader: str, role: str = "user") -> dict[str, str]:
    answer = await counter.call(rpc.BatchGetProfilesRequest(user_ids=ids), reader, role)
    told = [(one.user_id, one.display_name) for one in answer.profiles]
    assert told == sorted(told)
    return dict(told)


async def refusal(counter: Counter, user_id: str, name: str, **fields: str) -> Failed:
    with pytest.raises(Failed) as failed:
        await put(counter, user_id, name, **fields)
    return failed.value


async def test_a_user_is_told_the_names_of_whom_they_deal_with_and_of_nobody_else(
    counter: Counter,
) -> None:
    await counter.create()
    await counter.call(ALIEN, "stranger-1")
    for user_id, name in NAMES.items():
        assert await put(counter, user_id, f"  {name} ") == name
    together = {one: NAMES[one] for one in ("buyer-1", "seller-1", "arbiter-1")}
    for reader in together:
        assert await names(counter, *PEOPLE, reader=reader) == together
    own = {"stranger-1": NAMES["stranger-1"]}
    assert await names(counter, *PEOPLE, reader="stranger-1") == own
    assert await names(counter, *PEOPLE, reader="nobody-1") == {}
    for role in ("admin", "service"):
        assert await names(counter, *PEOPLE, reader="boss-1", role=role) == NAMES


async def test_no_arbiter_is_no_bond_between_those_who_have_none(counter: Counter) -> None:
    await counter.create(arbiter_id="")
    await counter.call(ALIEN, "stranger-1")
    await put(counter, "stranger-1", "Sita")
    assert await names(counter, "stranger-1", reader="buyer-1") == {}


async def test_a_name_is_replaced_and_an_empty_one_deletes_it(counter: Counter) -> None:
    for name in ("Asha", "आशा वर्मा", "आशा वर्मा"):
        assert await put(counter, "buyer-1", name) == name
        assert await names(counter, "buyer-1", reader="buyer-1") == {"buyer-1": name}
    assert await put(counter, "buyer-1", " ") == ""
    assert await names(counter, "buyer-1", reader="buyer-1") == {}
    assert await put(counter, "buyer-1", "", "again") == ""
    async with counter.core.rooms.store._engine.connect() as connection:
        assert (await connection.execute(sa.select(profiles))).all() == []
        # Of what was deleted nothing is left but the hash of the call.
        kept = (await connection.execute(sa.select(calls))).all()
        assert all("Asha" not in str(row) and "आशा" not in str(row) for row in kept)


async def test_a_repeated_call_answers_the_same_and_undoes_nothing(counter: Counter) -> None:
    assert await put(counter, "buyer-1", " Asha ", "first") == "Asha"
    assert await put(counter, "buyer-1", "Asha Verma", "second") == "Asha Verma"
    assert await put(counter, "buyer-1", " Asha ", "first") == "Asha"
    assert await names(counter, "buyer-1", reader="buyer-1") == {"buyer-1": "Asha Verma"}
    failed = await refusal(counter, "buyer-1", "Ravi", request_id="first")
    assert (failed.code, failed.reason) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    # Another caller's ids are another's.
    request = rpc.PutProfileRequest(user_id="buyer-1", display_name="Ravi", request_id="first")
    await counter.call(request, "another-platform", "service")
    assert await names(counter, "buyer-1", reader="buyer-1") == {"buyer-1": "Ravi"}


async def test_one_call_made_many_times_at_once_counts_once(counter: Counter) -> None:
    together = [put(counter, "buyer-1", "Asha", "same") for _ in range(8)]
    assert await asyncio.gather(*together) == ["Asha"] * 8
    different = [put(counter, "seller-1", f"Ravi {at}", "one-of-them") for at in range(8)]
    told = await asyncio.gather(*different, return_exceptions=True)
    written = [one for one in told if isinstance(one, str)]
    reasons = {one.reason for one in told if isinstance(one, Failed)}
    assert (len(written), reasons) == (1, {"REQUEST_ID_REUSED"})
    assert await names(counter, "seller-1", reader="seller-1") == {"seller-1": written[0]}


async def test_only_the_platform_says_how_people_are_called(lite: Counter) -> None:
    failed = await refusal(lite, "platform", "Me", role="user")
    assert (failed.code, failed.reason) == ("PERMISSION_DENIED", "ROLE_MISSING")
    assert await put(lite, "buyer-1", "Asha", role="admin") == "Asha"


async def test_a_bad_name_is_refused_with_its_field_and_the_remedy(lite: Counter) -> None:
    await put(lite, "buyer-1", "Asha")
    for name, words in (
        ("a" * 81, "at most 80 characters; shorten it"),
        ("Asha\u202everma", "change the direction of text; take them out"),
        ("R\u0430vi", "look alike; write the word in one script"),
        ("razorpay", "keeps for itself"),
    ):
        failed = await refusal(lite, "buyer-1", name)
        assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
        assert words in failed.fields["display_name"]
        assert failed.message.startswith("display_name: must ")
    assert set((await refusal(lite, "a b", "...")).fields) == {"user_id", "display_name"}
    assert await names(lite, "buyer-1", reader="buyer-1") == {"buyer-1": "Asha"}


async def test_a_batch_is_limited_and_one_bad_id_hides_no_other(counter: Counter) -> None:
    await put(counter, "buyer-1", "Asha")
    filler = [f"user-{at}" for at in range(MAX_ASKED - 3)]
    asked = ["", "a\0b", *filler, "buyer-1"]
    assert await names(counter, *asked, reader="buyer-1") == {"buyer-1": "Asha"}
    with pytest.raises(Failed) as failed:
        await names(counter, *asked, "more", "still more", reader="buyer-1")
    assert failed.value.fields == {"user_ids": "must be at most 100; ask in several calls"}
    assert await names(counter, reader="buyer-1") == {}
