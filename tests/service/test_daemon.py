"""The daemon as a process: what it takes in, what it stores, how it starts and ends."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailingest.config import load
from mailingest.delivery.deadletters import read_letters
from mailingest.postfix.event import Event
from mailingest.service.daemon import Daemon as InProcess
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, until, wait_until
from tests.support.ports import free_port
from tests.support.site import LIFE, Site, listens_at, numbered, texts
from tests.support.sqlite import StoredDocuments


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("way", ["send_tcp", "send_udp"])
def test_a_delivery_event_has_what_the_other_daemons_said(site: Site, way: str) -> None:
    with Daemon(site.config):
        getattr(site, way)(*LIFE)
        wait_until(lambda: site.count_stored() == len(LIFE), "all is stored")
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
        wait_until(lambda: site.count_stored() == len(LIFE), "all is stored")
    assert site.delivery()["postfix_from"] == "ann@example.com"


def test_queue_ids_survive_a_restart(site: Site) -> None:
    with Daemon(site.config):
        site.send_tcp(*LIFE[:3])
        wait_until(lambda: site.count_stored() == 3, "the first lines are stored")
    with Daemon(site.config):
        site.send_tcp(*LIFE[3:])
        wait_until(lambda: site.count_stored() == len(LIFE), "all is stored")
    assert site.delivery()["postfix_from"] == "ann@example.com"


def test_a_damaged_snapshot_is_set_aside_and_the_start_goes_on(site: Site) -> None:
    site.state.mkdir()
    (site.state / "queue-ids").write_bytes(b"\x00rubbish\n")
    with Daemon(site.config) as daemon:
        pass
    assert "set aside" in daemon.log.read_text()
    assert (site.state / "queue-ids.damaged").read_bytes() == b"\x00rubbish\n"


def test_sigterm_stores_what_has_arrived(site: Site) -> None:
    # They fit into the kernel's first window for a connection (64 KiB): all have arrived when they
    # are sent.  What the sender's kernel still has is not waited for, and the sender is told so.
    lines = [
        f"Nov 24 15:41:22 mx1 postfix/smtpd[{pid}]: connect from a[192.0.2.1]" for pid in range(500)
    ]
    with Daemon(site.config) as daemon:
        site.send_tcp(*lines)
        wait_until(lambda: b"tcp input listens" in daemon.log.read_bytes(), "the listener is known")
    assert len(list(StoredDocuments(site.state / "mail", "mail").find())) == 500
    counters = site.counters(daemon.log)
    assert counters["frames_received"] == counters["documents_stored"] == 500


def test_every_line_is_stored_whatever_it_is(site: Site) -> None:
    lines = ["", "   ", "rubbish", "\x00\xff\xfe", "<999>Nov 24 15:41:22 mx1 a: b", *LIFE]
    with Daemon(site.config) as daemon:
        site.send_tcp(*lines)
        wait_until(lambda: site.count_stored() == len(lines) - 2, "all but the empty are stored")
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
        wait_until(lambda: listens_at(site.tcp), "the listener is open")
        site.send_tcp(*LIFE)
        events = [json.loads(process.stdout.readline()) for _ in LIFE]
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(PATIENCE) == 0
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


def test_an_ndjson_file_that_cannot_be_opened_anew_is_logged_and_the_daemon_goes_on(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "out"
    directory.mkdir()
    site = Site(tmp_path, f'[ndjson]\npath = "{directory}/mail.ndjson"\n')
    with Daemon(site.config) as daemon:
        site.hand_over(LIFE[0])
        wait_until(lambda: (directory / "mail.ndjson").stat().st_size > 0, "a line is written")
        directory.rename(tmp_path / "old")
        os.kill(daemon.pid, signal.SIGHUP)
        wait_until(lambda: b"cannot be opened anew" in daemon.log.read_bytes(), "it is logged")
        site.hand_over(LIFE[1])
        directory.mkdir()
        wait_until(lambda: (directory / "mail.ndjson").exists(), "it is opened all the same")
        wait_until(lambda: (directory / "mail.ndjson").stat().st_size > 0, "a line is written")
    rows = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    [logged] = [row for row in rows if "cannot be opened anew" in row["event"]]
    assert logged["level"] == "error"
    assert logged["reason"].startswith(f"{directory}/mail.ndjson: No such file or directory")
    assert not [row for row in rows if "exception" in row]
    lines = [(tmp_path / name / "mail.ndjson").read_text() for name in ("old", "out")]
    assert [text.count("\n") for text in lines] == [1, 1]


# What was accepted is stored, whatever ends the daemon or holds up the store


def test_a_killed_daemon_loses_nothing_that_it_accepted(site: Site) -> None:
    lines = [*numbered(0, 5000), *LIFE[:3]]
    config = site.config.read_text()
    # Less than a batch waits for more: it is not stored before the kill, however late that comes.
    site.config.write_text(f"{config}[batch]\nmax_documents = 1000\nmax_age = 60\n")
    with Daemon(site.config) as daemon:
        site.hand_over(*lines)
        daemon.kill()
    assert site.count_stored() < len(lines)
    site.config.write_text(config)
    with Daemon(site.config):
        site.hand_over(*LIFE[3:])
        wait_until(lambda: site.count_stored() == 5000 + len(LIFE), "all is stored")
    assert site.messages() == texts([*lines, *LIFE[3:]])
    assert site.delivery()["postfix_from"] == "ann@example.com"


def test_a_delivery_line_that_waits_survives_a_kill(site: Site) -> None:
    with Daemon(site.config) as daemon:
        site.hand_over(LIFE[3])
        daemon.kill()
    with Daemon(site.config):
        wait_until(lambda: site.count_stored() == 1, "the line is stored")
    assert site.messages() == texts([LIFE[3]])


def test_lines_sent_again_after_a_kill_are_stored_once(site: Site) -> None:
    # Two of them are identical, and both are kept.
    lines = [*numbered(0, 100), *numbered(99, 1)]
    with Daemon(site.config) as daemon:
        site.hand_over(*lines)
        daemon.kill()
    with Daemon(site.config):
        site.hand_over(*lines)
        site.hand_over(*numbered(200, 1))
        wait_until(lambda: site.count_stored() == 102, "all is stored")
    assert site.messages() == texts([*lines, *numbered(200, 1)])


def test_what_is_stored_is_not_read_again_after_the_next_snapshot(tmp_path: Path) -> None:
    site = Site(tmp_path, "snapshot_interval = 0.2\n[log]\nreport_interval = 0.2\n")
    with Daemon(site.config) as daemon:
        site.hand_over(*numbered(0, 1000), *LIFE[:3])
        wait_until(lambda: site.count_stored() == 1003, "the first lines are stored")
        site.wait_for_snapshot()
        site.hand_over(*numbered(1000, 1))
        wait_until(lambda: site.count_stored() == 1004, "the last line is stored")
        site.wait_for_snapshot()
        daemon.kill()
    with Daemon(site.config) as daemon:
        site.hand_over(*LIFE[3:])
        wait_until(lambda: site.count_stored() == 1001 + len(LIFE), "all is stored")
    assert site.counters(daemon.log)["documents_duplicate"] == 0
    assert site.delivery()["postfix_from"] == "ann@example.com"


def test_while_the_store_is_away_lines_are_accepted_and_survive_a_stop(tmp_path: Path) -> None:
    site = Site(tmp_path, "[batch]\ncapacity = 1000\n", shutdown_timeout=0.5)
    with Daemon(site.config):
        site.hand_over(*numbered(0, 1))
        wait_until(lambda: site.count_stored() == 1, "the store is there")
        with site.store_locked():
            site.hand_over(*numbered(1, 10_000))
            site.send_udp(*numbered(20_000, 1))
    with Daemon(site.config):
        wait_until(lambda: site.count_stored() == 10_002, "all is stored")
    assert site.messages() == texts([*numbered(0, 10_001), *numbered(20_000, 1)])


def test_a_server_that_is_not_there_yet_refuses_no_start(tmp_path: Path) -> None:
    server = f'[elasticsearch]\nhosts = ["http://127.0.0.1:{free_port()}"]\n'
    site = Site(tmp_path, server, shutdown_timeout=0.5)
    with Daemon(site.config) as daemon:
        site.hand_over(*numbered(0, 10))
    assert "lines are in the spool until the next start" in daemon.log.read_text()
    with Daemon(site.config) as daemon:
        pass
    assert "the spool has frames of an earlier run" in daemon.log.read_text()


def test_a_full_disk_makes_senders_wait_and_ends_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, "[log]\nreport_interval = 0.2\n")
    with Daemon(site.config) as daemon:
        site.hand_over(*numbered(0, 10_000))
        wait_until(lambda: site.count_stored() == 10_000, "all is stored")
        [segment] = (site.state / "spool").glob("*.journal")
        # No file may grow beyond what the spool's has now; the log is far below.
        before = resource.prlimit(
            daemon.pid, resource.RLIMIT_FSIZE, (segment.stat().st_size, resource.RLIM_INFINITY)
        )

        def counts(name: str, value: object) -> bool:
            return site.counters(daemon.log).get(name) == value

        with socket.create_connection(("127.0.0.1", site.tcp)) as connection:
            connection.sendall("".join(f"{line}\n" for line in numbered(10_000, 100)).encode())
            wait_until(lambda: counts("spool_full", "File too large"), "it is full")
            site.send_udp(*numbered(20_000, 5))
            wait_until(lambda: counts("datagrams_dropped", 5), "datagrams are counted")
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, before)
            wait_until(lambda: site.count_stored() == 10_100, "what waited is stored")
        site.hand_over(*numbered(30_000, 1))
        wait_until(lambda: site.count_stored() == 10_101, "it goes on")
    assert site.messages() == texts([*numbered(0, 10_100), *numbered(30_000, 1)])
    log = daemon.log.read_text()
    assert log.count("the spool is full") == log.count("the spool has room again") == 1


async def test_a_line_that_makes_the_pipeline_fail_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_wanted(event: Event) -> bool:
        if "number 3" in event.fields["message"]:
            raise RuntimeError("a fault")
        return True

    # What can be replaced also where the pipeline is compiled.
    monkeypatch.setattr("mailingest.postfix.selection.is_of_a_mail", is_wanted)
    site = Site(tmp_path, '[index]\nevents = "deliveries"\n')
    daemon = InProcess(load(site.config))
    serving = asyncio.create_task(daemon.main())
    await until(lambda: listens_at(site.tcp), "the listener is open")
    with capture_logs() as logs:
        await asyncio.to_thread(site.hand_over, *numbered(0, 6))
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(serving, PATIENCE) == 0
    assert site.messages() == texts([*numbered(0, 3), *numbered(4, 2)])
    counters = daemon.counters()
    assert counters["frames_failed"] == counters["documents_rejected"] == 1
    [letter] = read_letters(site.state)
    assert "number 3" in str(letter.fields["message"])
    assert letter.reason == "it made mailingest fail: RuntimeError: a fault"
    [logged] = [log for log in logs if log["event"] == "a line made the pipeline fail"]
    assert "number 3" in logged["line"]


def test_two_daemons_do_not_share_a_state_directory(tmp_path: Path) -> None:
    first, second = Site(tmp_path), tmp_path / "second.toml"
    second.write_text(f'[inputs]\nudp = []\ntcp = []\n[state]\ndirectory = "{first.state}"\n')
    with Daemon(first.config):
        done = subprocess.run(
            [sys.executable, "-m", "mailingest", "run", "--config", str(second)],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert done.returncode == 2
    assert "another mailingest works in" in done.stderr


def test_an_address_in_use_is_refused_in_one_line(site: Site) -> None:
    with Daemon(site.config):
        config = site.config.read_text().replace("/state", "/other-state")
        site.config.write_text(config)
        done = subprocess.run(
            [sys.executable, "-m", "mailingest", "run", "--config", str(site.config)],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    assert done.returncode == 2
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(complaints) == 1
    assert f"udp 127.0.0.1:{site.udp}: address already in use" in complaints[0]
