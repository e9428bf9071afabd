"""The kernel's part in a socket of datagrams: the receive buffer, and what it drops."""

import socket
import struct
from contextlib import suppress

# Linux, not in Python's socket module: asm-generic/socket.h and include/uapi/linux/sock_diag.h.
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_MEMINFO_DROPS = 8


def ask_for_buffer(bound: socket.socket, size: int) -> int:
    """Wish for a receive buffer of so many bytes; how many the kernel grants."""
    try:
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except PermissionError:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return receive_buffer(bound)


def receive_no_more(bound: socket.socket) -> None:
    """Leave what comes from now on to another socket at this port; what has come can be read.

    The event loop closes its copy of the socket only in its next turn.  A connected socket is
    sent to by its peer alone (udp(7)), and from this very address nobody sends.
    """
    with suppress(OSError):
        bound.connect(bound.getsockname())


def receive_buffer(bound: socket.socket) -> int:
    """Bytes; Linux doubles what is set to pay for its own book-keeping, and reports the double."""
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def drops(bound: socket.socket) -> int:
    """Datagrams that the kernel has dropped since the socket was made."""
    info = bound.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    return int(_MEMINFO.unpack(info)[_MEMINFO_DROPS])
