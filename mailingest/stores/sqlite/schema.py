"""The tables of a day's file, and how a file of an earlier version becomes one of this."""

import sqlite3
from pathlib import Path
from typing import Final

from mailingest.errors import UsageError
from mailingest.postfix.names import (
    MESSAGE_ID,
    ORIGINAL_RECIPIENT,
    QUEUE_ID,
    RECIPIENT,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.sqlite.summary import TABLE, add_table

SCHEMA_VERSION: Final = 3
"""Kept in each file as ``user_version``.  Version 1 had no summary, 2 no column of logins."""

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
    SASL_USERNAME,
)


def _index(name: str) -> str:
    return f'CREATE INDEX "by_{name}" ON documents("{name}", time) WHERE "{name}" IS NOT NULL'


def stored_login() -> str:
    """The login of a document, as an expression of SQL on its body."""
    return f"json_extract(body, '$.\"{SASL_USERNAME}\"')"


_SCHEMA: Final = (
    "CREATE TABLE documents (id TEXT PRIMARY KEY NOT NULL, time INTEGER NOT NULL, "
    "body TEXT NOT NULL, " + ", ".join(f'"{name}" TEXT' for name in _SEARCHED) + ")",
    "CREATE INDEX by_time ON documents(time)",
    *map(_index, _SEARCHED),
    TABLE,
)
_LOGINS_SINCE: Final = 3
# What was stored before has its login in the text only.
_ADD_LOGINS: Final = (
    f'ALTER TABLE documents ADD COLUMN "{SASL_USERNAME}" TEXT',
    f'UPDATE documents SET "{SASL_USERNAME}" = lower({stored_login()})'  # noqa: S608
    f" WHERE instr(body, '\"{SASL_USERNAME}\"') AND {QUEUE_ID} IS NOT NULL",
    _index(SASL_USERNAME),
)


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a file, 0 if it has no tables yet; raises UsageError for a newer one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{path}: written by a newer mailingest (schema {version}, known {SCHEMA_VERSION})"
        )
    return version


def has_logins(connection: sqlite3.Connection) -> bool:
    """Whether a file has the column of logins."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version >= _LOGINS_SINCE


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a new file, or those that a file of an earlier version lacks."""
    connection.execute("BEGIN IMMEDIATE")
    version = schema_version(connection, path)
    if version == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
    if version == 1:
        add_table(connection)
    if version in (1, 2):
        for statement in _ADD_LOGINS:
            connection.execute(statement)
    if version < SCHEMA_VERSION:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
