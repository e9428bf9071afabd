"""Notifies systemd of how the service is (sd_notify(3)); does nothing outside of systemd."""

import os
import socket
import time
from typing import Final

from mailingest.logs.logger import log

_SEND_SECONDS: Final = 1.0


def notify(state: str) -> None:
    """Send a state such as ``READY=1`` to systemd; a failure is logged and no more."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An abstract socket has a leading NUL, written as @.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        # Nobody is held up for long by a systemd that does not read.
        sock.settimeout(_SEND_SECONDS)
        try:
            sock.sendto(state.encode(), address)
        except OSError as error:
            reason = error.strerror or str(error)
            log.warning("systemd could not be notified", state=state, reason=reason)


def notify_reloading() -> None:
    """Say that the configuration is read again; ``READY=1`` is the end of it, in either way."""
    # Type=notify-reload wants to know which reload it is that ends.
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_interval() -> float | None:
    """Seconds between the signs of life that systemd wants (WatchdogSec=), None if it wants none.

    Half of the limit, as sd_watchdog_enabled(3) advises.
    """
    limit = os.environ.get("WATCHDOG_USEC", "")
    own = str(os.getpid())
    if not limit.isdecimal() or os.environ.get("WATCHDOG_PID", own) != own:
        return None
    return int(limit) / 2_000_000 or None
