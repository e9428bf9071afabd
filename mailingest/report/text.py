"""A report -> lines of at most 80 columns, which a terminal only shows; pure."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from rich.cells import cell_len, set_cell_size

from mailingest.escaping import escape_terminal
from mailingest.report.report import Report
from mailingest.report.tables import Table, tables, title, warnings

WIDTH: Final = 80
_INDENT: Final = "  "
# A first column is no narrower, and a name that is longer is cut.
_NARROWEST: Final = 12


def text(report: Report) -> str:
    """The report as text, which ends with a line feed."""
    lines = wrap(escape_terminal(title(report)), WIDTH)
    if told := warnings(report):
        lines += ["", *(line for one in told for line in wrap(escape_terminal(one), WIDTH))]
    if report.is_empty:
        lines += ["", "Nothing was counted in this time."]
    else:
        for table in tables(report):
            lines += ["", table.title, "-" * len(table.title)]
            lines += _named(table) if table.is_named else _listed(table)
            if table.note:
                lines += wrap(table.note, WIDTH)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _named(table: Table) -> Iterator[str]:
    """Names at the left, and numbers in columns at the right; words in the last one are as wide."""
    rows = [[escape_terminal(cell) for cell in row] for row in table.rows]
    every = [[*table.heads], *rows] if any(table.heads) else rows
    widths = [max(cell_len(row[column]) for row in every) for column in range(len(table.heads))]
    is_prose = not any(table.heads) and len(widths) > 2
    room = WIDTH - len(_INDENT) - sum(width + 2 for width in widths[1:])
    widths[0] = max(_NARROWEST, min(widths[0], room))
    for row in every:
        numbers = [_right(cell, width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        if is_prose:
            numbers[-1] = row[-1]
        yield _INDENT + "  ".join([_left(row[0], widths[0]), *numbers])


def _listed(table: Table) -> Iterator[str]:
    """Numbers at the left, and texts that are wrapped."""
    rows = [[escape_terminal(cell) for cell in row] for row in table.rows]
    width = max(len(count) for count, _ in rows)
    for count, words in rows:
        start = f"{_INDENT}{count:>{width}}  "
        yield from wrap(
            words,
            WIDTH,
            initial_indent=start,
            subsequent_indent=" " * len(start),
            break_on_hyphens=False,
        ) or [start]


def _left(cell: str, width: int) -> str:
    if cell_len(cell) > width:
        return set_cell_size(cell, width - 1) + "…"
    return set_cell_size(cell, width)


def _right(cell: str, width: int) -> str:
    return " " * (width - cell_len(cell)) + cell
