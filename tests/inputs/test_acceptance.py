"""A sender that takes the orderly end of its connection for "all is accepted" is right."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mailingest.inputs.stream import TcpInput
from tests.support.lab.polling import PATIENCE, until

Run = Callable[[Coroutine[Any, Any, None]], None]

# Enough for many reads.
BURST = b"".join(b"<22>line %d\n" % number for number in range(20_000))


class Receiver:
    """What was delivered; as long as `open` is not set, it is under way."""

    def __init__(self) -> None:
        self.under_way: list[bytes] = []
        self.frames: list[bytes] = []
        self.open = asyncio.Event()

    async def deliver(self, frames: list[bytes], _peer: str, _connection: int) -> None:
        self.under_way += frames
        await self.open.wait()
        self.frames += frames


def tcp_input(
    receiver: Receiver, *, max_connections: int = 10, idle_timeout: float | None = None
) -> TcpInput:
    opened = TcpInput(
        "127.0.0.1",
        0,
        max_connections=max_connections,
        idle_timeout=idle_timeout,
        deliver=receiver.deliver,
    )
    opened.open()
    return opened


def connect(tcp: TcpInput) -> socket.socket:
    host, port = tcp.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def has_accepted(connection: socket.socket) -> bool:
    """The naive sender: an orderly end is a yes, a reset is a no."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return False


async def send_all(connection: socket.socket, data: bytes) -> None:
    """Send, and end this side."""
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_sendall(connection, data)
    connection.settimeout(PATIENCE)
    connection.shutdown(socket.SHUT_WR)


# A process reads what comes, and delivering has no end: so would the spool have it.
READS_AND_STANDS_STILL = """
import asyncio, sys
from mailingest.inputs.stream import TcpInput

async def deliver(frames, peer, connection):
    print("read", file=sys.stderr)
    await asyncio.Event().wait()

async def main():
    tcp = TcpInput("127.0.0.1", 0, max_connections=10, idle_timeout=None, deliver=deliver)
    tcp.open()
    print(tcp.address, file=sys.stderr)
    await tcp.serve()

asyncio.run(main())
"""

# The kernel accepts, and the process does not.
LISTENS_ONLY = """
import signal, sys
from mailingest.inputs.stream import TcpInput

tcp = TcpInput("127.0.0.1", 0, max_connections=10, idle_timeout=None, deliver=None)
tcp.open()
print(tcp.address, file=sys.stderr)
print("read", file=sys.stderr)
signal.pause()
"""


@pytest.mark.parametrize(
    ("program", "burst"),
    [
        pytest.param(READS_AND_STANDS_STILL, b"<22>line\n", id="read and not delivered"),
        pytest.param(READS_AND_STANDS_STILL, BURST, id="half of it read"),
        pytest.param(LISTENS_ONLY, b"<22>line\n", id="accepted by the kernel only"),
        pytest.param(LISTENS_ONLY, b"", id="accepted by the kernel only, and nothing sent"),
    ],
)
def test_a_killed_process_accepts_nothing_that_was_not_delivered(
    program: str, burst: bytes
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        host, port = process.stderr.readline().decode().strip().rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as sending:
            sending.sendall(burst)
            sending.shutdown(socket.SHUT_WR)
            assert process.stderr.readline() == b"read\n"
            process.kill()
            assert process.wait() == -signal.SIGKILL
            assert not has_accepted(sending)


@pytest.mark.parametrize(
    "burst",
    [
        pytest.param(b"<22>a\n<22>b\n", id="whole lines"),
        pytest.param(b"<22>half", id="a line without its end"),
        pytest.param(b"9 <22>half", id="half of a counted line"),
    ],
)
def test_the_end_is_answered_when_the_last_line_is_delivered(run: Run, burst: bytes) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as sending:
            await send_all(sending, burst)
            await until(lambda: receiver.under_way)
            sending.setblocking(False)
            with pytest.raises(BlockingIOError):
                sending.recv(1)
            receiver.open.set()
            assert await asyncio.get_running_loop().sock_recv(sending, 1) == b""
            assert receiver.frames == receiver.under_way
        tcp.close()
        await serving

    run(scenario())


def test_at_the_end_of_the_daemon_only_a_whole_connection_is_accepted(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as whole, connect(tcp) as going_on:
            await send_all(whole, b"<22>whole\n")
            going_on.send(b"<22>begun\n")
            await until(lambda: len(receiver.under_way) == 2)
            tcp.close()
            receiver.open.set()
            await serving
            assert sorted(receiver.frames) == [b"<22>begun", b"<22>whole"]
            assert has_accepted(whole)
            assert not has_accepted(going_on)

    run(scenario())


def test_cancelled_while_it_delivers_it_accepts_nothing(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as sending:
            await send_all(sending, b"<22>line\n")
            await until(lambda: receiver.under_way)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert not has_accepted(sending)

    run(scenario())


def test_a_connection_too_many_is_not_accepted(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        tcp = tcp_input(receiver, max_connections=1)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp), connect(tcp) as refused:
            # Its burst comes when it is refused already: there is nothing unread that would make
            # the kernel reset it.
            await until(lambda: tcp.connections_refused == 1)
            assert not has_accepted(refused)
        tcp.close()
        await serving

    run(scenario())


def test_what_arrives_just_when_a_connection_has_been_idle_too_long_is_delivered(run: Run) -> None:
    async def scenario() -> None:
        receiver = Receiver()
        receiver.open.set()
        tcp = tcp_input(receiver, idle_timeout=0.2)
        serving = asyncio.create_task(tcp.serve())
        with connect(tcp) as sending:
            sending.send(b"<22>first\n")
            await until(lambda: receiver.frames)
            # The time is over and the line is there when the event loop has its next turn.
            is_over = time.monotonic() + 0.3
            sending.send(b"<22>late\n")
            while time.monotonic() < is_over:
                pass
            await until(lambda: tcp.connections_open == 0)
            assert receiver.frames == [b"<22>first", b"<22>late"]
            assert not has_accepted(sending)
        assert tcp.connections_timed_out == 1
        tcp.close()
        await serving

    run(scenario())
