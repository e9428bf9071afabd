"""A look into VictoriaLogs past the reader, for tests and benchmarks."""

from collections.abc import Mapping
from typing import Any

from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.rows import TYPE, decode
from mailingest.stores.victorialogs.store import VictoriaLogsStore


async def make_visible(connection: Connection) -> None:
    """Have all be found that was written before."""
    await connection.text("/internal/force_flush")


async def stored(store: VictoriaLogsStore, name: str) -> list[Mapping[str, Any]]:
    """All documents of a type, each as often as it is there, by their times."""
    connection = store.connection()
    try:
        await make_visible(connection)
        rows = await connection.table(
            f"{logsql.equals(TYPE, name)} | sort by (_time) | delete _stream, _stream_id"
        )
    finally:
        await connection.close()
    return [
        {name: value for name, value in decode(row).items() if name not in ("_id", "_position")}
        for row in rows
    ]
