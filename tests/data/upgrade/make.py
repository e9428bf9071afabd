"""Makes ``state.tar.xz`` and ``accepted.log``: ``python make.py PYTHON``, in the old commit.

PYTHON is that of the old commit's virtual environment.  See README.md.
"""

import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAILS = 40

CONFIG = """
[inputs]
udp = []
[[inputs.tcp]]
port = {port}
[batch]
max_age = 0.2
[state]
directory = "{directory}/state"
snapshot_interval = 3
"""
# Run by the old commit: SQLite refuses no document, so this one is of another store's days.
DEAD_LETTERS = """
import sys
from pathlib import Path
from mailingest.config import Settings
from mailingest.outputs import Rejection
from mailingest.outputs.deadletters import DeadLetters
from mailingest.wiring import build_pipeline

[document] = build_pipeline(Settings(), live=False).feed(sys.argv[2].encode(), 1795500000.0)
DeadLetters(Path(sys.argv[1])).write([Rejection(document, "mapper_parsing_exception")])
"""


def queue_id(number: int) -> str:
    return f"4AB12C{number:04X}"


def line(number: int, service: str, text: str) -> str:
    """A line of the second of a mail's number."""
    stamp = f"2026-11-24T06:{number // 60:02d}:{number % 60:02d}Z"
    return f"<22>{stamp} mx1 postfix/{service}[100]: {text}"


def beginning(number: int) -> list[str]:
    """What comes before a delivery; two identical lines are two events."""
    name = queue_id(number)
    return [
        line(number, "smtpd", "connect from pc1.example.org[192.0.2.7]"),
        line(number, "smtpd", "connect from pc1.example.org[192.0.2.7]"),
        line(number, "smtpd", f"{name}: client=pc1.example.org[192.0.2.7]"),
        line(number, "cleanup", f"{name}: message-id=<{number}@example.org>"),
        line(
            number,
            "qmgr",
            f"{name}: from=<ann.{number}@example.org>, size={number}, nrcpt=1 (queue active)",
        ),
    ]


def delivery(number: int) -> list[str]:
    """The delivery and the end."""
    name = queue_id(number)
    return [
        line(
            number,
            "smtp",
            f"{name}: to=<bob.{number}@example.net>, relay=mx.example.net[198.51.100.9]:25,"
            " delay=0.18, delays=0.12/0/0.02/0.04, dsn=2.0.0, status=sent (250 2.0.0 Ok)",
        ),
        line(number, "qmgr", f"{name}: removed"),
    ]


TLS = line(
    0,
    "smtp",
    "Trusted TLS connection established to mx.example.net[198.51.100.9]:25:"
    " TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
)
LETTER = line(0, "qmgr", "4AB12CFFFF: skipped, still being delivered")


class Site:
    """The old daemon, its state and all lines that it has accepted."""

    def __init__(self, directory: Path, python: str) -> None:
        self.state = directory / "state"
        self.accepted: list[str] = []
        self._python = python
        self._config = directory / "mailingest.toml"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._config.write_text(CONFIG.format(port=self._port, directory=directory))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until it is killed."""
        log = (self._config.with_suffix(".log")).open("ab")
        program = [self._python, "-m", "mailingest", "run", "--config", str(self._config)]
        with log, subprocess.Popen(program, stderr=log) as daemon:
            try:
                wait_until(self._listens)
                yield
            finally:
                daemon.send_signal(signal.SIGKILL)

    def hand_over(self, lines: list[str]) -> None:
        """Send lines over one connection, and wait until all are in the spool."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
            connection.sendall("".join(f"{one}\n" for one in lines).encode())
            connection.shutdown(socket.SHUT_WR)
            if connection.recv(1) != b"":
                raise RuntimeError("an answer that nobody expected")
        self.accepted += lines

    def stored(self) -> int:
        count = 0
        for day in self._days():
            with closing(day), suppress(sqlite3.OperationalError):  # it is just being made
                count += day.execute("SELECT count(*) FROM documents").fetchone()[0]
        return count

    @contextmanager
    def store_locked(self) -> Iterator[None]:
        holders = list(self._days())
        for day in holders:
            day.execute("BEGIN IMMEDIATE")
        yield
        for day in holders:
            day.close()

    def _days(self) -> Iterator[sqlite3.Connection]:
        for path in (self.state / "mail").glob("*.sqlite"):
            yield sqlite3.connect(path, isolation_level=None)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port)).close()
        except OSError:
            return False
        return True


def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.05)


def main(python: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        site = Site(Path(name), python)
        with site.running():
            # Known from the snapshot only.
            site.hand_over([TLS, *(one for number in range(MAILS) for one in beginning(number))])
            wait_until(lambda: site.stored() == len(site.accepted))
            snapshot = site.state / "queue-ids"
            wait_until(lambda: snapshot.exists() and queue_id(MAILS - 1) in snapshot.read_text())
            # Stored, but after the snapshot.
            site.hand_over([one for number in range(10) for one in delivery(number)])
            site.hand_over([one for number in range(100, 110) for one in beginning(number)])
            wait_until(lambda: site.stored() == len(site.accepted))
            with site.store_locked():
                site.hand_over([one for number in range(10, 20) for one in delivery(number)])
        # A second life that could not store anything either.
        with closing(sqlite3.connect(next((site.state / "mail").glob("*.sqlite")))) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with site.running():
                site.hand_over([one for number in range(20, MAILS) for one in delivery(number)])
                site.hand_over([one for number in range(100, 110) for one in delivery(number)])
            subprocess.run([python, "-c", DEAD_LETTERS, str(site.state), LETTER], check=True)
            # While the store is open, or SQLite would tidy up what the kill left.
            with tarfile.open(HERE / "state.tar.xz", "w:xz") as archive:
                archive.add(site.state, "state")
        (HERE / "accepted.log").write_text("".join(f"{one}\n" for one in site.accepted))


if __name__ == "__main__":
    main(sys.argv[1])
