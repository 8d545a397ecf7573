"""Names through the JSON API: the platform gives them, and people read those of one another."""

from typing import Any

from tests.fakes.database import on_both
from tests.fakes.deal import Deal
from tests.fakes.rpc import Caller
from tests.fakes.stack import Client

pytestmark = on_both("stack")

PATH = "/api/v1/profiles"


async def ask(
    client: Client, caller: Caller, verb: str, path: str, key: str = "", **what: Any
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {caller.token}"}
    if key:
        headers["Idempotency-Key"] = key
    url = client.stack.bridge_url + path
    async with client.http.request(verb, url, headers=headers, **what) as answer:
        return answer.status, await answer.json()


async def put(
    client: Client, caller: Caller, user_id: str, name: str, key: str = ""
) -> tuple[int, dict[str, Any]]:
    body = {"display_name": name}
    return await ask(client, caller, "PUT", f"{PATH}/{user_id}", key, json=body)


async def names(client: Client, reader: Caller, *people: Caller) -> dict[str, str]:
    params = [("user_ids", one.user_id) for one in people]
    status, told = await ask(client, reader, "GET", PATH, params=params)
    assert status == 200, told
    return {one["user_id"]: one["display_name"] for one in told["profiles"]}


async def test_a_name_that_the_platform_gives_is_read_by_who_deals_with_the_person(
    client: Client, deal: Deal
) -> None:
    await deal.agree()
    buyer, seller, arbiter = deal.buyer, deal.seller, deal.arbiter
    given = {buyer.user_id: "Asha Verma", seller.user_id: "रवि कुमार"}
    for user_id, name in given.items():
        told = await put(client, deal.service, user_id, f" {name} ")
        assert told == (200, {"profile": {"user_id": user_id, "display_name": name}})
    for reader in (buyer, seller, arbiter, deal.service, client.caller("admin", "admin")):
        assert await names(client, reader, buyer, seller, arbiter) == given
    stranger = client.caller("stranger")
    assert await names(client, stranger, buyer, seller) == {}
    assert await names(client, stranger, stranger) == {}


async def test_a_user_gives_nobody_a_name_and_a_bad_one_is_explained(
    client: Client, deal: Deal
) -> None:
    status, told = await put(client, deal.buyer, deal.buyer.user_id, "Me")
    assert (status, told["error"]["reason"]) == (403, "ROLE_MISSING")
    status, told = await put(client, deal.service, deal.buyer.user_id, "Asha\u202e")
    assert (status, told["error"]["reason"]) == (400, "FIELD_INVALID")
    (field,) = told["error"]["fields"]
    assert field["field"] == "display_name"
    assert field["message"].endswith("take them out")
    assert await names(client, deal.service, deal.buyer) == {}


async def test_a_repeat_by_its_key_undoes_nothing_and_an_empty_name_deletes(
    client: Client, deal: Deal
) -> None:
    user_id = deal.buyer.user_id
    key = f"key-{user_id}"
    first = await put(client, deal.service, user_id, "Asha", key)
    await put(client, deal.service, user_id, "Asha Verma")
    assert await put(client, deal.service, user_id, "Asha", key) == first
    assert await names(client, deal.buyer, deal.buyer) == {user_id: "Asha Verma"}
    status, told = await put(client, deal.service, user_id, "Ravi", key)
    assert (status, told["error"]["reason"]) == (409, "REQUEST_ID_REUSED")
    assert (await put(client, deal.service, user_id, ""))[0] == 200
    assert await names(client, deal.buyer, deal.buyer) == {}


async def test_a_hundred_people_are_asked_about_in_one_call(client: Client, deal: Deal) -> None:
    people = [client.caller(f"{'x' * 40}-{at}") for at in range(99)]
    await put(client, deal.service, deal.buyer.user_id, "Asha")
    told = await names(client, deal.buyer, *people, deal.buyer)
    assert told == {deal.buyer.user_id: "Asha"}
