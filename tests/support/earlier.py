"""Day files as earlier versions of mailingest wrote them."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import orjson

from mailingest.documents import Document
from mailingest.stores.sqlite.contents import contents
from mailingest.stores.sqlite.files import open_for_writing
from mailingest.stores.sqlite.inserting import Inserter
from mailingest.stores.sqlite.keys import KINDS, hash_of, keys_of, queue_ids
from mailingest.stores.sqlite.packing import PLACE_BITS
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

# Of these, the index of schema 4 had that a document has the field, and 5 has some of the values.
_FIELDS_OF_4: Final = ("postfix_action", "postfix_message_level", "postfix_milter_result")
_EVIDENCE: Final = KINDS["evidence"]


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


def write_fourth(path: Path, documents: Sequence[Document], batch: int = 10) -> None:
    """Make a file of schema 4: as those of today, but for the keys of what may decide on a mail."""
    connection = open_for_writing(path).connection
    with closing(connection):
        inserter = Inserter(connection)
        connection.execute("BEGIN")
        for start in range(0, len(documents), batch):
            inserter.insert(documents[start : start + batch])
        keys = [
            (key, one.position >> PLACE_BITS & 0x7FFFFFFF, fields)
            for one in contents(connection)
            for fields in [orjson.loads(one.line)]
            for key in keys_of(fields)
        ]
        for (kind, text), block, fields in keys:
            if kind == _EVIDENCE and text.startswith("ending "):
                posting = [hash_of((kind, text)), block]
                connection.execute("DELETE FROM postings WHERE key = ? AND block = ?", posting)
            for name in _FIELDS_OF_4:
                if name in fields:
                    posting = [hash_of((_EVIDENCE, f"field {name}")), block]
                    connection.execute("INSERT OR IGNORE INTO postings VALUES (?, ?)", posting)
        connection.execute("PRAGMA user_version = 4")
        connection.execute("COMMIT")
