"""Core's metrics: what an operator alerts on, true at each scrape."""

import aiohttp
import pytest
from pydantic import SecretStr

from core.config import Settings
from core.law import command as c
from core.law.command import SETTLEMENT
from core.law.status import AttentionCode
from core.server import serving
from core.storage.trip import inbox
from holdfast.metrics import PortTaken, served
from scripts.sandbox import Sandbox
from tests.core.counter import SECRET, Counter
from tests.core.room import Room, recon_row
from tests.fakes.port import free_port


async def scrape(port: int, path: str = "/metrics") -> tuple[int, dict[str, float]]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as told:
        lines = [one for one in (await told.text()).splitlines() if not one.startswith("#")]
        pairs = (line.rsplit(" ", 1) for line in lines if told.status == 200)
        return told.status, {name: float(value) for name, value in pairs}


async def test_what_an_operator_alerts_on_is_there(database_url: str) -> None:
    port = free_port()
    async with Sandbox(process_delay_s=0.01) as sandbox:
        settings = Settings(
            database_url=database_url,
            core_listen="127.0.0.1:0",
            metrics_listen=f"127.0.0.1:{port}",
            jwt_secret=SecretStr(SECRET),
            razorpay_key_id=sandbox.key_id,
            razorpay_key_secret=SecretStr(sandbox.key_secret),
            razorpay_base_url=sandbox.base_url,
        )
        async with serving(settings) as core:
            rooms = core.rooms
            await rooms.gateway.disputes(0)
            async with rooms.store.write() as transaction:
                rows = [recon_row("pay_1"), recon_row("pay_2", message="is not explained")]
                await transaction.recon.save("2999-12-31", 0, rows)
                an_hour_ago_us = rooms.now_us() - 3_600_000_000
                await transaction.recon.looked("2999-12-31", now_us=an_hour_ago_us, due_us=None)
            assert await rooms.auditor.look_due() is not None
            status, told = await scrape(port)
            assert status == 200
            assert told["holdfast_core_able_to_commit"] == 1
            assert told["holdfast_core_clock_believed"] == 1
            assert told["holdfast_core_last_commit_age_seconds"] < 60
            assert {
                f'holdfast_core_loop_alive{{loop="{name}"}}'
                for name in (
                    "executor",
                    "inbox",
                    "pruning",
                    "settlement",
                    "reconciliation",
                    "bank_disputes",
                    "books",
                    "recon",
                    "balances",
                    "deadlines",
                    "watchers",
                    "followers",
                    "clock",
                    "webhooks",
                    "delivery_pruning",
                )
            } <= {name for name, value in told.items() if value == 1}
            assert told['holdfast_core_oldest_work_age_seconds{kind="owed"}'] == 0
            assert told["holdfast_core_feed_position"] == 0
            assert told["holdfast_core_feed_waiting"] == 0
            assert told["holdfast_core_feed_waiting_age_seconds"] == 0
            assert told['holdfast_core_webhook_endpoints{state="well"}'] == 0
            assert told['holdfast_core_webhook_endpoints{state="failing"}'] == 0
            assert told['holdfast_core_webhook_endpoints{state="disabled"}'] == 0
            assert told["holdfast_core_webhook_deliveries_pending"] == 0
            assert told["holdfast_core_webhook_oldest_due_age_seconds"] == 0
            assert told["holdfast_core_recon_findings"] == 1
            assert 3_600 <= told["holdfast_core_recon_look_age_seconds"] < 3_700
            assert told["holdfast_core_books_findings"] == 0
            assert told["holdfast_core_books_check_age_seconds"] < 60
            assert told["holdfast_core_books_walk_age_seconds"] < 60
            assert told["holdfast_core_books_walk_checked"] == 0
            assert told["holdfast_core_books_walk_total"] == 0
            assert told['holdfast_core_razorpay_calls_total{outcome="ok"}'] == 1
            assert (await scrape(port, "/"))[0] == 404


async def test_attention_is_counted_by_its_code_and_work_by_its_age(counter: Counter) -> None:
    rooms = counter.core.rooms
    escrow = await counter.create()
    problem = c.FailSettlement("The seller has no account.", "", AttentionCode.PAYEE_MISSING)
    for _ in range(2):
        await rooms.executor.execute(
            problem, escrow_id=escrow.escrow_id, caller=SETTLEMENT, cause="settle:test"
        )
    assert await rooms.vitals.attention() == {"PAYEE_MISSING": 1}
    await rooms.store.transact(inbox.keep(event_id="late", body=b"{}", now_us=1))
    assert (await rooms.vitals.oldest_work(rooms.now_us()))["inbox"] == 1


@pytest.mark.postgres
async def test_what_waits_for_a_position_is_counted_with_its_age(
    two_rooms: tuple[Room, Room],
) -> None:
    room, positions = two_rooms[0], two_rooms[0].store.positions
    assert await positions.waiting() == (0, None)
    first = await room.escrow(await room.create())
    await room.create()
    assert await positions.waiting() == (2, first.create_time_us)
    await room.place()
    assert (await positions.waiting(), await positions.newest()) == ((0, None), 2)


async def test_a_stuck_escrow_is_one_warning_with_its_id_and_code(
    lite: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    escrow = await lite.create()
    problem = c.FailSettlement("Razorpay refuses the transfer.", "")
    for number in range(3):
        await lite.core.rooms.executor.execute(
            problem, escrow_id=escrow.escrow_id, caller=SETTLEMENT, cause=f"settle:{number}"
        )
    told = [r.getMessage() for r in caplog.records if escrow.escrow_id in r.getMessage()]
    assert told == [
        f"escrow {escrow.escrow_id} needs attention: GATEWAY_REFUSED:"
        " Razorpay refuses the transfer."
    ]


async def test_a_port_that_is_taken_is_told_by_the_name_of_its_setting() -> None:
    async def nothing() -> bytes:
        return b""

    async with served("127.0.0.1:0", nothing) as port:
        with pytest.raises(PortTaken, match="METRICS_LISTEN"):
            async with served(f"127.0.0.1:{port}", nothing):
                raise AssertionError("it was not taken")
