"""The sentences of core about what a person has to look at, as its source writes them.

The dashboard says them in each language, and finds them by their English words.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

CORE = Path(__file__).parents[3] / "core"
# What tells a person, and where its sentence stands.
_PLACES = {"Stuck": (1, "problem"), "Attention": (1, "message"), "FailSettlement": (0, "problem")}
GAP = "{}"


def sentences() -> set[str]:
    """Answer every sentence, with `{}` for each value in it."""
    return {one for path in sorted(CORE.rglob("*.py")) for one in _of_file(path)}


def _of_file(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            said = _assigned(function)
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and (told := _told(call)) is not None:
                    yield from _read(told, said)


def _told(call: ast.Call) -> ast.expr | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in _PLACES:
        return None
    place, keyword = _PLACES[name]
    if len(call.args) > place:
        return call.args[place]
    return next((one.value for one in call.keywords if one.arg == keyword), None)


def _assigned(function: ast.AST) -> dict[str, ast.expr]:
    return {
        target.id: one.value
        for one in ast.walk(function)
        if isinstance(one, ast.Assign)
        for target in one.targets
        if isinstance(target, ast.Name)
    }


def _read(told: ast.expr, said: dict[str, ast.expr]) -> Iterator[str]:
    if isinstance(told, ast.IfExp):
        yield from _read(told.body, said)
        yield from _read(told.orelse, said)
        return
    if isinstance(told, ast.Name) and told.id in said:
        told = said[told.id]
    if isinstance(told, ast.Constant) and isinstance(told.value, str):
        yield told.value
    elif isinstance(told, ast.JoinedStr):
        yield "".join(
            str(one.value) if isinstance(one, ast.Constant) else GAP for one in told.values
        )
