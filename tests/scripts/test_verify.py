"""scripts/verify.py accepts an unchanged history, and names the first event that was changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict

from core.law.command import (
    RAZORPAY,
    Caller,
    Command,
    CreateEscrow,
    PublishUpdate,
    RecordOrder,
    ReportPayment,
)
from core.law.escrow import Escrow
from core.law.record import event_hash, event_message
from core.law.rules import decide
from scripts.verify import main

ID = "5f0c7a0e-0000-4000-8000-000000000001"
COMMANDS: list[tuple[Command, Caller]] = [
    (
        CreateEscrow(ID, "b", "s", "", "Lamp", "", 50_000, "INR", 250, 10**12, 10**12),
        Caller("b"),
    ),
    (RecordOrder("order_1"), Caller("b")),
    (ReportPayment("pay_1", "order_1", "captured", 50_000, "INR", 1_180, 180), RAZORPAY),
    (
        PublishUpdate("shipped", {"eta": 3.5, "tags": ["a", None]}),
        Caller("s", frozenset({"service"})),
    ),
]


@pytest.fixture
def history() -> list[dict[str, Any]]:
    escrow: Escrow | None = None
    previous, events = b"", []
    for now_us, (command, caller) in enumerate(COMMANDS, start=1_700_000_000_123_456):
        event = decide(escrow, command, caller, now_us)
        assert event is not None
        message = event_message(event, previous)
        escrow, previous = event.escrow, message.hash
        events.append(MessageToDict(message, preserving_proto_field_name=True))
    return events


def verdict(tmp_path: Path, export: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    path = tmp_path / "export.json"
    path.write_text(export)
    code = main([str(path)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_an_unchanged_history_is_intact(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = verdict(tmp_path, json.dumps({"events": history}), capsys)
    assert (code, "4 events hold" in text) == (0, True)


def test_several_answers_in_a_row_and_camel_case_names_are_read(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = [MessageToDict(ParseDict(one, pb.EscrowEvent())) for one in history[2:]]
    pages = json.dumps({"events": history[:2]}) + "\n" + json.dumps({"events": second})
    code, text = verdict(tmp_path, pages, capsys)
    assert (code, "4 events hold" in text) == (0, True)


def test_a_changed_event_is_named(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history[1]["actor_id"] = "someone-else"
    code, text = verdict(tmp_path, json.dumps(history), capsys)
    assert (code, "version 2 was changed" in text) == (1, True)


def test_a_changed_amount_deep_inside_is_named(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history[2]["escrow"]["held"]["amount_minor"] = "49999"
    code, text = verdict(tmp_path, json.dumps(history), capsys)
    assert (code, "version 3 was changed" in text) == (1, True)


def test_a_removed_event_is_named(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del history[1]
    code, text = verdict(tmp_path, json.dumps(history), capsys)
    assert (code, "version 2 was removed" in text) == (1, True)


def test_an_inserted_event_is_named(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history.insert(2, history[1])
    code, text = verdict(tmp_path, json.dumps(history), capsys)
    assert (code, "version 2 was inserted" in text) == (1, True)


def test_a_rewritten_event_with_a_fresh_hash_breaks_the_next(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from escrow.v1 import escrow_pb2 as pb
    from google.protobuf.json_format import ParseDict

    forged = ParseDict(history[1] | {"actor_id": "mallory"}, pb.EscrowEvent())
    forged.hash = event_hash(forged)
    history[1] = MessageToDict(forged, preserving_proto_field_name=True)
    code, text = verdict(tmp_path, json.dumps(history), capsys)
    assert (code, "version 3 was inserted" in text) == (1, True)


@pytest.mark.parametrize("export", ["", "{", "[1]", '{"events": []}', '[{"escrow_id": 3}]'])
def test_a_file_that_is_not_an_export_is_refused_without_a_stack_trace(
    export: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = verdict(tmp_path, export, capsys)
    assert code == 2
    assert "Traceback" not in text


def test_it_runs_by_its_path(history: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(history))
    done = subprocess.run(
        [sys.executable, "scripts/verify.py", str(path)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
