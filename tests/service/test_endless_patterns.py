"""A pattern that never ends, and a line that it never ends with: it costs one line."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailingest.delivery.deadletters import Letter, read_letters
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.site import Site, numbered, texts

# Only what begins with x1y2 leads to the repetition, and no payload does that looks for one.
HIDDEN = r"(?=x1y2)(?:x1y2)?(?:a+)+\z"
ENDLESS = f"Nov 24 15:41:22 mx1 myfilter[7]: x1y2{'a' * 40}!"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    patterns = tmp_path / "patterns"
    patterns.mkdir()
    (patterns / "mine.grok").write_text(f"MYFILTER {HIDDEN}\n")
    return Site(
        tmp_path,
        f'[grok]\npatterns_dirs = ["{patterns}"]\n[grok.programs]\nmyfilter = "MYFILTER"\n',
    )


def letters(site: Site) -> list[Letter]:
    return list(read_letters(site.state))


def worked_on(site: Site) -> int:
    """The frame that is worked on, and 1; 0 is none."""
    (number,) = struct.unpack_from("<Q", (site.state / "spool" / "frame").read_bytes(), 8)
    return int(number)


def test_a_line_that_takes_too_long_is_set_aside_and_the_daemon_lives_on(site: Site) -> None:
    others = numbered(0, 20)
    with Daemon(site.config) as daemon:
        site.hand_over(*others[:10], ENDLESS, *others[10:])
        wait_until(lambda: site.count_stored() == len(others), "all others are stored")
        wait_until(lambda: letters(site), "it is a dead letter")
    assert site.messages() == texts(others)
    [letter] = letters(site)
    assert "took more than 5 s" in letter.reason
    assert letter.fields["message"] == ENDLESS
    assert letter.fields["host"] == "127.0.0.1"
    counters = site.counters(daemon.log)
    assert counters["frames_received"] == counters["documents_made"] == 21
    assert counters["frames_set_aside"] == counters["documents_rejected"] == 1


def test_a_replay_sets_such_a_line_aside_as_well(site: Site, tmp_path: Path) -> None:
    others = numbered(0, 4)
    file = tmp_path / "mail.log"
    file.write_text("".join(f"{line}\n" for line in (*others[:2], ENDLESS, *others[2:])))
    done = subprocess.run(
        [sys.executable, "-m", "mailingest", "replay", "--config", str(site.config), str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1, done.stderr
    assert site.messages() == texts(others)
    [letter] = letters(site)
    assert letter.fields["message"] == ENDLESS
    assert "syslog_peer" not in letter.fields


def test_a_line_that_the_process_died_with_twice_is_set_aside(site: Site) -> None:
    others = numbered(0, 20)
    for life in range(2):
        with Daemon(site.config) as daemon:
            if not life:
                site.send_tcp(*others[:10], ENDLESS, *others[10:])
            wait_until(lambda: worked_on(site) == 11, "it works on that line")
            daemon.kill()
    with Daemon(site.config) as daemon:
        wait_until(lambda: site.count_stored() == len(others), "all others are stored")
        wait_until(lambda: letters(site), "it is a dead letter")
    assert site.messages() == texts(others)
    [letter] = letters(site)
    assert letter.reason.startswith("earlier runs of mailingest ended")
    assert letter.fields["message"] == ENDLESS
    assert site.counters(daemon.log)["frames_set_aside"] == 1
    # The snapshot at the end is behind it: the next life has nothing to do with it.
    with Daemon(site.config) as daemon:
        pass
    assert site.counters(daemon.log)["frames_received"] == 0
    assert len(letters(site)) == 1


def test_a_death_between_lines_is_none_of_theirs(site: Site) -> None:
    for number in range(3):
        with Daemon(site.config) as daemon:
            site.hand_over(*numbered(number, 1))
            wait_until(lambda: "connect" in str(site.stored()[-1:]), "something is stored")
            wait_until(lambda: worked_on(site) == 0, "nothing is worked on")
            daemon.kill()
    with Daemon(site.config):
        wait_until(lambda: site.count_stored() == 3, "all are stored")
    assert not letters(site)


def test_the_watchdog_ends_a_daemon_that_a_line_holds_up_and_restarts_end_that(
    site: Site,
) -> None:
    """What systemd does with WatchdogSec= and Restart=on-failure, in two seconds."""
    others = numbered(0, 20)
    deaths = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(f"\0{site.config}")
        notified.settimeout(2.0)
        sent = False
        end = time.monotonic() + PATIENCE
        while not letters(site) and time.monotonic() < end:
            process = started(site, notified)
            if not sent:
                site.send_tcp(*others[:10], ENDLESS, *others[10:])
                sent = True
            if supervised(process, notified, site):
                deaths += 1
                assert process.wait(PATIENCE) == -signal.SIGABRT
        wait_until(lambda: site.count_stored() == len(others), "all others are stored")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert deaths >= 2
    [letter] = letters(site)
    assert letter.reason.startswith("earlier runs of mailingest ended")


def started(site: Site, notified: socket.socket) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "mailingest", "run", "--config", str(site.config)],
        env=os.environ | {"NOTIFY_SOCKET": f"@{site.config}", "WATCHDOG_USEC": "2000000"},
        stderr=subprocess.DEVNULL,
    )

    def is_ready() -> bool:
        try:
            return b"READY=1" in notified.recv(4096)
        except TimeoutError:
            return False

    wait_until(is_ready, "it is ready")
    return process


def supervised(process: subprocess.Popen[bytes], notified: socket.socket, site: Site) -> bool:
    """Whether the process had to be ended, for it gave no sign of life in time."""
    while not letters(site):
        try:
            notified.recv(4096)
        except TimeoutError:
            process.send_signal(signal.SIGABRT)
            return True
    return False


def test_the_pattern_is_one_that_probing_does_not_find(site: Site) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailingest", "check", "--config", str(site.config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ok     patterns" in done.stdout
    assert "ReDoS" not in done.stdout
    assert re.fullmatch(HIDDEN.replace(r"\z", r"\Z"), f"x1y2{'a' * 15}!") is None
