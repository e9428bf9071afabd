"""A story -> its time line: for each queue ID a bar, coloured by where the time went; pure.

The length is that of the longest delay that Postfix logged, which is exact; time stamps may have
whole seconds only.  Where lines say no delay, the stamps count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from mailingest.escaping import escape_terminal
from mailingest.stores.events import time_of
from mailingest.trace.attempts import attempts_in
from mailingest.trace.facts import Attempt, Queue
from mailingest.trace.lines import is_hold
from mailingest.trace.story import Story
from mailingest.web.geometry import Dot, Rectangle

WIDTH: Final = 1000
"""Units; the pictures are as wide as the page, whatever that is."""
_BAR_TOP: Final = 12
_BAR: Final = 16
HEIGHT: Final = _BAR_TOP + _BAR
# Pixels, of which all pictures have as many as units upwards.
_DOT_HEIGHT: Final = 5
TICKS: Final = 4
# A bar of this width can still be seen on a phone.
_LEAST: Final = 3.0
_STAMP: Final = timedelta(seconds=1)
_WORK: Final = ("in_qmgr", "conn_setup", "transmission")
KINDS: Final = ("before_qmgr", *_WORK, "waiting", "on_hold")
"""Where time goes: the parts of Postfix's ``delays=``, between two tries, and in the hold queue."""
_DOTS: Final = {"sent": "good", "deferred": "wait"}


@dataclass(frozen=True, slots=True)
class Row:
    """A queue ID, where that is, how long the mail was there, and its picture."""

    queue_id: str
    place: str
    duration: str
    bars: Sequence[Rectangle]
    dots: Sequence[Dot]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A time line as it is drawn; ``legend`` has the names of the kinds that are in it."""

    title: str
    axis: Sequence[str]
    rows: Sequence[Row]
    legend: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class _Stay:
    """A mail's time in one queue."""

    queue: Queue
    begin: datetime
    end: datetime
    parts: Sequence[_Part]
    tries: Sequence[tuple[datetime, str]]


def timeline(
    story: Story, names: Mapping[str, str], until: datetime | None = None
) -> Timeline | None:
    """The time line of a story, None if it never was in a queue.

    ``names`` has those of `KINDS`; ``until`` is how far the logs reach, which is how long a mail
    waited that is still in the queue.
    """
    is_open = story.verdict in ("pending", "held")
    last = len(story.queues) - 1
    stays = [
        _stay(queue, attempts_in(queue, story), until if is_open and place == last else None)
        for place, queue in enumerate(story.queues)
    ]
    if not stays:
        return None
    begin = min(stay.begin for stay in stays)
    seconds = max((max(stay.end for stay in stays) - begin).total_seconds(), 0.001)
    rows = [_row(stay, begin, seconds) for stay in stays]
    drawn = {bar.kind for row in rows for bar in row.bars}
    return Timeline(
        f"{_duration(seconds)}: {', '.join(f'{row.queue_id} ({row.place})' for row in rows)}",
        axis=[_duration(seconds * tick / TICKS) for tick in range(TICKS + 1)],
        rows=rows,
        legend=[(kind, names[kind]) for kind in KINDS if kind in drawn],
    )


def _stay(queue: Queue, attempts: Sequence[Attempt], until: datetime | None) -> _Stay:
    begin = _begin(queue, attempts)
    tries = sorted(((_time(one, begin), one) for one in attempts), key=lambda each: each[0])
    end = max((time for time, _ in tries), default=queue.ended or queue.created_at)
    end = max(begin, queue.created_at, end, until or end)
    parts = [*_tried(queue, tries, begin), *_on_hold(queue, end)]
    if until is not None and tries:
        parts.insert(0, _Part("waiting", tries[-1][0], end))
    return _Stay(queue, begin, end, parts, [(time, one.status) for time, one in tries])


def _begin(queue: Queue, attempts: Sequence[Attempt]) -> datetime:
    """When the mail came in: before the try with the longest delay, as long as that is."""
    known = [(one.delay, one.time) for one in attempts if one.delay is not None]
    if not known:
        return queue.created_at
    delay, time = max(known)
    arrived = time - timedelta(seconds=delay)
    return arrived if arrived <= queue.created_at + _STAMP else queue.created_at


def _time(attempt: Attempt, begin: datetime) -> datetime:
    """When an attempt ended: by its delay, unless its time stamp says something else."""
    if attempt.delay is None:
        return attempt.time
    exact = begin + timedelta(seconds=attempt.delay)
    return exact if abs(exact - attempt.time) <= 2 * _STAMP else attempt.time


def _tried(
    queue: Queue, tries: Sequence[tuple[datetime, Attempt]], begin: datetime
) -> Iterator[_Part]:
    """How the time went until the last try: before the queue, for each try, and between two."""
    before = begin
    for number, (end, attempt) in enumerate(tries):
        works = [timedelta(seconds=attempt.delays[part] or 0.0) for part in _WORK]
        start = max(end - sum(works, timedelta()), before)
        entered = before if number else max(before, _entered(queue, start))
        yield _Part("before_qmgr", before, entered)
        yield _Part("waiting", entered, start)
        for part, work in zip(_WORK, works, strict=True):
            yield _Part(part, start, min(start + work, end))
            start += work
        before = end


def _entered(queue: Queue, start: datetime) -> datetime:
    """When the queue manager first had a mail whose first try in the logs began at ``start``.

    Earlier tries may not be in the logs: the time of theirs is no time before the queue.
    """
    active = min(queue.activations, default=start)
    return active if start - active > _STAMP else start


def _on_hold(queue: Queue, end: datetime) -> Iterator[_Part]:
    """From each line that put it on hold to the one that released it."""
    holds = sorted(time_of(one) for one in (*filter(is_hold, queue.intents), *queue.holds))
    ways_out = sorted(chain(map(time_of, queue.releases), queue.activations))
    for begin in holds:
        out = next((time for time in ways_out if time >= begin), end)
        yield _Part("on_hold", max(begin, queue.created_at), out)


def _row(stay: _Stay, begin: datetime, seconds: float) -> Row:
    def x(time: datetime) -> float:
        units = (time - begin).total_seconds() * WIDTH / seconds
        return min(max(units, 0.0), float(WIDTH))

    left = min(x(stay.begin), WIDTH - _LEAST)
    bars = [_bar("life", left, max(x(stay.end), left + _LEAST))]
    bars += [_bar(one.kind, x(one.begin), x(one.end)) for one in stay.parts if one.end > one.begin]
    key = stay.queue.key
    return Row(
        escape_terminal(key.queue_id),
        escape_terminal(f"{key.host} {key.instance}"),
        _duration((stay.end - stay.begin).total_seconds()),
        bars,
        [Dot(_DOTS.get(kind, "bad"), round(x(time), 1), _DOT_HEIGHT) for time, kind in stay.tries],
    )


def _bar(kind: str, left: float, right: float) -> Rectangle:
    return Rectangle(kind, round(left, 1), _BAR_TOP, round(right - left, 1), _BAR)


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds else "0 s"
