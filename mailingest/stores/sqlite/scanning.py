"""Reading the documents of a time span, for what no index has."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from mailingest.postfix.completion import completed
from mailingest.postfix.names import MESSAGE, OUTCOME, PROGRAM_KIND, QUEUE_ID
from mailingest.stores.criteria import Evidence, Term, meets_term
from mailingest.stores.events import StoredEvent, newest_first
from mailingest.stores.protocol import Found, Progress
from mailingest.stores.sqlite.files import day_text
from mailingest.stores.sqlite.visiting import Bounds, Days, stored_event

# What stands in the JSON text of a document as it stood in the log.
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]+")
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for in documents: a ``condition`` on their text, and whether one ``fits``."""

    condition: str
    values: Sequence[object]
    fits: Callable[[StoredEvent], bool]


EVERY: Final = Filter("1", (), lambda event: True)
"""Lets all documents through."""


def of_term(name: str, term: Term) -> Filter:
    """Those that meet a term; ``name`` is as in `mailingest.stores.criteria.FIELDS_OF`."""
    # lower() of SQLite knows ASCII only, and JSON writes some characters in its own way.
    plain = max(_PLAIN.findall(term.text), key=len, default="")
    return Filter("instr(lower(body), ?)", [plain], partial(meets_term, name=name, term=term))


def of_evidence(evidence: Evidence) -> Filter:
    """Those that may decide; one of an earlier version does not say what it counts as."""
    texts = [f'"{OUTCOME}":"{outcome}"' for outcome in sorted(evidence.outcomes)]
    texts += [f'"{field}":' for field in sorted(evidence.fields)]
    texts += [f'"{MESSAGE}":"{message}"' for message in sorted(evidence.messages)]
    conditions = ["instr(body, ?)" for _ in texts] + ["NOT instr(body, ?)"]
    values: list[object] = [*texts, f'"{PROGRAM_KIND}":']
    if evidence.since is not None:
        conditions.append("time >= ?")
        values.append(int(evidence.since.timestamp()))
    condition = f"({' OR '.join(conditions)})"
    return Filter(condition, values, lambda event: evidence.is_in(completed(event)))


def scan(days: Days, wanted: Filter, bounds: Bounds, limit: int, progress: Progress) -> Found:
    """Events about queue IDs within the time that are wanted.

    Documents are read hour by hour, the newest first, until there are enough.
    """
    condition = f"{QUEUE_ID} IS NOT NULL AND {wanted.condition}"
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
            for found in connection.execute(query, [*span, *wanted.values, hour - _HOUR + 1, hour]):
                event = stored_event(*found)
                if wanted.fits(event):
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
