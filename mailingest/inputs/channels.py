"""The bytes of a connection, plain or in TLS, by an event loop's own calls for sockets.

TLS is done in memory (`ssl.MemoryBIO`), so a connection is read, shut and closed in the same way
with it as without: what arrived is read to its end, and how a connection ends is in our hands.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from itertools import chain
from typing import Any, Protocol

CHUNK_BYTES = 64 * 1024

# The first byte of struct tcp_info, tcp(7), and one of its values, from netinet/tcp.h: the peer has
# ended its side, and everything that it sent before has arrived.
_TCP_CLOSE_WAIT = 8


class Channel(Protocol):
    """A connection's two directions; everything raises OSError if the connection fails."""

    @property
    def has_ended(self) -> bool:
        """Whether the peer has ended its side, so that nothing can come after what has arrived."""

    async def receive(self) -> bytes:
        """The next bytes; none when the connection is at its end."""

    async def send(self, data: bytes) -> None:
        """Send all of it."""

    async def end(self) -> None:
        """Say that nothing more is sent; the connection is closed after that."""

    def shut_for_reading(self) -> None:
        """Have `receive` give what has arrived and, after it, the end."""

    def shut(self) -> None:
        """Have what waits for the peer fail."""


class PlainChannel:
    """The connection as it is."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @property
    def has_ended(self) -> bool:
        """See `Channel`."""
        state: int = self._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state == _TCP_CLOSE_WAIT

    async def receive(self) -> bytes:
        """See `Channel`."""
        return await asyncio.get_running_loop().sock_recv(self._connection, CHUNK_BYTES)

    async def send(self, data: bytes) -> None:
        """See `Channel`."""
        await asyncio.get_running_loop().sock_sendall(self._connection, data)

    async def end(self) -> None:
        """Nothing: the kernel ends it."""

    def shut_for_reading(self) -> None:
        """See `Channel`."""
        shut_for_reading(self._connection)

    def shut(self) -> None:
        """See `Channel`."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class TlsChannel:
    """TLS on a connection, as its server; `handshake` comes first."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._plain = PlainChannel(connection)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_told_the_end = False

    @property
    def has_ended(self) -> bool:
        """Also if it was said in TLS (RFC 5425 section 4.4), and the connection is open yet."""
        return self._is_told_the_end or self._plain.has_ended

    async def handshake(self) -> None:
        """Come to terms with the peer; raises OSError, of which `ssl.SSLError` is one."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise ConnectionResetError("the peer has gone within the handshake") from None
            except ssl.SSLError:
                await self._flush()  # the alert says why
                raise
            else:
                await self._flush()
                return

    def peer_certificate(self) -> bytes | None:
        """The peer's certificate (DER), which its authority has signed; None without."""
        return self._tls.getpeercert(binary_form=True)

    def peer_names(self) -> list[str]:
        """The names in it: DNS names of subjectAltName, or without any the common name."""
        certificate: dict[str, Any] = dict(self._tls.getpeercert() or {})
        alternatives = certificate.get("subjectAltName", ())
        if names := [str(value) for kind, value in alternatives if kind == "DNS"]:
            return names
        subject = chain.from_iterable(certificate.get("subject", ()))
        return [str(value) for kind, value in subject if kind == "commonName"]

    async def receive(self) -> bytes:
        """See `Channel`."""
        while True:
            try:
                data = self._tls.read(CHUNK_BYTES)
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    return b""
                continue
            self._is_told_the_end = not data
            return data

    async def send(self, data: bytes) -> None:
        """See `Channel`."""
        self._tls.write(data)
        await self._flush()

    async def end(self) -> None:
        """Say so in TLS."""
        with suppress(ssl.SSLError):  # the peer's own word is not waited for
            self._tls.unwrap()
        await self._flush()

    def shut_for_reading(self) -> None:
        """See `Channel`."""
        self._plain.shut_for_reading()

    def shut(self) -> None:
        """See `Channel`."""
        self._plain.shut()

    async def _fill(self) -> bool:
        """Take what has come; False at the end of the connection."""
        data = await self._plain.receive()
        self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._plain.send(self._outgoing.read())


def shut_for_reading(shut: socket.socket) -> None:
    """Linux then gives what has arrived and, after it, the end of the stream."""
    with suppress(OSError):  # the peer has closed or reset it already: just as well
        shut.shutdown(socket.SHUT_RD)
