"""The tables of a day's file, and how a file of an earlier version becomes one of this."""

import sqlite3
from pathlib import Path
from typing import Final

from mailingest.errors import UsageError
from mailingest.postfix.names import MESSAGE_ID, ORIGINAL_RECIPIENT, QUEUE_ID, RECIPIENT, SENDER
from mailingest.stores.sqlite.summary import TABLE, add_table

SCHEMA_VERSION: Final = 2
"""Kept in each file as ``user_version``.  Version 1 had no summary."""

# The body is stored as text, so that SQLite's own JSON functions read it.  Each searched
# field has a column of its own; its index leaves out the documents without the field, which
# are most of them.  Addresses and Message-IDs are case-folded, queue IDs are not: long queue
# IDs differ by case (postconf(5), enable_long_queue_ids).  The time in an index gives the newest
# documents first without a look at any other.  `linked` is what only a trace asks for: the other
# queue ID that a line names, the process id of a line about a session, or a mark for lines that no
# pattern matched.
_SEARCHED: Final = (
    QUEUE_ID,
    RECIPIENT,
    ORIGINAL_RECIPIENT,
    SENDER,
    MESSAGE_ID,
    "linked",
)
_SCHEMA: Final = (
    "CREATE TABLE documents (id TEXT PRIMARY KEY NOT NULL, time INTEGER NOT NULL, "
    "body TEXT NOT NULL, " + ", ".join(f'"{name}" TEXT' for name in _SEARCHED) + ")",
    "CREATE INDEX by_time ON documents(time)",
    *(
        f'CREATE INDEX "by_{name}" ON documents("{name}", time) WHERE "{name}" IS NOT NULL'
        for name in _SEARCHED
    ),
    TABLE,
)


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a file, 0 if it has no tables yet; raises UsageError for a newer one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{path}: written by a newer mailingest (schema {version}, known {SCHEMA_VERSION})"
        )
    return version


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a new file, or those that a file of an earlier version lacks."""
    connection.execute("BEGIN IMMEDIATE")
    version = schema_version(connection, path)
    if version == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
    elif version == 1:
        add_table(connection)
    if version < SCHEMA_VERSION:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
