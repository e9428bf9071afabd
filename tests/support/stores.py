"""All kinds of stores, and log files: a test that asks for one runs with each of them.

A new kind of store joins the suites of tests/stores when it is added to `StoreCase` and `STORES`.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.inputs.files import LogFile
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.stores.opening import opened
from mailingest.stores.protocol import CountingReader, Reader, Store
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.store import SqliteStore
from mailingest.stores.victorialogs.store import VictoriaLogsStore
from mailingest.wiring import build_store, line_reading
from tests.support.elastic import searched
from tests.support.lab.polling import PATIENCE
from tests.support.logs import REFERENCE, SETTINGS, documents_below, lines_of
from tests.support.servers import KINDS, Kind
from tests.support.sqlite import StoredDocuments
from tests.support.victorialogs import make_visible, stored

SERVERS = [pytest.param(kind, marks=pytest.mark.servers) for kind in KINDS]
VICTORIALOGS = pytest.param("victorialogs", marks=pytest.mark.servers)
STORES = ["sqlite", "ndjson", *SERVERS, VICTORIALOGS]
"""All that documents can be written to."""
SEARCHED = ["sqlite", *SERVERS, VICTORIALOGS]
"""Those of them that can be searched."""

MakeReader = Callable[[str | list[bytes]], Awaitable[Reader]]
MakeCountingReader = Callable[[str], Awaitable[CountingReader]]


@dataclass(frozen=True)
class StoreCase:
    """A store in a place of its own, and a look into it past its reader."""

    settings: Settings

    @property
    def store(self) -> Store:
        return build_store(self.settings)

    @property
    def prefix(self) -> str:
        return self.settings.index.prefix

    @property
    def knows_duplicates(self) -> bool:
        """Whether what is written twice is stored once."""
        return self.settings.ndjson.path is None

    async def bodies(self) -> list[dict[str, Any]]:
        """All documents that are stored, at most 10,000."""
        if isinstance(self.store, ElasticStore):
            async with self.store.connection().opened("all") as client:
                answer = await searched(client, f"{self.prefix}-*", size=10_000)
                return [hit["_source"] for hit in answer["hits"]["hits"]]
        if isinstance(self.store, VictoriaLogsStore):
            return [dict(one) for one in await stored(self.store, self.prefix)]
        if self.settings.ndjson.path is not None:
            lines = Path(self.settings.ndjson.path).read_bytes().splitlines()
            return [orjson.loads(line) for line in lines]
        directory = self.settings.sqlite_directory
        return list(StoredDocuments(directory, self.prefix).find(limit=10_000))


def case_of(
    kind: str | Kind, directory: Path, request: pytest.FixtureRequest, prefix: str = ""
) -> StoreCase:
    """The case of a kind; a server is shared, so the prefix is its own place there."""
    if isinstance(kind, Kind):
        url = request.getfixturevalue("search_servers")(kind).url
        return StoreCase(elastic_settings(url, prefix or f"mail-{uuid4().hex[:8]}"))
    if kind == "victorialogs":
        url = request.getfixturevalue("victorialogs_server").url
        return StoreCase(victorialogs_settings(url, prefix or f"mail-{uuid4().hex[:8]}"))
    places: dict[str, Any] = {
        "sqlite": {"sqlite": {"directory": directory}},
        "ndjson": {"ndjson": {"path": str(directory / "out.ndjson")}},
    }
    return StoreCase(Settings.model_validate({"syslog": {"timezone": "UTC"}, **places[kind]}))


def elastic_settings(url: str, prefix: str) -> Settings:
    """Settings of a store on a server."""
    return Settings.model_validate(
        {
            "syslog": {"timezone": "UTC"},
            "index": {"prefix": prefix},
            "elasticsearch": {"hosts": [url], "replicas": 0, "timeout": PATIENCE},
        }
    )


def victorialogs_settings(url: str, prefix: str) -> Settings:
    """Settings of a store on a VictoriaLogs server."""
    return Settings.model_validate(
        {
            "syslog": {"timezone": "UTC"},
            "index": {"prefix": prefix},
            "victorialogs": {"url": url, "timeout": PATIENCE},
        }
    )


async def fill(store: Store, documents: Iterable[Document]) -> None:
    """Store the documents, for a reader to find."""
    async with opened(store.writer()) as writer:
        await writer.write(list(documents))
    if isinstance(store, ElasticStore):
        async with store.connection().opened("all") as client:
            await searched(client, ",".join(f"{name}-*" for name in store.types), size=0)
    if isinstance(store, VictoriaLogsStore):
        connection = store.connection()
        await make_visible(connection)
        await connection.close()


async def sqlite_reader(directory: Path, documents: Iterable[Document]) -> SqliteReader:
    """A reader of these documents."""
    store = SqliteStore(directory, ["mail"])
    await fill(store, documents)
    return store.reader()


def log_file_reader(
    path: Path, lines: Iterable[bytes], settings: Settings = SETTINGS
) -> LogFilesReader:
    """A reader of one file of these lines."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    os.utime(path, (REFERENCE, REFERENCE))
    return LogFilesReader([LogFile(path)], line_reading(settings))


@pytest.fixture(params=STORES, ids=str)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> StoreCase:
    """A store that has nothing yet."""
    return case_of(request.param, tmp_path, request)


@pytest.fixture(params=SEARCHED, ids=str)
def searched_case(request: pytest.FixtureRequest, tmp_path: Path) -> StoreCase:
    """A store that has nothing yet, and can be searched."""
    return case_of(request.param, tmp_path, request)


@pytest.fixture
async def make_counting_reader(searched_case: StoreCase) -> AsyncIterator[MakeCountingReader]:
    """Makes the reader of a store that has the lines of a log, as in `tests.support.logs`."""
    async with AsyncExitStack() as closing:

        async def make(log: str) -> CountingReader:
            if log:
                documents = documents_below(searched_case.prefix, lines_of(log))
                await fill(searched_case.store, documents)
            reader = searched_case.store.reader()
            closing.push_async_callback(reader.close)
            return reader

        yield make


async def filled_case(
    kind: str | Kind,
    directory: Path,
    request: pytest.FixtureRequest,
    prefixes: dict[tuple[Kind, bytes], str],
    lines: list[bytes],
) -> StoreCase:
    """A case with these lines; a server that has them already is not filled again."""
    if not isinstance(kind, Kind):
        case = case_of(kind, directory, request)
        await fill(case.store, documents_below(case.prefix, lines))
        return case
    key = (kind, b"\n".join(lines))
    case = case_of(kind, directory, request, prefixes.get(key, ""))
    if key not in prefixes:
        await fill(case.store, documents_below(case.prefix, lines))
        prefixes[key] = case.prefix
    return case


@pytest.fixture(scope="session")
def prefixes() -> dict[tuple[Kind, bytes], str]:
    """The prefixes of indices that were filled already, by server and lines."""
    return {}


@pytest.fixture(params=["files", *SEARCHED], ids=str)
async def make_reader(
    request: pytest.FixtureRequest, tmp_path: Path, prefixes: dict[tuple[Kind, bytes], str]
) -> AsyncIterator[MakeReader]:
    """Makes a reader of log lines, or of a log as in `tests.support.logs`."""
    kind = request.param
    async with AsyncExitStack() as closing:

        async def make(log: str | list[bytes]) -> Reader:
            lines = lines_of(log) if isinstance(log, str) else log
            reader: Reader
            if kind == "files":
                reader = log_file_reader(tmp_path / "mail.log", lines)
            else:
                case = await filled_case(kind, tmp_path / "store", request, prefixes, lines)
                reader = case.store.reader()
            closing.push_async_callback(reader.close)
            return reader

        yield make
