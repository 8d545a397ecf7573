"""One browser: every frame, in its place."""

from escrow.v1 import escrow_pb2 as pb

from tests.fakes.bridge import Bridge
from tests.fakes.core import FakeCore


async def test_a_payment_is_told_as_status_then_change_then_update(
    bridge: Bridge, core: FakeCore
) -> None:
    await core.create("e1")
    async with bridge.browser() as browser:
        subscribed = await browser.subscribe("e1")
        assert (subscribed["version"], subscribed["data"]["status"]) == (1, "INITIATED")
        await core.append(
            "e1",
            pb.EVENT_TYPE_PAYMENT_CAPTURED,
            status=pb.ESCROW_STATUS_HELD,
            payment_status=pb.PAYMENT_STATUS_CAPTURED,
        )
        frames = [await browser.next() for _ in range(3)]
    place = {"escrow_id": "e1", "version": 2}
    assert frames[0] == {"type": "payment_status", **place, "status": "captured"}
    change = {"old_status": "INITIATED", "new_status": "HELD"}
    assert frames[1] == {"type": "status_change", **place, **change}
    assert frames[2]["type"] == "escrow_update"
    assert frames[2]["data"]["event_type"] == "payment_captured"
