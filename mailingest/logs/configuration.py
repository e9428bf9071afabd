"""mailingest's own log: structured lines on standard error."""

import atexit
import logging
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, TextIO, cast

from mailingest.config import Log
from mailingest.escaping import escape_terminal_lines
from mailingest.logs.limit import log_limit
from mailingest.logs.logger import log
from mailingest.logs.output import log_output


def configure(settings: Log) -> None:
    """Set up the log: text on a terminal, JSON lines elsewhere, unless set otherwise."""
    log_output.use(sys.stderr)
    log.configured_by(partial(_set_up, settings, is_terminal=sys.stderr.isatty()))
    _take_in_libraries()
    atexit.unregister(_report_the_rest)
    atexit.register(_report_the_rest)
    # The Elasticsearch client logs each request; what matters is in the messages of mailingest.
    logging.getLogger("elastic_transport").setLevel(logging.CRITICAL)


def _set_up(settings: Log, *, is_terminal: bool) -> None:
    import structlog

    as_text = settings.format == "text" or (settings.format == "auto" and is_terminal)
    renderers: list[Any] = (
        [
            _clean_exception,
            _list_counters,
            structlog.dev.ConsoleRenderer(
                colors=is_terminal,
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
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, log_output)),
        # A reload may change the level and the format.
        cache_logger_on_first_use=False,
    )


def _report_the_rest() -> None:
    log_limit.report(at_the_end=True)


def _take_in_libraries() -> None:
    """Have what libraries log, such as of a handshake, go the same way: bounded and escaped."""
    root = logging.getLogger()
    if not any(isinstance(handler, _OfLibraries) for handler in root.handlers):
        root.addHandler(_OfLibraries(logging.WARNING))


class _OfLibraries(logging.Handler):
    """Hands entries of the standard library's logging on; their texts may be from outside."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(
            record.levelno,
            f"logged by {record.name}",
            message=record.getMessage(),
            exc_info=record.exc_info,
        )


def _list_counters(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The counters that have counted something, one a line: there are more than a line holds."""
    if entry.get("event") != "counters":
        return entry
    counted = {
        name: value
        for name, value in entry.items()
        if name not in ("event", "level", "timestamp") and value not in (0, None, {})
    }
    rows = [f"    {name:<30} {escape_terminal_lines(_figure(counted[name]))}" for name in counted]
    head = {name: entry[name] for name in ("level", "timestamp") if name in entry}
    return {**head, "event": "\n".join(["counters", *rows])}


def _figure(value: Any) -> str:
    return f"{value:>15,}" if isinstance(value, int | float) else str(value)


def _clean_exception(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What an exception says may come from a log; all other texts are shown as repr."""
    if "exception" in entry:
        entry["exception"] = escape_terminal_lines(entry["exception"])
    return entry
