"""The embedded store as a source: indexed look-ups in one SQLite file a day, newest first."""

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import orjson
import structlog

from mailingest.errors import StoreUnavailable
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import FIELDS_OF, Criteria, Term, meets_term, terms_of
from mailingest.stores.events import StoredEvent, is_of_sessions, newest_first
from mailingest.stores.protocol import Found, Progress, Span, no_progress
from mailingest.stores.sqlite.counts import add_day, keep_most
from mailingest.stores.sqlite.writer import day_files, open_for_reading
from mailingest.stores.threads import Interrupted, in_thread

_log = structlog.get_logger(__name__)

T = TypeVar("T")

# These have columns of their own; anything else is looked for in the text of the documents.
_IN_COLUMNS: Final = ("message_id", "recipient", "sender")
# What stands in the JSON text of a document as it stood in the log.
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]+")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_HOUR: Final = 3600
# A time stamp without the end that tells nothing, so that text compares as time does.
_STAMP: Final = """rtrim(json_extract(body, '$."@timestamp"'), '0Z')"""


class SqliteReader:
    """Asks the files that SqliteWriter writes, also while it is writing them.

    Nothing is written, and no right to write is needed.  A file that cannot be read is logged and
    noted, and the others are asked.  Whole addresses, their beginnings, Message-IDs and queue IDs
    are found by an index; domains and other parts of addresses by reading an index through;
    anything else by reading the documents of the time span.
    """

    def __init__(self, directory: Path, prefix: str, progress: Progress = no_progress) -> None:
        self._directory = directory
        self._prefix = prefix
        self._progress = progress

    async def span(self) -> Span | None:
        """The time that there are events for; None if there are none."""
        return await self._in_thread(_span)

    async def find(self, criteria: Criteria, limit: int) -> Found:
        """Events that may belong to an answer."""
        return await self._in_thread(
            partial(_find, criteria=criteria, limit=limit, progress=self._progress)
        )

    async def of_mails(
        self,
        queue_ids: Collection[str],
        message_ids: Collection[str],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """All events of queue IDs and Message-IDs."""
        looks = [
            _among("postfix_queueid", queue_ids),
            _among("linked", queue_ids),
            _among("postfix_message-id", [one.casefold() for one in message_ids]),
        ]
        return await self._in_thread(
            partial(_look_up, looks=looks, bounds=_Bounds(since, until), limit=limit)
        )

    async def of_sessions(
        self,
        sessions: Collection[tuple[str, str, str]],
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> Found:
        """The lines about SMTP sessions."""
        wanted = set(sessions)
        looks = [_among("linked", {pid for _, _, pid in sessions})]
        found = await self._in_thread(
            partial(_look_up, looks=looks, bounds=_Bounds(since, until), limit=limit)
        )
        events = [event for event in found.events if is_of_sessions(event, wanted)]
        return Found(events, found.is_cut, found.notes)

    async def counts(self, buckets: TimeBuckets) -> Counts:
        """How much happened when, and why."""
        return await self._in_thread(partial(_counts, buckets=buckets))

    async def close(self) -> None:
        """Nothing stays open between two questions."""

    async def _in_thread(self, work: Callable[["_Days"], T]) -> T:
        days = _Days(self._directory, self._prefix)
        return await in_thread(partial(work, days), days.interrupt)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """A time span, as a condition on a document."""

    since: datetime | None
    until: datetime | None

    def condition(self) -> tuple[str, list[object]]:
        terms, values = ["TRUE"], list[object]()
        if self.since is not None:
            second, stamp = _second_of(self.since)
            terms.append(f"time >= ? AND (time > ? OR {_STAMP} >= ?)")
            values += [second, second, stamp]
        if self.until is not None:
            second, stamp = _second_of(self.until)
            terms.append(f"time <= ? AND (time < ? OR {_STAMP} < ?)")
            values += [second, second, stamp]
        return " AND ".join(terms), values


@dataclass(frozen=True, slots=True)
class _Look:
    """A condition on a column that has an index."""

    column: str
    condition: str
    value: tuple[object, ...]

    def rows(
        self, connection: sqlite3.Connection, bounds: _Bounds, limit: int
    ) -> list[tuple[int, int]]:
        """Time and row of the newest documents that meet it."""
        within, values = bounds.condition()
        # Columns and conditions are constants of this module; values are bound.
        query = (
            f'SELECT time, rowid FROM documents INDEXED BY "by_{self.column}"'  # noqa: S608
            f' WHERE "{self.column}" IS NOT NULL AND {self.condition} AND {within}'
            " ORDER BY time DESC, rowid DESC LIMIT ?"
        )
        return connection.execute(query, [*self.value, *values, limit]).fetchall()


@dataclass(slots=True)
class _Rows:
    """The newest rows of several days that meet any of the looks."""

    looks: Sequence[_Look]
    by_day: list[tuple[Path, list[int]]] = field(default_factory=list)
    count: int = 0

    def add(self, path: Path, connection: sqlite3.Connection, bounds: _Bounds, most: int) -> None:
        left = most - self.count
        if left > 0:
            found = {row for look in self.looks for row in look.rows(connection, bounds, left)}
            newest = sorted(found, reverse=True)[:left]
            self.by_day.append((path, [row for _, row in newest]))
            self.count += len(newest)


class _Days:
    """The files, one of them open at a time, and how to stop that from another thread."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self._directory = directory
        self._prefix = prefix
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_interrupted = False
        self.notes: list[str] = []

    def interrupt(self) -> None:
        with self._lock:
            self._is_interrupted = True
            if self._connection is not None:
                self._connection.interrupt()

    def within(self, bounds: _Bounds) -> list[Path]:
        """The files of a time span, newest first."""
        return day_files(self._directory, self._prefix, bounds.since, bounds.until)

    def visit(self, paths: Sequence[Path], ask: Callable[[Path, sqlite3.Connection], bool]) -> None:
        """Open one after the other for as long as the answer is True; faults become `notes`."""
        for path in paths:
            try:
                connection = open_for_reading(path)
                if connection is None:
                    continue
                with closing(connection):
                    self._set_current(connection)
                    try:
                        if not ask(path, connection):
                            return
                    finally:
                        self._set_current(None)
            except sqlite3.DatabaseError as error:
                self._failed(path, error)

    def _set_current(self, connection: sqlite3.Connection | None) -> None:
        with self._lock:
            self._connection = connection
            if self._is_interrupted and connection is not None:
                raise Interrupted

    def _failed(self, path: Path, error: sqlite3.DatabaseError) -> None:
        if self._is_interrupted:
            raise Interrupted from error
        if not path.exists():
            return  # its time was over
        reason = str(error)
        if not os.access(path, os.R_OK, effective_ids=True):
            reason = "no right to read it"
        note = f"{path} cannot be read: {reason}"
        if note not in self.notes:
            _log.error("a day of the store cannot be read", path=str(path), reason=reason)
            self.notes.append(note)


def _span(days: _Days) -> Span | None:
    ends: list[datetime] = []

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        for which in ("min", "max"):
            query = (
                f"""SELECT {which}(json_extract(body, '$."@timestamp"')) FROM documents"""  # noqa: S608
                f" WHERE time = (SELECT {which}(time) FROM documents)"
            )
            [stamp] = connection.execute(query).fetchone()
            if stamp is not None:
                ends.append(datetime.fromisoformat(stamp))
        return not ends

    newest = days.within(_Bounds(None, None))
    days.visit(newest, ask)
    last = max(ends, default=None)
    if last is None:
        if days.notes:
            raise StoreUnavailable("; ".join(days.notes))
        return None
    ends.clear()
    days.visit(newest[::-1], ask)
    return Span(min(ends, default=last), last)


def _counts(days: _Days, buckets: TimeBuckets) -> Counts:
    counts = Counts(buckets)

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        add_day(counts, connection)
        return True

    files = days.within(_Bounds(buckets.since, buckets.until))
    days.visit(files, ask)
    if files and len(days.notes) == len(files):
        raise StoreUnavailable("; ".join(days.notes))
    counts.notes = days.notes
    keep_most(counts)
    return counts


def _find(days: _Days, criteria: Criteria, limit: int, progress: Progress) -> Found:
    """Events of the term that the fewest lines meet, so that few are left out."""
    bounds = _Bounds(criteria.since, criteria.until)
    terms = terms_of(criteria)
    by_index: list[_Rows] = []
    by_reading: list[_Rows] = []
    if criteria.queue_id is not None:
        queue_id = [criteria.queue_id]
        by_index.append(_Rows([_among("postfix_queueid", queue_id), _among("linked", queue_id)]))
    for name in _IN_COLUMNS:
        if (term := terms.get(name)) is not None:
            rows = _Rows([_look(column, term) for column in FIELDS_OF[name]])
            (by_index if term.comparison in ("equals", "starts") else by_reading).append(rows)
    if not by_index and not by_reading:
        name = next((name for name in FIELDS_OF if name in terms), "")
        return _read_through(days, name, terms.get(name), bounds, limit, progress)
    candidates: list[_Rows] = []
    for stage in (by_index, by_reading):
        _collect(days, stage, bounds, limit + 1)
        candidates += stage
        if any(rows.count <= limit for rows in candidates):
            break
    return _fetch(days, min(candidates, key=lambda rows: rows.count), limit)


def _look_up(days: _Days, looks: Sequence[_Look], bounds: _Bounds, limit: int) -> Found:
    rows = _Rows(looks)
    _collect(days, [rows], bounds, limit + 1)
    return _fetch(days, rows, limit)


def _collect(days: _Days, stage: Sequence[_Rows], bounds: _Bounds, most: int) -> None:
    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        for rows in stage:
            rows.add(path, connection, bounds, most)
        return any(rows.count < most for rows in stage)

    if stage:
        days.visit(days.within(bounds), ask)


def _fetch(days: _Days, rows: _Rows, limit: int) -> Found:
    events: list[StoredEvent] = []
    wanted = dict(rows.by_day)

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        query = (
            "SELECT rowid, id, body FROM documents"
            " WHERE rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid DESC"
        )
        events.extend(
            _event(*found)
            for found in connection.execute(query, [orjson.dumps(wanted[path]).decode()])
        )
        return True

    days.visit([path for path, numbers in rows.by_day if numbers], ask)
    events = newest_first(events)
    return Found(events[:limit], rows.count > limit, days.notes)


def _read_through(
    days: _Days, name: str, term: Term | None, bounds: _Bounds, limit: int, progress: Progress
) -> Found:
    """Events about queue IDs within the time, those that meet a term if there is one.

    Hour by hour, the newest first, until there are enough.
    """
    condition, values = "postfix_queueid IS NOT NULL", list[object]()
    if term is not None:
        # lower() of SQLite knows ASCII only, and JSON writes some characters in its own way.
        condition += " AND instr(lower(body), ?)"
        values.append(max(_PLAIN.findall(term.text), key=len, default=""))
    within, span = bounds.condition()
    query = (
        f"SELECT rowid, id, body FROM documents INDEXED BY by_time WHERE {within} AND {condition}"  # noqa: S608
        " AND time BETWEEN ? AND ? ORDER BY time DESC, rowid DESC"
    )
    events: list[StoredEvent] = []
    paths = days.within(bounds)

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        first, last = _times(connection)
        done = paths.index(path)
        for hour in range(last, first - 1, -_HOUR):
            progress((done + (last - hour) / (last - first + 1)) / len(paths))
            for found in connection.execute(query, [*span, *values, hour - _HOUR + 1, hour]):
                event = _event(*found)
                if term is None or meets_term(event, name, term):
                    events.append(event)
                    if len(events) > limit:
                        return False
        return True

    days.visit(paths, ask)
    return Found(newest_first(events)[:limit], len(events) > limit, days.notes)


def _times(connection: sqlite3.Connection) -> tuple[int, int]:
    """The first and last second that a day has documents of; without any, the last is earlier."""
    # Each is a look at one end of an index; both in one statement would read it through.
    ends = [
        connection.execute(f"SELECT {which}(time) FROM documents").fetchone()[0]  # noqa: S608
        for which in ("min", "max")
    ]
    return (0, -1) if ends[0] is None else (ends[0], ends[1])


def _look(column: str, term: Term) -> _Look:
    text = _sound(term.text.casefold())
    match term.comparison:
        case "equals":
            return _Look(column, f'"{column}" = ?', (text,))
        case "starts":
            end = text + "\U0010ffff"  # the greatest character
            return _Look(column, f'"{column}" >= ? AND "{column}" < ?', (text, end))
        case "ends":
            return _Look(column, f'substr("{column}", -length(?1)) = ?1', (text,))
        case "contains":
            return _Look(column, f'instr("{column}", ?)', (text,))


def _among(column: str, values: Collection[str]) -> _Look:
    listed = orjson.dumps([_sound(value) for value in values]).decode()
    return _Look(column, f'"{column}" IN (SELECT value FROM json_each(?))', (listed,))  # noqa: S608


def _event(row: int, document_id: str, body: str) -> StoredEvent:
    return {**orjson.loads(body), "_id": document_id, "_position": row}


def _sound(text: str) -> str:
    """Text that a database takes: what the command line could not decode is not in there."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _second_of(time: datetime) -> tuple[int, str]:
    """The whole seconds since 1970, and the time as `_STAMP` has it."""
    stamp = f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"
    return (time - _EPOCH) // _SECOND, stamp.rstrip("0")
