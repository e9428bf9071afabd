"""What the SQLite store holds, for tests of all that writes into it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from mailingest.stores.sqlite.contents import contents
from mailingest.stores.sqlite.files import day_files, open_for_reading

_RECIPIENTS = ("postfix_to", "postfix_orig_to")


class StoredDocuments:
    """Reads what SqliteWriter wrote, also while it is being written."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self._directory = directory
        self._prefix = prefix

    def find(
        self,
        *,
        recipient: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> Iterator[dict[str, Any]]:
        """The documents, newest first, at most ``limit``, times taken to the whole second."""
        wanted = recipient.casefold() if recipient is not None else None
        for path in day_files(self._directory, [self._prefix], since, until):
            connection = open_for_reading(path)
            if connection is None:
                continue
            with closing(connection):
                for one in reversed(list(contents(connection))):
                    body = orjson.loads(one.line)
                    names = {str(body.get(name)).casefold() for name in _RECIPIENTS}
                    if (
                        (wanted is None or wanted in names)
                        and (since is None or one.second >= int(since.timestamp()))
                        and (until is None or one.second < int(until.timestamp()))
                    ):
                        yield body
                        limit -= 1
                        if limit <= 0:
                            return

    def count(self) -> int:
        """How many there are in files of this version."""
        found = 0
        for path in day_files(self._directory, [self._prefix]):
            connection = open_for_reading(path)
            if connection is not None:
                with closing(connection):
                    found += count_stored(connection)
        return found


def stored_bodies(connection: sqlite3.Connection) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ids and bodies of the documents of an open file."""
    for one in contents(connection):
        yield one.document_id, orjson.loads(one.line)


def count_stored(connection: sqlite3.Connection) -> int:
    """How many documents an open file of this version has."""
    [count] = connection.execute("SELECT coalesce(sum(count), 0) FROM blocks").fetchone()
    return int(count)
