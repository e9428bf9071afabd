"""Stats of VictoriaLogs -> who sent what to whom, and how long it took."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from mailingest.postfix.names import (
    ACTION,
    DELAY,
    FORWARDED_QUEUE_ID,
    MESSAGE_LEVEL,
    MILTER_RESULT,
    OUTCOME,
    RECEIVED_SIZE,
    RELAY_HOSTNAME,
    SIZE,
    TLS_VERSION,
)
from mailingest.stores.breakdown import (
    ADDRESSES,
    COLUMN_OF,
    DELAY_BOUNDS,
    DIMENSIONS,
    DOMAINS,
    FIELDS_OF_NAMES,
    LEVELS,
    LONGEST_NAME,
    MOST_NAMES,
    TIMED,
    Breakdown,
    Column,
    Dimension,
    Figures,
    breakdown_of,
)
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.events import StoredEvent
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.logsql import (
    all_of,
    among,
    any_of,
    ends,
    equals,
    exists,
    none_of,
    quoted,
    within,
)
from mailingest.stores.victorialogs.rows import domain_of

_NAMED: Final = among(OUTCOME, sorted(COLUMN_OF))
_SENT: Final = equals(OUTCOME, "sent")
_COUNTED: Final = [exists(OUTCOME), exists(RECEIVED_SIZE)]
_OTHER: Final = none_of([*_COUNTED, among(MESSAGE_LEVEL, sorted(LEVELS))])
_HELD: Final = any_of([ends(field, "hold") for field in (ACTION, MILTER_RESULT)])
WARNINGS: Final = all_of([among(MESSAGE_LEVEL, sorted(LEVELS)), none_of(_COUNTED)])
"""Lines that warn, and count as nothing else."""
_MOST_ROWS: Final = 4 * MOST_NAMES
_EMPTY: Final = '""'


async def read(connection: Connection, types: str, buckets: TimeBuckets) -> Breakdown:
    """All but the warnings, of copies too."""
    found = Breakdown()
    span = " ".join([types, *within(buckets.since, buckets.until)])
    for dimension in DIMENSIONS:
        for field, also in _fields(dimension):
            rows = await connection.table(_by_name(span, field, also, dimension))
            _add_names(found, dimension, field, rows)
    held = f"{_HELD} {_OTHER}"
    warned = f"{equals(ACTION, 'reject_warning')} {_OTHER} {none_of([_HELD])}"
    forwarded = f"{equals(OUTCOME, 'passed_on')} {exists(FORWARDED_QUEUE_ID)}"
    received = f"{exists(RECEIVED_SIZE)} {none_of([exists(OUTCOME)])}"
    [row] = await connection.table(
        f"{span} | stats count() if ({received}) received, "
        f"sum({quoted(RECEIVED_SIZE)}) if ({received}) bytes, "
        f"count() if ({forwarded}) forwarded, count() if ({held}) held, "
        f"count() if ({warned}) warned"
    )
    found.received, found.received_bytes = _number(row["received"]), _number(row["bytes"])
    found.forwarded, found.held = _number(row["forwarded"]), _number(row["held"])
    found.reject_warnings = _number(row["warned"])
    for row in await connection.table(
        f"{span} {_SENT} {exists(RELAY_HOSTNAME)} | stats by ({quoted(TLS_VERSION)}) count() n"
    ):
        found.tls[row.get(TLS_VERSION, "")] += _number(row["n"])
    return found


def subtract(found: Breakdown, copy: StoredEvent) -> None:
    """Take a line out that was counted once too often; warnings are read one by one."""
    one = breakdown_of([copy])
    for dimension, names in one.names.items():
        for name, figures in names.items():
            if name in found.names[dimension]:
                _take(found.names[dimension][name], figures)
    found.received -= one.received
    found.received_bytes -= one.received_bytes
    found.forwarded -= one.forwarded
    found.held -= one.held
    found.reject_warnings -= one.reject_warnings
    found.tls.subtract(one.tls)


def _take(figures: Figures, less: Figures) -> None:
    for column in COLUMN_OF.values():
        if getattr(less, column):
            figures.add(column, -getattr(less, column))
    figures.bytes -= less.bytes
    for place, count in enumerate(less.delays):
        if count:
            figures.add_delay(place, -count)


def _fields(dimension: Dimension) -> Iterator[tuple[str, str]]:
    """The fields that have the names, each with what must hold for a line beside."""
    field = FIELDS_OF_NAMES[dimension]
    if dimension not in DOMAINS:
        yield field, exists(field)
        return
    yield domain_of(field), exists(domain_of(field))
    # Of what has no @, all of it is the domain.
    yield field, f"{exists(field)} {none_of([exists(domain_of(field))])}"


def _by_name(span: str, field: str, also: str, dimension: Dimension) -> str:
    functions = ["count() n", f"sum({SIZE}) bytes"]
    if dimension in TIMED:
        functions += [
            f"count() if ({quoted(DELAY)}:{bound}) d{place}" for place, bound in _ranges()
        ]
    return (
        f"{span} {_NAMED} {also} | stats by ({quoted(field)}, {OUTCOME}) {', '.join(functions)} "
        f"| sort by (n desc) limit {_MOST_ROWS}"
    )


def _ranges() -> Iterator[tuple[int, str]]:
    yield 0, f"<{DELAY_BOUNDS[0]}"
    for place, (low, high) in enumerate(pairwise(DELAY_BOUNDS), 1):
        yield place, f"range[{low},{high})"
    yield len(DELAY_BOUNDS), f">={DELAY_BOUNDS[-1]}"


def _add_names(
    found: Breakdown, dimension: Dimension, field: str, rows: Sequence[Mapping[str, str]]
) -> None:
    names = found.names[dimension]
    last = 0
    for row in rows:
        name = "" if row[field] == _EMPTY else row[field]
        last = _number(row["n"])
        if len(name) > LONGEST_NAME:
            continue
        if dimension in ADDRESSES:
            name = name.lower()
        figures = names.setdefault(name, Figures())
        column: Column = COLUMN_OF[row[OUTCOME]]  # type: ignore[index]
        figures.add(column, last)
        if column == "sent":
            figures.bytes += _number(row["bytes"])
            for place in range(len(DELAY_BOUNDS) + 1):
                if n := _number(row.get(f"d{place}", "0")):
                    figures.add_delay(place, n)
    if len(rows) >= _MOST_ROWS:
        found.short_by[dimension] += last


def _number(text: str) -> int:
    """A number of an answer; of nothing the server has no sum."""
    return 0 if text in ("", "NaN") else int(float(text))
