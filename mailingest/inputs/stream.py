"""Streams over TCP in: one framing for each connection, that of syslog (RFC 6587) by default.

The sockets are read directly, without asyncio's stream buffers: while `deliver` waits, nothing
is read from that connection, the kernel's window closes and the sender waits too.  That is
all the back-pressure there is, and the most that a connection holds in memory is one chunk
and one unfinished frame.

A sender may take the orderly end of its connection for the acceptance of all that it sent.  So
there is one way to it: the sender has ended its side, and `deliver` has returned for all that came
before.  In every other case, the death of this process included, the kernel resets the connection
(SO_LINGER with a time of zero, socket(7)).  Of itself it would end it in order, though what was
read and not delivered is gone with the process.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import structlog

from mailingest.inputs.allowed import AllowedSenders
from mailingest.inputs.protocol import Framing
from mailingest.inputs.sockets import address_text, bound_socket, peer_text
from mailingest.syslog.framing import FrameCounters, FrameReader

_CHUNK_BYTES = 64 * 1024

# A sender that vanished without a word (power cut, firewall) is noticed after some 10 minutes;
# rsyslog keeps idle connections open for days, so idleness alone is no reason to close.
_KEEPALIVE = (
    (socket.TCP_KEEPIDLE, 300),
    (socket.TCP_KEEPINTVL, 60),
    (socket.TCP_KEEPCNT, 5),
)

# struct linger of socket(7): switched on or off, and the seconds.
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_END_AT_CLOSE = struct.pack("ii", 0, 0)

# The first byte of struct tcp_info, tcp(7), and one of its values, from netinet/tcp.h: the peer has
# ended its side, and everything that it sent before has arrived.
_TCP_CLOSE_WAIT = 8

# More than this cannot have arrived before `close`: Linux lets receive buffers grow to 6 MiB, new
# kernels to 32 MiB (tcp_rmem).  A sender that goes on for ever is not waited for.
_MOST_ARRIVED_BYTES = 32 * 1024 * 1024

# accept() fails for want of file descriptors or memory: some connection must end first.
_ACCEPT_PAUSE_SECONDS = 1.0

_connection_numbers = count(1)

_log = structlog.get_logger(__name__)


class TcpInput:
    """Accepts connections at ``host:port`` and hands their frames to `deliver`.

    ``deliver(frames, peer, connection)`` may wait as long as it likes; if it raises, `serve` does
    too.  ``peer`` is the sender's IP address; ``connection`` is a number that no other connection
    of this process has.  ``framing`` makes what cuts a connection's bytes, and what the peer is
    answered is sent when `deliver` has returned.  ``idle_timeout`` (seconds, None: never) ends a
    connection that sends nothing.  Of more than ``max_connections`` at a time the later ones are
    refused, and so are those from addresses that are not among the ``allowed`` ones.  All are
    resets, which no sender takes for an orderly end.

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
        framing: Callable[[FrameCounters], Framing] = FrameReader,
        allowed: AllowedSenders | None = None,
        reuse_port: bool = False,
    ) -> None:
        self.address = address_text(host, port)
        self.frames = FrameCounters()
        self.connections_accepted = 0
        self.connections_refused = 0
        self.accepts_failed = 0
        self.connections_not_allowed = 0
        self.connections_failed = 0
        self.connections_timed_out = 0
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._idle_timeout = idle_timeout
        self._deliver = deliver
        self._framing = framing
        self._allowed = allowed or AllowedSenders()
        self._reuse_port = reuse_port
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._backlog: list[tuple[socket.socket, Any]] = []
        self._serving = False
        self._closing = False
        self._refusing = False
        self._accept_fails = False

    @property
    def connections_open(self) -> int:
        """Connections that are read now, or whose last frames are being delivered."""
        return len(self._connections)

    def counters(self) -> Mapping[str, int]:
        """See `mailingest.inputs.protocol.Input`."""
        return {
            "connections_open": self.connections_open,
            "connections_accepted": self.connections_accepted,
            "connections_refused": self.connections_refused,
            "connections_not_allowed": self.connections_not_allowed,
            "accepts_failed": self.accepts_failed,
            "connections_failed": self.connections_failed,
            "connections_timed_out": self.connections_timed_out,
            "frames_streamed": self.frames.received,
            "frames_skipped": self.frames.empty,
            "frames_oversized": self.frames.oversized,
            "frames_unterminated": self.frames.unterminated,
            "frames_truncated": self.frames.truncated,
        }

    def open(self) -> None:
        """Bind and listen; raises UsageError if the address cannot be had."""
        listener = bound_socket("tcp", self._host, self._port, reuse_port=self._reuse_port)
        # On Linux each accepted connection inherits these.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
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
            for connection, _ in self._backlog:
                connection.close()

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
        # What the kernel has accepted would be reset with the listener.
        self._backlog = _backlog_of(self._listener)
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
            self._accept_fails = False
            self._take(connection, address, tasks)
        for connection, address in self._backlog:
            self._take(connection, address, tasks)

    def _take(self, connection: socket.socket, address: Any, tasks: asyncio.TaskGroup) -> None:
        peer = peer_text(address[0])
        if peer not in self._allowed:
            connection.close()
            self.connections_not_allowed += 1
            _log.warning("a connection of a sender that is not in allow", peer=peer)
            return
        if len(self._connections) >= self._max_connections:
            self._refuse(connection, peer)
            return
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
        self.accepts_failed += 1
        # The kernel keeps the connections, and it is tried each second.
        if not self._accept_fails:
            self._accept_fails = True
            _log.warning("tcp accept failed", address=self.address, error=str(error))
        await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)

    def _refuse(self, connection: socket.socket, peer: str) -> None:
        connection.close()
        self.connections_refused += 1
        # Once, until one is accepted again.
        if not self._refusing:
            self._refusing = True
            _log.warning("tcp connections refused", peer=peer, limit=self._max_connections)

    def _ended(self, connection: socket.socket, _task: asyncio.Task[None]) -> None:
        connection.close()
        self._connections.discard(connection)

    async def _receive(self, connection: socket.socket, peer: str) -> None:
        """One connection from its first byte to its last frame."""
        framing = self._framing(self.frames)
        number = next(_connection_numbers)
        with connection:
            left_to_drain = _MOST_ARRIVED_BYTES
            while left_to_drain > 0 and (data := await self._chunk(connection, peer)):
                if self._closing:
                    left_to_drain -= len(data)
                if frames := framing.receive_data(data):
                    await self._deliver(frames, peer, number)
                if (answer := framing.answer()) and not await self._send(connection, answer, peer):
                    break
                # Neither sock_recv() nor deliver() need to let the event loop go on.
                await asyncio.sleep(0)
            if rest := framing.close():
                _log.warning("tcp connection ended within a frame", peer=peer)
                await self._deliver(rest, peer, number)
            if _has_ended(connection):
                # If something is still unread, the kernel resets the connection all the same.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _END_AT_CLOSE)

    async def _chunk(self, connection: socket.socket, peer: str) -> bytes:
        """The next bytes; none when the connection is at its end, in whatever way."""
        loop = asyncio.get_running_loop()
        idle = self._idle_timeout and loop.call_later(
            self._idle_timeout, self._end_idle, connection, peer
        )
        try:
            return await loop.sock_recv(connection, _CHUNK_BYTES)
        except OSError as error:
            self._failed(peer, error)
            return b""
        finally:
            if idle:
                idle.cancel()

    def _end_idle(self, connection: socket.socket, peer: str) -> None:
        """Have sock_recv() return; if it were cancelled, it might take bytes with it."""
        self.connections_timed_out += 1
        _log.info("tcp connection was idle", peer=peer, seconds=self._idle_timeout)
        _shut_for_reading(connection)

    async def _send(self, connection: socket.socket, answer: bytes, peer: str) -> bool:
        """Send an answer; False if the connection is at its end."""
        try:
            await asyncio.get_running_loop().sock_sendall(connection, answer)
        except OSError as error:
            self._failed(peer, error)
            return False
        return True

    def _failed(self, peer: str, error: OSError) -> None:
        self.connections_failed += 1
        _log.warning("tcp connection failed", peer=peer, error=str(error))


def _backlog_of(listener: socket.socket) -> list[tuple[socket.socket, Any]]:
    """The connections that the kernel has accepted and nobody has taken yet."""
    backlog = []
    with suppress(OSError):  # there are no more, or no descriptors for them
        while True:
            connection, address = listener.accept()
            connection.setblocking(False)
            backlog.append((connection, address))
    return backlog


def _has_ended(connection: socket.socket) -> bool:
    """Whether the peer has ended its side: nothing can come after what has arrived."""
    state: int = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == _TCP_CLOSE_WAIT


def _shut_for_reading(shut: socket.socket) -> None:
    """Linux then gives what has arrived and, after it, the end of the stream."""
    with suppress(OSError):  # the peer has closed or reset it already: just as well
        shut.shutdown(socket.SHUT_RD)
