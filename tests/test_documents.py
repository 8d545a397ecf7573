"""What the documents point at is there: files, tests, links, and the table of wings."""

import re
from pathlib import Path

import pytest

from tests.test_layout import ROOT, WINGS

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bridge/dashboard/*.md")
    for path in ROOT.glob(pattern)
)
# Imported so widely that ARCHITECTURE.md leaves them out.
EVERYWHERE = {"core.errors", "core.heartbeat", "holdfast", "bridge.limits", "bridge.metrics"}

_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(
    r"(?:core|bridge|holdfast|scripts|tests|proto|docs)/[\w./-]*[\w/](?:::(?P<test>\w+))?"
)
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[\w-]+)?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _names_a_file(path: Path) -> list[str]:
    return [code for code in _CODE.findall(path.read_text()) if _FILE.fullmatch(code)]


def _anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    kept = (re.sub(r"[^\w\- ]", "", head.lower()) for head in _HEADING.findall(path.read_text()))
    return {f"#{head.replace(' ', '-')}" for head in kept}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(path: Path) -> None:
    missing = [name for name in _names_a_file(path) if not (ROOT / name.split("::")[0]).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_a_document_names_is_there(path: Path) -> None:
    for name in _names_a_file(path):
        file, _, test = name.partition("::")
        assert not test or f"def {test}(" in (ROOT / file).read_text(), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_documents_leads_somewhere(path: Path) -> None:
    for target, anchor in _LINK.findall(path.read_text()):
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{target} is not there"
        assert not anchor or anchor in _anchors(file), f"{target}{anchor} is not there"


def test_the_architecture_tells_which_wing_imports_which() -> None:
    rows = re.findall(
        r"^\| `([\w.]+)` \| [^|]+ \| ([^|]+) \|$",
        (ROOT / "ARCHITECTURE.md").read_text(),
        re.MULTILINE,
    )
    told = {wing: set(_CODE.findall(imports)) for wing, imports in rows}
    shown = {name: below - EVERYWHERE for name, below in WINGS.items()}
    assert told == {name: shown[name] for name in shown.keys() - EVERYWHERE | {"holdfast"}}
