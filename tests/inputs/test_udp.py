import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest
import structlog

from mailingest.errors import MailingestError, UsageError
from mailingest.inputs.udp import UdpInput
from tests.support.lab.polling import PATIENCE, until
from tests.support.ports import free_port, this_process

Run = Callable[[Coroutine[Any, Any, None]], None]
Taken = list[tuple[bytes, str]]

LINE = b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0: removed"


def udp_input(taken: Taken, *, host: str = "127.0.0.1", receive_buffer: int = 1 << 20) -> UdpInput:
    def deliver(payload: bytes, peer: str) -> bool:
        taken.append((payload, peer))
        return True

    opened = UdpInput(host, 0, receive_buffer=receive_buffer, deliver=deliver)
    opened.open()
    return opened


def sender_to(udp: UdpInput) -> AbstractContextManager[socket.socket]:
    host, port = udp.address.rsplit(":", 1)
    host = host.strip("[]")
    sending = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sending.connect((host, int(port)))
    return closing(sending)


def test_each_datagram_is_one_frame_without_its_trailer(run: Run) -> None:
    async def scenario() -> None:
        taken: Taken = []
        udp = udp_input(taken)
        serving = asyncio.create_task(udp.serve())
        with sender_to(udp) as sending:
            for datagram in (LINE, LINE + b"\n", LINE + b"\r\n\0", b"", b"\n", b"<22>a\nb"):
                sending.send(datagram)
            await until(lambda: udp.datagrams_received == 6)
        assert taken == [(LINE, "127.0.0.1")] * 3 + [(b"<22>a\nb", "127.0.0.1")]
        assert (udp.datagrams_empty, udp.datagrams_dropped, udp.kernel_drops) == (2, 0, 0)
        udp.close()
        await serving

    run(scenario())


def test_a_datagram_of_maximal_size_arrives_whole(run: Run) -> None:
    async def scenario() -> None:
        taken: Taken = []
        udp = udp_input(taken)
        serving = asyncio.create_task(udp.serve())
        largest = b"<22>" + b"x" * (65507 - 4)
        with sender_to(udp) as sending:
            sending.send(largest)
            await until(lambda: taken)
            sending.send(largest)
            udp.close()
        await serving
        assert [payload for payload, _ in taken] == [largest, largest]

    run(scenario())


def test_a_refused_line_is_counted_as_dropped(run: Run) -> None:
    async def scenario() -> None:
        answers = iter([True, False, True, False, False])
        udp = UdpInput(
            "127.0.0.1", 0, receive_buffer=1 << 16, deliver=lambda _payload, _peer: next(answers)
        )
        udp.open()
        serving = asyncio.create_task(udp.serve())
        with sender_to(udp) as sending:
            for _ in range(5):
                sending.send(LINE)
            await until(lambda: udp.datagrams_received == 5)
        assert udp.datagrams_dropped == 3
        udp.close()
        await serving

    run(scenario())


def test_what_the_kernel_drops_is_known_to_the_last_datagram(run: Run) -> None:
    async def scenario() -> None:
        sent = 0
        sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def blocked_deliver(_payload: bytes, _peer: str) -> bool:
            """As slow as a reader can be: everything comes while the first line is parsed."""
            nonlocal sent
            while sent < 400:
                sending.send(LINE)
                sent += 1
            return True

        udp = UdpInput("127.0.0.1", 0, receive_buffer=8192, deliver=blocked_deliver)
        udp.open()
        serving = asyncio.create_task(udp.serve())
        with closing(sending):
            host, port = udp.address.split(":")
            sending.connect((host, int(port)))
            sending.send(LINE)
            sent += 1
            await until(lambda: udp.datagrams_received + udp.kernel_drops == 400)
        assert udp.kernel_drops > 300
        drops = udp.kernel_drops
        udp.close()
        await serving
        assert sent == udp.datagrams_received + udp.kernel_drops
        assert udp.kernel_drops == drops

    run(scenario())


def test_closing_delivers_what_has_arrived_in_order(run: Run) -> None:
    async def scenario() -> None:
        taken: Taken = []
        udp = udp_input(taken)
        serving = asyncio.create_task(udp.serve())
        with sender_to(udp) as sending:
            sending.send(b"<22>0")
            await until(lambda: taken)
            # The event loop has no turn between these and close().
            for number in range(1, 200):
                sending.send(b"<22>%d" % number)
            udp.close()
        await serving
        udp.close()
        assert [payload for payload, _ in taken] == [b"<22>%d" % number for number in range(200)]

    run(scenario())


TURNS = [pytest.param(turns, id=f"after {turns} turns of the event loop") for turns in range(5)]


@pytest.mark.parametrize("turns", TURNS)
def test_closing_while_serving_begins_delivers_what_has_arrived_and_ends_it(
    run: Run, turns: int
) -> None:
    async def scenario() -> None:
        taken: Taken = []
        udp = udp_input(taken)
        serving = asyncio.create_task(udp.serve())
        with sender_to(udp) as sending:
            for number in range(3):
                sending.send(b"<22>%d" % number)
        for _ in range(turns):
            await asyncio.sleep(0)
        udp.close()
        await asyncio.wait_for(serving, PATIENCE)
        assert [payload for payload, _ in taken] == [b"<22>0", b"<22>1", b"<22>2"]

    run(scenario())


@pytest.mark.parametrize("turns", TURNS)
def test_cancelling_loses_nothing_that_close_can_still_deliver(run: Run, turns: int) -> None:
    async def scenario() -> None:
        taken: Taken = []
        udp = udp_input(taken)
        serving = asyncio.create_task(udp.serve())
        with sender_to(udp) as sending:
            sending.send(b"<22>0")
            await until(lambda: taken)
            for number in range(1, 100):
                sending.send(b"<22>%d" % number)
        for _ in range(turns):
            await asyncio.sleep(0)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        udp.close()
        assert [payload for payload, _ in taken] == [b"<22>%d" % number for number in range(100)]

    run(scenario())


def test_others_get_their_turn_while_the_queue_never_empties() -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:

            def deliver(_payload: bytes, _peer: str) -> bool:
                # The loop is never without a new datagram to hand over.
                assert udp._stream is not None
                if udp.datagrams_received < 100_000 and not turn.is_set():
                    queue = udp._stream._recvq  # type: ignore[attr-defined]
                    queue.put_nowait((LINE, ("127.0.0.1", 9)))
                return True

            udp = UdpInput("127.0.0.1", 0, receive_buffer=1 << 16, deliver=deliver)
            turn = asyncio.Event()
            udp.open()
            host, port = udp.address.split(":")
            serving = asyncio.create_task(udp.serve())
            sending.sendto(LINE, (host, int(port)))
            await until(lambda: udp.datagrams_received)
            turn.set()
            assert udp.datagrams_received < 100_000
            udp.close()
            await serving

    asyncio.run(scenario())


def test_others_get_their_turn_while_the_kernel_always_has_one_more(run: Run) -> None:
    async def scenario() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:

            def deliver(_payload: bytes, _peer: str) -> bool:
                if udp.datagrams_received < 100_000 and not turn.is_set():
                    sending.send(LINE)
                return True

            udp = UdpInput("127.0.0.1", 0, receive_buffer=1 << 16, deliver=deliver)
            turn = asyncio.Event()
            udp.open()
            host, port = udp.address.split(":")
            sending.connect((host, int(port)))
            serving = asyncio.create_task(udp.serve())
            sending.send(LINE)
            await until(lambda: udp.datagrams_received)
            turn.set()
            assert udp.datagrams_received < 100_000
            udp.close()
            await serving

    run(scenario())


def test_a_flood_is_taken_in_the_order_in_which_it_came(run: Run) -> None:
    async def scenario() -> None:
        taken: Taken = []
        udp = udp_input(taken)
        serving = asyncio.create_task(udp.serve())
        with sender_to(udp) as sending:
            for part in range(5):
                for number in range(300 * part, 300 * part + 300):
                    sending.send(b"<22>%d" % number)
                await until(lambda part=part: len(taken) > 300 * part)  # type: ignore[misc]
            await until(lambda: len(taken) == 1500)
        assert [payload for payload, _ in taken] == [b"<22>%d" % number for number in range(1500)]
        udp.close()
        await serving

    run(scenario())


def test_an_error_of_the_socket_does_not_end_the_input() -> None:
    async def scenario() -> None:
        taken: Taken = []
        udp = udp_input(taken)
        assert udp._socket is not None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            nobody = ("127.0.0.1", free_port())
            # The kernel reports that nobody is there as an error of our socket.
            udp._socket.connect(nobody)
            serving = asyncio.create_task(udp.serve())
            await until(lambda: udp._stream is not None)
            udp._socket.send(b"to nobody")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            sending.bind(nobody)
            host, port = udp.address.split(":")
            for _ in range(2):
                sending.sendto(LINE, (host, int(port)))
            await until(lambda: udp.datagrams_received == 2)
        await until(lambda: udp.receive_errors == 1)
        udp._socket.send(b"to nobody")
        sending_after = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with closing(sending_after):
            sending_after.bind(nobody)
            sending_after.sendto(LINE, (host, int(port)))
        udp.close()
        await serving
        assert (udp.datagrams_received, udp.receive_errors) == (3, 2)

    asyncio.run(scenario())


async def test_a_socket_that_is_closed_under_the_input_is_an_error() -> None:
    udp = udp_input([])
    serving = asyncio.create_task(udp.serve())
    await until(lambda: udp._stream is not None)
    assert udp._stream is not None
    udp._stream.close()
    with pytest.raises(MailingestError, match="the socket was closed"):
        await serving
    udp.close()


async def test_serving_before_opening_is_a_mistake() -> None:
    udp = UdpInput("127.0.0.1", 0, receive_buffer=8192, deliver=lambda _payload, _peer: True)
    assert udp.address == "127.0.0.1:0"
    assert udp.kernel_drops == 0
    with pytest.raises(RuntimeError):
        await udp.serve()


async def test_closing_before_serving_is_none() -> None:
    taken: Taken = []
    udp = udp_input(taken)
    with sender_to(udp) as sending:
        sending.send(LINE)
    udp.close()
    await udp.serve()
    assert [payload for payload, _ in taken] == [LINE]


def test_the_granted_receive_buffer_is_reported() -> None:
    udp = udp_input([], receive_buffer=100_000)
    assert udp.receive_buffer_got == 100_000
    udp.close()


def test_without_the_capability_a_large_buffer_is_limited_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mailingest.inputs.udp.socket.socket", WithoutNetAdmin)
    monkeypatch.setattr("mailingest.inputs.sockets.socket.socket", WithoutNetAdmin)
    with structlog.testing.capture_logs() as events:
        udp = udp_input([], receive_buffer=1 << 30)
    udp.close()
    assert 0 < udp.receive_buffer_got < 1 << 30
    assert [event["event"] for event in events] == [
        "udp receive buffer is smaller than asked for; raise net.core.rmem_max"
    ]
    assert events[0]["got"] == udp.receive_buffer_got


class WithoutNetAdmin(socket.socket):
    """What SO_RCVBUFFORCE meets in a process that is not root."""

    def setsockopt(self, level: int, option: int, value: Any) -> None:  # type: ignore[override]
        if option == 33:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        super().setsockopt(level, option, value)


def test_ipv6_and_ipv4_reach_a_dual_stack_socket() -> None:
    taken: Taken = []
    udp = udp_input(taken, host="::")
    port = int(udp.address.rsplit(":", 1)[1])
    assert udp.address == f"[::]:{port}"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sending:
        sending.sendto(LINE, ("::1", port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.sendto(LINE, ("127.0.0.1", port))
    udp.close()
    assert taken == [(LINE, "::1"), (LINE, "127.0.0.1")]


def test_two_inputs_share_a_port_only_if_both_want_to() -> None:
    first = UdpInput("127.0.0.1", 0, receive_buffer=8192, deliver=lambda *_: True, reuse_port=True)
    first.open()
    port = int(first.address.split(":")[1])
    second = UdpInput(
        "127.0.0.1", port, receive_buffer=8192, deliver=lambda *_: True, reuse_port=True
    )
    second.open()
    assert second.address == first.address
    third = UdpInput("127.0.0.1", port, receive_buffer=8192, deliver=lambda *_: True)
    with pytest.raises(UsageError) as caught:
        third.open()
    assert str(caught.value) == (
        f"udp 127.0.0.1:{port}: address already in use by {this_process()}; stop what "
        "listens there or choose another port"
    )
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("host", "begin"),
    [
        pytest.param("192.0.2.1", "udp 192.0.2.1:514: no such address", id="a foreign address"),
        pytest.param("2001:db8::1", "udp [2001:db8::1]:514: no such address", id="foreign, IPv6"),
        pytest.param("no such host", "udp no such host:514: unknown host", id="no host at all"),
        pytest.param("x" * 70, f"udp {'x' * 70}:514: unknown host", id="a label too long"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused_in_one_line(host: str, begin: str) -> None:
    udp = UdpInput(host, 514, receive_buffer=8192, deliver=lambda _payload, _peer: True)
    with pytest.raises(UsageError) as caught:
        udp.open()
    assert str(caught.value).startswith(begin)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("hosts", [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")])
def test_between_two_addresses_no_datagram_is_lost(run: Run, hosts: tuple[str, str]) -> None:
    async def scenario() -> None:
        taken: list[tuple[str, bytes]] = []

        def deliver_to(name: str) -> Callable[[bytes, str], bool]:
            def deliver(payload: bytes, _peer: str) -> bool:
                taken.append((name, payload))
                return True

            return deliver

        port = free_port()
        first, second = (
            UdpInput(host, port, receive_buffer=1 << 20, deliver=deliver_to(name), reuse_port=True)
            for host, name in zip(hosts, ("first", "second"), strict=True)
        )
        first.open()
        serving = [asyncio.create_task(first.serve())]
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sending:
            sending.connect(("127.0.0.1", port))
            sending.send(b"before it serves")
            await until(lambda: taken)
            sending.send(b"before it is closed")
            second.open()
            serving.append(asyncio.create_task(second.serve()))
            first.close()
            # The event loop has not gone on, so the first one's socket is still open.
            sending.send(b"after")
            await until(lambda: len(taken) == 3)
        second.close()
        await asyncio.gather(*serving)
        assert taken == [
            ("first", b"before it serves"),
            ("first", b"before it is closed"),
            ("second", b"after"),
        ]

    run(scenario())
