"""The tables of a day's file, and how a file of an earlier version becomes one of this."""

import sqlite3
from pathlib import Path
from typing import Final

from mailingest.errors import UsageError
from mailingest.stores.sqlite.compression import add_start
from mailingest.stores.sqlite.summary import TABLE, add_table

SCHEMA_VERSION: Final = 5
"""Kept in each file as ``user_version``.  Version 1 had no summary, 2 no column of logins, 3 had a
row for each document in a table ``documents``, 4 no ends of values in its index."""

# `ids` and `body` are told in `packing` and `compression`; times are seconds since 1970.  What is
# read without the body stands before it.  An index has each key of a block's documents once, as a
# hash, with the number of the block.  Numbers of blocks grow in the order in which they came.
_SCHEMA: Final = (
    "CREATE TABLE blocks (number INTEGER PRIMARY KEY, first INTEGER NOT NULL, "
    "last INTEGER NOT NULL, count INTEGER NOT NULL, is_compact INTEGER NOT NULL, "
    "ids BLOB NOT NULL, odd TEXT, "
    "body BLOB NOT NULL)",
    "CREATE INDEX by_last ON blocks(last, first)",
    "CREATE INDEX loose ON blocks(first) WHERE NOT is_compact",
    "CREATE TABLE postings (key INTEGER NOT NULL, block INTEGER NOT NULL, "
    "PRIMARY KEY (key, block)) WITHOUT ROWID",
    "CREATE TABLE addresses (kind INTEGER NOT NULL, text TEXT NOT NULL, "
    "PRIMARY KEY (kind, text)) WITHOUT ROWID",
    "CREATE TABLE dictionaries (number INTEGER PRIMARY KEY, digest BLOB NOT NULL, "
    "dictionary BLOB NOT NULL)",
)
_BLOCKS_SINCE: Final = 4
_ENDINGS_SINCE: Final = 5


def schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a file, 0 if it has no tables yet; raises UsageError for a newer one."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"{path}: written by a newer mailingest (schema {version}, known {SCHEMA_VERSION})"
        )
    return version


def has_blocks(connection: sqlite3.Connection) -> bool:
    """Whether a file has the tables of this version."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version >= _BLOCKS_SINCE


def has_endings(connection: sqlite3.Connection) -> bool:
    """Whether the index of all blocks of a file has the ends of values."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version >= _ENDINGS_SINCE


def has_earlier_documents(connection: sqlite3.Connection) -> bool:
    """Whether a file has the table that earlier versions kept documents in."""
    query = "SELECT 1 FROM sqlite_master WHERE name = 'documents'"
    return connection.execute(query).fetchone() is not None


def bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables of a new file, or those that a file of an earlier version lacks.

    What is in a table of an earlier version stays there.
    """
    connection.execute("BEGIN IMMEDIATE")
    version = schema_version(connection, path)
    if version == 0:
        if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
            raise UsageError(f"{path}: not a database of mailingest")
        connection.execute(TABLE)
    if version == 1:
        add_table(connection)
    if version < _BLOCKS_SINCE:
        for statement in _SCHEMA:
            connection.execute(statement)
        add_start(connection)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
