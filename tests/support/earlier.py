"""Day files as earlier versions of mailingest wrote them."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from mailingest.documents import Document
from mailingest.stores.sqlite.keys import queue_ids
from mailingest.stores.sqlite.summary import TABLE, Summary

_COLUMNS: Final = (
    "postfix_queueid",
    "postfix_to",
    "postfix_orig_to",
    "postfix_from",
    "postfix_message-id",
    "linked",
    "postfix_sasl_username",
)


def write_earlier(path: Path, documents: Sequence[Document], version: int) -> None:
    """Make a file of schema ``version``, 1 to 3."""
    columns = _COLUMNS if version == 3 else _COLUMNS[:-1]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        connection.execute(
            "CREATE TABLE documents (id TEXT PRIMARY KEY NOT NULL, time INTEGER NOT NULL, "
            "body TEXT NOT NULL, " + ", ".join(f'"{name}" TEXT' for name in columns) + ")"
        )
        connection.execute("CREATE INDEX by_time ON documents(time)")
        for name in columns:
            connection.execute(
                f'CREATE INDEX "by_{name}" ON documents("{name}", time) WHERE "{name}" IS NOT NULL'
            )
        if version > 1:
            connection.execute(TABLE)
            Summary(connection).add(documents)
        for one in documents:
            queue_id, linked = queue_ids(one.fields)
            known = {**one.fields, "postfix_queueid": queue_id, "linked": linked}
            values = [known.get(name) for name in columns]
            folded = [
                value.casefold() if value and name not in ("postfix_queueid", "linked") else value
                for name, value in zip(columns, values, strict=True)
            ]
            row = [one.id, one.seconds, one.body.decode(), *folded]
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO documents VALUES ({marks})", row)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
