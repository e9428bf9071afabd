"""The parts of the service -> what `mailingest status` shows: one JSON object."""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mailingest import __version__
from mailingest.service.counters import Value, read_counters
from mailingest.service.parts import Figures
from mailingest.service.rates import Rates, Sample
from mailingest.watching.notices import MEANINGS

# Seconds.  A store that is restarted, or busy, is back before that.
_STALLED_SECONDS: Final = 300.0
_MOST_HOSTS: Final = 1000
_LOST: Final = (
    "datagrams_dropped",
    "datagrams_dropped_by_kernel",
    "datagrams_over_limit",
    "spool_frames_lost",
)


def sample(counters: Mapping[str, Value]) -> Sample:
    """What came in, was stored and lost until now; ``counters`` are those of now."""
    received, stored = _number(counters, "frames_received"), _number(counters, "documents_stored")
    lost = sum(_number(counters, name) for name in _LOST)
    return Sample(time.monotonic(), received, stored, lost)


def _number(counters: Mapping[str, Value], name: str) -> int:
    value = counters[name]
    return int(value) if isinstance(value, int | float) else 0


def overview(figures: Figures, rates: Rates, store: str) -> dict[str, Any]:
    """How the service is; ``store`` says where events go.

    ``problems`` are what needs an operator, with what to do about it; those that a notice is about
    are only in ``notices``.
    """
    receiving, counters = figures.receiving, read_counters(figures)
    spool = receiving.spool
    now = sample(counters)
    received, stored = rates.a_second(now)
    lost = rates.lost(now)
    hosts = figures.hosts
    notices = figures.notices
    silent = {one.subject for one in notices if one.kind == "host_silent"}
    order = sorted(hosts, key=lambda host: (host not in silent, host))
    return {
        "version": __version__,
        "pid": os.getpid(),
        "time": _iso(time.time()),
        "uptime_seconds": round(time.monotonic() - receiving.started_at),
        "listens": receiving.listeners.places,
        "ready": not receiving.readiness.reasons,
        "problems": [{"what": what, "do": do} for what, do in _problems(figures, counters, lost)],
        "notices": [
            {
                "kind": one.kind,
                "meaning": MEANINGS[one.kind],
                "subject": one.subject,
                "since": _iso(one.since),
                "detail": one.detail,
                "do": one.hint,
            }
            for one in notices
        ],
        "lines_per_second": {"received": round(received, 2), "stored": round(stored, 2)},
        "lost_in_the_last_hour": lost,
        "lag_seconds": None if figures.lag is None else round(figures.lag, 1),
        "store": {
            "kind": store,
            "stalled_seconds": _number(counters, "store_stalled_seconds"),
            "documents_pending": counters["documents_pending"],
            "documents_held": counters["documents_held"],
            "held": figures.held,
        },
        "spool": {
            "bytes": spool.size,
            "max_bytes": spool.max_bytes,
            "frames_waiting": spool.frames,
            "full": spool.full,
        },
        "dead_letters_bytes": counters["dead_letters_bytes"],
        "hosts": [
            {"host": host, "last_line": _iso(hosts[host]), "silent": host in silent}
            for host in order[:_MOST_HOSTS]
        ],
        "hosts_watched": len(hosts),
        "counters": counters,
    }


def _problems(
    figures: Figures, counters: Mapping[str, Value], lost: int
) -> Iterator[tuple[str, str]]:
    for reason in figures.receiving.readiness.reasons:
        yield (
            f"takes no lines: {reason}",
            "make room on the disk or raise spool.max_bytes, and look after the store",
        )
    if figures.held is not None:
        yield f"held: {figures.held}", "it says what; then it goes on by itself"
    if (stalled := _number(counters, "store_stalled_seconds")) > _STALLED_SECONDS:
        minutes = stalled / 60
        yield (
            f"the store has taken nothing for {minutes:.0f} minutes; lines wait in the spool",
            "see the log for its answer, and `mailingest check`",
        )
    if size := _number(counters, "dead_letters_bytes"):
        yield (
            f"dead letters: {size:,} bytes that the store refused",
            "`mailingest deadletter list`, then `retry` or `purge`",
        )
    if lost:
        yield (
            f"{lost:,} lines were lost in the last hour",
            "the counters of `mailingest spool status` say where; docs/reliability.md what helps",
        )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
