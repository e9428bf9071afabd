"""What a VictoriaLogs server says of itself -> what it takes and how long it keeps it; pure.

``GET /flags`` has the flags that are set, one a line: ``-retentionPeriod="100y"``.  All others are
as in its documentation (https://docs.victoriametrics.com/victorialogs/#list-of-command-line-flags).
"""

import re
from dataclasses import dataclass
from typing import Final

_FLAG: Final = re.compile(r'^-([A-Za-z.]+)="(.*)"$', re.MULTILINE)
_SECONDS: Final = {
    "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400,
}  # fmt: skip
_DURATION: Final = re.compile(r"([0-9.]+)(ms|s|m|h|d|w|y)")
_SIZE: Final = re.compile(r"([0-9.]+)(?:([KMGT])(i?)B?)?")
# A number alone is one of months, of 31 days.
_MONTH: Final = 31 * 86_400
_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes: lines of ``line_bytes``, queries of ``query_bytes``.

    Events are kept for ``retention`` seconds, ``retention_text`` says it as the server does.
    Events of more than ``ahead`` seconds ahead of now, or ``behind`` if it is not 0, are not
    taken.  What it has answered for is on its disk ``flush`` seconds later.  ``is_known`` is false
    if the server does not say: nothing is left out then for what may be its limits.
    """

    retention: float = 7 * _DAY
    retention_text: str = "7d"
    ahead: float = 2 * _DAY
    behind: float = 0.0
    flush: float = 5.0
    line_bytes: int = 256 * 1024
    query_bytes: int = 16 * 1024
    can_delete: bool = False
    is_known: bool = False

    @property
    def is_durable_after(self) -> float:
        """Seconds: a second in a buffer, then the interval, and one more until it is looked at."""
        return 1.0 + 2 * self.flush + 1.0

    def takes(self, seconds: int, now: float) -> str | None:
        """Why the server does not keep an event of this time; None if it does.

        Both times are in seconds since 1970.  The server decides by the day.
        """
        if not self.is_known:
            return None
        day = seconds // _DAY
        if day < int((now - self.retention) // _DAY):
            return f"older than the server keeps (-retentionPeriod={self.retention_text})"
        if day > int((now + self.ahead) // _DAY):
            return "further ahead than the server takes (-futureRetention)"
        if self.behind and seconds < now - self.behind:
            return "older than the server takes (-maxBackfillAge)"
        return None


def limits_of(flags: str) -> Limits:
    """The limits of the text of ``/flags``; of an empty one nothing is known."""
    found = dict(_FLAG.findall(flags))
    if not found and not flags.strip():
        return Limits()
    usual = Limits()
    text = found.get("retentionPeriod", usual.retention_text)
    return Limits(
        retention=_duration(text),
        retention_text=text,
        ahead=_duration(found.get("futureRetention", "2d")),
        behind=_duration(found.get("maxBackfillAge", "0")),
        flush=max(1.0, _duration(found.get("inmemoryDataFlushInterval", "5s"))),
        line_bytes=_size(found.get("insert.maxLineSizeBytes", str(usual.line_bytes))),
        query_bytes=_size(found.get("search.maxQueryLen", str(usual.query_bytes))),
        can_delete=found.get("delete.enable") == "true",
        is_known=True,
    )


def _duration(text: str) -> float:
    """
    >>> _duration("100y") // 86_400, _duration("1m0s"), _duration("2"), _duration("0")
    (36500.0, 60.0, 5356800.0, 0.0)
    """
    parts = _DURATION.findall(text)
    if not parts:
        try:
            return float(text) * _MONTH
        except ValueError:
            return 0.0
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def _size(text: str) -> int:
    """
    >>> _size("262144"), _size("1MiB"), _size("16KB")
    (262144, 1048576, 16000)
    """
    found = _SIZE.match(text)
    if found is None:
        return 0
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** (" KMGT".index(unit) if unit else 0))
