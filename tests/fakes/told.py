"""What a browser that follows `*` is told, as positions, escrows and versions."""

from typing import Any

from tests.fakes.bridge import token
from tests.fakes.browser import Browser
from tests.fakes.core import FakeCore

Told = tuple[int, str, int]


def admin(user_id: str = "root", role: str = "admin") -> str:
    """A token that may see everything."""
    return token(user_id, roles=[role])


async def resume(browser: Browser, after: int | None, **fields: Any) -> list[Told]:
    """Subscribe after a position; answer the updates that came before the answer, in order."""
    if after is not None:
        fields["after"] = after
    await browser.send("subscribe", escrow_id="*", **fields)
    told = [await browser.next()]
    while (told[-1]["type"], told[-1]["escrow_id"]) != ("subscribed", "*"):
        told.append(await browser.next())
    assert all("position" in frame for frame in told)
    places = [place(frame) for frame in told if frame["type"] == "escrow_update"]
    assert told[-1]["position"] >= max([after or 0, *(position for position, _, _ in places)])
    return places


async def updates(browser: Browser, count: int) -> list[Told]:
    """The next so many updates, and no error before them."""
    found: list[Told] = []
    while len(found) < count:
        frame = await browser.next()
        assert frame["type"] != "error", frame
        if frame["type"] == "escrow_update":
            found.append(place(frame))
    return found


def place(frame: dict[str, Any]) -> Told:
    """What an update tells of."""
    return frame["position"], frame["escrow_id"], frame["version"]


def missed(core: FakeCore, after: int, user_id: str | None = "buyer") -> list[Told]:
    """What a user has to be told after a position; None is an admin."""
    return [
        (position, event.escrow_id, event.version)
        for position, event in enumerate(core.order, start=1)
        if position > after and user_id in (None, event.escrow.buyer_id, event.escrow.seller_id)
    ]
