"""Reading the documents of a time span, for what no index has."""

import re
import sqlite3
from pathlib import Path
from typing import Final

from mailingest.postfix.names import QUEUE_ID
from mailingest.stores.criteria import Term, meets_term
from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.protocol import Found, Progress
from mailingest.stores.sqlite.files import day_text
from mailingest.stores.sqlite.visiting import Bounds, Days, stored_event

# What stands in the JSON text of a document as it stood in the log.
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]+")
_HOUR: Final = 3600


def scan(
    days: Days, name: str, term: Term | None, bounds: Bounds, limit: int, progress: Progress
) -> Found:
    """Events about queue IDs within the time, those that meet a term if there is one.

    ``name`` is that of the term in `mailingest.stores.criteria.FIELDS_OF`.  Documents are read
    hour by hour, the newest first, until there are enough.
    """
    condition, values = f"{QUEUE_ID} IS NOT NULL", list[object]()
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
    day, left = "", 0

    def ask(path: Path, connection: sqlite3.Connection) -> bool:
        nonlocal day, left
        if day_text(path) != day:
            day, left = day_text(path), limit + 1 - len(events)
        # Files of one day give as many each as they would alone; the newest are known then.
        most = len(events) + left
        first, last = _first_and_last(connection)
        done = paths.index(path)
        for hour in range(last, first - 1, -_HOUR):
            progress((done + (last - hour) / (last - first + 1)) / len(paths))
            for found in connection.execute(query, [*span, *values, hour - _HOUR + 1, hour]):
                event = stored_event(*found)
                if term is None or meets_term(event, name, term):
                    events.append(event)
                    if len(events) == most:
                        return False
        return len(events) <= limit

    days.visit(paths, ask)
    return Found(newest_first(events)[:limit], len(events) > limit, days.gaps)


def _first_and_last(connection: sqlite3.Connection) -> tuple[int, int]:
    """The first and last second that a day has documents of; without any, the last is earlier."""
    # Each is a look at one end of an index; both in one statement would read it through.
    ends = [
        connection.execute(f"SELECT {which}(time) FROM documents").fetchone()[0]  # noqa: S608
        for which in ("min", "max")
    ]
    return (0, -1) if ends[0] is None else (ends[0], ends[1])
