"""Stacks that py-spy sampled -> a flame graph: ``python -m benchmarks.flame RAW SVG``.

RAW is what ``py-spy record --function --format raw`` writes.  What is outside of reading, parsing
and writing lines (the start, most of all) is left out.  Each box is a function below its caller, as
wide as its share of the samples.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

_ROOT: Final = "mailingest/commands/parse.py"
_FRAME: Final = re.compile(r"(?P<name>.*?) \((?P<file>[^():]*)(?::\d+)?\)$")
_WIDTH: Final = 1_000.0
_HEIGHT: Final = 18
_CHARACTER: Final = 6.3
_LEAST_WIDTH: Final = 2.0
# The rooms that a line goes through; what is elsewhere is grey.
_COLOURS: Final = {
    "mailingest/syslog/": "#fdba74",
    "mailingest/grok/": "#fca5a5",
    "mailingest/postfix/": "#fcd34d",
    "mailingest/documents": "#93c5fd",
    "mailingest/pipeline": "#a5b4fc",
    "mailingest/": "#86efac",
}
_OTHERS: Final = "#cbd5e1"


@dataclass(slots=True)
class Box:
    """A function as called from the one above, and in how many samples it was seen."""

    samples: int = 0
    below: dict[str, "Box"] = field(default_factory=dict)


def read(text: str) -> Box:
    """The samples of the work on lines; raises ValueError if there is none."""
    root = Box()
    for line in text.splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = stack.split(";")
        begin = [place for place, frame in enumerate(frames) if _ROOT in frame]
        if not begin or "mailingest/wiring" in stack or "importlib" in stack:
            continue
        box = root
        box.samples += int(samples)
        for frame in frames[begin[-1] + 1 :]:
            box = box.below.setdefault(frame, Box())
            box.samples += int(samples)
    if not root.samples:
        raise ValueError(f"no sample has {_ROOT}")
    return root


def svg(root: Box) -> str:
    """The picture; it has no script, and a title for each box."""
    boxes = list(_boxes("mailingest parse: reading, parsing, writing", root, 0.0, 0, root.samples))
    height = max(depth for depth, _ in boxes) * _HEIGHT + _HEIGHT
    size = f'width="{_WIDTH:.0f}" height="{height}" viewBox="0 0 {_WIDTH:.0f} {height}"'
    style = 'font-family="sans-serif" font-size="11"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    body = "\n".join(text for _, text in boxes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{background}\n{body}\n</svg>\n'
    )


def _boxes(frame: str, box: Box, left: float, depth: int, whole: int) -> Iterator[tuple[int, str]]:
    width = box.samples / whole * _WIDTH
    if width < _LEAST_WIDTH:
        return
    found = _FRAME.match(frame)
    name, file = (found["name"], found["file"]) if found else (frame, "mailingest/")
    colour = next((one for place, one in _COLOURS.items() if place in file), _OTHERS)
    top = depth * _HEIGHT
    most = int(width / _CHARACTER)
    label = name if len(name) <= most else f"{name[: most - 1]}…" if most > 3 else ""
    share = box.samples / whole
    title = f"<title>{escape(frame)}: {share:.1%}</title>"
    place = f'x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_HEIGHT - 1}"'
    text = f'<text x="{left + 3:.1f}" y="{top + 13}">{escape(label)}</text>' if label else ""
    yield depth, f'<g>{title}<rect {place} fill="{colour}" stroke="white"/>{text}</g>'
    for called, below in sorted(box.below.items(), key=lambda one: -one[1].samples):
        yield from _boxes(called, below, left, depth + 1, whole)
        left += below.samples / whole * _WIDTH


def main() -> None:
    """Read the command line, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame", description=__doc__)
    parser.add_argument("raw", metavar="RAW", type=Path)
    parser.add_argument("svg", metavar="SVG", type=Path)
    options = parser.parse_args()
    options.svg.write_text(svg(read(options.raw.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
