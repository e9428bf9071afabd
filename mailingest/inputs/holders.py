"""Who holds the port that another one wants: what Linux says of its sockets (proc(5))."""

import pwd
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mailingest.inputs.addresses import address_text

_LISTENS: Final = "0A"  # TCP_LISTEN of include/net/tcp_states.h
_WORD_BYTES: Final = 4
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - what others have bound


@dataclass(frozen=True, slots=True)
class Holder:
    """A socket that is bound, and whose it is as far as this user may know."""

    address: str
    user: int
    process: int | None
    command: tuple[str, ...]

    def __str__(self) -> str:
        if self.process is None:
            return f"a process of {_name(self.user)}"
        return f"{Path(self.command[0]).name if self.command else '?'} (process {self.process})"


def holders_of(protocol: Literal["udp", "tcp"], port: int, host: str = "") -> list[Holder]:
    """The sockets that are bound to a port, at an address or all, or at any if none is given."""
    found = [
        one
        for table in (protocol, f"{protocol}6")
        for one in _bound(Path("/proc/net") / table, is_tcp=protocol == "tcp", port=port)
    ]
    processes = _processes({inode for _, _, inode in found}) if found else {}
    return [
        Holder(address, user, *processes.get(inode, (None, ())))
        for address, user, inode in found
        if host in ("", *_EVERYWHERE) or address_text(host, port) == address or _is_all(address)
    ]


def _is_all(address: str) -> bool:
    return address.rpartition(":")[0].strip("[]") in _EVERYWHERE


def _bound(table: Path, *, is_tcp: bool, port: int) -> Iterator[tuple[str, int, str]]:
    """Address, user and inode of each."""
    with suppress(OSError):
        for row in table.read_text().splitlines()[1:]:
            columns = row.split()
            host, _, own = columns[1].partition(":")
            if int(own, 16) == port and (not is_tcp or columns[3] == _LISTENS):
                yield address_text(_host(host), port), int(columns[7]), columns[9]


def _host(digits: str) -> str:
    """The address of the kernel's hexadecimal words, which are in this machine's order of bytes."""
    words = bytes.fromhex(digits)
    packed = b"".join(
        words[at : at + _WORD_BYTES][::-1] for at in range(0, len(words), _WORD_BYTES)
    )
    family = socket.AF_INET if len(packed) == _WORD_BYTES else socket.AF_INET6
    return socket.inet_ntop(family, packed)


def _processes(inodes: set[str]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """The process of each socket, and its command; of other users, only root learns them."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[str, tuple[int, tuple[str, ...]]] = {}
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if (inode := links.get(str(descriptor.readlink()))) is not None:
                        # Those that systemd passes on are its own as well: the last one works.
                        found[inode] = int(process.name), _command(process)
    return found


def _command(process: Path) -> tuple[str, ...]:
    return tuple((process / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1])


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
