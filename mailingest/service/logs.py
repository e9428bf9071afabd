"""mailingest's own log: structured lines on standard error."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from mailingest.config import Log
from mailingest.escaping import escape_terminal_lines
from mailingest.service.log_limit import log_limit


def configure(log: Log) -> None:
    """Set up structlog: text on a terminal, JSON lines elsewhere, unless set otherwise."""
    as_text = log.format == "text" or (log.format == "auto" and sys.stderr.isatty())
    renderers: list[Any] = (
        [
            _clean_exception,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                repr_native_str=True,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
        if as_text
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            log_limit,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(log.level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The Elasticsearch client logs each request; what matters is in the messages of mailingest.
    logging.getLogger("elastic_transport").setLevel(logging.CRITICAL)


def _clean_exception(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What an exception says may come from a log; all other texts are shown as repr."""
    if "exception" in entry:
        entry["exception"] = escape_terminal_lines(entry["exception"])
    return entry
