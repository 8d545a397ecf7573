"""docs/reference/errors.md: every error that a caller or a browser can get, from the catalogues."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.protocol.errors import CloseCode, ErrorCode
from bridge.web.caller import STATUS_OF_CODE
from core.errors import DOMAIN, Reason
from scripts.reference import table

_GRPC = f"""\
Core answers an error over gRPC with a canonical code, a sentence for people and a
`google.rpc.ErrorInfo`: its `domain` is `{DOMAIN}`, its `reason` is one of these, and `retry` in its
metadata is `true` or `false`. Wrong fields also come as `google.rpc.BadRequest`. The catalogue is
`Reason` in [core/errors.py](../../core/errors.py)."""
_HTTP = """\
The JSON API answers `{"error": {"code", "reason", "message"}}`, with `fields` where fields are
wrong. Core's reasons come with the HTTP status above. 503 and 429 carry `Retry-After`. The bridge
adds reasons of its own:"""
_HTTP_WINGS = ("web", "door", "browser")
_FRAMES = """\
A command that fails over the WebSocket is answered by a frame `{"type": "error", "code", "message",
"retry"}`, with `escrow_id` and the command's `id` where there is one. The catalogue is `ErrorCode`
in [bridge/protocol/errors.py](../../bridge/protocol/errors.py)."""
_CLOSES = """\
When the bridge closes a connection, it sends one of these codes and reasons (`CloseCode` in the
same file). Codes 4400 to 4403 are final: do not reconnect. After any other code, reconnect."""


@dataclass(frozen=True, slots=True)
class HttpReason:
    """An error that only the bridge answers, over HTTP."""

    reason: str
    status: int
    code: str
    message: str


def page(root: Path) -> str:
    return table.page(
        "Errors",
        "## gRPC",
        _GRPC,
        table.table(("reason", "gRPC code", "HTTP", "retry", "meaning"), map(_reason, Reason)),
        "## HTTP",
        _HTTP,
        table.table(
            ("reason", "HTTP", "code", "message"),
            map(_http, http_reasons(*(root / "bridge" / one for one in _HTTP_WINGS))),
        ),
        "## Error frames",
        _FRAMES,
        table.table(("code", "retry", "meaning"), map(_frame, ErrorCode)),
        "## Close codes",
        _CLOSES,
        table.table(("code", "reason", "reconnect"), map(_close, sorted(CloseCode))),
    )


def _reason(reason: Reason) -> tuple[str, ...]:
    return (
        table.code(reason.name),
        table.code(reason.code),
        str(STATUS_OF_CODE[reason.code]),
        table.yes_no(reason.retry),
        reason.meaning,
    )


def _http(one: HttpReason) -> tuple[str, ...]:
    return table.code(one.reason), str(one.status), table.code(one.code), one.message or "…"


def _frame(code: ErrorCode) -> tuple[str, ...]:
    return table.code(code.name), table.yes_no(code.retry), code.meaning


def _close(code: CloseCode) -> tuple[str, ...]:
    return str(code.value), table.sentence(code.reason), table.yes_no(not code.is_final)


def http_reasons(*folders: Path) -> list[HttpReason]:
    """List the reasons that the files of these folders use and core's catalogue does not have.

    They are found in calls of `…(status, code, reason, message)` and `CoreError(code, message,
    reason)` whose arguments `_text` can read.
    """
    found: dict[str, HttpReason] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.py"))):
        for function in _functions(ast.parse(path.read_text())):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and (one := _refusal(node, function)):
                    found.setdefault(one.reason, one)
    return [one for name, one in sorted(found.items()) if name not in Reason.__members__]


def _functions(tree: ast.Module) -> Iterator[ast.AST]:
    yield from (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    yield tree


def _refusal(call: ast.Call, scope: ast.AST) -> HttpReason | None:
    if isinstance(call.func, ast.Name) and call.func.id == "CoreError" and len(call.args) == 3:
        code, message, reason = (_text(arg, scope) for arg in call.args)
        known = code and reason and code in STATUS_OF_CODE
        return HttpReason(reason, STATUS_OF_CODE[code], code, message) if known else None
    for at, argument in enumerate(call.args[:-3]):
        if isinstance(argument, ast.Constant) and type(argument.value) is int:
            code, reason, message = (_text(arg, scope) for arg in call.args[at + 1 : at + 4])
            if code in STATUS_OF_CODE and reason:
                return HttpReason(reason, argument.value, code, message)
    return None


def _text(argument: ast.expr, scope: ast.AST) -> str:
    """Read a string, an f-string (an ellipsis for each value), or a name that is assigned one."""
    if isinstance(argument, ast.Constant):
        return argument.value if isinstance(argument.value, str) else ""
    if isinstance(argument, ast.JoinedStr):
        return "".join(_text(part, scope) or "…" for part in argument.values)
    if isinstance(argument, ast.Name):
        given = [
            node.value
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == argument.id for t in node.targets)
            and node.lineno <= argument.lineno
        ]
        return _text(given[-1], scope) if given else ""
    return ""
