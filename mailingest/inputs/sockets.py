"""Bound sockets for the network inputs, or one line that says why there is none."""

import errno
import socket
from collections.abc import Sequence
from typing import Any, Literal

from mailingest.errors import UsageError
from mailingest.inputs.activation import passed_sockets
from mailingest.inputs.addresses import address_text
from mailingest.inputs.holders import Holder, holders_of

# Connections that the kernel accepts while the event loop is busy.
_BACKLOG = 128

_HINTS = {
    errno.EACCES: "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no such address on this machine; choose one of its own, or 0.0.0.0",
    errno.EAFNOSUPPORT: "this machine has no such address family (IPv6 switched off?)",
}


def passed_socket(protocol: Literal["udp", "tcp"], host: str, port: int) -> socket.socket | None:
    """The socket that systemd has at an address of `host`, if it has one for this process.

    Raises UsageError if there is no such host.
    """
    if not (passed := passed_sockets()):
        return None
    found = (passed.take(protocol, *one) for one in _addresses(protocol, host, port))
    return next((one for one in found if one is not None), None)


def first_address(host: str, port: int) -> str:
    """The address that a listener at `host` has; raises UsageError if there is no such host."""
    return str(_addresses("tcp", host, port)[0][1][0])


def _addresses(
    protocol: Literal["udp", "tcp"], host: str, port: int
) -> list[tuple[socket.AddressFamily, Any]]:
    """The addresses of a host, each with its family; raises UsageError if there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=_kind(protocol), flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        place = f"{protocol} {address_text(host, port)}"
        raise UsageError(f"{place}: unknown host ({error}); use an address of this machine") from (
            error
        )
    return [(family, address) for family, _, _, _, address in found]


def _kind(protocol: Literal["udp", "tcp"]) -> socket.SocketKind:
    return socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM


class AddressInUse(UsageError):
    """Somebody else has the address: the ``holders``, as far as that is known."""

    def __init__(self, place: str, holders: Sequence[Holder]) -> None:
        self.holders = holders
        by = f" by {', '.join(dict.fromkeys(map(str, holders)))}" if holders else ""
        super().__init__(
            f"{place}: address already in use{by}; stop what listens there or choose another port"
        )


def bound_socket(
    protocol: Literal["udp", "tcp"], host: str, port: int, *, reuse_port: bool = False
) -> socket.socket:
    """A non-blocking socket at the first address of `host`; a TCP socket listens already.

    It is that of systemd if it has one with this address: see `passed_socket`.
    ``::`` takes IPv4 as well.  Raises UsageError if the address cannot be had.
    """
    place = f"{protocol} {address_text(host, port)}"
    if (passed := passed_socket(protocol, host, port)) is not None:
        return passed
    family, address = _addresses(protocol, host, port)[0]
    try:
        bound = socket.socket(family, _kind(protocol))
    except OSError as error:
        raise refusal(place, error) from error
    try:
        bound.setblocking(False)
        if protocol == "tcp":
            # A restart must not wait for the connections of the process before.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        bound.bind(address)
        if protocol == "tcp":
            bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise refusal(place, error, port, protocol, address[0]) from error
    return bound


def share_port(bound: socket.socket) -> None:
    """Let another socket of this user that asks for it (``reuse_port``) have the port as well."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def refusal(
    place: str,
    error: OSError,
    port: int = 0,
    protocol: Literal["udp", "tcp"] = "tcp",
    host: str = "",
) -> UsageError:
    """Why an address cannot be had, and what to do if that is known."""
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(place, holders_of(protocol, port, host))
    return UsageError(f"{place}: {_HINTS.get(error.errno or 0, error.strerror or str(error))}")
