"""Connections that bring nothing end; those that are answered stay."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from mailingest.httpd.connections import Connections
from mailingest.httpd.serving import runner_of
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.web.access import Access
from mailingest.web.app import application
from tests.support.lab.polling import PATIENCE

GET = b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n"


def open_connections(runner: web.AppRunner) -> int:
    return len(runner.server.connections) if runner.server is not None else 0


class Served(NamedTuple):
    port: int
    runner: web.AppRunner
    connections: Connections

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def until_open(self, count: int) -> None:
        """Wait until the server has so many connections."""
        async with asyncio.timeout(PATIENCE):
            while open_connections(self.runner) != count:
                await asyncio.sleep(0.01)


async def serve(directory: Path, connections: Connections) -> AsyncIterator[Served]:
    store = SqliteReader(directory, "mail")
    app = application(store, Access(), ZoneInfo("UTC"), connections=connections)
    runner = runner_of(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Served(runner.addresses[0][1], runner, connections)
    finally:
        await runner.cleanup()


async def is_over(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await reader.read()
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HT", id="half a line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", id="half a header"),
        pytest.param(GET, id="a request, and nothing more"),
        pytest.param(GET + b"GET / ", id="a request, and half a one"),
    ],
)
async def test_a_connection_without_a_request_ends(tmp_path: Path, sent: bytes) -> None:
    async for served in serve(tmp_path, Connections(seconds=0.1)):
        watching = asyncio.create_task(served.connections.watch(served.runner))
        reader, writer = await served.connect()
        writer.write(sent)
        assert await is_over(reader)
        await served.until_open(0)
        writer.close()
        watching.cancel()


async def test_the_oldest_end_when_there_are_too_many(tmp_path: Path) -> None:
    async for served in serve(tmp_path, Connections(seconds=PATIENCE, most=3)):
        opened = []
        for count in range(1, 6):
            opened.append(await served.connect())
            await served.until_open(count)
            if count < 4:
                served.connections.sweep(served.runner)
        served.connections.sweep(served.runner)
        await served.until_open(3)
        assert [await is_over(reader) for reader, _ in opened[:2]] == [True, True]
        for reader, writer in opened[2:]:
            writer.write(GET)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        for _, writer in opened:
            writer.close()


async def test_a_connection_that_is_being_answered_stays(tmp_path: Path) -> None:
    connections = Connections(seconds=0.0)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        begun.set()
        await go_on.wait()
        return web.Response(text="here")

    app = web.Application(middlewares=[connections.middleware])
    app.router.add_get("/", handler)
    runner = runner_of(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await begun.wait()
    for _ in range(3):
        connections.sweep(runner)
    go_on.set()
    assert (await reader.read()).endswith(b"here")
    writer.close()
    await runner.cleanup()
