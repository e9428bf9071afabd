"""TCP syslog in (RFC 6587): one `FrameReader` for each connection.

The sockets are read directly, without asyncio's stream buffers: while `deliver` waits, nothing
is read from that connection, the kernel's window closes and the sender waits too.  That is
all the back-pressure there is, and the most that a connection holds in memory is one chunk
and one unfinished frame.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count

import structlog

from mailingest.inputs.sockets import address_text, bound_socket, peer_text
from mailingest.syslog.framing import FrameCounters, FrameReader

_CHUNK_OCTETS = 64 * 1024

# A sender that vanished without a word (power cut, firewall) is noticed after some 10 minutes;
# rsyslog keeps idle connections open for days, so idleness alone is no reason to close.
_KEEPALIVE = (
    (socket.TCP_KEEPIDLE, 300),
    (socket.TCP_KEEPINTVL, 60),
    (socket.TCP_KEEPCNT, 5),
)

# accept() fails for want of file descriptors or memory: some connection must end first.
_ACCEPT_PAUSE_SECONDS = 1.0

_connection_numbers = count(1)

_log = structlog.get_logger(__name__)


class TcpInput:
    """Accepts connections at ``host:port`` and hands their frames to `deliver`.

    ``deliver(frames, peer, connection)`` may wait as long as it likes; if it raises, `serve` does
    too.  ``peer`` is the sender's IP address; ``connection`` is a number that no other connection
    of this process has.  ``idle_timeout`` (seconds, None: never) closes a connection that sends
    nothing.  Of more than ``max_connections`` at a time the later ones are refused.

    ``frames`` counts the frames of all connections.  ``address`` is where the socket is bound,
    with a real port even if 0 was asked for.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        max_connections: int,
        idle_timeout: float | None,
        deliver: Callable[[list[bytes], str, int], Awaitable[None]],
        reuse_port: bool = False,
    ) -> None:
        self.address = address_text(host, port)
        self.frames = FrameCounters()
        self.connections_accepted = 0
        self.connections_refused = 0
        self.connections_failed = 0
        self.connections_timed_out = 0
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._idle_timeout = idle_timeout
        self._deliver = deliver
        self._reuse_port = reuse_port
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._serving = False
        self._closing = False
        self._refusing = False

    @property
    def connections_open(self) -> int:
        """Connections that are read now, or whose last frames are being delivered."""
        return len(self._connections)

    def open(self) -> None:
        """Bind and listen; raises UsageError if the address cannot be had."""
        listener = bound_socket("tcp", self._host, self._port, reuse_port=self._reuse_port)
        # On Linux each accepted connection inherits these.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        self.address = address_text(*listener.getsockname()[:2])
        self._listener = listener

    async def serve(self) -> None:
        """Receive until `close`, or until cancelled.  `open` comes first.

        After `close` it returns once everything is delivered that had arrived.  Cancelling
        closes the connections as they are.
        """
        if self._closing:
            return
        if self._listener is None:
            raise RuntimeError("serve() before open()")
        self._serving = True
        _log.info("tcp input listens", address=self.address)
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._accept(self._listener, tasks)
        finally:
            self._serving = False
            self.close()

    def close(self) -> None:
        """Accept nothing more; `serve` returns when what has arrived is delivered.

        What a peer goes on sending is not waited for.
        """
        self._closing = True
        if self._listener is None:
            return
        if not self._serving:
            self._listener.close()
            self._listener = None
            return
        _shut_for_reading(self._listener)
        for connection in self._connections:
            _shut_for_reading(connection)

    async def _accept(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while not self._closing:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:
                # Once the listener is shut, accept() fails, too: that is how `close` ends it.
                if not self._closing:
                    await self._accept_failed(error)
                continue
            peer = peer_text(address[0])
            if len(self._connections) >= self._max_connections:
                self._refuse(connection, peer)
                continue
            self._refusing = False
            self.connections_accepted += 1
            self._connections.add(connection)
            if self._closing:
                _shut_for_reading(connection)
            receiving = tasks.create_task(self._receive(connection, peer))
            receiving.add_done_callback(partial(self._ended, connection))

    async def _accept_failed(self, error: OSError) -> None:
        if isinstance(error, ConnectionError):
            return  # that peer gave up before it was accepted
        _log.warning("tcp accept failed", address=self.address, error=str(error))
        await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)

    def _refuse(self, connection: socket.socket, peer: str) -> None:
        connection.close()
        self.connections_refused += 1
        # A sender that tries again and again must not fill our own log.
        if not self._refusing:
            self._refusing = True
            _log.warning("tcp connections refused", peer=peer, limit=self._max_connections)

    def _ended(self, connection: socket.socket, _task: asyncio.Task[None]) -> None:
        connection.close()
        self._connections.discard(connection)

    async def _receive(self, connection: socket.socket, peer: str) -> None:
        """One connection from its first octet to its last frame."""
        reader = FrameReader(self.frames)
        number = next(_connection_numbers)
        with connection:
            # More than this cannot have arrived before `close`.
            left_to_drain = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            while left_to_drain > 0 and (data := await self._chunk(connection, peer)):
                if self._closing:
                    left_to_drain -= len(data)
                if frames := reader.receive_data(data):
                    await self._deliver(frames, peer, number)
                # Neither sock_recv() nor deliver() need to let the event loop go on.
                await asyncio.sleep(0)
        if rest := reader.close():
            _log.warning("tcp connection ended within a frame", peer=peer)
            await self._deliver(rest, peer, number)

    async def _chunk(self, connection: socket.socket, peer: str) -> bytes:
        """The next octets; none when the connection is at its end, in whatever way."""
        try:
            async with asyncio.timeout(self._idle_timeout) as limit:
                return await asyncio.get_running_loop().sock_recv(connection, _CHUNK_OCTETS)
        except OSError as error:
            if limit.expired():
                self.connections_timed_out += 1
                _log.info("tcp connection was idle", peer=peer, seconds=self._idle_timeout)
            else:
                self.connections_failed += 1
                _log.warning("tcp connection failed", peer=peer, error=str(error))
            return b""


def _shut_for_reading(shut: socket.socket) -> None:
    """Linux then gives what has arrived and, after it, the end of the stream."""
    with suppress(OSError):  # the peer has closed or reset it already: just as well
        shut.shutdown(socket.SHUT_RD)
