"""Sets up the log of a process: ours and what the libraries say, on standard error.

Must never let a token out. aiohttp's WebSocket logger prints the offered subprotocols, of which one
may be a token, so its warnings are switched off.
"""

from __future__ import annotations

import logging
import sys

import structlog


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
    renderer: list[structlog.typing.Processor]
    if log_format == "json":
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        renderer = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # It announces every migration step that it looks at.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
