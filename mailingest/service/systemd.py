"""Notifies systemd of how the service is (sd_notify(3)); does nothing outside of systemd."""

import os
import socket

import structlog

_log = structlog.get_logger(__name__)


def notify(state: str) -> None:
    """Send a state such as ``READY=1`` to systemd; a failure is logged and no more."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    # An abstract socket has a leading NUL, written as @.
    address = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError as error:
            _log.warning("systemd could not be notified", state=state, reason=error.strerror)


def watchdog_interval() -> float | None:
    """Seconds between the signs of life that systemd wants (WatchdogSec=), None if it wants none.

    Half of the limit, as sd_watchdog_enabled(3) advises.
    """
    limit = os.environ.get("WATCHDOG_USEC", "")
    own = str(os.getpid())
    if not limit.isdecimal() or os.environ.get("WATCHDOG_PID", own) != own:
        return None
    return int(limit) / 2_000_000 or None
