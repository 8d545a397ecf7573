"""Reads the constants of a Python file, each with the comment directly above it.

A comment that is followed by a blank line is a heading.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Named:
    """A constant or a field: its name, what the comment above it says, the heading before it."""

    name: str
    comment: str
    heading: str


def constants(path: Path) -> list[Named]:
    """List the public constants of a module, in the file's order."""
    source = path.read_text()
    named = _named(ast.parse(source), source.splitlines())
    return [one for one in named if _CONSTANT.fullmatch(one.name)]


def fields(path: Path, class_name: str) -> list[Named]:
    """List the fields of a class that have a default, in the file's order."""
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return list(_named(node, source.splitlines()))
    raise LookupError(f"{path} has no class {class_name}")


def _named(owner: ast.Module | ast.ClassDef, lines: Sequence[str]) -> Iterator[Named]:
    start = owner.lineno if isinstance(owner, ast.ClassDef) else 0
    for node in owner.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            above = node.lineno - 1
            comment, heading = _comment(lines, above), _heading(lines[start:above])
            for name in _targets(node):
                yield Named(name, comment, heading)


def _targets(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        for one in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(one, ast.Name):
                yield one.id


def _comment(lines: Sequence[str], end: int) -> str:
    """Answer the comment whose last line is the one before `end`, or nothing."""
    words: list[str] = []
    while end > 0 and lines[end - 1].lstrip().startswith("#"):
        end -= 1
        words.insert(0, lines[end].strip().lstrip("# "))
    return " ".join(words)


def _heading(lines: Sequence[str]) -> str:
    for end in range(len(lines) - 1, 0, -1):
        if not lines[end].strip() and lines[end - 1].lstrip().startswith("#"):
            return _comment(lines, end)
    return ""
