"""mailingest's own log: structured lines on standard error."""

import logging
import sys
from typing import Any

import structlog

from mailingest.config import Log


def configure(log: Log) -> None:
    """Set up structlog: text on a terminal, JSON lines elsewhere, unless told otherwise."""
    as_text = log.format == "text" or (log.format == "auto" and sys.stderr.isatty())
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if as_text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(log.level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # The Elasticsearch client logs each request; what matters is reported by us.
    logging.getLogger("elastic_transport").setLevel(logging.CRITICAL)
