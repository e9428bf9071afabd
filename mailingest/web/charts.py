"""Numbers by time bucket -> charts: stacked columns, and lines of shares; pure.

Each chart has a title and a description, and each bucket shows its numbers to a pointer; the table
beside it has the same as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, log10
from typing import Final

from mailingest.web.geometry import Dot, Label, LegendEntry, Polyline, Rectangle
from mailingest.web.numbers import number

_WIDTH: Final = 760
_LEFT: Final = 56
_RIGHT: Final = 8
_TOP: Final = 14
_HEIGHT: Final = 170
_BOTTOM: Final = _TOP + _HEIGHT
_TIMES: Final = 22
_LEGEND: Final = 24
# Between two labels of time there is room for a label.
_LABEL_WIDTH: Final = 112
_GRIDLINES: Final = 4


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers of one kind: ``kind`` is a class of the style sheet, ``name`` is for people.

    None is where there is no number.
    """

    kind: str
    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart is about: ``buckets`` are the labels of the times, ``unit`` follows values.

    ``links`` are the addresses that the buckets lead to, if there are any.
    """

    title: str
    description: str
    buckets: Sequence[str]
    series: Sequence[Series]
    unit: str = ""
    links: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Gridline:
    """A horizontal line, with the number that it stands for."""

    y: float
    label: Label


@dataclass(frozen=True, slots=True)
class Column:
    """The place of a bucket; a pointer anywhere in ``area`` is shown ``title``, and led on."""

    title: str
    area: Rectangle
    link: str
    bars: Sequence[Rectangle] = ()


@dataclass(frozen=True, slots=True)
class ChartDrawing:
    """A chart as it is drawn; ``left`` and ``right`` are the ends of the gridlines."""

    title: str
    description: str
    width: float
    height: float
    left: float
    right: float
    gridlines: Sequence[Gridline]
    columns: Sequence[Column]
    lines: Sequence[Polyline]
    dots: Sequence[Dot]
    times: Sequence[Label]
    legend: Sequence[LegendEntry]


def stacked_columns(chart: Chart) -> ChartDrawing:
    """A stack for each bucket, the first series at the bottom."""
    stacks = _by_bucket(chart)
    greatest = _scale(max((sum(value or 0 for value in stack) for stack in stacks), default=0))
    bars = [_stack(chart, place, stack, greatest) for place, stack in enumerate(stacks)]
    return _drawing(chart, greatest, bars=bars)


def line_chart(chart: Chart) -> ChartDrawing:
    """A line for each series; it is broken where a bucket has no number."""
    greatest = _scale(max((value or 0 for one in chart.series for value in one.values), default=0))
    lines, dots = [], []
    for series in chart.series:
        for run in _runs(chart, series, greatest):
            if len(run) > 1:
                lines.append(Polyline(series.kind, run))
            else:
                dots.append(Dot(series.kind, *run[0]))
    return _drawing(chart, greatest, lines=lines, dots=dots)


def _by_bucket(chart: Chart) -> list[tuple[float | None, ...]]:
    return list(zip(*(series.values for series in chart.series), strict=True))


def _stack(
    chart: Chart, place: int, values: Sequence[float | None], greatest: float
) -> list[Rectangle]:
    width = _bucket_width(chart)
    x = _LEFT + place * width
    y = float(_BOTTOM)
    bars = []
    for series, value in zip(chart.series, values, strict=True):
        if value:
            height = value * _HEIGHT / greatest
            y -= height
            bars.append(_rectangle(series.kind, x + width * 0.08, y, width * 0.84, height))
    return bars


def _runs(chart: Chart, series: Series, greatest: float) -> list[list[tuple[float, float]]]:
    """The points of a series, those without a gap between them together."""
    width = _bucket_width(chart)
    points = [
        (round(_LEFT + (place + 0.5) * width, 1), round(_BOTTOM - value * _HEIGHT / greatest, 1))
        if value is not None
        else None
        for place, value in enumerate(series.values)
    ]
    runs = groupby(points, key=lambda point: point is None)
    return [[point for point in run if point is not None] for is_gap, run in runs if not is_gap]


def _bucket_width(chart: Chart) -> float:
    return (_WIDTH - _LEFT - _RIGHT) / max(len(chart.buckets), 1)


def _scale(greatest: float) -> float:
    """The end of a scale whose gridlines, at a quarter each, have short numbers."""
    if greatest <= _GRIDLINES:
        return _GRIDLINES
    magnitude = 10.0 ** floor(log10(greatest / _GRIDLINES))
    for factor in (1, 2, 2.5, 5, 10):
        quarter = factor * magnitude
        if quarter * _GRIDLINES >= greatest and quarter == floor(quarter):
            return quarter * _GRIDLINES
    return ceil(greatest)


def _drawing(
    chart: Chart,
    greatest: float,
    *,
    bars: Sequence[Sequence[Rectangle]] = (),
    lines: Sequence[Polyline] = (),
    dots: Sequence[Dot] = (),
) -> ChartDrawing:
    return ChartDrawing(
        chart.title,
        chart.description,
        width=_WIDTH,
        height=_BOTTOM + _TIMES + _LEGEND,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        gridlines=[_gridline(line, greatest, chart.unit) for line in range(_GRIDLINES + 1)],
        columns=[
            _column(chart, place, bars[place] if bars else ())
            for place in range(len(chart.buckets))
        ],
        lines=lines,
        dots=dots,
        times=_times(chart),
        legend=_legend(chart),
    )


def _gridline(line: int, greatest: float, unit: str) -> Gridline:
    y = _BOTTOM - line * _HEIGHT / _GRIDLINES
    label = f"{number(greatest * line / _GRIDLINES)}{unit}"
    return Gridline(y, Label(_LEFT - 6, y + 4, label))


def _column(chart: Chart, place: int, bars: Sequence[Rectangle]) -> Column:
    numbers = [
        f"{one.name} {number(value)}{chart.unit}"
        for one in chart.series
        if (value := one.values[place]) is not None
    ]
    bucket = chart.buckets[place]
    width = _bucket_width(chart)
    return Column(
        f"{bucket}: {', '.join(numbers)}" if numbers else bucket,
        _rectangle("column", _LEFT + place * width, _TOP, width, _HEIGHT),
        chart.links[place]
        if chart.links and any(one.values[place] for one in chart.series)
        else "",
        bars,
    )


def _times(chart: Chart) -> list[Label]:
    width = _bucket_width(chart)
    every = max(1, ceil(_LABEL_WIDTH / width))
    places = [(_LEFT + place * width, label) for place, label in enumerate(chart.buckets)]
    return [
        Label(round(x, 1), _BOTTOM + 16, label)
        for x, label in places[::every]
        if x + _LABEL_WIDTH <= _WIDTH + _RIGHT
    ]


def _legend(chart: Chart) -> list[LegendEntry]:
    entries = []
    x = _LEFT
    for series in chart.series:
        entries.append(LegendEntry(series.kind, x, series.name))
        # Letters are up to 7 wide at this size.
        x += 17 + 7 * len(series.name) + 18
    return entries


def _rectangle(kind: str, x: float, y: float, width: float, height: float) -> Rectangle:
    return Rectangle(kind, round(x, 1), round(y, 2), round(width, 1), round(height, 2))
