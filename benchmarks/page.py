"""The kept figures -> the tables of the pages about them: ``python -m benchmarks.page``.

A table stands between ``<!-- figures: NAME -->`` and ``<!-- end of figures -->``; all else is
written by hand.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import DIRECTORY, Row, Run, load

FILES: Final = (DIRECTORY.with_suffix(".md"), DIRECTORY.with_name("report.md"))
_PLACE: Final = re.compile(
    r"(<!-- figures: (?P<name>[\w-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL
)


def document(text: str, directory: Path = DIRECTORY) -> str:
    """The page with the tables of the figures that are kept there."""

    def filled(place: re.Match[str]) -> str:
        run_name, table = _TABLES[place["name"]]
        run = load(run_name, directory)
        content = "\n".join(table(run)) if run else "Not measured yet."
        return f"{place[1]}\n{content}\n\n{place[3]}"

    return _PLACE.sub(filled, text)


def _peers(run: Run) -> Iterator[str]:
    whole = run.rows[0]
    yield f"{whole['lines']:,} lines; {run.circumstances}."
    yield ""
    heads = ("program", "version", "lines per CPU second", "CPU time of a line, times mailingest's")
    rows = [row for row in run.rows if not str(row["what"]).startswith("stage: ")]
    yield from _table(
        [*heads, "MB at most", "lines taken apart", "leaves out"],
        [
            [
                _name(row),
                str(row["version"] or ""),
                _rate(row, whole),
                _number(row["times"]),
                _number(row["max RSS MB"]),
                _share(row["taken apart"]),
                str(row["note"] or ""),
            ]
            for row in rows
        ],
    )
    yield ""
    yield from _ratios(rows)


def _ratios(rows: Sequence[Row]) -> Iterator[str]:
    for one in rows:
        if "pygrok" in str(one["what"]) and one["times"] is not None:
            for own in rows:
                if str(own["what"]).startswith("mailingest"):
                    ratio = float(one["times"]) / float(own["times"] or 1)
                    yield f"`{own['what']}`: **{ratio:.1f} times** as fast as pygrok as it comes."


def _stages(run: Run) -> Iterator[str]:
    stages = [row for row in run.rows if str(row["what"]).startswith("stage: ")]
    yield from _table(
        ["stage, with those before it", "lines per CPU second", "share of the whole process"],
        [[_name(row), _rate(row, run.rows[0]), _share(row["times"])] for row in stages],
    )


def _points(run: Run) -> Iterator[str]:
    yield f"{run.circumstances}."
    yield ""
    yield from _table(
        list(run.rows[0]), [[_number(value) for value in row.values()] for row in run.rows]
    )


def _totals(run: Run) -> Iterator[str]:
    """Each total once, with the logs side by side."""
    yield f"{run.date}."
    yield ""
    logs = list(dict.fromkeys(str(row["log"]) for row in run.rows))
    cells: dict[str, list[str]] = {}
    for row in run.rows:
        why = f" ({row['why']})" if row["why"] else ""
        cells.setdefault(str(row["total"]), []).append(
            f"{row['pflogsumm']} / {row['mailingest']:,}{why}"
        )
    heads = ["total", *(f"{log}: pflogsumm / mailingest" for log in logs)]
    yield from _table(heads, [[total, *of_logs] for total, of_logs in cells.items()])


_TABLES: Final[Mapping[str, tuple[str, Callable[[Run], Iterator[str]]]]] = {
    "peers": ("parse", _peers),
    "stages": ("parse", _stages),
    "curve-parse": ("curve-parse", _points),
    "curve-queue-ids": ("curve-queue-ids", _points),
    "curve-store": ("curve-store", _points),
    "verdicts": ("verdicts", _points),
    "report-totals": ("report-totals", _totals),
    "report-costs": ("report-costs", _points),
}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _name(row: Row) -> str:
    name = str(row["what"]).removeprefix("stage: ")
    return f"**`{name}`**" if name.startswith("mailingest") else name


def _rate(row: Row, whole: Row) -> str:
    rate = row["lines/CPU s"]
    if rate is None:
        return "-"
    # Three digits; more would say more than was measured.
    given = f" ({row['lines']:,} lines)" if row["lines"] != whole["lines"] else ""
    return f"{round(int(rate), 3 - len(str(rate))):,}{given}"


def _share(value: float | int | str | None) -> str:
    return "-" if value is None else f"{float(value):.1%}"


def _number(value: float | int | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    number = float(value)
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:.2g}"


if __name__ == "__main__":
    for file in FILES:
        file.write_text(document(file.read_text("utf-8")), "utf-8")
