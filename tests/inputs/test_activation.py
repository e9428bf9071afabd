"""Sockets that systemd has bound are taken by the listener of their address, and live on."""

import fcntl
import socket

import pytest

from mailingest.inputs import activation
from mailingest.inputs.activation import PassedSockets

_FREE = 700


def passed(*sockets: socket.socket) -> PassedSockets:
    """As a process finds them: descriptors in a row."""
    copies = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _FREE) for one in sockets]
    assert copies == list(range(_FREE, _FREE + len(sockets)))
    return PassedSockets(range(_FREE, _FREE + len(sockets)))


def test_each_socket_is_for_the_listener_of_its_kind_and_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        for one in (udp, tcp):
            one.bind(("127.0.0.1", 0))
        found = passed(udp, tcp)
        taken = found.take("udp", socket.AF_INET, udp.getsockname())
        assert taken is not None
        assert found.has(taken)
        assert found.take("tcp", socket.AF_INET, ("127.0.0.1", 0)) is None
        assert found.take("udp", socket.AF_INET6, udp.getsockname()) is None
        assert found.take("udp", socket.AF_INET, ("127.0.0.2", udp.getsockname()[1])) is None
        assert found.taken == [f"udp 127.0.0.1:{udp.getsockname()[1]}"]
        assert found.left == [f"tcp 127.0.0.1:{tcp.getsockname()[1]}"]
        taken.close()
        again = found.take("udp", socket.AF_INET, udp.getsockname())
        assert again is not None
        for one in (again, *found._sockets):
            one.close()


@pytest.mark.parametrize(
    ("process", "count", "expected"),
    [("1", "2", range(3, 5)), ("2", "2", range(0)), ("1", "x", range(0)), ("", "", range(0))],
)
def test_only_what_is_meant_for_this_process_is_taken(
    process: str, count: str, expected: range
) -> None:
    environment = {"LISTEN_PID": process, "LISTEN_FDS": count, "LISTEN_FDNAMES": "a", "HOME": "/"}
    assert activation._descriptors(environment, 1) == expected
    assert environment == {"HOME": "/"}, "children are not told"
