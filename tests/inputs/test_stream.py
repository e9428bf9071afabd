import asyncio
import os
import resource
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

import pytest
import structlog

from mailingest.errors import UsageError
from mailingest.inputs import stream as tcp_module
from mailingest.inputs.protocol import Framing
from mailingest.inputs.stream import TcpInput
from mailingest.syslog.framing import FrameCounters, FrameReader
from tests.support.lab.polling import PATIENCE, until
from tests.support.ports import this_process

Run = Callable[[Coroutine[Any, Any, None]], None]

LINE = b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0: removed"


class Receiver:
    """What was delivered; while `open` is not set, deliver() waits."""

    def __init__(self) -> None:
        self.calls = 0
        self.frames: list[bytes] = []
        self.peers: set[str] = set()
        self.connections: set[int] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def deliver(self, frames: list[bytes], peer: str, connection: int) -> None:
        self.calls += 1
        await self.open.wait()
        self.frames += frames
        self.peers.add(peer)
        self.connections.add(connection)


def tcp_input(
    deliver: Callable[[list[bytes], str, int], Awaitable[None]],
    *,
    host: str = "127.0.0.1",
    max_connections: int = 10,
    idle_timeout: float | None = None,
    framing: Callable[[FrameCounters], Framing] = FrameReader,
) -> TcpInput:
    opened = TcpInput(
        host,
        0,
        max_connections=max_connections,
        idle_timeout=idle_timeout,
        deliver=deliver,
        framing=framing,
    )
    opened.open()
    return opened


def connect(tcp: TcpInput) -> socket.socket:
    host, port = tcp.address.rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)


async def is_reset(tcp: TcpInput) -> bool:
    """Whether a new connection is reset, which may be before connect has returned."""
    try:
        with connect(tcp) as connection:
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_recv(connection, 1)
    except ConnectionResetError:
        return True
    return False


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """The process may not open one more file."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_descriptor = os.dup(0)
    os.close(next_descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_descriptor, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_frames_of_both_framings_are_delivered_with_their_peer(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as first, connect(tcp) as second:
            first.send(LINE + b"\n<22>b\n<22>c")
            second.send(b"6 <22>d")
            await until(lambda: len(receiver.frames) == 2)
            assert tcp.connections_open == 2
            first.send(b"c\n")
            second.send(b"e")
            await until(lambda: len(receiver.frames) == 4)
        assert sorted(receiver.frames) == sorted([LINE, b"<22>b", b"<22>cc", b"<22>de"])
        assert receiver.peers == {"127.0.0.1"}
        assert len(receiver.connections) == 2
        tcp.close()
        await serving
        assert tcp.connections_open == 0
        assert tcp.connections_accepted == 2
        assert tcp.frames == FrameCounters(received=4)

    run(scenario())


def test_while_deliver_waits_nothing_is_read_and_the_sender_waits(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.open.clear()
        tcp = tcp_input(receiver.deliver)
        assert tcp._listener is not None
        tcp._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        serving = asyncio.create_task(tcp.serve())
        lines = (LINE + b"\n") * 100
        sent = 0
        with connect(tcp) as sending, connect(tcp) as other:
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
            sending.setblocking(False)
            stuck = 0
            while stuck < 50:
                try:
                    sent += sending.send(lines[sent % len(lines) :])
                    stuck = 0
                except BlockingIOError:
                    stuck += 1
                await asyncio.sleep(0.002)
            assert receiver.calls == 1
            assert sent < 1 << 20
            # The others do not wait behind it.
            other.send(LINE + b"\n")
            await until(lambda: receiver.calls == 2)
            receiver.open.set()
            await until(lambda: tcp.frames.received == sent // (len(LINE) + 1) + 1)
        tcp.close()
        await serving
        assert receiver.frames.count(LINE) == sent // (len(LINE) + 1) + 1

    run(scenario())


@pytest.mark.parametrize(
    ("rest", "frame", "counters"),
    [
        pytest.param(
            b"<22>half", b"<22>half", FrameCounters(received=2, unterminated=1), id="half a line"
        ),
        pytest.param(
            b"99 <22>half",
            b"<22>half",
            FrameCounters(received=2, truncated=1),
            id="half a counted frame",
        ),
    ],
)
def test_half_a_frame_at_the_end_is_delivered_and_counted(
    run: Run, rest: bytes, frame: bytes, counters: FrameCounters
) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as sending:
            sending.send(LINE + b"\n" + rest)
        await until(lambda: len(receiver.frames) == 2)
        assert receiver.frames == [LINE, frame]
        assert tcp.frames == counters
        tcp.close()
        await serving

    run(scenario())


def test_a_connection_that_is_reset_harms_no_other(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as healthy, connect(tcp) as failing:
            healthy.send(LINE + b"\n")
            failing.send(b"<22>a\n<22>half")
            await until(lambda: len(receiver.frames) == 2)
            failing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            failing.close()
            await until(lambda: tcp.connections_failed == 1 and tcp.connections_open == 1)
            healthy.send(b"<22>b\n")
            await until(lambda: b"<22>b" in receiver.frames)
        assert b"<22>half" in receiver.frames
        tcp.close()
        await serving

    run(scenario())


def test_connections_over_the_limit_are_refused_until_another_ends(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver, max_connections=1)
        serving = asyncio.create_task(tcp.serve())
        with structlog.testing.capture_logs() as events:
            with connect(tcp) as first:
                await until(lambda: tcp.connections_open == 1)
                for _ in range(3):
                    assert await is_reset(tcp)
                first.send(LINE + b"\n")
            await until(lambda: tcp.connections_open == 0)
            with connect(tcp) as second:
                second.send(LINE + b"\n")
                await until(lambda: len(receiver.frames) == 2)
        refusals = [event for event in events if event["event"] == "tcp connections refused"]
        assert refusals == [
            {
                "event": "tcp connections refused",
                "log_level": "warning",
                "peer": "127.0.0.1",
                "limit": 1,
            }
        ]
        assert (tcp.connections_accepted, tcp.connections_refused) == (2, 3)
        tcp.close()
        await serving

    run(scenario())


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(run: Run) -> None:
    async def was_shown() -> bool:
        """Whether it was; if the machine kept the busy one from sending in time, it was not."""
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver, idle_timeout=0.5)
        serving = asyncio.create_task(tcp.serve())
        longest, loop = 0.0, asyncio.get_running_loop()
        with connect(tcp) as idle, connect(tcp) as busy:
            idle.send(b"<22>half")
            while tcp.connections_timed_out == 0:
                sent = loop.time()
                busy.send(LINE + b"\n")
                await asyncio.sleep(0.002)
                longest = max(longest, loop.time() - sent)
            if longest > 0.2:
                tcp.close()
                await serving
                return False
            busy.send(b"<22>last\n")
            await until(lambda: b"<22>last" in receiver.frames)
            assert b"<22>half" in receiver.frames
            with pytest.raises(ConnectionResetError):
                idle.recv(1)
        tcp.close()
        await serving
        assert (tcp.connections_timed_out, tcp.connections_failed) == (1, 0)
        return True

    run(until(was_shown, "the machine lets the busy connection be busy"))


def test_senders_that_vanish_are_noticed_by_keepalive(run: Run) -> None:
    async def scenario() -> None:
        tcp = tcp_input(Receiver().deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp):
            await until(lambda: tcp.connections_open)
            (connection,) = tcp._connections
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 300
        tcp.close()
        await serving

    run(scenario())


def test_closing_delivers_what_has_arrived(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.open.clear()
        tcp = tcp_input(receiver.deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as first, connect(tcp) as second, connect(tcp):
            first.send(b"<22>1\n")
            await until(lambda: receiver.calls == 1 and tcp.connections_open == 3)
            for number in range(2, 3000):
                first.send(b"<22>%d\n" % number)
            second.send(b"<22>a\n<22>half")
            tcp.close()
            receiver.open.set()
            await serving
            with pytest.raises(ConnectionRefusedError):
                connect(tcp)
        numbers = [frame for frame in receiver.frames if frame[4:].isdigit()]
        assert numbers == [b"<22>%d" % number for number in range(1, 3000)]
        assert set(receiver.frames) - set(numbers) == {b"<22>a", b"<22>half"}
        assert tcp.connections_open == 0
        tcp.close()

    run(scenario())


def test_closing_delivers_what_has_arrived_however_large_the_buffer_has_grown(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.open.clear()
        tcp = tcp_input(receiver.deliver)
        serving = asyncio.create_task(tcp.serve())
        lines = (LINE + b"\n") * 1000
        sent = 0
        with connect(tcp) as sending:
            sending.send(LINE + b"\n")
            await until(lambda: receiver.calls == 1)
            # Linux does so by itself while a connection is read from.
            (connection,) = tcp._connections
            before = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * before)
            sending.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    sent += sending.send(lines[sent % (len(LINE) + 1) :])
            arrived = int.from_bytes(ioctl(connection, FIONREAD, bytes(4)), sys.byteorder)
            assert arrived > before
            tcp.close()
            receiver.open.set()
            await serving
        assert len(receiver.frames) >= 1 + arrived // (len(LINE) + 1)
        assert set(receiver.frames[:-1]) == {LINE}

    run(scenario())


def test_closing_takes_connections_that_only_the_kernel_has_accepted(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as first:
            first.send(b"<22>first\n")
            await until(lambda: receiver.frames == [b"<22>first"])
            # The event loop has no turn between these and close().
            late = [connect(tcp) for _ in range(3)]
            for number, connection in enumerate(late):
                connection.send(b"<22>%d\n" % number)
            tcp.close()
            await serving
            for connection in late:
                connection.close()
        assert sorted(receiver.frames) == [b"<22>0", b"<22>1", b"<22>2", b"<22>first"]
        assert tcp.connections_open == 0

    run(scenario())


def test_a_sender_that_never_stops_does_not_hold_up_the_end(run: Run) -> None:
    async def scenario() -> None:
        flood = LINE + b"\n"

        async def deliver(_frames: list[bytes], _peer: str, _connection: int) -> None:
            sending.send(flood * 100)

        tcp = tcp_input(deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as sending:
            sending.send(flood)
            await until(lambda: tcp.frames.received > 1000)
            tcp.close()
            async with asyncio.timeout(PATIENCE):
                await serving

    run(scenario())


def test_cancelling_closes_all_at_once(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.open.clear()
        tcp = tcp_input(receiver.deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as waiting, connect(tcp) as idle:
            waiting.send(LINE + b"\n")
            await until(lambda: receiver.calls == 1 and tcp.connections_open == 2)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert tcp.connections_open == 0
            with pytest.raises(ConnectionResetError):
                idle.recv(1)

    run(scenario())


def test_without_descriptors_accepting_goes_on_later(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_module, "_ACCEPT_PAUSE_SECONDS", 0.01)

    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver)
        with connect(tcp) as sending:
            sending.send(LINE + b"\n")
            with structlog.testing.capture_logs() as events, no_more_descriptors():
                serving = asyncio.create_task(tcp.serve())
                await until(lambda: any(e["event"] == "tcp accept failed" for e in events))
            await until(lambda: receiver.frames == [LINE])
        tcp.close()
        await serving

    run(scenario())


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ZeroDivisionError(), id="a mistake"),
        pytest.param(OSError("disk full"), id="an error that a socket might have had"),
    ],
)
def test_an_error_in_deliver_is_not_hidden(run: Run, error: Exception) -> None:
    async def scenario() -> None:
        async def deliver(_frames: list[bytes], _peer: str, _connection: int) -> None:
            raise error

        tcp = tcp_input(deliver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as sending:
            sending.send(LINE + b"\n")
            with pytest.raises(ExceptionGroup) as caught:
                await serving
        assert caught.value.exceptions == (error,)
        assert tcp.connections_open == 0

    run(scenario())


class Acknowledging(FrameReader):
    """Lines, each of which is answered with its number."""

    def __init__(self, counters: FrameCounters) -> None:
        super().__init__(counters)
        self._unanswered: list[int] = []
        self._number = 0

    def receive_data(self, data: bytes) -> list[bytes]:
        frames = super().receive_data(data)
        for _ in frames:
            self._number += 1
            self._unanswered.append(self._number)
        return frames

    def answer(self) -> bytes:
        numbers, self._unanswered = self._unanswered, []
        return b"".join(b"%d ok\n" % number for number in numbers)


def test_a_framing_answers_the_peer_when_its_frames_are_delivered(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.open.clear()
        tcp = tcp_input(receiver.deliver, framing=Acknowledging)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as sending:
            sending.setblocking(False)
            sending.send(LINE + b"\n" + LINE + b"\n<22>half")
            await until(lambda: receiver.calls == 1)
            with pytest.raises(BlockingIOError):
                sending.recv(100)
            receiver.open.set()
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(sending, 100) == b"1 ok\n2 ok\n"
            sending.send(b" and whole\n")
            assert await loop.sock_recv(sending, 100) == b"3 ok\n"
        tcp.close()
        await serving
        assert receiver.frames == [LINE, LINE, b"<22>half and whole"]

    run(scenario())


def test_a_peer_that_goes_before_it_is_answered_harms_no_other(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.open.clear()
        tcp = tcp_input(receiver.deliver, framing=Acknowledging)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as failing, connect(tcp) as healthy:
            failing.send(LINE + b"\n")
            healthy.send(LINE + b"\n")
            await until(lambda: receiver.calls == 2)
            failing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            failing.close()
            receiver.open.set()
            await until(lambda: tcp.connections_failed == 1 and tcp.connections_open == 1)
            healthy.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(healthy, 100) == b"1 ok\n"
        tcp.close()
        await serving
        assert receiver.frames == [LINE, LINE]

    run(scenario())


async def test_serving_before_opening_is_a_mistake() -> None:
    receiver = Receiver()
    tcp = TcpInput("127.0.0.1", 0, max_connections=1, idle_timeout=None, deliver=receiver.deliver)
    assert tcp.address == "127.0.0.1:0"
    with pytest.raises(RuntimeError):
        await tcp.serve()


async def test_closing_before_serving_is_no_mistake() -> None:
    tcp = tcp_input(Receiver().deliver)
    tcp.close()
    tcp.close()
    await tcp.serve()


def test_a_dual_stack_listener_shows_ipv4_peers_as_ipv4(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver.deliver, host="::")
        serving = asyncio.create_task(tcp.serve())
        port = int(tcp.address.rsplit(":", 1)[1])
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)) as sending:
                sending.send(LINE + b"\n")
        await until(lambda: receiver.peers == {"127.0.0.1", "::1"})
        tcp.close()
        await serving

    run(scenario())


async def test_an_address_in_use_is_refused_in_one_line() -> None:
    receiver = Receiver()
    first = tcp_input(receiver.deliver)
    second = TcpInput(
        "127.0.0.1",
        int(first.address.split(":")[1]),
        max_connections=1,
        idle_timeout=None,
        deliver=receiver.deliver,
    )
    with pytest.raises(UsageError) as caught:
        second.open()
    assert str(caught.value) == (
        f"tcp {first.address}: address already in use by {this_process()}; stop what "
        "listens there or choose another port"
    )
    first.close()
