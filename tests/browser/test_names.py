"""People by their names, and by their ids where money depends on who it is."""

import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.stack import Api
from tests.browser.visitor import PHONE, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUYER, SELLER = "आशा वर्मा", "ravi kumar van Deventer"
# What is drawn in the mark, and how its letters stand out from it.
MARK = """mark => {
    const lightness = (color) => {
        const parts = color.match(/[\\d.]+/g).slice(0, 3).map((part) => {
            const one = part / 255;
            return one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const style = getComputedStyle(mark);
    const [one, other] = [style.color, style.backgroundColor].map(lightness).sort((a, b) => b - a);
    const letters = getComputedStyle(mark, '::before').content.slice(1, -1);
    return { letters, contrast: (one + 0.05) / (other + 0.05) };
}"""
CASES = "all => all.map((one) => getComputedStyle(one).textTransform)"
ASK = """async ([token, ids]) => {
    const query = new URLSearchParams(ids.map((id) => ['user_ids', id]));
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`/api/v1/profiles?${query}`, { headers });
    return (await answer.json()).profiles;
}"""


def person(place: Page | Locator, user_id: str) -> Locator:
    return place.locator(f"[data-person='{user_id}']")


async def letters(place: Page | Locator, user_id: str) -> str:
    """Answer the initials of a person; they must be easy to read."""
    mark = person(place, user_id).locator("[data-initials]").first
    told = await mark.evaluate(MARK)
    assert told["contrast"] >= 4.5, (user_id, told)
    return str(told["letters"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_name_is_shown_as_it_is_typed_with_the_id_beside_it(
    visit: Visit, api: Api, scheme: str
) -> None:
    buyer_id, seller_id, arbiter_id = (f"{one}-{scheme}" for one in ("asha", "Ravi", "meera"))
    await api.call(buyer_id, BUYER)
    await api.call(seller_id, SELLER)
    escrow_id = await api.create(buyer_id, seller_id, 5_000, arbiter_id=arbiter_id)
    await api.pay(escrow_id, buyer_id)
    buyer = await visit(buyer_id, color_scheme=scheme)
    page = buyer.page
    row = page.locator(f"li[data-escrow='{escrow_id}']")
    await expect(row).to_contain_text(f"You buy from {SELLER}")
    await expect(row).to_have_attribute("title", f"{buyer_id} → {seller_id}")
    await expect(page.locator("header")).to_contain_text(BUYER)

    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/profiles?" in one.url else None)
    await buyer.open(escrow_id)
    facts = page.get_by_role("region", name="Agreed")
    await expect(person(facts, seller_id)).to_have_text(f"{SELLER}{seller_id}")
    await expect(person(facts, buyer_id)).to_have_text(f"{BUYER} (you){buyer_id}")
    await expect(person(facts, arbiter_id)).to_have_text(arbiter_id)
    assert await letters(facts, seller_id) == "rD"
    assert await letters(facts, buyer_id) == "आव"
    assert await letters(facts, arbiter_id) == "m"
    # Each is asked about once, in one call, or in two if the head of the page, with the user,
    # stands before the escrow has come.
    calls = [re.findall("user_ids=([^&]+)", one) for one in asked]
    everybody = [buyer_id, seller_id, arbiter_id]
    assert calls in ([everybody], [everybody[:1], everybody[1:]])
    await buyer.reads(f"Now: {SELLER} delivers")
    people = page.locator("[data-person], [data-person] *")
    assert set(await people.evaluate_all(CASES)) == {"none"}

    await buyer.press("I have received it")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(f"I have received it, pay {SELLER}")
    await expect(person(dialog, seller_id)).to_contain_text(seller_id)
    await expect(person(dialog, buyer_id)).to_contain_text(f"{BUYER} (you)")
    assert await letters(dialog, seller_id) == "rD"
    await page.set_viewport_size(PHONE)
    await buyer.fits()
    await buyer.answer("I have received it, pay")
    await expect(page.get_by_role("main")).to_contain_text(f"by {BUYER}")


async def test_who_decides_sees_names_and_ids_of_both_sides(visit: Visit, api: Api) -> None:
    # Two people of one name.
    await api.call("sita-1", "Sita Rao")
    await api.call("sita-2", "SITA RAO")
    await api.call("judge", "Meera Nair")
    escrow_id = await api.create("sita-1", "sita-2", 800, arbiter_id="judge")
    await api.pay(escrow_id, "sita-1")
    await api.do(escrow_id, "dispute", "sita-1", reason="It is dented")
    judge = await visit("judge", PHONE)
    await judge.open(escrow_id)
    await judge.reads("Sita Rao (sita-1) objects")
    await judge.press("Decide")
    dialog = judge.page.get_by_role("dialog")
    for user_id, name in (("sita-1", "Sita Rao"), ("sita-2", "SITA RAO")):
        await expect(person(dialog, user_id).first).to_have_text(f"{name}{user_id}")
    await expect(dialog.get_by_role("button", name="SITA RAO (sita-2)").first).to_be_visible()
    await judge.fits()


async def test_a_stranger_reads_no_name_and_whoever_has_dealt_with_the_person_does(
    visit: Visit, api: Api
) -> None:
    await api.call("gopal", "Gopal Das")
    await api.create("kiran", "gopal", 700)
    for reader, name in (("kiran", "Gopal Das"), ("stranger", "")):
        visitor = await visit(reader)
        told = await visitor.page.evaluate(ASK, [await api.token(reader), ["gopal", "nobody"]])
        assert [one["display_name"] for one in told] == ([name] if name else [])
        async with visitor.page.expect_response(re.compile(r"/profiles\?.*gopal")) as answered:
            await visitor.page.goto(f"{visitor.url}/new")
            await visitor.page.get_by_label("Who is the seller?").fill("gopal")
        assert (await answered.value).ok
        known = person(visitor.page, "gopal")
        if name:
            await expect(known).to_have_text("Gopal Dasgopal")
        await visitor.reads("gopal must accept" if not name else "Gopal Das must accept")
        assert await known.count() == (1 if name else 0)


async def test_the_invitation_names_whom_it_is_for(visit: Visit, api: Api) -> None:
    await api.call("guest", "Farida Sheikh")
    await api.create("host", "guest", 900, terms={"acceptance_required": True})
    host = await visit("host", PHONE)
    await host.page.get_by_role("link", name="Oak table").click()
    await expect(host.page.get_by_label("Send Farida Sheikh this link")).to_be_visible()
    todo = host.page.get_by_role("region", name="What now")
    await expect(person(todo, "guest")).to_have_text("Farida Sheikhguest")
    await host.fits()


async def test_the_demos_people_have_names(visit: Visit, api: Api) -> None:
    visitor = await visit("somebody")
    await visitor.page.get_by_role("button", name="Account: somebody").click()
    await visitor.page.get_by_role("menuitem", name="Log out").click()
    await visitor.page.get_by_role("button", name="meera").click()
    await visitor.sees_connection("Live")
    account = visitor.page.get_by_role("button", name="Account: meera")
    await expect(account).to_have_text("Meera Nair")


async def test_the_longest_names_fit_a_phone(visit: Visit, api: Api) -> None:
    people = ("wide-buyer", "wide-seller", "wide-judge")
    for user_id in people:
        await api.call(user_id, f"{user_id[5].upper()}{'m' * 79}")
    escrow_id = await api.create(people[0], people[1], 600, arbiter_id=people[2])
    await api.pay(escrow_id, people[0])
    buyer = await visit(people[0], PHONE)
    await buyer.fits()
    await buyer.open(escrow_id)
    await expect(person(buyer.page, people[1]).first).to_contain_text("Smmm")
    await buyer.fits()
    await buyer.press("I have received it")
    await buyer.fits()
    await buyer.press("Back")
    await buyer.page.get_by_role("button", name="Account: ").click()
    await expect(buyer.page.get_by_role("menuitem", name="Log out")).to_be_visible()
    await buyer.fits()
    await api.do(escrow_id, "dispute", people[0], reason="It is dented")
    judge = await visit(people[2], PHONE)
    await judge.open(escrow_id)
    await judge.fits()
    await judge.press("Decide")
    await expect(judge.page.get_by_role("dialog")).to_contain_text("All to Smmm")
    await judge.fits()
