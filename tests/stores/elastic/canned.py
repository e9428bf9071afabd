"""An HTTP server with canned answers, for faults that a healthy server does not show."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OPENSEARCH = {"version": {"distribution": "opensearch", "number": "2.19.4"}}
ELASTIC_9 = {"version": {"number": "9.2.0"}}


@dataclass
class Canned:
    """An HTTP server with one answer for ``GET /`` and a list of answers for the rest."""

    greeting: tuple[int, object] = (200, OPENSEARCH)
    answers: list[tuple[int, object]] = field(default_factory=list)
    headers: str = ""
    requests: list[str] = field(default_factory=list)
    """The heads of the requests, in lower case."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode().lower():
                if "content-length: " in head:
                    await reader.readexactly(int(head.split("content-length: ")[1].split()[0]))
                self.requests.append(head)
                greeted = head.startswith("get / ")
                status, content = self.greeting if greeted else self.answers.pop(0)
                match content:
                    case str():
                        kind, body = "text/html", content
                    case bytes():
                        kind, body = "application/octet-stream", content.decode()
                    case _:
                        kind, body = "application/json", json.dumps(content)
                writer.write(
                    f"HTTP/1.1 {status} Canned\r\ncontent-type: {kind}\r\n{self.headers}"
                    f"content-length: {len(body)}\r\n\r\n{body}".encode()
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed the connection
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
