"""Look-ups by index: conditions on searched columns -> rows -> events."""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from mailingest.postfix.names import QUEUE_ID, SASL_USERNAME
from mailingest.stores.criteria import Term
from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.protocol import Found
from mailingest.stores.sqlite.files import day_text
from mailingest.stores.sqlite.schema import has_logins, stored_login
from mailingest.stores.sqlite.visiting import Bounds, Days, stored_event


@dataclass(frozen=True, slots=True)
class Lookup:
    """A condition on a column that has an index."""

    column: str
    condition: str
    value: tuple[object, ...]

    def rows(
        self, connection: sqlite3.Connection, bounds: Bounds, limit: int
    ) -> list[tuple[int, int]]:
        """Time and row of the newest documents that meet it."""
        if self.column == SASL_USERNAME and not has_logins(connection):
            return self._rows_before(connection, bounds, limit)
        within, values = bounds.condition()
        # Columns and conditions are constants of this module; values are bound.
        query = (
            f'SELECT time, rowid FROM documents INDEXED BY "by_{self.column}"'  # noqa: S608
            f' WHERE "{self.column}" IS NOT NULL AND {self.condition} AND {within}'
            " ORDER BY time DESC, rowid DESC LIMIT ?"
        )
        return connection.execute(query, [*self.value, *values, limit]).fetchall()

    def _rows_before(
        self, connection: sqlite3.Connection, bounds: Bounds, limit: int
    ) -> list[tuple[int, int]]:
        """The same of a file that an earlier version wrote: its documents are read."""
        within, values = bounds.condition()
        condition = self.condition.replace(f'"{self.column}"', f"lower({stored_login()})")
        query = (
            f"SELECT time, rowid FROM documents INDEXED BY by_time"  # noqa: S608
            f" WHERE {QUEUE_ID} IS NOT NULL AND instr(body, ?) AND {condition} AND {within}"
            " ORDER BY time DESC, rowid DESC LIMIT ?"
        )
        bound = [f'"{self.column}"', *self.value, *values, limit]
        return connection.execute(query, bound).fetchall()


@dataclass(slots=True)
class Rows:
    """The newest rows of several days that meet any of the look-ups.

    Of a day that has files of several types, each gives as many as it would alone: only when their
    times are known is it known which are the newest.
    """

    lookups: Sequence[Lookup]
    by_file: list[tuple[Path, list[int]]] = field(default_factory=list)
    count: int = 0
    day: str = ""
    count_before: int = 0

    def add(self, path: Path, connection: sqlite3.Connection, bounds: Bounds, limit: int) -> None:
        """Add those of one more file, until there are ``limit`` in all."""
        if (day := day_text(path)) != self.day:
            self.day, self.count_before = day, self.count
        left = limit - self.count_before
        if left > 0:
            found = {row for one in self.lookups for row in one.rows(connection, bounds, left)}
            newest = sorted(found, reverse=True)[:left]
            self.by_file.append((path, [row for _, row in newest]))
            self.count += len(newest)


def by_term(column: str, term: Term) -> Lookup:
    """Documents whose column meets the term; the first two comparisons are quick."""
    text = encodable(term.text.casefold())
    match term.comparison:
        case "equals":
            return Lookup(column, f'"{column}" = ?', (text,))
        case "starts":
            end = text + "\U0010ffff"  # the greatest character
            return Lookup(column, f'"{column}" >= ? AND "{column}" < ?', (text, end))
        case "ends":
            return Lookup(column, f'substr("{column}", -length(?)) = ?', (text, text))
        case "contains":
            return Lookup(column, f'instr("{column}", ?)', (text,))


def by_values(column: str, values: Collection[str]) -> Lookup:
    """Documents whose column has one of the values."""
    listed = orjson.dumps([encodable(value) for value in values]).decode()
    condition = f'"{column}" IN (SELECT value FROM json_each(?))'  # noqa: S608
    return Lookup(column, condition, (listed,))


def look_up(days: Days, lookups: Sequence[Lookup], bounds: Bounds, limit: int) -> Found:
    """The newest events that meet any of the look-ups."""
    rows = Rows(lookups)
    collect(days, [rows], bounds, limit + 1)
    return fetch(days, rows, limit)


def collect(days: Days, several: Sequence[Rows], bounds: Bounds, limit: int) -> None:
    """Fill each up to ``limit`` rows, in one visit of each day."""

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        for rows in several:
            rows.add(path, connection, bounds, limit)
        return any(rows.count < limit for rows in several)

    if several:
        days.visit(days.within(bounds), ask)


def fetch(days: Days, rows: Rows, limit: int) -> Found:
    """The events of rows."""
    events: list[StoredEvent] = []
    wanted = dict(rows.by_file)

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        query = (
            "SELECT rowid, id, body FROM documents"
            " WHERE rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid DESC"
        )
        events.extend(
            stored_event(*found)
            for found in connection.execute(query, [orjson.dumps(wanted[path]).decode()])
        )
        return True

    days.visit([path for path, numbers in rows.by_file if numbers], ask)
    events = newest_first(events)
    return Found(events[:limit], rows.count > limit, days.gaps)


def encodable(text: str) -> str:
    """Text that a database takes: what the command line could not decode is not in there."""
    return text.encode("utf-8", "replace").decode("utf-8")
