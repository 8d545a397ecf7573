"""Checks an exported history offline: `python scripts/verify.py export.json`.

An export is one or more answers of ListEvents as JSON, from grpcurl or from the JSON API. Each is
an object with `events`, or a plain list, with field names in snake_case or camelCase. One export
may hold the histories of several escrows. For each escrow, the script names the first event that
was changed, removed or inserted.

With `--files DIR` it also holds the files in that directory against the hashes in the record. They
may have any names. It names each file of the record that is missing or was changed, and each file
that is not in the record.

It cannot see whether events are missing at the end. Compare the last hash that it prints with the
hash of the escrow's newest event.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format

# Python looks for packages beside a script that is run by its path, and not in the project.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from escrow.v1 import escrow_pb2 as pb

from core.law.record import event_hash


class Unreadable(Exception):
    """The export is not a list of events."""


def read_events(text: str) -> list[pb.EscrowEvent]:
    """Read an export. Raises Unreadable, whose message says why."""
    events = []
    for number, given in enumerate(_documents(text), start=1):
        try:
            events.append(json_format.ParseDict(given, pb.EscrowEvent()))
        except (json_format.ParseError, TypeError, AttributeError) as error:
            raise Unreadable(f"entry {number} is not an event: {error}") from None
    return events


def _documents(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    position = 0
    while position < len(text.rstrip()):
        position += len(text[position:]) - len(text[position:].lstrip())
        try:
            document, position = decoder.raw_decode(text, position)
        except ValueError as error:
            raise Unreadable(f"not JSON: {error}") from None
        if isinstance(document, dict) and not ({"escrow_id", "escrowId"} & document.keys()):
            document = document.get("events", [])
        yield from document if isinstance(document, list) else [document]


def first_fault(events: Sequence[pb.EscrowEvent]) -> str | None:
    """Answer the first thing that is wrong with the history of one escrow, or None.

    `events` are in the order of the export, from version 1 on.
    """
    previous = b""
    for expected, event in enumerate(events, start=1):
        if event.version > expected:
            return f"version {expected} was removed"
        if event.version < expected:
            return f"version {event.version} was inserted: version {expected} is expected there"
        if event.hash != event_hash(event):
            return f"version {expected} was changed: its content does not match its hash"
        if event.previous_hash != previous:
            return f"version {expected} was inserted: it does not follow from the one before it"
        previous = event.hash
    return None


def file_faults(events: Sequence[pb.EscrowEvent], directory: Path) -> list[str]:
    """Answer what is wrong with files that were shown in disputes, as they lie in a directory.

    Raises OSError.
    """
    given = {path: _sha256(path) for path in sorted(directory.rglob("*")) if path.is_file()}
    shown = [one for event in events for one in _attachments(event)]
    hashes, found = {one["sha256"] for one in shown}, set(given.values())
    faults = [
        f"{one['file_id']} ({one['name']}): no file has its hash {one['sha256']}"
        for one in shown
        if one["sha256"] not in found
    ]
    return faults + [
        f"{path}: its content is not in the record"
        for path, sha256 in given.items()
        if sha256 not in hashes
    ]


def _attachments(event: pb.EscrowEvent) -> list[dict[str, Any]]:
    if event.type != pb.EVENT_TYPE_MESSAGE_ADDED:
        return []
    attachments: list[dict[str, Any]] = json_format.MessageToDict(event.data)["attachments"]
    return attachments


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the export. Answers 0 if every history is intact, 1 if not, 2 if it is unreadable."""
    parser = argparse.ArgumentParser(prog="verify.py", description=__doc__)
    parser.add_argument("export", help="a file of ListEvents answers as JSON; - is standard input")
    parser.add_argument("--files", type=Path, metavar="DIR", help="files shown in the disputes")
    asked = parser.parse_args(arguments)
    path = asked.export
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        events = read_events(text)
    except (OSError, UnicodeDecodeError, Unreadable, RecursionError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    if not events:
        print(f"{path}: the export has no events", file=sys.stderr)
        return 2
    histories: defaultdict[str, list[pb.EscrowEvent]] = defaultdict(list)
    for event in events:
        histories[event.escrow_id].append(event)
    faults = 0
    for escrow_id, history in histories.items():
        fault = first_fault(history)
        faults += fault is not None
        last = history[-1]
        print(f"{escrow_id}: {fault or f'{last.version} events hold, last {last.hash.hex()}'}")
    wrong = _check_files(events, asked.files) if asked.files else 0
    if wrong is None:
        return 2
    return 1 if faults or wrong else 0


def _check_files(events: Sequence[pb.EscrowEvent], directory: Path) -> int | None:
    """Print what is wrong with the files; answers how many, or None where they cannot be read."""
    if not directory.is_dir():
        print(f"{directory}: there is no such directory", file=sys.stderr)
        return None
    try:
        faults = file_faults(events, directory)
    except OSError as error:
        print(f"{directory}: {error}", file=sys.stderr)
        return None
    for fault in faults:
        print(fault)
    count = sum(len(_attachments(event)) for event in events)
    if not faults:
        print(f"{directory}: all {count} files of the record are there, unchanged")
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
