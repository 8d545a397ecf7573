"""Copies of escrows: a core that is started on them takes each for a true one."""

import json
import shutil
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import pytest
from escrow.v1 import escrow_pb2

from scripts.bench.bulk import story
from scripts.bench.bulk.mould import Mould, Unfit
from scripts.bench.bulk.write import Bulk, write
from scripts.bench.process import Broken
from scripts.bench.stack import Stack
from scripts.verify import first_fault

COPIES = 40
CALL_LIMIT_S = 15.0


class Plain:
    """Makes the calls that the load generator would make, one after another."""

    def call(
        self, target: str, method: str, token: str, *bodies: bytes, at_once: int = 1
    ) -> list[bytes]:
        with grpc.insecure_channel(target) as channel:
            ask: Any = channel.unary_unary(method)
            metadata = (("authorization", f"Bearer {token}"),)
            return [
                ask(body, metadata=metadata, timeout=CALL_LIMIT_S, wait_for_ready=True)
                for body in bodies
            ]

    def begin(self, op: str, **args: Any) -> Future[dict[str, Any]]:
        raise AssertionError("nothing here waits for an answer")

    def do(self, op: str, **args: Any) -> dict[str, Any]:
        assert op == "posts"
        for one in args["posts"]:
            request = urllib.request.Request(one["url"], one["body"], one["headers"])
            urllib.request.urlopen(request, timeout=CALL_LIMIT_S).close()
        return {}


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The databases of an escrow that was released, and of one that was cancelled."""
    folder, plain = tmp_path_factory.mktemp("story"), Plain()
    whole = story.told(plain, folder / "whole", story.Teller.released)
    short = story.told(plain, folder / "short", story.Teller.cancelled)
    return whole, short


@pytest.fixture(scope="module")
def bulk(templates: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Bulk:
    whole, short = templates
    made = write(tmp_path_factory.mktemp("bulk") / "b.db", COPIES, (whole, 1), (short, 3))
    # As it was written, for a core changes it.
    shutil.copy(made.path, _before(made))
    return made


def _before(bulk: Bulk) -> Path:
    return bulk.path.with_suffix(".before")


@pytest.fixture(scope="module")
def stack(bulk: Bulk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("core"), Plain(), database_url=bulk.url)
    try:
        running.start_core()
        yield running
    finally:
        running.kill()


def _rows(bulk: Bulk, query: str) -> list[Any]:
    connection = sqlite3.connect(_before(bulk))
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_the_history_of_each_copy_is_whole_and_its_own(bulk: Bulk) -> None:
    assert len(set(bulk.escrow_ids)) == COPIES
    seen: set[bytes] = set()
    for escrow_id in bulk.escrow_ids:
        query = f"SELECT body FROM events WHERE escrow_id = '{escrow_id}' ORDER BY version"
        events = [escrow_pb2.EscrowEvent.FromString(body) for (body,) in _rows(bulk, query)]
        assert first_fault(events) is None
        assert {event.escrow_id for event in events} == {escrow_id}
        assert {event.escrow.escrow_id for event in events} == {escrow_id}
        seen.add(events[-1].hash)
    assert len(seen) == COPIES
    assert bulk.events == _rows(bulk, "SELECT COUNT(*) FROM events")[0][0]


def test_one_in_so_many_went_the_whole_way(bulk: Bulk) -> None:
    counts = dict(_rows(bulk, "SELECT status, COUNT(*) FROM escrows GROUP BY status"))
    assert counts == {"RELEASED": COPIES // 4, "CANCELLED": COPIES - COPIES // 4}


def test_core_has_to_ask_about_the_copies_over_hours_and_not_at_once(bulk: Bulk) -> None:
    with sqlite3.connect(bulk.path) as connection:
        due = [row[0] for row in connection.execute("SELECT due_us FROM checks ORDER BY due_us")]
    assert due
    hours = [(one - time.time_ns() // 1000) / 3_600e6 for one in due]
    assert hours[0] > -0.1
    assert hours[-1] < 6
    assert len(set(due)) == len(due)


def test_core_finds_nothing_wrong_with_any_of_them(stack: Stack, bulk: Bulk) -> None:
    assert [stack.api.check(escrow_id) for escrow_id in bulk.escrow_ids] == [[]] * COPIES


def test_the_balances_are_those_of_all_postings(stack: Stack, bulk: Bulk) -> None:
    query = (
        "SELECT account, SUM(amount_minor) FROM postings"
        " WHERE account NOT LIKE 'escrow:%' GROUP BY account"
    )
    posted = dict(_rows(bulk, query))
    assert {account for account, _ in bulk.balances} == set(posted)
    assert {account: stack.api.balance(account) for account in posted} == posted
    assert posted["razorpay:balance"] != 0


def test_core_goes_on_with_a_copied_database(stack: Stack, bulk: Bulk) -> None:
    created = stack.api.create([("asha", "ravi")])
    stack.api.publish([created[0], bulk.escrow_ids[1]])
    assert stack.api.check(bulk.escrow_ids[1]) == []


def test_an_event_whose_hash_is_made_in_another_way_is_refused(
    templates: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(templates[1].read_bytes())
    connection = sqlite3.connect(path)
    body = connection.execute("SELECT body FROM events WHERE version = 1").fetchone()[0]
    event = escrow_pb2.EscrowEvent.FromString(body)
    event.actor_id = "mallory"
    changed = event.SerializeToString(deterministic=True)
    connection.execute("UPDATE events SET body = ? WHERE version = 1", (changed,))
    connection.commit()
    connection.close()
    with pytest.raises(Unfit):
        Mould(path)
    assert issubclass(Unfit, Broken)


def test_the_story_is_told_with_ids_that_can_be_replaced(bulk: Bulk) -> None:
    causes = [cause for (cause,) in _rows(bulk, "SELECT cause FROM events")]
    assert len(set(causes)) == bulk.events
    buyers = {buyer for (buyer,) in _rows(bulk, "SELECT buyer_id FROM escrows")}
    assert buyers == set(bulk.buyers(COPIES))
    bodies = [json.loads(body) for (body,) in _rows(bulk, "SELECT body FROM escrows")]
    assert {body["buyer_id"] for body in bodies} == buyers


def test_a_database_that_takes_too_long_gets_fewer_copies(
    templates: tuple[Path, Path], tmp_path: Path
) -> None:
    made = write(tmp_path / "few.db", COPIES, (templates[1], 1), limit_s=0)
    assert made.escrow_ids == []
    assert made.events == 0
