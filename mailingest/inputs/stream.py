"""Streams over TCP in, plain or in TLS: one framing for each connection.

It is that of syslog (RFC 6587, and RFC 5425 in TLS) by default.

The sockets are read directly, without asyncio's stream buffers: while `deliver` waits, nothing
is read from that connection, the kernel's window closes and the sender waits too.  That is
all the back-pressure there is, and the most that a connection holds in memory is one chunk
and one unfinished frame.

A sender may take the orderly end of its connection for the acceptance of all that it sent.  So
there is one way to it: the sender has ended its side, and `deliver` has returned for all that came
before.  In every other case, the death of this process included, the kernel resets the connection
(SO_LINGER with a time of zero, socket(7)).  Of itself it would end it in order, though what was
read and not delivered is gone with the process.  A protocol that acknowledges needs none of this:
its sender counts on acknowledgements alone, and those that are on their way are to arrive.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

from mailingest.errors import UsageError
from mailingest.inputs.activation import passed_sockets
from mailingest.inputs.addresses import address_text, peer_text
from mailingest.inputs.allowed import AllowedSenders
from mailingest.inputs.channels import Channel, PlainChannel, TlsChannel, shut_for_reading
from mailingest.inputs.protocol import Framing, Input
from mailingest.inputs.rate_limit import RateLimit, Telling
from mailingest.inputs.sockets import bound_socket, share_port
from mailingest.inputs.tls import TlsServer
from mailingest.logs.logger import log
from mailingest.syslog.framing import FrameCounters, FrameReader

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

# More than this cannot have arrived before `close`: Linux lets receive buffers grow to 6 MiB, new
# kernels to 32 MiB (tcp_rmem).  A sender that goes on for ever is not waited for.
_MOST_ARRIVED_BYTES = 32 * 1024 * 1024

# A peer has so many seconds for its part of the handshake, and for taking an answer: whoever does
# not, holds one of the connections that there can be.
_HANDSHAKE_SECONDS = 30.0
_SEND_SECONDS = 60.0
# Filebeat waits for 30 seconds for a word (its `timeout`).
_KEEP_ALIVE_SECONDS = 5.0

# accept() fails for want of file descriptors or memory: some connection must end first.
_ACCEPT_PAUSE_SECONDS = 1.0

_connection_numbers = count(1)


class TcpInput:
    """Accepts connections at ``host:port`` and hands their frames to `deliver`.

    ``deliver(frames, peer, connection)`` may wait as long as it likes; if it raises, `serve` does
    too.  ``peer`` is the sender's IP address; ``connection`` is a number that no other connection
    of this process has.  ``framing`` makes what cuts a connection's bytes, and what the peer is
    answered is sent when `deliver` has returned.  ``idle_timeout`` (seconds, None: never) ends a
    connection that sends nothing.  Of more than ``max_connections`` at a time the later ones are
    refused, and so are those from addresses that are not among the ``allowed`` ones.  All are
    resets, which no sender takes for an orderly end.  A sender that is over the ``rate_limit`` is
    not read from until it is within it again.  With ``tls`` nobody is heard without.
    ``protocol`` is what it is called in the log.

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
        rate_limit: RateLimit | None = None,
        tls: TlsServer | None = None,
        protocol: str = "tcp",
        reuse_port: bool = False,
    ) -> None:
        self.address = address_text(host, port)
        self.protocol = protocol
        self.frames = FrameCounters()
        self.connections_accepted = 0
        self.connections_refused = 0
        self.accepts_failed = 0
        self.connections_not_allowed = 0
        self.connections_failed = 0
        self.connections_timed_out = 0
        self.connections_violating = 0
        self.handshakes_failed = 0
        self.senders_slowed = 0
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._idle_timeout = idle_timeout
        self._deliver = deliver
        self._framing = framing
        self._allowed = allowed or AllowedSenders()
        self._rate_limit = rate_limit
        self._over_limit = Telling(self._tell)
        self._tls = tls
        self._reuse_port = reuse_port
        self._listener: socket.socket | None = None
        # Each with the address of its peer.
        self._connections: dict[socket.socket, str] = {}
        self._is_shared = False  # with systemd, and so with the next process
        self._backlog: list[tuple[socket.socket, Any]] = []
        self._serving = False
        self._closing = False
        self._closed = asyncio.Event()
        self._may_accept = asyncio.Event()
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
            "connections_violating": self.connections_violating,
            "handshakes_failed": self.handshakes_failed,
            "senders_slowed": self.senders_slowed,
            "frames_streamed": self.frames.received,
            "frames_skipped": self.frames.empty,
            "frames_oversized": self.frames.oversized,
            "frames_unterminated": self.frames.unterminated,
            "frames_truncated": self.frames.truncated,
        }

    def open(self) -> None:
        """Bind and listen; raises UsageError if the address or the certificate cannot be had."""
        self._load_tls()
        listener = bound_socket("tcp", self._host, self._port, reuse_port=self._reuse_port)
        # On Linux each accepted connection inherits these.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.address = address_text(*listener.getsockname()[:2])
        self._listener = listener
        self._is_shared = passed_sockets().has(listener)

    def _load_tls(self) -> None:
        if self._tls is not None:
            try:
                self._tls.load()
            except UsageError as error:
                raise UsageError(f"{self.protocol} {self.address}: {error}") from None

    def prepare(self, successor: Input) -> Callable[[], None] | None:
        """See `mailingest.inputs.reloadable.Reloadable`."""
        if not isinstance(successor, TcpInput) or successor.protocol != self.protocol:
            return None
        successor._load_tls()
        return partial(self._go_on_as, successor)

    def _go_on_as(self, successor: "TcpInput") -> None:
        """Connections go on, but for those of senders that would not be let in any more."""
        self._max_connections = successor._max_connections
        self._idle_timeout = successor._idle_timeout
        self._deliver = successor._deliver
        self._framing = successor._framing
        self._allowed = successor._allowed
        self._rate_limit = successor._rate_limit
        self._tls = successor._tls
        for connection, peer in self._connections.items():
            if peer not in self._allowed:
                log.warning("the connection of a sender that is no longer in allow", peer=peer)
                shut_for_reading(connection)

    def share_address(self) -> None:
        """See `mailingest.inputs.reloadable.Reloadable`."""
        self._reuse_port = True
        if self._listener is not None:
            share_port(self._listener)

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
        log.info(f"{self.protocol} input listens", address=self.address)
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._accept(self._listener, tasks)
        finally:
            self._serving = False
            self._over_limit.end()
            self.close()
            for connection, _ in self._backlog:
                connection.close()

    def close(self) -> None:
        """Accept nothing more; `serve` returns when what has arrived is delivered.

        What a peer goes on sending is not waited for.
        """
        self._closing = True
        self._closed.set()
        if self._listener is None:
            return
        if not self._serving:
            self._listener.close()
            self._listener = None
            return
        self._may_accept.set()
        if not self._is_shared:
            # What the kernel has accepted would be reset with the listener.
            self._backlog = _backlog_of(self._listener)
            shut_for_reading(self._listener)
        for connection in self._connections:
            shut_for_reading(connection)

    async def _accept(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        # Not sock_accept(): cancelled, it may take a connection with it, and a listener that is
        # shared cannot be shut to end it.
        loop = asyncio.get_running_loop()
        while not self._closing:
            self._may_accept.clear()
            loop.add_reader(listener, self._may_accept.set)
            try:
                await self._may_accept.wait()
            finally:
                loop.remove_reader(listener)
            if self._closing:
                break
            try:
                connection, address = listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                await self._accept_failed(error)
                continue
            connection.setblocking(False)
            self._accept_fails = False
            self._take(connection, address, tasks)
        for connection, address in self._backlog:
            self._take(connection, address, tasks)

    def _take(self, connection: socket.socket, address: Any, tasks: asyncio.TaskGroup) -> None:
        peer = peer_text(address[0])
        if peer not in self._allowed:
            connection.close()
            self.connections_not_allowed += 1
            log.warning("a connection of a sender that is not in allow", peer=peer)
            return
        if len(self._connections) >= self._max_connections:
            self._refuse(connection, peer)
            return
        self._refusing = False
        self.connections_accepted += 1
        self._connections[connection] = peer
        if self._closing:
            shut_for_reading(connection)
        receiving = tasks.create_task(self._receive(connection, peer))
        receiving.add_done_callback(partial(self._ended, connection))

    async def _accept_failed(self, error: OSError) -> None:
        if isinstance(error, ConnectionError):
            return  # that peer gave up before it was accepted
        self.accepts_failed += 1
        # The kernel keeps the connections, and it is tried each second.
        if not self._accept_fails:
            self._accept_fails = True
            log.warning("tcp accept failed", address=self.address, error=str(error))
        await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)

    def _refuse(self, connection: socket.socket, peer: str) -> None:
        connection.close()
        self.connections_refused += 1
        # Once, until one is accepted again.
        if not self._refusing:
            self._refusing = True
            log.warning("tcp connections refused", peer=peer, limit=self._max_connections)

    def _ended(self, connection: socket.socket, _task: asyncio.Task[None]) -> None:
        connection.close()
        self._connections.pop(connection, None)

    async def _receive(self, connection: socket.socket, peer: str) -> None:
        """One connection from its first byte to its last frame."""
        framing = self._framing(self.frames)
        number = next(_connection_numbers)
        with connection:
            if framing.acknowledges:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _END_AT_CLOSE)
            channel = await self._channel(connection, peer)
            if channel is None:
                return
            await self._hand_all_on(channel, framing, peer, number)
            if rest := framing.close():
                log.warning("tcp connection ended within a frame", peer=peer)
                await self._deliver(rest, peer, number)
            if channel.has_ended or framing.acknowledges:
                await self._end(connection, channel)

    async def _channel(self, connection: socket.socket, peer: str) -> Channel | None:
        """What the connection is read by, after the handshake; None if that failed."""
        tls = self._tls
        if tls is None:
            return PlainChannel(connection)
        channel = TlsChannel(connection, tls.context)
        try:
            with self._ended_after(_HANDSHAKE_SECONDS, channel):
                await channel.handshake()
            stranger = tls.stranger(channel)
        except OSError as error:
            self.handshakes_failed += 1
            log.warning(
                "tls handshake failed", peer=peer, address=self.address, reason=_tls_reason(error)
            )
            return None
        if stranger is not None:
            self.connections_not_allowed += 1
            log.warning(
                "a connection of a certificate that is not in allow_names",
                peer=peer,
                certificate=stranger,
            )
            return None
        return channel

    async def _hand_all_on(
        self, channel: Channel, framing: Framing, peer: str, number: int
    ) -> bool:
        """Hand on what comes until the end; False if the peer cannot be answered any more."""
        left_to_drain = _MOST_ARRIVED_BYTES
        while left_to_drain > 0 and not framing.is_at_end:
            data = await self._chunk(channel, peer)
            if not data:
                break
            if self._closing:
                left_to_drain -= len(data)
            if not await self._hand_on(channel, framing, data, peer, number):
                return False
            # Neither reading nor deliver() need to let the event loop go on.
            await asyncio.sleep(0)
        return True

    async def _hand_on(
        self, channel: Channel, framing: Framing, data: bytes, peer: str, number: int
    ) -> bool:
        """Hand on the frames of a chunk, and answer; False if that was the last one."""
        while True:
            if frames := framing.receive_data(data):
                await self._deliver_patiently(channel, framing, frames, peer, number)
            if (answer := framing.answer()) and not await self._send(channel, answer, peer):
                return False
            if framing.violation:
                self.connections_violating += 1
                log.warning(
                    f"a connection that is not {self.protocol}'s protocol is ended",
                    peer=peer,
                    address=self.address,
                    reason=framing.violation,
                )
                return False
            if frames and self._rate_limit is not None:
                await self._slow_down(self._rate_limit, peer, len(frames))
            if not framing.has_more:
                return True
            data = b""
            await asyncio.sleep(0)

    async def _deliver_patiently(
        self, channel: Channel, framing: Framing, frames: list[bytes], peer: str, number: int
    ) -> None:
        """Deliver, and tell a peer that wants to know that it is not forgotten meanwhile."""
        sign = framing.keep_alive()
        if not sign:
            await self._deliver(frames, peer, number)
            return
        delivering = asyncio.ensure_future(self._deliver(frames, peer, number))
        try:
            while not (await asyncio.wait({delivering}, timeout=_KEEP_ALIVE_SECONDS))[0]:
                if sign and not await self._send(channel, sign, peer):
                    sign = b""
        finally:
            delivering.cancel()
        await delivering

    async def _slow_down(self, limit: RateLimit, peer: str, lines: int) -> None:
        """Read no more from a sender until it is within its limit; at the end, nobody waits."""
        delay = limit.delay(peer, lines, asyncio.get_running_loop().time())
        if not delay:
            return
        self.senders_slowed += 1
        self._over_limit.count(peer)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), delay)

    def _tell(self, slowed: dict[str, int]) -> None:
        log.warning(
            "senders over rate_limit were made to wait",
            protocol=self.protocol,
            address=self.address,
            senders=slowed,
        )

    async def _chunk(self, channel: Channel, peer: str) -> bytes:
        """The next bytes; none when the connection is at its end, in whatever way."""
        loop = asyncio.get_running_loop()
        idle = self._idle_timeout and loop.call_later(
            self._idle_timeout, self._end_idle, channel, peer
        )
        try:
            return await channel.receive()
        except OSError as error:
            self._failed(peer, error)
            return b""
        finally:
            if idle:
                idle.cancel()

    def _end_idle(self, channel: Channel, peer: str) -> None:
        """Have receive() return; if it were cancelled, it might take bytes with it."""
        self.connections_timed_out += 1
        log.info("tcp connection was idle", peer=peer, seconds=self._idle_timeout)
        channel.shut_for_reading()

    async def _send(self, channel: Channel, answer: bytes, peer: str) -> bool:
        """Send an answer; False if the connection is at its end."""
        try:
            with self._ended_after(_SEND_SECONDS, channel):
                await channel.send(answer)
        except OSError as error:
            self._failed(peer, error)
            return False
        return True

    @contextmanager
    def _ended_after(self, seconds: float, channel: Channel) -> Iterator[None]:
        """What waits for the peer fails after that time."""
        late = asyncio.get_running_loop().call_later(seconds, channel.shut)
        try:
            yield
        finally:
            late.cancel()

    async def _end(self, connection: socket.socket, channel: Channel) -> None:
        """The one orderly end."""
        with suppress(OSError), self._ended_after(_SEND_SECONDS, channel):
            await channel.end()
        # If something is still unread, the kernel resets the connection all the same.
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _END_AT_CLOSE)

    def _failed(self, peer: str, error: OSError) -> None:
        self.connections_failed += 1
        log.warning("tcp connection failed", peer=peer, error=str(error))


def _tls_reason(error: OSError) -> str:
    """What OpenSSL says of a handshake, without its file and line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"
    reason = str(getattr(error, "reason", None) or error)
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "no certificate was shown, and tls.client_ca asks for one"
    if reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return f"the sender does not speak TLS ({reason})"
    return reason


def _backlog_of(listener: socket.socket) -> list[tuple[socket.socket, Any]]:
    """The connections that the kernel has accepted and nobody has taken yet."""
    backlog = []
    with suppress(OSError):  # there are no more, or no descriptors for them
        while True:
            connection, address = listener.accept()
            connection.setblocking(False)
            backlog.append((connection, address))
    return backlog
