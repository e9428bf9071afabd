"""A TLS proxy before a secured server, for certificates that the server itself cannot show."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tests.support.lab.polling import PATIENCE
from tests.support.servers import SearchServer

Result = TypeVar("Result")


class Front:
    """The proxy, and what it shows to those that connect.

    It runs in a thread of its own: a test may wait for a client of it in whatever way.
    """

    def __init__(self, server: SearchServer, certificate: Path) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._inner = ssl.create_default_context(cafile=server.certificates.authority)
        self._serving: set[asyncio.Task[None]] = set()
        self._thread.start()
        self.show(certificate)
        self._proxy = self._do(asyncio.start_server(self._begin, "127.0.0.1", 0, ssl=self._context))
        self.url = f"https://127.0.0.1:{self._proxy.sockets[0].getsockname()[1]}"

    def show(self, certificate: Path) -> None:
        """Show this one from now on."""
        self._do(self._load(certificate))

    def close(self) -> None:
        """Wait until all clients have gone, and end."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _load(self, certificate: Path) -> None:
        chain = self._server.certificates.chain(certificate)
        self._context.load_cert_chain(chain, certificate.with_suffix(".key"))

    async def _end(self) -> None:
        self._proxy.close()
        await asyncio.gather(*self._serving)
        await self._proxy.wait_closed()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._server.port, ssl=self._inner)
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        with suppress(OSError):
            await asyncio.gather(writer.wait_closed(), there[1].wait_closed())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    except OSError:
        pass  # the other side has gone
    finally:
        writer.transport.abort()


@contextmanager
def behind(server: SearchServer, certificate: Path) -> Iterator[Front]:
    """A proxy that shows another certificate than the server's.

    OpenSearch does not start with one that has expired.
    """
    front = Front(server, certificate)
    try:
        yield front
    finally:
        front.close()
