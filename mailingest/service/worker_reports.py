"""What a worker says of itself twice a second <-> JSON, and what several say as one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from mailingest.delivery.histogram import Histogram
from mailingest.service.counters import COUNTERS, Counter, Labels, Reading
from mailingest.service.parts import Parts, Processing
from mailingest.spool.records import Position
from mailingest.watching.notices import Notice

# What is counted where lines are worked on.
_WORKED: Final = [counter for counter in COUNTERS if counter.of != "receiver"]


@dataclass(frozen=True, slots=True)
class Report:
    """How a worker is.

    ``position`` is behind what it has taken of the spool, and the frames before the number
    ``settled`` are stored, as far as they are its own; ``unstored`` it has taken and not stored.
    ``hosts`` are by name, when the last line of each came; only the first worker tells.
    """

    position: Position
    settled: int
    unstored: int = 0
    lag: float | None = None
    held: str | None = None
    hosts: Mapping[str, float] = field(default_factory=dict)
    notices: Sequence[Notice] = ()
    readings: Mapping[str, Reading] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "position": [*self.position],
            "settled": self.settled,
            "unstored": self.unstored,
            "lag": self.lag,
            "held": self.held,
            "hosts": self.hosts,
            "notices": [[one.kind, one.subject, one.since, one.detail] for one in self.notices],
            "readings": {name: _plain(reading) for name, reading in self.readings.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """A report as it was."""
        return cls(
            Position(*values["position"]),
            values["settled"],
            values["unstored"],
            values["lag"],
            values["held"],
            values["hosts"],
            [Notice(*one) for one in values["notices"]],
            {name: _reading(plain) for name, plain in values["readings"].items()},
        )


def readings_of(processing: Processing) -> dict[str, Reading]:
    """What is counted of lines that are worked on, by name."""
    # What these read is there, for those that read what receives are left out.
    parts: Parts = processing  # type: ignore[assignment]
    return {counter.name: counter.read(parts) for counter in _WORKED}


def together(counter: Counter, readings: Sequence[Reading]) -> Reading:
    """What several workers say, the first one first."""
    if counter.of == "first":
        return readings[0]
    if counter.of == "largest":
        return max(one for one in readings if isinstance(one, int | float))
    return total(readings)


def total(readings: Iterable[Reading]) -> Reading:
    """The sum of numbers, of numbers by labels, or of histograms."""
    first, *others = readings
    for one in others:
        first = _sum(first, one)
    return first


def _sum(one: Reading, other: Reading) -> Reading:
    match one, other:
        case Histogram(), Histogram():
            return one.plus(other)
        case ((int() | float()), (int() | float())):
            return one + other
        case Mapping(), Mapping():
            found: dict[Labels, int | float] = dict(one)
            for labels, number in other.items():
                found[labels] = found.get(labels, 0) + number
            return found
    raise TypeError(f"not readings of one counter: {one!r}, {other!r}")


def _plain(reading: Reading) -> object:
    if isinstance(reading, Histogram):
        return {"histogram": reading.row()}
    if isinstance(reading, Mapping):
        return {"by_label": [[*labels, number] for labels, number in reading.items()]}
    return reading


def _reading(plain: Any) -> Reading:
    match plain:
        case {"histogram": row}:
            return Histogram.of_row(row)
        case {"by_label": rows}:
            return {tuple(labels): number for *labels, number in rows}
    number: Reading = plain
    return number
