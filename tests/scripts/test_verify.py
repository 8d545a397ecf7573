"""scripts/verify.py accepts an unchanged history, and names the first event that was changed."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from escrow.v1 import escrow_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict

from core.law.command import (
    RAZORPAY,
    AddDisputeMessage,
    Caller,
    Command,
    CreateEscrow,
    File,
    PublishUpdate,
    RaiseDispute,
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
    (RaiseDispute("It is dented"), Caller("b")),
    (
        AddDisputeMessage(
            "See",
            ("f",),
            files=(
                File("f", ID, "b", "frame.png", "image/png", 7, sha256(b"picture").hexdigest()),
            ),
        ),
        Caller("b"),
    ),
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
    assert (code, "6 events hold" in text) == (0, True)


def test_several_answers_in_a_row_and_camel_case_names_are_read(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = [MessageToDict(ParseDict(one, pb.EscrowEvent())) for one in history[2:]]
    pages = json.dumps({"events": history[:2]}) + "\n" + json.dumps({"events": second})
    code, text = verdict(tmp_path, pages, capsys)
    assert (code, "6 events hold" in text) == (0, True)


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


def verdict_on_files(
    tmp_path: Path,
    history: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    **files: bytes,
) -> tuple[int, str]:
    export, directory = tmp_path / "export.json", tmp_path / "files"
    export.write_text(json.dumps(history))
    directory.mkdir()
    for name, body in files.items():
        (directory / name).write_bytes(body)
    code = main([str(export), "--files", str(directory)])
    return code, capsys.readouterr().out


def test_files_that_were_shown_are_known_by_their_hashes_whatever_their_names(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = verdict_on_files(tmp_path, history, capsys, renamed=b"picture")
    assert code == 0
    assert "all 1 files of the record are there, unchanged" in text


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        ({}, ["f (frame.png): no file has its hash"]),
        ({"a": b"Picture"}, ["f (frame.png): no file has its hash", "not in the record"]),
        ({"a": b"picture", "b": b"another"}, ["b: its content is not in the record"]),
    ],
    ids=["missing", "changed", "added"],
)
def test_a_file_that_is_missing_changed_or_added_is_named(
    history: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, bytes],
    faults: list[str],
) -> None:
    code, text = verdict_on_files(tmp_path, history, capsys, **files)
    assert code == 1
    for fault in faults:
        assert fault in text


def test_a_hash_of_a_file_that_was_changed_in_the_record_breaks_the_chain(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shown,) = [one for one in history if one["type"] == "EVENT_TYPE_MESSAGE_ADDED"]
    shown["data"]["attachments"][0]["sha256"] = sha256(b"Picture").hexdigest()
    code, text = verdict_on_files(tmp_path, history, capsys, a=b"Picture")
    assert code == 1
    assert f"version {shown['version']} was changed" in text


def test_files_without_their_directory_are_no_verdict(
    history: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = tmp_path / "export.json"
    export.write_text(json.dumps(history))
    assert main([str(export), "--files", str(tmp_path / "none")]) == 2
    assert "no such directory" in capsys.readouterr().err
