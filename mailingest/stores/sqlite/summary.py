"""Documents -> the summary table of a day's file: how many lines of each outcome, when, and why.

It is kept in the transaction that stores the documents, so that both say the same.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from typing import Final

import orjson

from mailingest.documents import Document
from mailingest.postfix.completion import stored_outcome
from mailingest.postfix.names import REASON, SIZE
from mailingest.postfix.outcome import BUCKET_SECONDS

UNCOUNTED: Final = "uncounted"
"""Stands for an outcome where documents were stored before there was this table."""

# An outcome of a day has twice as many reasons at most; a page shows some.  Servers that make up
# reasons without end must not fill the disk, nor drive out those that are frequent.
_REASONS_KEPT: Final = 128

# Rows without a reason are those that have none, and those of all reasons that were too many.
TABLE: Final = (
    "CREATE TABLE summary (bucket INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, "
    "count INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (bucket, outcome, reason)) "
    "WITHOUT ROWID"
)
# One statement for all rows: each one has to wait for the interpreter lock (see `sqlite`).
_UPSERT: Final = """
    INSERT INTO summary
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]')
    FROM json_each(?) WHERE TRUE
    ON CONFLICT (bucket, outcome, reason)
    DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes
"""
_FOLD: Final = (
    """
    INSERT INTO summary
    SELECT bucket, outcome, '', sum(count), sum(bytes) FROM summary
    WHERE outcome = ?1 AND reason IN (SELECT value FROM json_each(?2)) GROUP BY bucket
    ON CONFLICT (bucket, outcome, reason)
    DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes
    """,
    "DELETE FROM summary WHERE outcome = ?1 AND reason IN (SELECT value FROM json_each(?2))",
)


def has_summary(connection: sqlite3.Connection) -> bool:
    """Whether a file has the table: those of schema 1 do not."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version >= 2


def add_table(connection: sqlite3.Connection) -> None:
    """Give a file of schema 1 its table, with a mark for what was stored before."""
    connection.execute(TABLE)
    [last] = connection.execute("SELECT max(time) FROM documents").fetchone()
    if last is not None:
        connection.execute(
            "INSERT INTO summary VALUES (?, ?, '', 0, 0)", [last // BUCKET_SECONDS, UNCOUNTED]
        )


class Summary:
    """The table of one open file.  If a transaction is rolled back, make a new one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, Counter[str]] | None = None

    def add(self, documents: Iterable[Document]) -> None:
        """Count documents that were stored just now, each for the first time."""
        counts: dict[tuple[int, str, str], list[int]] = {}
        for document in documents:
            fields = document.fields
            outcome = stored_outcome(fields)
            if outcome is None:
                continue
            reason = fields.get(REASON, "")
            row = counts.setdefault((document.seconds // BUCKET_SECONDS, outcome, reason), [0, 0])
            row[0] += 1
            if outcome == "sent":
                row[1] += fields.get(SIZE, 0)
        if not counts:
            return
        rows = [[*key, *row] for key, row in counts.items()]
        self._connection.execute(_UPSERT, [orjson.dumps(rows).decode()])
        if self._known is None:
            self._known = self._read()
        else:
            for (_, name, reason), (count, _) in counts.items():
                if reason:
                    self._known.setdefault(name, Counter())[reason] += count
        for name, reasons in self._known.items():
            if len(reasons) > 2 * _REASONS_KEPT:
                self._known[name] = self._fold(name, reasons)

    def _read(self) -> dict[str, Counter[str]]:
        """The reasons that the table has, and how often."""
        known: dict[str, Counter[str]] = {}
        for outcome, reason, count in self._connection.execute(
            "SELECT outcome, reason, sum(count) FROM summary WHERE reason != '' GROUP BY 1, 2"
        ):
            known.setdefault(outcome, Counter())[reason] = count
        return known

    def _fold(self, outcome: str, reasons: Counter[str]) -> Counter[str]:
        """Count the rarer half of the reasons under no reason; give those that are left."""
        kept = Counter(dict(reasons.most_common(_REASONS_KEPT)))
        rare = orjson.dumps([reason for reason in reasons if reason not in kept]).decode()
        for statement in _FOLD:
            self._connection.execute(statement, [outcome, rare])
        return kept
