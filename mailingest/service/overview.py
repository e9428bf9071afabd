"""The parts of the service -> what `mailingest status` shows: one JSON object."""

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from mailingest import __version__
from mailingest.service.counters import Value, read_counters
from mailingest.service.parts import Parts
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


def sample(parts: Parts, counters: Mapping[str, Value]) -> Sample:
    """What came in, was stored and lost until now; ``counters`` are those of now."""
    lost = sum(value for name in _LOST if isinstance(value := counters[name], int))
    return Sample(
        time.monotonic(), parts.pipeline.counters.frames, parts.batcher.documents_stored, lost
    )


def overview(parts: Parts, rates: Rates, store: str) -> dict[str, Any]:
    """How the service is; ``store`` says where events go.

    ``problems`` are what needs an operator, with what to do about it; those that a notice is about
    are only in ``notices``.
    """
    counters = read_counters(parts)
    now = sample(parts, counters)
    received, stored = rates.a_second(now)
    lost = rates.lost(now)
    hosts = parts.pipeline.watch.hosts.last_line
    notices = parts.pipeline.watch.board.current
    silent = {one.subject for one in notices if one.kind == "host_silent"}
    order = sorted(hosts, key=lambda host: (host not in silent, host))
    return {
        "version": __version__,
        "pid": os.getpid(),
        "time": _iso(time.time()),
        "uptime_seconds": round(time.monotonic() - parts.started_at),
        "listens": parts.listeners.places,
        "ready": not parts.readiness.reasons,
        "problems": [{"what": what, "do": do} for what, do in _problems(parts, lost)],
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
        "lag_seconds": None if parts.batcher.lag is None else round(parts.batcher.lag, 1),
        "store": {
            "kind": store,
            "stalled_seconds": round(parts.batcher.stalled_seconds),
            "documents_pending": parts.batcher.pending,
            "documents_held": parts.batcher.documents_held,
            "held": parts.batcher.held,
        },
        "spool": {
            "bytes": parts.spool.size,
            "max_bytes": parts.spool.max_bytes,
            "frames_waiting": parts.spool.frames,
            "full": parts.spool.full,
        },
        "dead_letters_bytes": parts.dead_letters.size_bytes,
        "hosts": [
            {"host": host, "last_line": _iso(hosts[host]), "silent": host in silent}
            for host in order[:_MOST_HOSTS]
        ],
        "hosts_watched": len(hosts),
        "counters": counters,
    }


def _problems(parts: Parts, lost: int) -> Iterator[tuple[str, str]]:
    for reason in parts.readiness.reasons:
        yield (
            f"takes no lines: {reason}",
            "make room on the disk or raise spool.max_bytes, and look after the store",
        )
    if parts.batcher.held is not None:
        yield f"held: {parts.batcher.held}", "it says what; then it goes on by itself"
    if parts.batcher.stalled_seconds > _STALLED_SECONDS:
        minutes = parts.batcher.stalled_seconds / 60
        yield (
            f"the store has taken nothing for {minutes:.0f} minutes; lines wait in the spool",
            "see the log for its answer, and `mailingest check`",
        )
    if parts.dead_letters.size_bytes:
        yield (
            f"dead letters: {parts.dead_letters.size_bytes:,} bytes that the store refused",
            "`mailingest deadletter list`, then `retry` or `purge`",
        )
    if lost:
        yield (
            f"{lost:,} lines were lost in the last hour",
            "the counters of `mailingest spool status` say where; docs/reliability.md what helps",
        )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
