"""A database and an export of the release before this one.

`earlier/` was written by that release: escrows in many states, with all their rows, and their
events as ListEvents answered them.
"""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.books.check import check
from core.law import command as c
from core.law.command import RAZORPAY, SETTLEMENT
from core.law.escrow import Escrow
from core.law.status import AttentionCode
from core.storage.database import connect
from core.storage.migrations import upgrade
from core.storage.store import Store
from scripts import verify
from tests.core.law.story import ADMIN, BUYER, SELLER, bank_dispute
from tests.core.room import Room, open_room
from tests.core.storage.test_migrations import BOTH, Empty
from tests.core.storage.test_position import assert_in_order, everything

EARLIER = Path(__file__).parent / "earlier"
LAST_REVISION = "0006"


@pytest.fixture(params=BOTH)
async def room(request: pytest.FixtureRequest, empty_database_url: Empty) -> AsyncIterator[Room]:
    """A room on the earlier database after its migration."""
    url = await empty_database_url(request.param)
    engine = connect(url)
    await upgrade(engine, LAST_REVISION)
    async with engine.connect() as connection:
        await connection.execution_options(writes=True)
        async with connection.begin():
            await connection.run_sync(_fill)
    await upgrade(engine)
    await engine.dispose()
    async with open_room(url) as room:
        yield room


def _fill(connection: sa.Connection) -> None:
    inspected = sa.MetaData()
    for name, rows in _earlier()["tables"].items():
        if rows:
            table = sa.Table(name, inspected, autoload_with=connection)
            connection.execute(sa.insert(table), [_plain(row) for row in rows])


def _earlier() -> Any:
    return json.loads((EARLIER / "database.json").read_text())


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: base64.b64decode(value["base64"]) if isinstance(value, dict) else value
        for key, value in row.items()
    }


async def named(room: Room, name: str) -> Escrow:
    return await room.escrow(_earlier()["names"][name])


async def findings(store: Store) -> list[str]:
    books = await store.books(after_id="", limit=100)
    assert len(books) == len(_earlier()["names"])
    return [f"{f.check}: {f.message}" for book in books for f in check(book)]


async def test_its_books_are_balanced_after_the_migration(room: Room) -> None:
    assert await findings(room.store) == []


async def test_its_events_have_positions_and_those_to_come_stand_behind_them(room: Room) -> None:
    before = await everything(room.store.positions)
    assert len(before) == len(_earlier()["tables"]["events"])
    assert_in_order(before)
    held = await named(room, "held")
    await room.tell(held.escrow_id, c.AddConfirmation(), BUYER)
    await room.place()
    *same, new = await everything(room.store.positions)
    assert same == before
    assert (new.escrow_id, new.version) == (held.escrow_id, held.version + 1)
    assert_in_order([*same, new])


async def test_what_it_said_of_attention_is_an_item_of_the_list(room: Room) -> None:
    for name, code in (
        ("settling_without_payee", AttentionCode.PAYEE_MISSING),
        ("lost", AttentionCode.BANK_DISPUTE),
        ("surplus", AttentionCode.SURPLUS_PAYMENT),
    ):
        assert [item.code for item in (await named(room, name)).attentions] == [code]
    assert (await named(room, "held")).attentions == ()


async def test_its_escrows_go_on(room: Room) -> None:
    held = await named(room, "held")
    await room.tell(held.escrow_id, c.AddConfirmation(), BUYER)
    await room.tell(held.escrow_id, c.CompleteSettlement(), SETTLEMENT)
    assert (await room.escrow(held.escrow_id)).status == "RELEASED"
    disputed = await named(room, "disputed")
    verdict = c.ResolveDispute(50_000, 50_000, "Half is fair")
    await room.tell(disputed.escrow_id, verdict, ADMIN)
    stuck = await named(room, "settling_without_payee")
    override = c.OverrideSettlement(0, 100_000, "No account", seen_version=stuck.version)
    await room.tell(stuck.escrow_id, override, ADMIN)
    refunding = await named(room, "refunding")
    await room.tell(
        refunding.escrow_id,
        c.ReportRefund("rfnd_1", refunding.payment.payment_id, 100_000, ""),
        RAZORPAY,
    )
    await room.tell(refunding.escrow_id, c.CompleteSettlement(), SETTLEMENT)
    initiated = await named(room, "initiated")
    await room.tell(initiated.escrow_id, c.AcceptEscrow(), SELLER)
    parts = await named(room, "milestones")
    await room.tell(parts.escrow_id, c.RefundEscrow(part_id="m2"), SELLER)
    assert await findings(room.store) == []


async def test_a_dispute_that_was_lost_then_ends_now(room: Room) -> None:
    lost = await named(room, "lost")
    payment_id = lost.payment.payment_id
    await room.tell(lost.escrow_id, bank_dispute("lost", payment_id=payment_id), RAZORPAY)
    await room.tell(lost.escrow_id, c.TakeBack("disp_1", 100_000), SETTLEMENT)
    await room.tell(lost.escrow_id, c.CompleteSettlement(), SETTLEMENT)
    ended = await room.escrow(lost.escrow_id)
    assert (ended.status, ended.refunded_by, ended.attentions) == ("REFUNDED", "bank", ())
    assert await findings(room.store) == []


async def test_its_payee_is_the_account_that_was_named_last(room: Room) -> None:
    payee = await room.store.payee("seller-1")
    assert payee is not None
    assert (payee.version, payee.account_id) == (2, "acc_Seller00000002")
    assert (payee.effective_us, payee.pending_us) == (payee.create_time_us, None)
    events = await room.store.payee_events("seller-1", 0, 10)
    assert [one.type for one in events] == ["REGISTERED", "REGISTERED"]


def test_its_export_still_verifies(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify.main([str(EARLIER / "export.json")]) == 0
    assert "changed" not in capsys.readouterr().out


def test_its_export_does_not_verify_where_somebody_changed_it(tmp_path: Path) -> None:
    changed = tmp_path / "export.json"
    changed.write_text((EARLIER / "export.json").read_text().replace("100000", "100001", 1))
    assert verify.main([str(changed)]) == 1
