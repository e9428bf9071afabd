"""Bound sockets for the network inputs, or one line that says why there is none."""

import errno
import socket
from typing import Literal

from mailingest.errors import UsageError

# Connections that the kernel accepts while the event loop is busy.
_BACKLOG = 128

_HINTS = {
    errno.EADDRINUSE: "address already in use; stop what listens there or choose another port",
    errno.EACCES: "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "no such address on this machine; choose one of its own, or 0.0.0.0",
    errno.EAFNOSUPPORT: "this machine has no such address family (IPv6 switched off?)",
}


def address_text(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_text(address: str) -> str:
    """The peer's IP address; an IPv4 peer of a dual-stack IPv6 socket is shown as IPv4.

    The interface of a link-local address (``fe80::1%eth0``) is left out: no store takes it for part
    of an address.
    """
    if "%" in address:
        address = address.partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address


def bound_socket(
    protocol: Literal["udp", "tcp"], host: str, port: int, *, reuse_port: bool = False
) -> socket.socket:
    """A non-blocking socket at the first address of `host`; a TCP socket listens already.

    ``::`` takes IPv4 as well.  Raises UsageError if the address cannot be had.
    """
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    place = f"{protocol} {address_text(host, port)}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=kind, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(f"{place}: unknown host ({error}); use an address of this machine") from (
            error
        )
    try:
        bound = socket.socket(family, kind)
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
        raise refusal(place, error) from error
    return bound


def share_port(bound: socket.socket) -> None:
    """Let another socket of this user that asks for it (``reuse_port``) have the port as well."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def refusal(place: str, error: OSError) -> UsageError:
    """Why an address cannot be had, and what to do if that is known."""
    return UsageError(f"{place}: {_HINTS.get(error.errno or 0, error.strerror or str(error))}")
