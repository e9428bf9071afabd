"""A TLS proxy before a secured server, for certificates that the server itself cannot show."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import SearchServer


@dataclass
class Front:
    """The proxy's address, and what it shows to those that connect."""

    url: str
    context: ssl.SSLContext
    server: SearchServer

    def show(self, certificate: Path) -> None:
        """Show this one from now on."""
        chain = self.server.certificates.chain(certificate)
        self.context.load_cert_chain(chain, certificate.with_suffix(".key"))


@asynccontextmanager
async def behind(server: SearchServer, certificate: Path) -> AsyncIterator[Front]:
    """A proxy that shows another certificate than the server's.

    OpenSearch does not start with one that has expired.
    """
    inner = ssl.create_default_context(cafile=server.certificates.authority)
    front = Front("", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), server)
    front.show(certificate)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(65_536):
                writer.write(octets)
                await writer.drain()
        except OSError:
            pass  # the other side has gone
        finally:
            writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", server.port, ssl=inner)
        await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))
        with suppress(OSError):
            await asyncio.gather(writer.wait_closed(), there[1].wait_closed())

    serving: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    proxy = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=front.context)
    front.url = f"https://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    async with proxy:
        yield front
    await asyncio.gather(*serving)
