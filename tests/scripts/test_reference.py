"""The pages of docs/reference/ say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.reference import errors, limits, settings
from scripts.reference.__main__ import FOLDER, ROOT, pages
from scripts.reference.source import constants

STALE = "is stale: run `make reference`, and look at what has changed"


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.stem)
def test_a_page_says_what_the_code_says(path: Path) -> None:
    written = path.read_text() if path.exists() else ""
    assert written == pages()[path], f"{path.relative_to(ROOT)} {STALE}"


def test_nothing_else_lies_in_the_folder() -> None:
    assert set(FOLDER.iterdir()) == set(pages())


def test_every_limit_has_a_comment_that_says_what_it_limits() -> None:
    without = [f"{one.where}.{one.name}" for one in limits.every(ROOT) if not one.meaning]
    assert without == [], "write the comment directly above each"


def test_the_readme_names_every_setting() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in settings.names() if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("frame_bytes", 65_536, "64 KiB"),
        ("MAX_BODY_BYTES", 1 << 20, "1 MiB"),
        ("NOTIFY_BYTES", 7_900, "7,900 bytes"),
        ("slice_s", 0.0015, "1.5 ms"),
        ("POLL_S", 1.0, "1 s"),
        ("STUCK_S", 3_600.0, "1 h"),
        ("KEEP_S", 86_400.0, "24 h"),
        ("SPAN_US", 30 * 86_400_000_000, "30 d"),
        ("frames_per_s", 20.0, "20 a second"),
        ("MAX_AMOUNT_MINOR", 10**12, "1,000,000,000,000 minor units"),
        ("MAX_BATCH", 200, "200"),
    ],
)
def test_a_limit_is_written_with_its_unit(name: str, value: float, written: str) -> None:
    assert limits.written(name, value) == written


def test_a_constant_is_described_by_the_comment_directly_above_it(tmp_path: Path) -> None:
    path = tmp_path / "room.py"
    path.write_text("# A heading.\n\n# Calls\n# at once.\nMOST = 3\nREST = 4\n_OWN = 5\n")
    found = {one.name: (one.comment, one.heading) for one in constants(path)}
    assert found == {"MOST": ("Calls at once.", "A heading."), "REST": ("", "A heading.")}


def test_reasons_of_http_are_found_where_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "door.py").write_text(
        "def give(path):\n"
        "    text = f'there is nothing at {path}'\n"
        "    return refuse(404, 'NOT_FOUND', 'PATH_UNKNOWN', text)\n"
        "BUSY = CoreError('UNAVAILABLE', 'too many calls', 'BUSY')\n"
        "OURS = refuse(400, 'INVALID_ARGUMENT', 'FIELD_INVALID', 'core knows this one')\n"
    )
    assert errors.http_reasons(tmp_path) == [
        errors.HttpReason("BUSY", 503, "UNAVAILABLE", "too many calls"),
        errors.HttpReason("PATH_UNKNOWN", 404, "NOT_FOUND", "there is nothing at …"),
    ]
