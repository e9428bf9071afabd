"""`mailingest status`: how the running service is, on one screen or as JSON."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from mailingest.escaping import escape_terminal

TIMEOUT_SECONDS: Final = 10.0
_MOST_HOSTS_SHOWN: Final = 15


def needs_somebody(status: Mapping[str, Any]) -> bool:
    """Whether an operator should do something."""
    return bool(status["problems"] or status["notices"])


def as_text(status: Mapping[str, Any], directory: str) -> str:
    """One screen for people."""
    return "\n".join(escape_terminal(line) for line in _lines(status, directory))


def _lines(status: Mapping[str, Any], directory: str) -> Iterator[str]:
    rates, spool, store = status["lines_per_second"], status["spool"], status["store"]
    needs = len(status["problems"]) + len(status["notices"])
    yield f"mailingest  {'needs you: see below' if needs else 'is well'}"
    yield (
        f"daemon      {status['version']}, process {status['pid']}, up "
        f"{_span(status['uptime_seconds'])}, in {directory}"
    )
    yield f"listens at  {', '.join(status['listens']) or '-'}"
    yield (
        f"lines       {rates['received']:,.1f} a second in, {rates['stored']:,.1f} stored; "
        f"{status['lost_in_the_last_hour']:,} lost in the last hour"
    )
    yield f"store       {_store(store, status['lag_seconds'])}"
    share = 100 * spool["bytes"] / spool["max_bytes"]
    yield (
        f"spool       {spool['frames_waiting']:,} lines wait; {share:.1f} % of "
        f"{spool['max_bytes']:,} bytes used"
    )
    yield f"waiting     {store['documents_pending']:,} documents, {store['documents_held']:,} held"
    yield f"refused     {status['dead_letters_bytes']:,} bytes of dead letters"
    yield from _hosts(status)
    for problem in status["problems"]:
        yield ""
        yield f"! {problem['what']}"
        yield f"  do: {problem['do']}"
    for notice in status["notices"]:
        yield ""
        yield f"! {notice['meaning']}: {notice['subject']}"
        yield f"  since {notice['since']}: {notice['detail']}"
        yield f"  do: {notice['do']}"


def _store(store: Mapping[str, Any], lag: float | None) -> str:
    if store["stalled_seconds"]:
        return f"{store['kind']}, takes NOTHING for {_span(store['stalled_seconds'])}"
    if lag is None:
        return f"{store['kind']}, nothing stored yet"
    return f"{store['kind']}, {_span(lag)} behind the time of the newest line"


def _hosts(status: Mapping[str, Any]) -> Iterator[str]:
    now = datetime.fromisoformat(status["time"])
    hosts = status["hosts"]
    yield f"hosts       {status['hosts_watched']:,}"
    for one in hosts[:_MOST_HOSTS_SHOWN]:
        ago = (now - datetime.fromisoformat(one["last_line"])).total_seconds()
        mark = "  SILENT" if one["silent"] else ""
        yield f"  {one['host'] or '-':<40} last line {_span(max(0, ago))} ago{mark}"
    if len(hosts) > _MOST_HOSTS_SHOWN:
        yield f"  ... and {status['hosts_watched'] - _MOST_HOSTS_SHOWN:,} more: --json has them"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{timedelta(seconds=seconds).days} days"
