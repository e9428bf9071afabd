"""A time span, as the tables of this version and of earlier ones compare it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailingest.stores.events import StoredEvent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
# A timestamp without zeros and Z at its end, so that text compares as time does.
_STAMP: Final = """rtrim(json_extract(body, '$."@timestamp"'), '0Z')"""
_LEAST, _GREATEST = -(1 << 62), 1 << 62


@dataclass(frozen=True, slots=True)
class Bounds:
    """A time span; ``since`` is included, ``until`` is not."""

    since: datetime | None = None
    until: datetime | None = None

    def seconds(self) -> tuple[int, int]:
        """The first and the last second that the span has a part of."""
        return (
            _LEAST if self.since is None else _second(self.since),
            _GREATEST if self.until is None else _second(self.until),
        )

    def include(self, event: StoredEvent) -> bool:
        """Whether a document of one of those seconds lies within."""
        stamp = event["@timestamp"].rstrip("0Z")
        return (self.since is None or stamp >= _stamp(self.since)) and (
            self.until is None or stamp < _stamp(self.until)
        )

    def condition(self) -> tuple[str, list[object]]:
        """The condition in SQL on a document of an earlier version, and the values for it."""
        terms, values = ["TRUE"], list[object]()
        if self.since is not None:
            second = _second(self.since)
            terms.append(f"time >= ? AND (time > ? OR {_STAMP} >= ?)")
            values += [second, second, _stamp(self.since)]
        if self.until is not None:
            second = _second(self.until)
            terms.append(f"time <= ? AND (time < ? OR {_STAMP} < ?)")
            values += [second, second, _stamp(self.until)]
        return " AND ".join(terms), values


def _second(time: datetime) -> int:
    return (time - _EPOCH) // _SECOND


def _stamp(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}".rstrip("0")
