"""Numbers step by step -> pictures as SVG: stacked columns, and lines of shares.

Pure.  Sizes are in SVG units; a picture scales with the page.  Colours are classes of the style
sheet, since the page forbids inline style.  Each picture has a title and a description, and each
step tells its numbers to a pointer; the table beside it says the same in text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from math import ceil, floor, log10
from typing import Final

_WIDTH: Final = 760
_LEFT: Final = 56
_RIGHT: Final = 8
_TOP: Final = 14
_HEIGHT: Final = 170
_LABELS: Final = 22
_LEGEND: Final = 24
# Between two labels of time there is room for a label.
_LABEL_WIDTH: Final = 84
_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of one kind: ``kind`` is a class of the style sheet, ``name`` is for people.

    None is where there is nothing to tell.
    """

    kind: str
    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """What a picture is about: ``steps`` are the labels of the columns, ``unit`` follows values."""

    title: str
    description: str
    steps: Sequence[str]
    series: Sequence[Series]
    unit: str = ""


def columns(chart: Chart) -> str:
    """A stack for each step, the first series at the bottom."""
    tops = [sum(value or 0 for value in values) for values in _by_step(chart)]
    greatest = _nice(max(tops, default=0))
    width = _step_width(chart)
    parts = []
    for step, values in enumerate(_by_step(chart)):
        x = _LEFT + step * width
        y = float(_TOP + _HEIGHT)
        bars = []
        for series, value in zip(chart.series, values, strict=True):
            if value:
                height = value * _HEIGHT / greatest
                y -= height
                bars.append(
                    f'<rect class="{series.kind}" x="{x + width * 0.08:.1f}" y="{y:.2f}" '
                    f'width="{width * 0.84:.1f}" height="{height:.2f}"/>'
                )
        parts.append(_with_numbers(chart, step, "".join(bars)))
    return _picture(chart, greatest, "".join(parts))


def lines(chart: Chart) -> str:
    """A line for each series; it is broken where a step has no value."""
    greatest = _nice(max((value or 0 for one in chart.series for value in one.values), default=0))
    width = _step_width(chart)
    parts = []
    for series in chart.series:
        points = [
            (_LEFT + (step + 0.5) * width, _TOP + _HEIGHT - value * _HEIGHT / greatest)
            if value is not None
            else None
            for step, value in enumerate(series.values)
        ]
        for is_gap, run in groupby(points, key=lambda point: point is None):
            if is_gap:
                continue
            known = [point for point in run if point is not None]
            if len(known) == 1:
                x, y = known[0]
                parts.append(f'<circle class="{series.kind}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
            else:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in known)
                parts.append(f'<polyline class="line {series.kind}" points="{path}"/>')
    parts += [_with_numbers(chart, step, "") for step in range(len(chart.steps))]
    return _picture(chart, greatest, "".join(parts))


def bar(share: float) -> str:
    """A bar as long as a share, from 0 to 1; the number stands beside it."""
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="0" y="0" width="{max(share * 100, 0.6):.1f}" height="10"/></svg>'
    )


def number(value: float) -> str:
    """A number for people, with a thin blank between thousands, which every language reads."""
    shown = f"{value:,.0f}" if value == floor(value) else f"{value:,.1f}"
    return shown.replace(",", "\u202f")


def _by_step(chart: Chart) -> list[tuple[float | None, ...]]:
    return list(zip(*(series.values for series in chart.series), strict=True))


def _step_width(chart: Chart) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / max(len(chart.steps), 1)


def _nice(greatest: float) -> float:
    """The end of a scale: lines at a quarter each have short numbers."""
    if greatest <= _LINES:
        return _LINES
    step = 10.0 ** floor(log10(greatest / _LINES))
    for factor in (1, 2, 2.5, 5, 10):
        quarter = factor * step
        if quarter * _LINES >= greatest and quarter == floor(quarter):
            return quarter * _LINES
    return ceil(greatest)


def _with_numbers(chart: Chart, step: int, drawn: str) -> str:
    """A step with what a pointer is told, wherever in the column it is."""
    told = [
        f"{one.name} {number(value)}{chart.unit}"
        for one in chart.series
        if (value := one.values[step]) is not None
    ]
    x = _LEFT + step * _step_width(chart)
    title = f"{chart.steps[step]}: {', '.join(told)}" if told else chart.steps[step]
    return (
        f"<g><title>{escape(title)}</title>{drawn}"
        f'<rect class="column" x="{x:.1f}" y="{_TOP}" width="{_step_width(chart):.1f}" '
        f'height="{_HEIGHT}"/></g>'
    )


def _picture(chart: Chart, greatest: float, drawn: str) -> str:
    height = _TOP + _HEIGHT + _LABELS + _LEGEND
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" '
        'xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(chart.title)}</title><desc>{escape(chart.description)}</desc>"
        f"{_scale(greatest, chart.unit)}{drawn}{_times(chart)}{_legend(chart, height)}</svg>"
    )


def _scale(greatest: float, unit: str) -> str:
    parts = []
    for line in range(_LINES + 1):
        y = _TOP + _HEIGHT - line * _HEIGHT / _LINES
        parts.append(
            f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{number(greatest * line / _LINES)}{escape(unit)}</text>"
        )
    return "".join(parts)


def _times(chart: Chart) -> str:
    width = _step_width(chart)
    every = max(1, ceil(_LABEL_WIDTH / width))
    y = _TOP + _HEIGHT + 16
    return "".join(
        f'<text class="tick" x="{_LEFT + step * width:.1f}" y="{y}">{escape(label)}</text>'
        for step, label in enumerate(chart.steps)
        if step % every == 0 and _LEFT + step * width + _LABEL_WIDTH <= _WIDTH + _RIGHT
    )


def _legend(chart: Chart, height: int) -> str:
    parts = []
    x = float(_LEFT)
    for series in chart.series:
        parts.append(
            f'<rect class="{series.kind}" x="{x:.0f}" y="{height - 16}" width="12" height="12"/>'
            f'<text class="tick" x="{x + 17:.0f}" y="{height - 6}">{escape(series.name)}</text>'
        )
        # Letters are up to 7 wide at this size.
        x += 17 + 7 * len(series.name) + 18
    return "".join(parts)
