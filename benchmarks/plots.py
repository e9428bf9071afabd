"""The kept figures -> pictures in docs/performance/: ``python -m benchmarks.plots``.

Needs ``requirements/bench.txt``, and nothing of mailingest.
"""

from collections.abc import Sequence
from typing import Any, Final

import matplotlib

from benchmarks.figures import DIRECTORY, Row, Run, load

_OURS: Final = "#c2410c"
_OTHERS: Final = "#475569"
_GRID: Final = "#cbd5e1"


def _new(rows: int, columns: int, height: float) -> Any:
    from matplotlib import pyplot

    return pyplot.subplots(rows, columns, figsize=(9, height), layout="constrained")


def _finish(figure: Any, name: str, run: Run) -> None:
    figure.text(0.995, -0.02, run.circumstances, ha="right", va="top", fontsize=6.5, color=_OTHERS)
    # Neither a date nor random names: the same figures give the same bytes.
    figure.savefig(DIRECTORY / name, bbox_inches="tight", metadata={"Date": None})
    print(DIRECTORY / name)


def peers(run: Run) -> None:
    """Lines a CPU second of each program, on a logarithmic scale."""
    rows = [row for row in run.rows if not str(row["what"]).startswith("stage") and row["times"]]
    rows.sort(key=lambda row: float(row["lines/CPU s"] or 0))
    figure, axes = _new(1, 1, 0.34 * len(rows) + 0.8)
    for place, row in enumerate(rows):
        rate = float(row["lines/CPU s"] or 0)
        name = str(row["what"])
        colour = _OURS if name.startswith("mailingest") else _OTHERS
        axes.plot([1_000, rate], [place, place], color=_GRID, linewidth=1, zorder=1)
        axes.plot(rate, place, "o", color=colour, markersize=8, zorder=2)
        axes.annotate(
            _rounded(rate),
            (rate, place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
        )
    axes.set_yticks(range(len(rows)), [_label(row) for row in rows])
    axes.set_xscale("log")
    axes.set_xlim(1_000, 2_000_000)
    axes.set_xlabel("lines per CPU second (each leaves something else out: see the table)")
    _bare(axes)
    _finish(figure, "peers.svg", run)


def _rounded(rate: float) -> str:
    """Three digits, as in the table."""
    return f"{round(rate, 3 - len(str(int(rate)))):,.0f}"


def _label(row: Row) -> str:
    return str(row["what"]).removesuffix(", JSON")


def curve(run: Run, axes_of: Sequence[tuple[str, Sequence[str]]]) -> None:
    """One panel a quantity, over the size, which is the first column."""
    size = next(iter(run.rows[0]))
    figure, panels = _new(1, len(axes_of), 3.2)
    for axes, (title, names) in zip(panels, axes_of, strict=True):
        for name in names:
            points = [
                (float(row[size] or 0), float(row[name] or 0)) for row in run.rows if row[name]
            ]
            label = name.partition(",")[0]
            axes.plot(*zip(*points, strict=True), "o-", markersize=4, label=label)
        axes.set_xscale("log")
        axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(size)
        axes.grid(visible=True, color=_GRID, linewidth=0.5)
        _bare(axes)
        if len(names) > 1:
            axes.legend(fontsize=7, frameon=False)
    _finish(figure, f"{run.name}.svg", run)


def _bare(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def main() -> None:
    """Draw what was measured."""
    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "mailingest", "svg.fonttype": "none", "font.family": "sans-serif"}
    )
    matplotlib.rcParams["font.size"] = 8
    if (run := load("parse")) is not None:
        peers(run)
    panels: dict[str, list[tuple[str, list[str]]]] = {
        "curve-parse": [
            ("CPU time, µs a line", ["µs a line"]),
            ("memory at most, MB", ["max RSS MB"]),
        ],
        "curve-queue-ids": [
            ("bytes a live queue ID", ["bytes each"]),
            ("CPU time, µs a line", ["µs a line"]),
        ],
        "curve-store": [
            ("bytes an event", ["bytes each"]),
            ("CPU time to store, µs an event", ["µs to store"]),
            (
                "CPU time of a question, ms",
                ["sender and recipient, ms", "nobody's address, ms", "domain, ms"],
            ),
        ],
    }
    for name, axes_of in panels.items():
        if (run := load(name)) is not None:
            curve(run, axes_of)


if __name__ == "__main__":
    main()
