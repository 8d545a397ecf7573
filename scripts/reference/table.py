"""Writes Markdown: tables, and pages that say that they are generated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTICE = "<!-- Made by `make reference`; a change by hand is lost. -->"


def page(title: str, *blocks: str) -> str:
    """Write a page of a title, the notice and blocks of text, one blank line apart."""
    return "\n\n".join([f"# {title}", NOTICE, *blocks]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; a bar in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def code(text: object) -> str:
    return f"`{text}`"


def yes_no(claim: bool) -> str:
    return "yes" if claim else "no"


def sentence(text: str) -> str:
    """Write a description as a table shows it: with a capital letter and a full stop."""
    text = text.strip()
    if not text:
        return ""
    if text[0].islower() and not text.startswith("http"):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", ")")) else text + "."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
