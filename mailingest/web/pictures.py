"""A story -> its time line as SVG: one bar for each queue ID, coloured by where the time went.

Pure.  Sizes are in SVG units; the picture scales with the page.  Colours are classes of the style
sheet, since the page forbids inline style.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from mailingest.escaping import escape_terminal
from mailingest.trace.facts import Attempt, Queue
from mailingest.trace.stories import Story

_WIDTH = 760
_LEFT = 190
_ROW = 44
_BAR = 18
_AXIS = 30
# So short a bar can still be seen.
_LEAST = 2.0
PARTS = ("before_qmgr", "in_qmgr", "conn_setup", "transmission")


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    place: str
    born: datetime
    end: datetime
    attempts: list[Attempt]


def timeline(story: Story, names: dict[str, str]) -> str:
    """The SVG of a story's way; ``names`` has a word for each of `PARTS`; "" if there is none."""
    rows = [_row(queue, story.recipient) for queue in story.queues]
    if not rows:
        return ""
    begin = min(row.born for row in rows)
    end = max(row.end for row in rows)
    seconds = max((end - begin).total_seconds(), 0.001)
    scale = (_WIDTH - _LEFT - 20) / seconds
    height = _AXIS + _ROW * len(rows) + 34
    parts = [
        f'<svg class="timeline" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(_described(rows, seconds))}</title>",
        *_axis(seconds, scale, height),
    ]
    for number, row in enumerate(rows):
        top = _AXIS + number * _ROW
        parts += [
            f'<text class="queue" x="0" y="{top + 14}">{escape(row.label)}</text>',
            f'<text class="place" x="0" y="{top + 30}">{escape(row.place)}</text>',
            *_bars(row, begin, scale, top),
        ]
    parts += [*_legend(names, height), "</svg>"]
    return "".join(parts)


def _row(queue: Queue, recipient: str | None) -> _Row:
    wanted = (recipient or "").lower()
    attempts = [one for one in queue.attempts if one.recipient.lower() == wanted]
    attempts = attempts or queue.attempts[:1]
    end = max((one.time for one in attempts), default=queue.ended or queue.created_at)
    place = f"{queue.key.host} {queue.key.instance}"
    label, place = escape_terminal(queue.key.queue_id), escape_terminal(place)
    return _Row(label[:20], place[:28], queue.created_at, max(end, queue.created_at), attempts)


def _bars(row: _Row, begin: datetime, scale: float, top: float) -> list[str]:
    x = _LEFT + (row.born - begin).total_seconds() * scale
    width = max((row.end - row.born).total_seconds() * scale, _LEAST)
    bars = [f'<rect class="life" x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_BAR}"/>']
    for attempt in row.attempts:
        delays = [attempt.delays[part] or 0.0 for part in PARTS]
        # The line is written at the end of the attempt.
        at = attempt.time - timedelta(seconds=sum(delays))
        for part, delay in zip(PARTS, delays, strict=True):
            start = max(_LEFT, _LEFT + (at - begin).total_seconds() * scale)
            length = max(min(delay * scale, _WIDTH - 20 - start), 0.0)
            if length:
                bars.append(
                    f'<rect class="{part}" x="{start:.1f}" y="{top}" '
                    f'width="{length:.1f}" height="{_BAR}"/>'
                )
            at += timedelta(seconds=delay)
        end = _LEFT + (attempt.time - begin).total_seconds() * scale
        kind = "good" if attempt.status == "sent" else "bad"
        bars.append(f'<circle class="{kind}" cx="{end:.1f}" cy="{top + _BAR / 2}" r="5"/>')
    return bars


def _axis(seconds: float, scale: float, height: int) -> list[str]:
    lines = []
    for step in range(5):
        at = seconds * step / 4
        x = _LEFT + at * scale
        lines.append(
            f'<line class="grid" x1="{x:.1f}" y1="18" x2="{x:.1f}" y2="{height - 30}"/>'
            f'<text class="tick" x="{x:.1f}" y="12" text-anchor="middle">{_duration(at)}</text>'
        )
    return lines


def _legend(names: dict[str, str], height: int) -> list[str]:
    marks = []
    for number, part in enumerate(PARTS):
        x = _LEFT + number * 140
        marks.append(
            f'<rect class="{part}" x="{x}" y="{height - 18}" width="12" height="12"/>'
            f'<text class="tick" x="{x + 18}" y="{height - 8}">{escape(names[part])}</text>'
        )
    return marks


def _described(rows: list[_Row], seconds: float) -> str:
    ways = ", ".join(f"{row.label} ({row.place})" for row in rows)
    return f"{ways}: {_duration(seconds)}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds else "0 s"
