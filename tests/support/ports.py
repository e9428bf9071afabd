"""Port numbers for programs that cannot choose one themselves, or that need the same one again.

A number that the kernel has given (by binding port 0) is free again as soon as the socket is
closed: the kernel may give it to another test process, or to any outgoing connection, before the
program binds it.  The numbers here are below those that the kernel gives, and each is reserved on
the whole machine for as long as this process lives.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from typing import Final

_LOWEST: Final = 10_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Descriptors of the sockets whose names are the reservations.
_reserved: list[int] = []


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody uses at this address, by TCP or UDP, and that nobody else is given."""
    return next(port for port in _candidates() if _is_free(address, port) and _reserve(port))


def _candidates() -> Iterator[int]:
    lowest_ephemeral = int(_EPHEMERAL.read_text().split()[0])
    ports = range(_LOWEST, max(lowest_ephemeral, 2 * _LOWEST))
    yield from SystemRandom().sample(ports, len(ports))
    raise RuntimeError(f"all ports from {ports.start} to {ports.stop - 1} are in use")


def _is_free(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def _reserve(port: int) -> bool:
    """Whether nobody else has reserved it: abstract names (unix(7)) are unique on a machine.

    As ports are, they belong to a network namespace, and end with their process.
    """
    reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        reservation.bind(f"\0mailingest-tests-port-{port}")
    except OSError:
        reservation.close()
        return False
    _reserved.append(reservation.detach())
    return True


def this_process() -> str:
    """This process, as it is named where it holds an address."""
    command = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
    return f"{Path(command).name} (process {os.getpid()})"
