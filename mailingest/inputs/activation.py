"""Sockets that systemd has bound for this process: they stay open while the service restarts.

sd_listen_fds(3): the descriptors from 3 on are sockets if $LISTEN_PID is this process.  Each is for
the listener whose address it is bound to.  systemd keeps its own descriptor of each, so what comes
in between two processes waits in the kernel; nothing may be done to one that the next process would
find done (shutdown(2)).
"""

import os
import socket
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any, Final, Literal

from mailingest.inputs.addresses import address_text

Protocol = Literal["udp", "tcp"]

_FIRST_DESCRIPTOR: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_KINDS: Final[dict[int, Protocol]] = {socket.SOCK_DGRAM: "udp", socket.SOCK_STREAM: "tcp"}


class PassedSockets:
    """The sockets of some descriptors, which are taken over."""

    def __init__(self, descriptors: range) -> None:
        self._sockets: list[socket.socket] = []
        self._taken: set[socket.socket] = set()
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
            passed = socket.socket(fileno=descriptor)
            passed.setblocking(False)
            self._sockets.append(passed)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._sockets)

    def take(self, protocol: Protocol, family: int, address: Any) -> socket.socket | None:
        """A descriptor of its own of the socket with that address, None if there is none.

        It may be taken again when it is closed.
        """
        for passed in self._sockets:
            if (
                (passed.family, _KINDS.get(passed.type)) == (family, protocol)
                and passed.getsockname()[:2] == address[:2]
                and address[1]
            ):
                self._taken.add(passed)
                return passed.dup()
        return None

    def has(self, one: socket.socket) -> bool:
        """Whether a socket is one of these, and so lives on when it is closed here."""
        return any(os.path.sameopenfile(one.fileno(), passed.fileno()) for passed in self._sockets)

    @property
    def taken(self) -> list[str]:
        """What listeners have taken: transport and address of each, for people."""
        return [_text(passed) for passed in self._sockets if passed in self._taken]

    @property
    def left(self) -> list[str]:
        """The same of what nobody has taken."""
        return [_text(passed) for passed in self._sockets if passed not in self._taken]


@lru_cache(maxsize=1)
def passed_sockets() -> PassedSockets:
    """Those of this process; processes that it starts are not told of them."""
    return PassedSockets(_descriptors(os.environ, os.getpid()))


def _descriptors(environment: MutableMapping[str, str], process: int) -> range:
    given = [environment.pop(name, "") for name in _VARIABLES]
    if given[0] != str(process) or not given[1].isdecimal():
        return range(0)
    return range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(given[1]))


def _text(passed: socket.socket) -> str:
    name: Any = passed.getsockname()
    kind = _KINDS.get(passed.type, "socket")
    return f"{kind} {address_text(*name[:2])}" if isinstance(name, tuple) else f"{kind} {name}"
