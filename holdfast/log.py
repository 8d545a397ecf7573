"""The log of a process: ours and what the libraries say, on standard error.

Must never let a token out, whoever logs it: what is written goes through `redact`, all of it, in
the one formatter. Must never let a stranger fill it either: `Sparing` is for lines that anybody
outside can cause, and what the libraries say of such things is limited in the same way.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any

import structlog

from holdfast.redact import MARK, redacted
from holdfast.trickle import Trickle

# Characters of one value in a line of the log.
VALUE_CHARACTERS = 2_000
# Characters of a traceback in the log; of a longer one the end is kept.
TRACE_CHARACTERS = 16_000
_TRACES = frozenset({"exception", "stack", "stack_info"})
_SECRETS = frozenset({"token", "bridge_token", "authorization", "jwt_secret"})
# What these say, a stranger can cause: a request that is none, a broken connection.
_LIBRARIES = ("aiohttp", "asyncio", "grpc")
_KIND_CHARACTERS = 40

_trickle = Trickle()
_log = logging.getLogger(__name__)


class Sparing:
    """A logger for what strangers can cause: a few lines of each kind, with how many were left
    out since the last one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._log = structlog.get_logger(name)

    def info(self, event: str, **fields: object) -> None:
        self._say("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._say("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._say("error", event, fields)

    def _say(self, level: str, event: str, fields: dict[str, object]) -> None:
        left_out = _trickle.admit(f"{self._name} {event}")
        if left_out is None:
            return
        if left_out:
            fields["left_out"] = left_out
        getattr(self._log, level)(event, **fields)


def set_up(log_format: str, level: str) -> None:
    """Log at `level` and above, for people (`console`) or one JSON object a line (`json`)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if log_format != "json":
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    handler = _Handler(sys.stderr)
    handler.addFilter(_seldom)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # As text, so that nothing is left for a renderer to say by itself.
                structlog.processors.format_exc_info,
                _clean,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # It announces every migration step that it looks at.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    _catch()


def _catch() -> None:
    """Have the log say what Python would print past it."""
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say that a record could not be written, and nothing of what was in it."""
        sys.stderr.write(f"a record of the logger {record.name} could not be written\n")


def _seldom(record: logging.LogRecord) -> bool:
    """Let few lines of a library pass; a line says how many like it were left out."""
    if not record.name.startswith(_LIBRARIES):
        return True
    kind = str(record.msg).partition("\n")[0][:_KIND_CHARACTERS]
    left_out = _trickle.admit(f"{record.name} {kind}")
    if left_out:
        record.left_out = left_out
    return left_out is not None


def _clean(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {
        key: MARK if key in _SECRETS and value else _cleaned(key, value)
        for key, value in fields.items()
    }


def _cleaned(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {one: _cleaned(str(one), inner) for one, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(key, one) for one in value]
    is_trace = key in _TRACES
    text = _short(str(value) if isinstance(value, str | BaseException) else repr(value), is_trace)
    return redacted(text) if is_trace else _visible(redacted(text))


def _short(text: str, is_trace: bool) -> str:
    most = TRACE_CHARACTERS if is_trace else VALUE_CHARACTERS
    # Of a traceback the end says most.
    if len(text) > most:
        return f"… {text[-most:]}" if is_trace else f"{text[:most]} …"
    return text


def _visible(text: str) -> str:
    """Escape what would begin a new line, or move the cursor of a terminal."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _log.critical("the process ends by an error", exc_info=(kind, error, trace))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        _log.critical(
            "a thread ends by an error",
            exc_info=(told.exc_type, told.exc_value, told.exc_traceback),
        )


def _unraisable(told: sys.UnraisableHookArgs) -> None:
    _log.error("an error could not be raised", exc_info=told.exc_value)
