"""The sources: each test that asks for one runs with all of them."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from mailingest.config import Settings
from mailingest.core.documents import Document
from mailingest.inputs.logfile import LogFile
from mailingest.outputs.sqlite import SqliteOutput
from mailingest.trace.elastic_source import ElasticSource
from mailingest.trace.file_source import FileSource
from mailingest.trace.sources import Source
from mailingest.trace.sqlite_source import SqliteSource
from mailingest.wiring import build_elasticsearch, index_template_of
from tests.servers import KINDS, Kind
from tests.trace.logs import REFERENCE, SETTINGS, documents_of, lines_of

MakeSource = Callable[[str | list[bytes]], Awaitable[Source]]


async def sqlite_source(directory: Path, documents: Iterable[Document]) -> SqliteSource:
    """A source with these documents."""
    output = SqliteOutput(directory)
    await output.open()
    await output.write(list(documents))
    await output.close()
    return SqliteSource(directory, "mail")


def file_source(path: Path, lines: Iterable[bytes], settings: Settings = SETTINGS) -> FileSource:
    """A source with one file of these lines."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    os.utime(path, (REFERENCE, REFERENCE))
    return FileSource([LogFile(path)], settings)


async def elastic_source(url: str, lines: Iterable[bytes]) -> ElasticSource:
    """A source with documents of these lines, in indices of their own."""
    settings = Settings.model_validate(
        {
            "syslog": {"timezone": "UTC"},
            "index": {"prefix": f"mail-{uuid4().hex[:8]}"},
            "elasticsearch": {"hosts": [url], "replicas": 0},
        }
    )
    prefix = settings.index.prefix
    output = build_elasticsearch(settings, index_template_of(settings))
    await output.open()
    await output.write(documents_of(lines, settings))
    await output.client.indices.refresh(index=f"{prefix}-*")
    await output.close()
    return ElasticSource(build_elasticsearch(settings, None), prefix)


@pytest.fixture(
    params=[
        "sqlite",
        "files",
        *(pytest.param(kind, marks=pytest.mark.servers) for kind in KINDS),
    ],
    ids=str,
)
async def make_source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeSource]:
    """Makes a source of a kind from log lines, or from a log as in `tests.trace.logs`."""
    async with AsyncExitStack() as opened:

        async def make(log: str | list[bytes]) -> Source:
            lines = lines_of(log) if isinstance(log, str) else log
            source: Source
            if isinstance(request.param, Kind):
                server = request.getfixturevalue("search_servers")(request.param)
                source = await elastic_source(server.url, lines)
            elif request.param == "sqlite":
                source = await sqlite_source(tmp_path / "store", documents_of(lines))
            else:
                source = file_source(tmp_path / "mail.log", lines)
            opened.push_async_callback(source.close)
            return source

        yield make
