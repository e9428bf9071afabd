"""Tells systemd how the service is (sd_notify(3)); does nothing outside of systemd."""

import os
import socket


def notify(state: str) -> None:
    """Send a state such as ``READY=1`` to systemd."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An abstract socket has a leading NUL, written as @.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(state.encode(), address)


def watchdog_interval() -> float | None:
    """Seconds between the signs of life that systemd wants (WatchdogSec=), None if it wants none.

    Half of the limit, as sd_watchdog_enabled(3) advises.
    """
    limit = os.environ.get("WATCHDOG_USEC", "")
    if not limit.isdigit() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(limit) / 2_000_000
