"""`mailingest spool status`: what is in the spool, for people and for scripts."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime

import orjson

from mailingest.escaping import escape_terminal
from mailingest.spool.status import Status


def as_json(status: Status) -> str:
    """One JSON object."""
    return orjson.dumps(asdict(status)).decode()


def is_well(status: Status, now: datetime, max_age: float) -> bool:
    """Whether nobody has to do anything; a line may wait for ``max_age`` seconds."""
    if status.full is not None or status.held is not None:
        return False
    if not status.frames_waiting:
        return True
    if not status.running or status.oldest_waiting is None:
        return False
    return (now - datetime.fromisoformat(status.oldest_waiting)).total_seconds() <= max_age


def as_text(status: Status, now: datetime) -> str:
    """Some lines for people."""
    waiting = f"{status.frames_waiting:,} lines, {status.bytes_waiting:,} bytes"
    if status.oldest_waiting is not None:
        age = now - datetime.fromisoformat(status.oldest_waiting)
        seconds = max(0, round(age.total_seconds()))
        waiting += f"; the oldest came {seconds:,} s ago, at {status.oldest_waiting}"
    lost = f"{status.frames_lost:,} lines"
    if status.bytes_lost:
        lost += f", and {status.bytes_lost:,} bytes of nobody knows how many lines"
    share = 100 * status.bytes / status.max_bytes
    return "\n".join(
        [
            f"directory  {status.directory}",
            f"daemon     {'runs' if status.running else 'does not run'}",
            f"state      {'FULL: ' + status.full if status.full else 'has room'}",
            f"on disk    {status.bytes:,} of {status.max_bytes:,} bytes ({share:.1f} %),"
            f" {status.frames_kept:,} lines",
            f"waiting    {waiting}",
            f"position   {status.position:,} of {status.end:,}",
            f"lost       {lost}",
            *([f"HELD       {escape_terminal(status.held)}"] if status.held else []),
            *_counters(status),
        ]
    )


def _counters(status: Status) -> Iterator[str]:
    if status.counters is not None:
        yield ""
        for name, value in status.counters.items():
            yield f"{name:<28} {_figure(value)}"


def _figure(value: int | str | None) -> str:
    return f"{value:>15,}" if isinstance(value, int) else f"{value or '-':>15}"
