"""UDP syslog in (RFC 5426): one datagram is one frame.

Nothing waits here.  A datagram goes to `deliver` at once; while that works, the kernel's
receive buffer is the only queue, and what does not fit into it is counted by the kernel.
asyncio-dgram says when there is something, and what comes through its queue takes three times as
long as what is read right from the socket.  So all that it has is taken first, for the order, and
then what the kernel has.  Its queue has no bound, and holds no more than one wake-up of the event
loop brings (32 datagrams with uvloop, 1 with asyncio), or two, or what comes in a short rest after
few datagrams.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

import asyncio_dgram

from mailingest.errors import MailingestError
from mailingest.inputs.activation import passed_sockets
from mailingest.inputs.addresses import address_text, peer_text
from mailingest.inputs.allowed import AllowedSenders
from mailingest.inputs.datagram_sockets import (
    ask_for_buffer,
    drops,
    receive_buffer,
    receive_no_more,
)
from mailingest.inputs.protocol import Input
from mailingest.inputs.rate_limit import RateLimit, Telling
from mailingest.inputs.sockets import bound_socket, share_port
from mailingest.logs.logger import log
from mailingest.syslog.framing import TRAILERS

# While datagrams are taken the event loop stands still: for two milliseconds with this many, which
# no timer or TCP connection notices.
_DATAGRAMS_PER_TURN = 512

# Who found fewer than that lets others come into asyncio-dgram's queue for so many seconds: a turn
# costs more than a datagram.  The kernel's buffer is emptied into the queue meanwhile, so nothing
# is dropped if a flood begins; the queue then has what comes in that time.
_FEW = 32
_RESTING_SECONDS = 0.1

# The kernel charges a buffer at least this much for a datagram, however short (struct sk_buff
# and its data); it bounds what can be left in the buffer at the end.
_LEAST_CHARGE = 512

_LARGEST_DATAGRAM = 64 * 1024


class UdpInput:
    """Receives datagrams at ``host:port`` and hands each to `deliver`.

    ``receive_buffer`` is the wish for the kernel's buffer in bytes; `receive_buffer_got` is
    what the kernel granted (``net.core.rmem_max`` limits it without CAP_NET_ADMIN).
    ``deliver(payload, peer)`` takes a message without its trailer and the sender's IP
    address, and returns False if it had to refuse it; it is counted as ``datagrams_dropped``.
    What comes from an address that is not among the ``allowed`` ones, or that is over its
    ``rate_limit``, is counted, and goes nowhere.
    ``address`` is where the socket is bound, with a real port even if 0 was asked for.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        receive_buffer: int,
        deliver: Callable[[bytes, str], bool],
        allowed: AllowedSenders | None = None,
        rate_limit: RateLimit | None = None,
        reuse_port: bool = False,
    ) -> None:
        self.address = address_text(host, port)
        self.datagrams_received = 0
        self.datagrams_dropped = 0
        self.datagrams_empty = 0
        self.datagrams_not_allowed = 0
        self.datagrams_over_limit = 0
        self.receive_errors = 0
        self.receive_buffer_got = 0
        self._host = host
        self._port = port
        self._receive_buffer = receive_buffer
        self._deliver = deliver
        self._allowed = allowed or AllowedSenders()
        self._rate_limit = rate_limit
        self._over_limit = Telling(self._tell)
        self._reuse_port = reuse_port
        self._socket: socket.socket | None = None
        self._stream: asyncio_dgram.aio.DatagramStream | None = None
        self._kernel_drops = 0
        self._closing = False
        # Of one: bytes of 64 KiB that are then made shorter would leave holes in the heap.
        self._buffer = memoryview(bytearray(_LARGEST_DATAGRAM))

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped since `open`, mostly for want of buffer space.

        Of a socket that systemd has bound, since that: between two processes some may be dropped.
        """
        if self._socket is not None:
            self._kernel_drops = drops(self._socket)
        return self._kernel_drops

    def counters(self) -> Mapping[str, int]:
        """See `mailingest.inputs.protocol.Input`."""
        return {
            "datagrams_received": self.datagrams_received,
            "datagrams_empty": self.datagrams_empty,
            "datagrams_not_allowed": self.datagrams_not_allowed,
            "datagrams_over_limit": self.datagrams_over_limit,
            "datagrams_dropped": self.datagrams_dropped,
            "datagrams_dropped_by_kernel": self.kernel_drops,
            "receive_errors": self.receive_errors,
        }

    def open(self) -> None:
        """Bind the socket; raises UsageError if the address cannot be had."""
        bound = bound_socket("udp", self._host, self._port, reuse_port=self._reuse_port)
        self.address = address_text(*bound.getsockname()[:2])
        self._socket = bound
        # What systemd has set may be beyond what this process could set.
        self.receive_buffer_got = receive_buffer(bound)
        is_shared = passed_sockets().has(bound)
        if not is_shared or self.receive_buffer_got < self._receive_buffer:
            self._ask_for_buffer(bound)

    def _ask_for_buffer(self, bound: socket.socket) -> None:
        self.receive_buffer_got = ask_for_buffer(bound, self._receive_buffer)
        if self.receive_buffer_got < self._receive_buffer:
            log.warning(
                "udp receive buffer is smaller than asked for; raise net.core.rmem_max",
                address=self.address,
                asked=self._receive_buffer,
                got=self.receive_buffer_got,
            )

    def prepare(self, successor: Input) -> Callable[[], None] | None:
        """See `mailingest.inputs.reloadable.Reloadable`."""
        return partial(self._go_on_as, successor) if isinstance(successor, UdpInput) else None

    def _go_on_as(self, successor: "UdpInput") -> None:
        # What has come is of the settings that there were.
        if self._stream is not None:
            self._empty(self._stream)
        self._deliver = successor._deliver
        self._allowed = successor._allowed
        self._rate_limit = successor._rate_limit
        if self._receive_buffer != successor._receive_buffer and self._socket is not None:
            self._receive_buffer = successor._receive_buffer
            self._ask_for_buffer(self._socket)

    def share_address(self) -> None:
        """See `mailingest.inputs.reloadable.Reloadable`."""
        self._reuse_port = True
        if self._socket is not None:
            share_port(self._socket)

    async def serve(self) -> None:
        """Receive until `close` or cancellation.  `open` comes first."""
        if self._closing:
            return
        if self._socket is None:
            raise RuntimeError("serve() before open()")
        # asyncio-dgram closes the socket it is given; this one must give the kernel's drops until
        # the very end.
        stream = await asyncio_dgram.from_socket(self._socket.dup())
        if self._closing:  # meanwhile
            self._close_stream(stream)
            return
        self._stream = stream
        log.info("udp input listens", address=self.address)
        try:
            while True:
                try:
                    data, peer = await stream.recv()
                except OSError as error:
                    self._failed(error)
                    continue
                before = self.datagrams_received
                self._take(data, peer)
                is_all = self._take_queued(stream)
                # A lone one is all that the kernel had: uvloop reads on until there is nothing.
                if is_all and self.datagrams_received - before > 1:
                    is_all = self._take_arrived(_DATAGRAMS_PER_TURN)
                if not is_all:
                    await asyncio.sleep(0)
                elif self.datagrams_received - before < _FEW:
                    await asyncio.sleep(_RESTING_SECONDS)
        except asyncio_dgram.TransportClosed:
            if not self._closing:
                raise MailingestError(f"udp {self.address}: the socket was closed") from None
        finally:
            self._close_stream(stream)

    def close(self) -> None:
        """Deliver what the kernel has already received, then close the socket.

        `serve` returns.  What a flood sends after this began is not waited for.
        """
        self._closing = True
        if self._socket is None:
            return
        # Until there is a stream, asyncio-dgram may just look whether the socket is connected.
        if self._stream is not None:
            if not passed_sockets().has(self._socket):
                receive_no_more(self._socket)
            self._empty(self._stream)
        self._take_arrived(2 * self.receive_buffer_got // _LEAST_CHARGE)
        self._kernel_drops = self.kernel_drops
        self._socket.close()
        self._socket = None
        self._over_limit.end()
        if self._stream is not None:
            self._close_stream(self._stream)

    def _close_stream(self, stream: asyncio_dgram.aio.DatagramStream) -> None:
        self._empty(stream)
        stream.close()
        self._stream = None

    def _empty(self, stream: asyncio_dgram.aio.DatagramStream) -> None:
        while not self._take_queued(stream):
            pass

    def _take_queued(self, stream: asyncio_dgram.aio.DatagramStream) -> bool:
        """Take what `stream` holds already: its recv() then ends without suspending once.

        False if there may be more.
        """
        for _ in range(_DATAGRAMS_PER_TURN):
            receiving = stream.recv()
            try:
                receiving.send(None)
            except StopIteration as done:
                self._take(*done.value)
            except OSError as error:
                self._failed(error)
            except asyncio_dgram.TransportClosed:
                return True
            else:
                receiving.close()
                return True
        return False

    def _take_arrived(self, most: int) -> bool:
        """Take what the kernel holds, so many datagrams at most; False if there may be more."""
        if self._socket is None:  # closed, and so it was emptied
            return True
        receive, buffer = self._socket.recvfrom_into, self._buffer
        for _ in range(most):
            try:
                size, peer = receive(buffer)
            except BlockingIOError:
                return True
            except OSError as error:
                self._failed(error)
                continue
            self._take(buffer[:size].tobytes(), peer)
        return False

    def _take(self, data: bytes, peer: Any) -> None:
        self.datagrams_received += 1
        payload = data.rstrip(TRAILERS)
        address = peer_text(peer[0])
        if address not in self._allowed:
            self.datagrams_not_allowed += 1
            log.warning("a datagram of a sender that is not in allow", peer=address)
        elif not payload:
            self.datagrams_empty += 1
        elif self._rate_limit is not None and not self._rate_limit.admits(address, monotonic()):
            self._drop(address)
        elif not self._deliver(payload, address):
            self.datagrams_dropped += 1

    def _drop(self, address: str) -> None:
        """A datagram over the limit: it is told of once a minute, by whom and how many."""
        self.datagrams_over_limit += 1
        self._over_limit.count(address)

    def _tell(self, dropped: dict[str, int]) -> None:
        log.warning(
            "datagrams of senders over rate_limit were dropped",
            address=self.address,
            senders=dropped,
        )

    def _failed(self, error: OSError) -> None:
        self.receive_errors += 1
        log.warning("udp receive failed", address=self.address, error=str(error))
