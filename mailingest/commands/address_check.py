"""Could this address be had by a start?  It is right that the running service has it already."""

import pwd
import subprocess
from collections.abc import Sequence
from typing import Literal

from mailingest.errors import UsageError
from mailingest.inputs.addresses import address_text
from mailingest.inputs.holders import Holder
from mailingest.inputs.sockets import AddressInUse, bound_socket

Transport = Literal["udp", "tcp"]

_KINDS = {"Datagram": "udp", "Stream": "tcp"}
_PAGE_USER = "mailingest-web"


class AddressCheck:
    """Looks at one address after the other; ``own`` are those of the running daemon."""

    def __init__(self, own: Sequence[str]) -> None:
        self._own = own
        self._wanted: set[str] = set()

    def of_daemon(self, transport: Transport, host: str, port: int) -> str:
        """What is well; raises UsageError."""
        return self._look(transport, host, port, "mailingest.socket", is_page=False)

    def of_page(self, host: str, port: int) -> str:
        """The same for the trace page."""
        return self._look("tcp", host, port, "mailingest-web.socket", is_page=True)

    def _look(self, transport: Transport, host: str, port: int, unit: str, *, is_page: bool) -> str:
        text = address_text(host, port)
        if port and f"{transport} {text}" in self._wanted:
            raise UsageError(f"{transport} {text} is configured twice: choose another port")
        self._wanted.add(f"{transport} {text}")
        try:
            bound_socket(transport, host, port).close()
        except AddressInUse as error:
            left = [one for one in error.holders if f"{transport} {one.address}" not in self._own]
            if is_page:
                left = [one for one in left if not _is_page(one)]
            if error.holders and not left:
                return f"{text} is in use by the running mailingest itself"
            sockets = _of_systemd(unit)
            if left and all(f"{transport} {one.address}" in sockets for one in left):
                return f"{text} is held by systemd for mailingest ({unit})"
            raise
        return f"{text} is free"


def _is_page(holder: Holder) -> bool:
    """Whether it is `mailingest web`; of other users' processes only the user is known."""
    if holder.process is not None:
        return "web" in holder.command and any("mailingest" in part for part in holder.command)
    try:
        return pwd.getpwuid(holder.user).pw_name == _PAGE_USER
    except KeyError:
        return False


def _of_systemd(unit: str) -> set[str]:
    """Transport and address of each socket that a socket unit has open, none if it is not there."""
    command = ["systemctl", "show", "--property=ActiveState,Listen", unit]
    try:
        done = subprocess.run(  # noqa: S603 - constant but for the name of the unit
            command, capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return set()
    rows = done.stdout.splitlines()
    if "ActiveState=active" not in rows:
        return set()
    listening = [row.removeprefix("Listen=") for row in rows if row.startswith("Listen=")]
    places = [row.rpartition(" ") for row in listening]
    return {f"{_KINDS.get(kind.strip('()'), '?')} {address}" for address, _, kind in places}
