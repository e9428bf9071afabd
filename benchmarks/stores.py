"""All stores side by side: ``python -m benchmarks.stores --lines 250000``.

The same made-up log goes into SQLite, Elasticsearch, OpenSearch and VictoriaLogs by the writers of
mailingest, one after the other in one run, in batches as the daemon writes them; then each is asked
the same questions, twice, and the second time counts.  Prints a table in Markdown: bytes on the
disk (as they come in, and when files are packed or segments are merged), CPU time of mailingest and
of the server, for storing and for questions, and memory of the server.  The rate by the clock is of
a machine that may have other work: the load is told.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measure import cpu_seconds
from benchmarks.sizing import documents, write
from benchmarks.trace import questions
from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.protocol import CountingReader, Store
from mailingest.stores.sqlite.compaction import compact
from mailingest.trace.engine import trace
from mailingest.wiring import build_store
from tests.support.lab.polling import until
from tests.support.servers import KINDS, Kind, SearchServer
from tests.support.servers.victorialogs import VERSION, VictoriaLogsServer
from tests.support.victorialogs import make_visible

ASKED: Final = (
    "recipient",
    "sender and recipient",
    "queue ID",
    "Message-ID",
    "domain of the recipient",
    "part of a recipient",
    "nobody's address",
    "text, an hour",
    "bounced",
    "the newest",
)
_DAY: Final = 86_400


@dataclass(slots=True)
class Place:
    """A store that is open for the run: ``pid`` is its server's, None if it has none."""

    name: str
    store: Store
    directory: Path
    pid: int | None = None


async def measured(place: Place, made: Sequence[Document]) -> dict[str, str]:
    """The cells of one store, by the names of their rows."""
    cells: dict[str, str] = {}
    there = cpu_seconds(place.pid) if place.pid is not None else 0.0
    began, began_cpu = time.perf_counter(), time.process_time()
    writer = place.store.writer()
    await write(writer, made)
    seconds = time.perf_counter() - began
    cells["stored, events a second by the clock"] = f"{len(made) / seconds:,.0f}"
    await writer.sync()
    await writer.close()
    cells["CPU of mailingest, µs an event"] = _micros(time.process_time() - began_cpu, made)
    if place.pid is not None:
        cells["CPU of the server, µs an event"] = _micros(cpu_seconds(place.pid) - there, made)
    cells["bytes an event, as it comes in"] = _bytes(place, made)
    await _packed(place)
    cells["bytes an event, packed or merged"] = _bytes(place, made)
    reader = place.store.reader()
    try:
        cells |= await _answers(reader, made, place.pid)
    finally:
        await reader.close()
    if place.pid is not None:
        cells["memory of the server, MB"] = f"{_resident(place.pid) / 1e6:,.0f}"
    return cells


async def _answers(
    reader: CountingReader, made: Sequence[Document], pid: int | None
) -> dict[str, str]:
    """The CPU time of both for each question."""
    day = TimeBuckets(made[0].seconds // _DAY * _DAY, 3600, 24)
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        name: partial(trace, reader, criteria)
        for name, criteria in (await questions(reader)).items()
        if name in ASKED
    }
    asked |= {
        "overview of the day": partial(reader.counts, day),
        "report of the day": partial(reader.breakdown, day),
    }
    cells: dict[str, str] = {}
    for name, ask in asked.items():
        await ask()
        began = _spent(pid)
        await ask()
        cells[f"{name}: CPU s"] = f"{_spent(pid) - began:.2f}"
    return cells


def _spent(pid: int | None) -> float:
    """CPU seconds of this process and of a server."""
    return time.process_time() + (cpu_seconds(pid) if pid is not None else 0.0)


async def _packed(place: Place) -> None:
    """Have the store as small as it gets when a day is over."""
    if isinstance(place.store, ElasticStore):
        async with place.store.connection().opened("all") as client:
            slow = client.options(request_timeout=600.0)
            await slow.indices.forcemerge(index="mail-*", max_num_segments=1)
            await slow.indices.refresh(index="mail-*")
            await slow.indices.flush(index="mail-*", force=True)
    elif place.pid is not None:
        await _merged(place)
    else:
        for path in sorted(place.directory.glob("*.sqlite")):
            await asyncio.to_thread(compact, path, lambda: None)


async def _merged(place: Place) -> None:
    from mailingest.stores.victorialogs.store import VictoriaLogsStore

    assert isinstance(place.store, VictoriaLogsStore)
    connection = place.store.connection()
    try:
        await make_visible(connection)
        await connection.text("/internal/force_merge")

        async def is_merged() -> bool:
            said = await connection.text("/metrics")
            return "vl_active_force_merges 0" in said

        await until(is_merged, "parts are merged")
    finally:
        await connection.close()


def _bytes(place: Place, made: Sequence[Document]) -> str:
    size = sum(path.stat().st_blocks * 512 for path in place.directory.rglob("*") if path.is_file())
    return f"{size / len(made):,.0f}"


def _micros(seconds: float, made: Sequence[Document]) -> str:
    return f"{seconds / len(made) * 1e6:,.0f}"


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def _sqlite() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        settings = Settings.model_validate({"sqlite": {"directory": name}})
        yield Place("SQLite", build_store(settings), directory)


@asynccontextmanager
async def _cluster(kind: Kind) -> AsyncIterator[Place]:
    with SearchServer(kind, large=True) as server:
        settings = Settings.model_validate(
            {"elasticsearch": {"hosts": [server.url], "replicas": 0}}
        )
        yield Place(str(kind), build_store(settings), server.home / "data", server.pid)


@asynccontextmanager
async def _victorialogs() -> AsyncIterator[Place]:
    with VictoriaLogsServer("-inmemoryDataFlushInterval=5s") as server:
        settings = Settings.model_validate({"victorialogs": {"url": server.url}})
        yield Place(f"VictoriaLogs {VERSION[1:]}", build_store(settings), server.data, server.pid)


async def run(lines: int) -> None:
    """Measure all stores, and print the table."""
    made = documents(lines, "all")
    columns: dict[str, dict[str, str]] = {}
    for opening in (_sqlite(), *(map(_cluster, KINDS)), _victorialogs()):
        async with opening as place:
            columns[place.name] = await measured(place, made)
    rows = list(dict.fromkeys(row for cells in columns.values() for row in cells))
    load = os.getloadavg()[1]
    print(f"{len(made):,} events of one day, load {load:.0f} on {os.cpu_count()} cores\n")
    print(f"| | {' | '.join(columns)} |")
    print(f"|---|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {row} | {' | '.join(cells.get(row, '–') for cells in columns.values())} |")


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stores", description=__doc__)
    parser.add_argument("--lines", type=int, default=250_000)
    asyncio.run(run(parser.parse_args().lines))


if __name__ == "__main__":
    main()
