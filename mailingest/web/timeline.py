"""A story -> its time line: one bar for each queue ID, coloured by where the time went; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailingest.escaping import escape_terminal
from mailingest.trace.facts import Attempt, Queue
from mailingest.trace.story import Story
from mailingest.web.geometry import Dot, Label, LegendEntry, Rectangle

_WIDTH: Final = 760
_LEFT: Final = 190
_RIGHT: Final = 20
_ROW: Final = 44
_BAR: Final = 18
_AXIS: Final = 30
_LEGEND: Final = 34
_LEGEND_WIDTH: Final = 140
_TICKS: Final = 4
# A bar of this width can still be seen.
_LEAST: Final = 2.0
PARTS: Final = ("before_qmgr", "in_qmgr", "conn_setup", "transmission")
"""Where the time of a delivery goes, as in Postfix's ``delays=``."""


@dataclass(frozen=True, slots=True)
class Row:
    """A queue ID, where it was, and its time."""

    queue_id: Label
    place: Label
    bars: Sequence[Rectangle]
    dots: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A time line as it is drawn."""

    title: str
    width: float
    height: float
    axis: Sequence[Label]
    rows: Sequence[Row]
    legend: Sequence[LegendEntry]


@dataclass(frozen=True, slots=True)
class _Stay:
    """A mail's time in one queue."""

    queue_id: str
    place: str
    begin: datetime
    end: datetime
    attempts: Sequence[Attempt]


def timeline(story: Story, names: Mapping[str, str]) -> Timeline | None:
    """The time line of a story, None if it never was in a queue; ``names`` has those of `PARTS`."""
    stays = [_stay(queue, story.recipient) for queue in story.queues]
    if not stays:
        return None
    begin = min(stay.begin for stay in stays)
    seconds = max((max(stay.end for stay in stays) - begin).total_seconds(), 0.001)
    scale = _Scale(begin, (_WIDTH - _LEFT - _RIGHT) / seconds)
    ways = ", ".join(f"{stay.queue_id} ({stay.place})" for stay in stays)
    return Timeline(
        f"{ways}: {_duration(seconds)}",
        _WIDTH,
        _AXIS + _ROW * len(stays) + _LEGEND,
        axis=[_tick(seconds * tick / _TICKS, scale) for tick in range(_TICKS + 1)],
        rows=[_row(stay, scale, _AXIS + place * _ROW) for place, stay in enumerate(stays)],
        legend=[
            LegendEntry(part, _LEFT + place * _LEGEND_WIDTH, names[part])
            for place, part in enumerate(PARTS)
        ],
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """Times -> x."""

    begin: datetime
    units_a_second: float

    def x(self, time: datetime) -> float:
        return _LEFT + (time - self.begin).total_seconds() * self.units_a_second


def _stay(queue: Queue, recipient: str | None) -> _Stay:
    wanted = (recipient or "").lower()
    attempts = [one for one in queue.attempts if one.recipient.lower() == wanted]
    attempts = attempts or queue.attempts[:1]
    end = max((one.time for one in attempts), default=queue.ended or queue.created_at)
    queue_id = escape_terminal(queue.key.queue_id)
    place = escape_terminal(f"{queue.key.host} {queue.key.instance}")
    return _Stay(queue_id[:20], place[:28], queue.created_at, max(end, queue.created_at), attempts)


def _row(stay: _Stay, scale: _Scale, top: float) -> Row:
    x = scale.x(stay.begin)
    bars = [_bar("life", x, top, max(scale.x(stay.end) - x, _LEAST))]
    for attempt in stay.attempts:
        bars += _parts(attempt, scale, top)
    return Row(
        Label(0, top + 14, stay.queue_id),
        Label(0, top + 30, stay.place),
        bars,
        [
            Dot(
                "good" if attempt.status == "sent" else "bad",
                round(scale.x(attempt.time), 1),
                top + _BAR / 2,
            )
            for attempt in stay.attempts
        ],
    )


def _parts(attempt: Attempt, scale: _Scale, top: float) -> list[Rectangle]:
    """The parts of an attempt's delay that lie within the picture."""
    delays = [attempt.delays[part] or 0.0 for part in PARTS]
    # The line is written at the end of the attempt.
    begin = attempt.time - timedelta(seconds=sum(delays))
    bars = []
    for part, delay in zip(PARTS, delays, strict=True):
        x = max(_LEFT, scale.x(begin))
        width = min(delay * scale.units_a_second, _WIDTH - _RIGHT - x)
        if width > 0:
            bars.append(_bar(part, x, top, width))
        begin += timedelta(seconds=delay)
    return bars


def _bar(kind: str, x: float, top: float, width: float) -> Rectangle:
    return Rectangle(kind, round(x, 1), top, round(width, 1), _BAR)


def _tick(seconds: float, scale: _Scale) -> Label:
    x = _LEFT + seconds * scale.units_a_second
    return Label(round(x, 1), 12, _duration(seconds))


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds else "0 s"
