"""Writes the pages of docs/reference/: `python -m scripts.reference`, which `make reference` calls.

tests/scripts/test_reference.py says when one of them is stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scripts.reference import errors, limits, settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"


def pages() -> Mapping[Path, str]:
    """Make every page; answers its text by the path of its file."""
    return {
        FOLDER / "errors.md": errors.page(ROOT),
        FOLDER / "limits.md": limits.page(ROOT),
        FOLDER / "settings.md": settings.page(),
    }


def main() -> None:
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
