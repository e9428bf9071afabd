"""What the SQLite store holds, for tests of all that writes into it."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from mailingest.stores.sqlite.files import day_files, open_for_reading


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
        where, values = "TRUE", list[object]()
        if recipient is not None:
            where += " AND (postfix_to = ? OR postfix_orig_to = ?)"
            values += [recipient.casefold()] * 2
        if since is not None:
            where += " AND time >= ?"
            values.append(int(since.timestamp()))
        if until is not None:
            where += " AND time < ?"
            values.append(int(until.timestamp()))
        query = f"SELECT body FROM documents WHERE {where} ORDER BY time DESC, rowid DESC LIMIT ?"
        for path in day_files(self._directory, [self._prefix], since, until):
            connection = open_for_reading(path)
            if connection is None:
                continue
            with closing(connection):
                for (body,) in connection.execute(query, [*values, limit]):
                    yield orjson.loads(body)
                    limit -= 1
            if limit <= 0:
                return
