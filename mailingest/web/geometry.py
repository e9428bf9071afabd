"""What pictures are made of; ``templates/svg.html`` draws it.

Sizes are in SVG units; a picture scales with the page.  ``kind`` is a class of the style sheet,
which has the colours, since the page forbids inline style.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rectangle:
    """``x`` and ``y`` are its top left corner."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Dot:
    """``x`` and ``y`` are its centre."""

    kind: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Polyline:
    """A line through points."""

    kind: str
    points: list[tuple[float, float]]
