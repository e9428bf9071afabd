"""A site with one daemon: its settings, what is sent to it, and what it has stored."""

import json
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.ports import free_port
from tests.support.sqlite import StoredDocuments

LIFE = (
    "Nov 24 15:41:22 mx1 postfix/smtpd[867]: 652D1A4A862: client=pc1.example.com[192.0.2.7]",
    "Nov 24 15:41:22 mx1 postfix/cleanup[877]: 652D1A4A862: message-id=<a.1@example.com>",
    "Nov 24 15:41:22 mx1 postfix/qmgr[550]: 652D1A4A862: from=<ann@example.com>, size=389, nrcpt=1"
    " (queue active)",
    "Nov 24 15:41:22 mx1 postfix/smtp[914]: 652D1A4A862: to=<bob@example.net>,"
    " relay=mx.example.net[198.51.100.9]:25, delay=0.18, delays=0.12/0/0.02/0.04, dsn=2.0.0,"
    " status=sent (250 2.0.0 Ok: queued as AB12CD34)",
    "Nov 24 15:41:22 mx1 postfix/qmgr[550]: 652D1A4A862: removed",
)


class Site:
    """A directory with settings, and the ports in them."""

    def __init__(
        self, directory: Path, more: str = "", *, shutdown_timeout: float = PATIENCE
    ) -> None:
        self.udp = free_port()
        self.tcp = free_port()
        self.state = directory / "state"
        self.config = directory / "mailingest.toml"
        self.config.write_text(
            f"shutdown_timeout = {shutdown_timeout}\n"
            f"[[inputs.udp]]\nport = {self.udp}\n[[inputs.tcp]]\nport = {self.tcp}\n"
            f'[state]\ndirectory = "{self.state}"\n{more}'
        )

    def send_tcp(self, *lines: str) -> None:
        with socket.create_connection(("127.0.0.1", self.tcp)) as connection:
            connection.sendall("".join(f"{line}\n" for line in lines).encode("latin-1"))

    def hand_over(self, *lines: str) -> None:
        """Send by TCP, and wait until the daemon has closed the connection: all is accepted."""
        self.hand_over_bytes(*(line.encode("latin-1") for line in lines))

    def hand_over_bytes(self, *lines: bytes) -> None:
        """The same for lines in any charset."""
        with socket.create_connection(("127.0.0.1", self.tcp), timeout=PATIENCE) as connection:
            connection.sendall(b"".join(line + b"\n" for line in lines))
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""

    def hand_over_when_up(self, *lines: str) -> None:
        """The same with a daemon that is being started."""
        wait_until(lambda: listens_at(self.tcp), "it listens")
        self.hand_over(*lines)

    def send_udp(self, *lines: str) -> None:
        self.send_bytes(*(line.encode("latin-1") for line in lines))

    def send_bytes(self, *lines: bytes) -> None:
        """Send by UDP lines in any charset."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for line in lines:
                sender.sendto(b"<22>" + line, ("127.0.0.1", self.udp))

    def stored(self) -> list[dict[str, object]]:
        return list(StoredDocuments(self.state / "mail", "mail").find(limit=100_000))

    def count_stored(self) -> int:
        """How many documents are stored; to wait for them, since it reads none of them."""
        return StoredDocuments(self.state / "mail", "mail").count()

    def messages(self) -> Counter[object]:
        return Counter(one["message"] for one in self.stored())

    @contextmanager
    def store_locked(self) -> Iterator[None]:
        """Nobody can write into the store, as if another process did so for a long time."""
        [path] = (self.state / "mail").glob("*.sqlite")
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield

    def wait_for_snapshot(self) -> None:
        """Wait until there is a snapshot that was begun after this call."""

        def written() -> int:
            file = self.state / "queue-ids"
            return file.stat().st_mtime_ns if file.exists() else 0

        def is_newer(before: int) -> bool:
            return written() != before

        # The next one may be under way already.
        for _ in range(2):
            before = written()
            wait_until(partial(is_newer, before), "another snapshot")

    def delivery(self) -> dict[str, object]:
        [event] = [one for one in self.stored() if one.get("postfix_status") == "sent"]
        return event

    def counters(self, log: Path) -> dict[str, object]:
        """The last report of them in the log; empty if there is none yet."""
        # What is behind the last line feed may be half a line.
        rows = [json.loads(line) for line in log.read_text().split("\n")[:-1]]
        return next((row for row in reversed(rows) if row["event"] == "counters"), {})


def numbered(first: int, count: int) -> list[str]:
    return [
        f"Nov 24 15:41:22 mx1 postfix/smtpd[867]: connect from a[192.0.2.1] number {number}"
        for number in range(first, first + count)
    ]


def texts(lines: list[str]) -> Counter[object]:
    return Counter(line.partition(": ")[2] for line in lines)


def listens_at(port: int) -> bool:
    """Whether somebody listens at a TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
