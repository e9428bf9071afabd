"""Numbers by time bucket -> charts: stacked columns, and lines of shares; pure.

Each chart has a title and a description, and each bucket shows its numbers to a pointer; the table
beside it has the same as text.  A chart is as wide as the page, whatever that is: only what has no
letters is stretched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, log10
from typing import Final

from mailingest.web.geometry import Dot, Polyline, Rectangle
from mailingest.web.numbers import number

WIDTH: Final = 1000
HEIGHT: Final = 100
"""Units of the picture, which is stretched."""
# Of the width, where there is room for several labels of time; on a phone there are two.
_LABEL_PERCENT: Final = 18
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
    """A horizontal line, with the number that it stands for; ``y`` is in percent of the height."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class TimeLabel:
    """A time below the picture, ``x`` is in percent of the width.

    ``anchor`` is the end of the text that is there.  ``kind`` is ``wide`` or ``narrow``: the labels
    of wide windows or of narrow ones.
    """

    kind: str
    x: float
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    """The place of a bucket; a pointer anywhere in ``area`` is shown ``title``, and led on."""

    title: str
    area: Rectangle
    link: str
    bars: Sequence[Rectangle] = ()


@dataclass(frozen=True, slots=True)
class ChartDrawing:
    """A chart as it is drawn; ``legend`` has the kinds and their names."""

    title: str
    description: str
    gridlines: Sequence[Gridline]
    columns: Sequence[Column]
    lines: Sequence[Polyline]
    dots: Sequence[Dot]
    times: Sequence[TimeLabel]
    legend: Sequence[tuple[str, str]]

    @property
    def label_length(self) -> int:
        """The number of letters of the longest number."""
        return max(len(one.label) for one in self.gridlines)


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
    x = place * width
    y = float(HEIGHT)
    bars = []
    for series, value in zip(chart.series, values, strict=True):
        if value:
            height = value * HEIGHT / greatest
            y -= height
            bars.append(_rectangle(series.kind, x + width * 0.08, y, width * 0.84, height))
    return bars


def _runs(chart: Chart, series: Series, greatest: float) -> list[list[tuple[float, float]]]:
    """The points of a series, those without a gap between them together."""
    width = _bucket_width(chart)
    points = [
        (round((place + 0.5) * width, 1), round(HEIGHT - value * HEIGHT / greatest, 1))
        if value is not None
        else None
        for place, value in enumerate(series.values)
    ]
    runs = groupby(points, key=lambda point: point is None)
    return [[point for point in run if point is not None] for is_gap, run in runs if not is_gap]


def _bucket_width(chart: Chart) -> float:
    return WIDTH / max(len(chart.buckets), 1)


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
        gridlines=[_gridline(line, greatest, chart.unit) for line in range(_GRIDLINES + 1)],
        columns=[
            _column(chart, place, bars[place] if bars else ())
            for place in range(len(chart.buckets))
        ],
        lines=lines,
        dots=dots,
        times=_times(chart),
        legend=[(one.kind, one.name) for one in chart.series],
    )


def _gridline(line: int, greatest: float, unit: str) -> Gridline:
    label = f"{number(greatest * line / _GRIDLINES)}{unit}"
    return Gridline(100 - line * 100 / _GRIDLINES, label)


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
        _rectangle("column", place * width, 0, width, HEIGHT),
        chart.links[place]
        if chart.links and any(one.values[place] for one in chart.series)
        else "",
        bars,
    )


def _times(chart: Chart) -> list[TimeLabel]:
    """Where there is room, a time at every so many buckets; else the first one and the last one."""
    count = len(chart.buckets)
    every = max(1, ceil(count * _LABEL_PERCENT / 100))
    places = [(round(place * 100 / count, 1), label) for place, label in enumerate(chart.buckets)]
    labels = [
        TimeLabel("wide", x, "start", label)
        for x, label in places[::every]
        if x + _LABEL_PERCENT <= 100
    ]
    labels += [TimeLabel("narrow", 0, "start", label) for label in chart.buckets[:1]]
    labels += [TimeLabel("narrow", 100, "end", label) for label in chart.buckets[1:][-1:]]
    return labels


def _rectangle(kind: str, x: float, y: float, width: float, height: float) -> Rectangle:
    return Rectangle(kind, round(x, 1), round(y, 2), round(width, 1), round(height, 2))
