"""The daemon as a process: what it takes in, what it stores, how it starts and ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mailingest.outputs.sqlite import SqliteReader
from tests.lab.daemon import Daemon, free_port
from tests.lab.polling import wait_until

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

    def __init__(self, directory: Path, more: str = "") -> None:
        self.udp = free_port(socket.SOCK_DGRAM)
        self.tcp = free_port(socket.SOCK_STREAM)
        self.state = directory / "state"
        self.config = directory / "mailingest.toml"
        self.config.write_text(
            f"[[inputs.udp]]\nport = {self.udp}\n[[inputs.tcp]]\nport = {self.tcp}\n"
            f'[state]\ndirectory = "{self.state}"\n{more}'
        )

    def send_tcp(self, *lines: str) -> None:
        with socket.create_connection(("127.0.0.1", self.tcp)) as connection:
            connection.sendall("".join(f"{line}\n" for line in lines).encode("latin-1"))

    def send_udp(self, *lines: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for line in lines:
                sender.sendto(f"<22>{line}".encode("latin-1"), ("127.0.0.1", self.udp))

    def stored(self) -> list[dict[str, object]]:
        return list(SqliteReader(self.state / "mail", "mail").find(limit=1000))

    def delivery(self) -> dict[str, object]:
        [event] = [one for one in self.stored() if one.get("postfix_status") == "sent"]
        return event

    def counters(self, log: Path) -> dict[str, object]:
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        counted: dict[str, object] = [row for row in rows if row["event"] == "counters"][-1]
        return counted


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("way", ["send_tcp", "send_udp"])
def test_a_delivery_event_tells_what_the_other_daemons_said(site: Site, way: str) -> None:
    with Daemon(site.config):
        getattr(site, way)(*LIFE)
        wait_until(lambda: len(site.stored()) == len(LIFE), "all is stored")
    event = site.delivery()
    assert event["postfix_from"] == "ann@example.com"
    assert event["postfix_size"] == 389
    assert event["postfix_nrcpt"] == 1
    assert event["postfix_message-id"] == "a.1@example.com"
    assert event["postfix_client_hostname"] == "pc1.example.com"
    assert event["postfix_client_ip"] == "192.0.2.7"
    assert event["postfix_remote_queueid"] == "AB12CD34"


def test_a_delivery_line_that_overtakes_its_qmgr_line_waits_for_it(site: Site) -> None:
    client, message_id, active, delivery, removed = LIFE
    with Daemon(site.config):
        site.send_udp(delivery, client, message_id, removed, active)
        wait_until(lambda: len(site.stored()) == len(LIFE), "all is stored")
    assert site.delivery()["postfix_from"] == "ann@example.com"


def test_queue_ids_survive_a_restart(site: Site) -> None:
    with Daemon(site.config):
        site.send_tcp(*LIFE[:3])
        wait_until(lambda: len(site.stored()) == 3, "the first lines are stored")
    with Daemon(site.config):
        site.send_tcp(*LIFE[3:])
        wait_until(lambda: len(site.stored()) == len(LIFE), "all is stored")
    assert site.delivery()["postfix_from"] == "ann@example.com"


def test_a_damaged_snapshot_is_set_aside_and_the_start_goes_on(site: Site) -> None:
    site.state.mkdir()
    (site.state / "queue-ids").write_bytes(b"\x00rubbish\n")
    with Daemon(site.config) as daemon:
        pass
    assert "set aside" in daemon.log.read_text()
    assert (site.state / "queue-ids.damaged").read_bytes() == b"\x00rubbish\n"


def test_sigterm_stores_what_has_arrived(site: Site) -> None:
    lines = [
        f"Nov 24 15:41:22 mx1 postfix/smtpd[{pid}]: connect from a[192.0.2.1]"
        for pid in range(2000)
    ]
    with Daemon(site.config) as daemon:
        site.send_tcp(*lines)
        wait_until(lambda: b"tcp input listens" in daemon.log.read_bytes(), "the listener is known")
    assert len(list(SqliteReader(site.state / "mail", "mail").find(limit=5000))) == 2000
    counters = site.counters(daemon.log)
    assert counters["frames_received"] == counters["documents_stored"] == 2000


def test_every_line_is_stored_whatever_it_is(site: Site) -> None:
    lines = ["", "   ", "rubbish", "\x00\xff\xfe", "<999>Nov 24 15:41:22 mx1 a: b", *LIFE]
    with Daemon(site.config) as daemon:
        site.send_tcp(*lines)
        wait_until(lambda: len(site.stored()) == len(lines) - 2, "all but the empty are stored")
    counters = site.counters(daemon.log)
    assert counters["lines_unmatched"] == {"_syslog_header_nomatch": 3}


def test_ndjson_goes_to_standard_output(tmp_path: Path) -> None:
    site = Site(tmp_path, '[ndjson]\npath = "-"\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "mailingest", "run", "--config", str(site.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        wait_until(lambda: _connects(site.tcp), "the listener is open")
        site.send_tcp(*LIFE)
        events = [json.loads(process.stdout.readline()) for _ in LIFE]
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(30) == 0
    assert events[3]["postfix_from"] == "ann@example.com"


def test_an_ndjson_file_is_opened_anew_after_rotation(tmp_path: Path) -> None:
    file = tmp_path / "mail.ndjson"
    site = Site(tmp_path, f'[ndjson]\npath = "{file}"\n')
    with Daemon(site.config) as daemon:
        site.send_tcp(LIFE[0])
        wait_until(lambda: file.exists() and file.stat().st_size > 0, "the first line is written")
        file.rename(tmp_path / "mail.ndjson.1")
        os.kill(daemon.pid, signal.SIGHUP)
        wait_until(file.exists, "the file is there again")
        site.send_tcp(LIFE[1])
        wait_until(lambda: file.stat().st_size > 0, "the second line is written")
    assert len((tmp_path / "mail.ndjson.1").read_text().splitlines()) == 1
    assert len(file.read_text().splitlines()) == 1


def test_an_address_in_use_is_refused_in_one_line(site: Site) -> None:
    with Daemon(site.config):
        done = subprocess.run(
            [sys.executable, "-m", "mailingest", "run", "--config", str(site.config)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert done.returncode == 2
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(complaints) == 1
    assert f"udp 127.0.0.1:{site.udp}: address already in use" in complaints[0]


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
