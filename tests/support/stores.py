"""The sources: each test that asks for one runs with all of them."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.inputs.files import LogFile
from mailingest.stores.elastic.reader import ElasticReader
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.stores.protocol import Reader
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.wiring import build_elasticsearch, index_template_of, line_reading
from tests.support.logs import REFERENCE, SETTINGS, documents_of, lines_of
from tests.support.servers import KINDS, Kind

MakeReader = Callable[[str | list[bytes]], Awaitable[Reader]]


async def sqlite_source(directory: Path, documents: Iterable[Document]) -> SqliteReader:
    """A source with these documents."""
    output = SqliteWriter(directory)
    await output.open()
    await output.write(list(documents))
    await output.close()
    return SqliteReader(directory, "mail")


def file_source(
    path: Path, lines: Iterable[bytes], settings: Settings = SETTINGS
) -> LogFilesReader:
    """A source with one file of these lines."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    os.utime(path, (REFERENCE, REFERENCE))
    return LogFilesReader([LogFile(path)], line_reading(settings))


def elastic_settings(url: str, prefix: str) -> Settings:
    """Settings of a store on a server."""
    return Settings.model_validate(
        {
            "syslog": {"timezone": "UTC"},
            "index": {"prefix": prefix},
            "elasticsearch": {"hosts": [url], "replicas": 0},
        }
    )


async def fill_indices(settings: Settings, lines: Iterable[bytes]) -> None:
    """Store documents of these lines, for a search to find."""
    output = build_elasticsearch(settings, index_template_of(settings))
    await output.open()
    await output.write(documents_of(lines, settings))
    await output.client.indices.refresh(index=f"{settings.index.prefix}-*")
    await output.close()


@pytest.fixture(scope="session")
def prefixes() -> dict[tuple[str, bytes], str]:
    """The prefixes of indices that were filled already, by server and lines."""
    return {}


@pytest.fixture(
    params=[
        "sqlite",
        "files",
        *(pytest.param(kind, marks=pytest.mark.servers) for kind in KINDS),
    ],
    ids=str,
)
async def make_source(
    request: pytest.FixtureRequest, tmp_path: Path, prefixes: dict[tuple[str, bytes], str]
) -> AsyncIterator[MakeReader]:
    """Makes a source of a kind from log lines, or from a log as in `tests.support.logs`."""
    async with AsyncExitStack() as opened:

        async def make(log: str | list[bytes]) -> Reader:
            lines = lines_of(log) if isinstance(log, str) else log
            source: Reader
            if isinstance(request.param, Kind):
                url = request.getfixturevalue("search_servers")(request.param).url
                key = (url, b"\n".join(lines))
                settings = elastic_settings(url, prefixes.get(key, f"mail-{uuid4().hex[:8]}"))
                if key not in prefixes:
                    await fill_indices(settings, lines)
                    prefixes[key] = settings.index.prefix
                output = build_elasticsearch(settings, None)
                source = ElasticReader(output, settings.index.prefix)
            elif request.param == "sqlite":
                source = await sqlite_source(tmp_path / "store", documents_of(lines))
            else:
                source = file_source(tmp_path / "mail.log", lines)
            opened.push_async_callback(source.close)
            return source

        yield make
