"""Peers that mean harm, for each protocol over TCP: they cost a bounded memory, and nobody else."""

import asyncio
import socket
import ssl
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mailingest.errors import UsageError
from mailingest.inputs import stream as tcp_module
from mailingest.inputs.protocol import Framing
from mailingest.inputs.rate_limit import RateLimit
from mailingest.inputs.stream import TcpInput
from mailingest.inputs.tls import TlsServer
from mailingest.inputs.udp import UdpInput
from mailingest.syslog.framing import FrameCounters, FrameReader
from mailingest.syslog.lumberjack import LumberjackReader
from mailingest.syslog.relp import RelpReader
from tests.support.lab.polling import until
from tests.support.servers.certificates import Certificates, make_certificates

OPEN = b"1 open 16 commands=syslog\n\n"
EVENT = struct.pack(">2sII", b"2J", 1, 17) + b'{"message":"abc"}'
Making = Callable[[FrameCounters], Framing]


class Receiver:
    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self.last = b""
        self.open = asyncio.Event()
        self.open.set()

    async def deliver(self, frames: list[bytes], _peer: str, _connection: int) -> None:
        await self.open.wait()
        self.frames += len(frames)
        self.bytes += sum(map(len, frames))
        self.last = frames[-1]


def listening(receiver: Receiver, framing: Making = FrameReader, **more: Any) -> TcpInput:
    opened = TcpInput(
        "127.0.0.1",
        0,
        max_connections=10,
        idle_timeout=more.pop("idle_timeout", None),
        deliver=receiver.deliver,
        framing=framing,
        **more,
    )
    opened.open()
    return opened


async def connected(tcp: TcpInput) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    host, port = tcp.address.rsplit(":", 1)
    await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
    return connection


async def sent(connection: socket.socket, *pieces: bytes) -> None:
    for piece in pieces:
        await asyncio.get_running_loop().sock_sendall(connection, piece)


def serve(receiver: Receiver, tcp: TcpInput, scenario: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        serving = asyncio.create_task(tcp.serve())
        await scenario
        tcp.close()
        await serving
        assert tcp.connections_open == 0

    asyncio.run(main())


def huge_event() -> list[bytes]:
    return [struct.pack(">2sII", b"2J", 1, 0x7FFFFFFF), *[b"x" * 65536] * 400]


def bomb() -> list[bytes]:
    squeezing = zlib.compressobj(9)
    data = b"".join(squeezing.compress(EVENT * 40_000) for _ in range(50)) + squeezing.flush()
    return [struct.pack(">2sI", b"2C", len(data)), data]


@pytest.mark.parametrize(
    ("framing", "pieces"),
    [
        pytest.param(FrameReader, [b"9999999 <22>", *[b"x" * 65536] * 400], id="tcp: a huge frame"),
        pytest.param(FrameReader, [b"x" * 65536] * 400, id="tcp: no end of a line"),
        pytest.param(
            RelpReader, [OPEN, b"2 syslog 99999999 ", *[b"x" * 65536] * 400], id="relp: huge"
        ),
        pytest.param(LumberjackReader, huge_event(), id="lumberjack: huge"),
        pytest.param(LumberjackReader, bomb(), id="lumberjack: a bomb"),
    ],
)
def test_whatever_a_peer_sends_it_takes_a_bounded_memory(
    framing: Making, pieces: list[bytes]
) -> None:
    receiver = Receiver()
    tcp = listening(receiver, framing)

    async def scenario() -> None:
        with await connected(tcp) as peer, await connected(tcp) as other:
            tracemalloc.start()
            await sent(peer, *pieces)
            await until(lambda: receiver.frames)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # The data under way, and what is known of it in Python's objects.
            assert peak < 8_000_000
            before = receiver.frames
            await sent(other, OPEN if framing is RelpReader else b"")
            await sent(
                other,
                {
                    FrameReader: b"<22>a\n",
                    RelpReader: b"2 syslog 5 <22>a\n",
                    LumberjackReader: EVENT,
                }[framing],  # type: ignore[index]
            )
            await until(lambda: receiver.frames > before)

    serve(receiver, tcp, scenario())


@pytest.mark.parametrize("framing", [RelpReader, LumberjackReader])
def test_garbage_ends_its_connection_and_is_counted(framing: Making) -> None:
    receiver = Receiver()
    tcp = listening(receiver, framing)

    async def scenario() -> None:
        with await connected(tcp) as peer:
            await sent(peer, b"\x16\x03\x01 nonsense " * 10)
            await until(lambda: tcp.connections_violating == 1)
            await until(lambda: tcp.connections_open == 0)

    serve(receiver, tcp, scenario())
    assert receiver.frames == 0


def test_a_slow_peer_is_ended_when_it_falls_silent() -> None:
    receiver = Receiver()
    tcp = listening(receiver, RelpReader, idle_timeout=0.2)

    async def scenario() -> None:
        with await connected(tcp) as peer:
            await sent(peer, b"1 op")
            await until(lambda: tcp.connections_timed_out == 1)
            await until(lambda: tcp.connections_open == 0)

    serve(receiver, tcp, scenario())


def test_a_peer_that_takes_no_answers_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_module, "_SEND_SECONDS", 0.2)
    receiver = Receiver()
    tcp = listening(receiver, RelpReader)

    async def flood(peer: socket.socket) -> None:
        await sent(peer, OPEN)
        while True:
            await sent(peer, b"2 syslog 1 x\n" * 5000)

    async def scenario() -> None:
        with await connected(tcp) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            flooding = asyncio.create_task(flood(peer))
            await until(lambda: tcp.connections_failed == 1)
            await until(lambda: tcp.connections_open == 0)
            flooding.cancel()
            await asyncio.wait([flooding])

    serve(receiver, tcp, scenario())


def test_whoever_waits_for_room_hears_that_it_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp_module, "_KEEP_ALIVE_SECONDS", 0.05)
    receiver = Receiver()
    tcp = listening(receiver, LumberjackReader)

    async def scenario() -> None:
        receiver.open.clear()
        loop = asyncio.get_running_loop()
        with await connected(tcp) as peer:
            await sent(peer, EVENT)
            assert (await loop.sock_recv(peer, 6)) == struct.pack(">2sI", b"2A", 0)
            receiver.open.set()
            answers = b""
            while not answers.endswith(struct.pack(">2sI", b"2A", 1)):
                answers += await loop.sock_recv(peer, 600)
            assert receiver.frames == 1

    serve(receiver, tcp, scenario())


def over_limit(logged: list[Any]) -> list[Any]:
    """What was told of senders over their limit, and at which listener."""
    return [
        (one["event"], one["address"], one["senders"])
        for one in logged
        if "over rate_limit" in one["event"]
    ]


def test_a_sender_over_its_rate_waits_and_loses_nothing() -> None:
    receiver = Receiver()
    tcp = listening(receiver, rate_limit=RateLimit(100_000.0, 10))

    async def scenario() -> None:
        with await connected(tcp) as peer:
            await sent(peer, b"<22>x\n" * 30_000)
            await until(lambda: receiver.frames == 30_000)

    with capture_logs() as logged:
        serve(receiver, tcp, scenario())
    assert tcp.senders_slowed >= 1
    message = "senders over rate_limit were made to wait"
    assert over_limit(logged) == [(message, tcp.address, {"127.0.0.1": tcp.senders_slowed})]


def test_at_the_end_nobody_waits_for_a_slow_sender() -> None:
    receiver = Receiver()
    tcp = listening(receiver, rate_limit=RateLimit(0.001, 1))

    async def scenario() -> None:
        with await connected(tcp) as peer:
            await sent(peer, b"<22>x\n" * 10)
            await until(lambda: tcp.senders_slowed)

    serve(receiver, tcp, scenario())
    assert receiver.frames == 10


def test_datagrams_over_the_rate_are_dropped_and_told_of() -> None:
    taken: list[bytes] = []

    def deliver(payload: bytes, _peer: str) -> bool:
        taken.append(payload)
        return True

    udp = UdpInput(
        "127.0.0.1", 0, receive_buffer=65536, deliver=deliver, rate_limit=RateLimit(0.001, 3)
    )
    udp.open()

    async def main() -> None:
        serving = asyncio.create_task(udp.serve())
        host, port = udp.address.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            for number in range(8):
                sending.sendto(b"<22>%d" % number, (host, int(port)))
        await until(lambda: udp.datagrams_received == 8)
        udp.close()
        await serving

    with capture_logs() as logged:
        asyncio.run(main())
    message = "datagrams of senders over rate_limit were dropped"
    assert over_limit(logged) == [(message, udp.address, {"127.0.0.1": 5})]
    assert taken == [b"<22>0", b"<22>1", b"<22>2"]
    assert udp.counters()["datagrams_over_limit"] == 5


# TLS


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def key_of(certificate: Path) -> Path:
    return certificate.with_suffix(".key")


async def certificate_shown(tcp: TcpInput, files: Certificates) -> bytes:
    """The server's certificate, after a line was sent by TLS."""
    host, port = tcp.address.rsplit(":", 1)
    trust = ssl.create_default_context(cafile=files.authority)
    trust.check_hostname = False
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trust)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.write(b"7 <22>abc")
    writer.close()
    await writer.wait_closed()
    assert await reader.read() == b""
    return shown


def test_a_renewed_certificate_is_shown_to_later_connections(
    files: Certificates, tmp_path: Path
) -> None:
    own, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.write_bytes(files.server.read_bytes())
    key.write_bytes(key_of(files.server).read_bytes())
    tls = TlsServer(own, key)
    receiver = Receiver()
    tcp = listening(receiver, tls=tls)

    async def scenario() -> None:
        first = await certificate_shown(tcp, files)
        own.write_bytes(files.elsewhere.read_bytes())
        with pytest.raises(UsageError, match="not the key of"):
            tls.load()
        assert await certificate_shown(tcp, files) == first
        key.write_bytes(key_of(files.elsewhere).read_bytes())
        tls.load()
        assert await certificate_shown(tcp, files) != first
        await until(lambda: receiver.frames == 3)

    serve(receiver, tcp, scenario())
    assert receiver.last == b"<22>abc"


def test_who_falls_silent_within_the_handshake_is_ended(
    files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_module, "_HANDSHAKE_SECONDS", 0.2)
    receiver = Receiver()
    tcp = listening(receiver, tls=TlsServer(files.server, key_of(files.server)))

    async def scenario() -> None:
        with await connected(tcp) as silent, await connected(tcp) as plain:
            await sent(silent, b"\x16\x03\x01")
            await sent(plain, b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[1]: x\n")
            await until(lambda: tcp.handshakes_failed == 2)
            await until(lambda: tcp.connections_open == 0)

    serve(receiver, tcp, scenario())
    assert receiver.frames == 0


def test_an_old_tls_is_refused(files: Certificates) -> None:
    tls = TlsServer(files.server, key_of(files.server))
    tls.load()
    assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        pytest.param("key", lambda path: path.unlink(), "tls.key: .*No such file", id="no key"),
        pytest.param("certificate", lambda path: path.write_text("x"), "PEM form", id="no PEM"),
        pytest.param(
            "ca", lambda path: path.write_text(""), "tls.client_ca: .*no cert", id="no CA"
        ),
        pytest.param(
            "key",
            lambda path: path.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"),
            "the key has a passphrase: take it off",
            id="a passphrase",
        ),
    ],
)
def test_files_that_do_not_serve_are_named_with_what_to_do(
    name: str, change: Callable[[Path], object], says: str, files: Certificates, tmp_path: Path
) -> None:
    sources = {"certificate": files.server, "key": key_of(files.server), "ca": files.authority}
    paths = {each: tmp_path / each for each in sources}
    for each, path in paths.items():
        path.write_bytes(sources[each].read_bytes())
    change(paths[name])
    with pytest.raises(UsageError, match=says):
        TlsServer(paths["certificate"], paths["key"], paths["ca"]).load()


def test_a_key_that_may_not_be_read_is_told_with_the_remedy(
    files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(UsageError, match="permission denied: let the group"):
        TlsServer(files.server, key_of(files.server)).load()
