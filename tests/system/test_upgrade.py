"""What the last commit with the first journal left after `kill -9` is taken over, all of it."""

import json
import socket
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.ports import free_port
from tests.support.sqlite import StoredDocuments

KEPT = Path(__file__).parents[1] / "data" / "upgrade"
ACCEPTED = (KEPT / "accepted.log").read_text().splitlines()
NEW = "2026-11-24T07:00:00Z mx1 postfix/qmgr[100]: 4AB12CEEEE: removed"


class Site:
    """The state directory as it was left, and settings with which today's daemon starts on it."""

    def __init__(self, directory: Path) -> None:
        with tarfile.open(KEPT / "state.tar.xz") as archive:
            # As newer Pythons do by themselves; Debian 12's does not know it.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(directory)
        self.state = directory / "state"
        self.config = directory / "mailingest.toml"
        self._port = free_port()
        self.config.write_text(
            f"shutdown_timeout = {PATIENCE}\n"
            f"[inputs]\nudp = []\n[[inputs.tcp]]\nport = {self._port}\n"
            f'[state]\ndirectory = "{self.state}"\n[batch]\nmax_age = 0.1\n'
        )

    def hand_over(self, line: str) -> None:
        """Send a line, and wait until it is accepted."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE) as connection:
            connection.sendall(f"{line}\n".encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""

    def stored(self) -> list[dict[str, Any]]:
        return list(StoredDocuments(self.state / "mail", "mail").find(limit=100_000))

    def messages(self) -> Counter[str]:
        return Counter(one["message"] for one in self.stored())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def counters(log: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    found: dict[str, Any] = [row for row in rows if row["event"] == "counters"][-1]
    return found


def text_of(line: str) -> str:
    return line.partition("]: ")[2]


def deliveries(site: Site) -> list[dict[str, Any]]:
    return [one for one in site.stored() if one.get("postfix_status") == "sent"]


def test_every_line_is_stored_once_and_every_delivery_knows_its_mail(site: Site) -> None:
    expected = Counter(map(text_of, ACCEPTED))
    with Daemon(site.config) as daemon:
        wait_until(lambda: len(site.stored()) >= len(ACCEPTED), "all is stored")
        assert site.messages() == expected
        site.hand_over(NEW)
        wait_until(lambda: len(site.stored()) > len(ACCEPTED), "it goes on")
    assert site.messages() == expected + Counter([text_of(NEW)])
    assert len(deliveries(site)) == 50
    for delivery in deliveries(site):
        number = delivery["postfix_size"]
        assert delivery["postfix_to"] == f"bob.{number}@example.net"
        assert delivery["postfix_from"] == f"ann.{number}@example.org"
        assert delivery["postfix_nrcpt"] == 1
        assert delivery["postfix_message-id"] == f"{number}@example.org"
        assert delivery["postfix_client_ip"] == "192.0.2.7"
        assert delivery["postfix_tls_version"] == "TLSv1.3"
    counted = counters(daemon.log)
    assert (counted["spool_frames_lost"], counted["spool_bytes_lost"]) == (0, 0)
    assert counted["documents_duplicate"] == 70


def test_the_old_files_go_when_all_of_them_is_stored(site: Site) -> None:
    spool = site.state / "spool"
    for _ in range(2):
        with Daemon(site.config):
            site.hand_over(NEW)
            wait_until(lambda: len(site.stored()) > len(ACCEPTED), "all is stored")
    assert list(spool.glob("*.frames")) == []
    assert len(list(spool.glob("*.journal"))) == 1


def test_the_dead_letters_can_be_stored(site: Site) -> None:
    with Daemon(site.config):
        wait_until(lambda: len(site.stored()) == len(ACCEPTED), "all is stored")
    command = [sys.executable, "-m", "mailingest", "deadletter", "retry"]
    done = subprocess.run(
        [*command, "--config", str(site.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert len(site.stored()) == len(ACCEPTED) + 1
    assert site.messages()["4AB12CFFFF: skipped, still being delivered"] == 1
    assert list(site.state.glob("dead-letters-*")) == []
