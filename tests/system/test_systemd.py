"""The systemd units, on a real systemd: they start, restart, stop, and are hardened."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.installed_units import (
    PASSWORD,
    PROGRAM,
    ROOT,
    SOCKETS,
    TIMERS,
    UNITS,
    WEB,
    installed,
    make_users_and_directories,
)
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.systemd_host import SystemdHost

# In tenths.  What systemd-analyze gives a unit without any protection is 9.6; its best class ends
# at 2.0.
HIGHEST_EXPOSURE = 15

# A request of one who has logged in.
FETCH = """
import base64, sys, urllib.request
request = urllib.request.Request(sys.argv[1])
request.add_header("Authorization", "Basic " + base64.b64encode(sys.argv[2].encode()).decode())
print(urllib.request.urlopen(request, timeout=300).read().decode())
"""

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    directory = tmp_path_factory.mktemp("systemd")
    with SystemdHost(installed(directory), directory / "console.log") as running:
        make_users_and_directories(running)
        yield running


def test_the_units_are_well_formed(tmp_path: Path) -> None:
    units = [tmp_path / path.name for path in (*UNITS, *SOCKETS, *TIMERS)]
    for unit in units:
        text = (ROOT / "systemd" / unit.name).read_text()
        unit.write_text(text.replace(PROGRAM, sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def exposed(unit: Path) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says of a unit, with exit code 1 if it is exposed too much."""
    return subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=true",
            f"--threshold={HIGHEST_EXPOSURE}",
            str(unit),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_hardened(path: Path) -> None:
    assert exposed(path).returncode == 0


def test_a_unit_with_less_protection_is_noticed(tmp_path: Path) -> None:
    unit = tmp_path / WEB.name
    unit.write_text(re.sub("(?m)^PrivateDevices=yes$", "", WEB.read_text()))
    done = exposed(unit)
    assert (done.returncode, "PrivateDevices" in done.stdout) == (1, True)


def test_it_starts_receives_restarts_and_stops(host: SystemdHost) -> None:
    started = host.run("systemctl", "start", "mailingest")
    assert started.returncode == 0, started.stderr + host.log()
    # Type=notify: the start ended when the listeners were open.
    line = "<22>Nov 24 15:41:22 mx1 postfix/qmgr[1]: 652D1A4A862: removed"
    host.run("bash", "-c", f"printf '{line}' > /dev/udp/127.0.0.1/5000")
    files = "ls /var/lib/mailingest/mail"
    wait_until(lambda: ".sqlite" in host.run("sh", "-c", files).stdout, "the line is stored")
    assert host.show("mailingest", "User") == "mailingest"

    main = host.show("mailingest", "MainPID")
    host.run("kill", "-KILL", main)
    wait_until(
        lambda: (
            host.show("mailingest", "MainPID") not in (main, "0")
            and host.show("mailingest", "ActiveState") == "active"
        ),
        "it is restarted",
    )
    stopped = host.run("systemctl", "stop", "mailingest.socket", "mailingest")
    assert stopped.returncode == 0
    assert host.show("mailingest", "Result") == "success"


def test_a_reload_ends_with_what_came_of_it(host: SystemdHost) -> None:
    file = "/etc/mailingest/mailingest.toml"

    def written(text: str) -> int:
        host.run("sh", "-c", """printf '%s\\n' "$1" > $0""", file, text)
        return host.run("systemctl", "reload", "mailingest").returncode

    host.run("mkdir", "-p", "/etc/mailingest")
    assert host.run("systemctl", "start", "mailingest").returncode == 0, host.log()
    main = host.show("mailingest", "MainPID")
    assert written('[log]\nlevel = "debug"') == 0, host.log()
    assert written("[log") != 0, "as ExecReload= was refused"
    assert (host.show("mailingest", "MainPID"), host.show("mailingest", "ActiveState")) == (
        main,
        "active",
    )
    host.run("rm", file)
    assert host.run("systemctl", "reload", "mailingest").returncode == 0
    host.run("systemctl", "stop", "mailingest.socket", "mailingest")


def test_the_watchdog_ends_what_a_line_holds_up_until_the_line_is_set_aside(
    host: SystemdHost,
) -> None:
    """A pattern that probing does not find; the daemon's own limit is later than this watchdog."""
    unit = "/run/systemd/system/mailingest.service.d"
    drop_in = (
        "[Service]",
        "WatchdogSec=4s",
        """Environment='MAILINGEST_GROK__PATTERNS_DIRS=["/run/patterns"]'""",
        """Environment='MAILINGEST_GROK__PROGRAMS={"myfilter": "MYFILTER"}'""",
    )
    host.run("mkdir", "-p", unit, "/run/patterns")
    host.run("sh", "-c", """printf '%s\\n' "$@" > $0""", f"{unit}/endless.conf", *drop_in)
    pattern = r"MYFILTER (?=x1y2)(?:x1y2)?(?:a+)+\z"
    host.run("sh", "-c", """printf '%s\\n' "$1" > $0""", "/run/patterns/mine.grok", pattern)
    host.run("systemctl", "daemon-reload")
    started = host.run("systemctl", "restart", "mailingest")
    assert started.returncode == 0, started.stderr + host.log()
    before = int(host.show("mailingest", "NRestarts"))
    line = f"<22>Nov 24 15:41:22 mx1 myfilter[1]: x1y2{'a' * 40}!"
    host.run("bash", "-c", f"printf '{line}' > /dev/udp/127.0.0.1/5000")
    letters = "cat /var/lib/mailingest/dead-letters-*"
    wait_until(lambda: "x1y2" in host.run("sh", "-c", letters).stdout, "it is a dead letter")
    assert "earlier runs of mailingest ended" in host.run("sh", "-c", letters).stdout
    assert int(host.show("mailingest", "NRestarts")) - before == 2
    host.run("rm", "-r", unit)
    host.run("systemctl", "daemon-reload")
    assert host.run("systemctl", "stop", "mailingest").returncode == 0


def test_retention_deletes_old_days_of_its_user_and_its_timer_waits(host: SystemdHost) -> None:
    state = "/var/lib/mailingest"
    directory = f"{state}/mail"
    # The first run makes the directory of the state.
    assert host.run("systemctl", "start", "mailingest-retention.service").returncode == 0
    today = datetime.now(UTC)
    over = f"mail-{today - timedelta(days=3):%Y.%m.%d}.sqlite"
    made = [f"{directory}/{over}", f"{directory}/mail-archive.sqlite"]
    host.run("mkdir", "-p", directory)
    host.run("touch", *made)
    host.run("chown", "-R", f"--reference={state}", directory)

    started = host.run("systemctl", "start", "mailingest-retention.service")
    assert started.returncode == 0, started.stderr + host.log()
    left = host.run("ls", directory).stdout.split()
    assert over not in left
    assert "mail-archive.sqlite" in left

    assert host.run("systemctl", "start", "mailingest-retention.timer").returncode == 0
    assert host.show("mailingest-retention.timer", "ActiveState") == "active"
    assert host.show("mailingest-retention.timer", "NextElapseUSecRealtime") != ""
    host.run("systemctl", "stop", "mailingest-retention.timer")


# A queue of Postfix that nothing is taken from; sendmail(1) and postdrop(1) are the real ones.
QUEUE = """
set -e
mkdir -p /etc/postfix
printf '%s\n' compatibility_level=3.6 mail_owner=postfix setgid_group=postdrop \
  queue_directory=/var/spool/postfix > /etc/postfix/main.cf
mount -t tmpfs tmpfs /var/spool/postfix
install -d -m 1730 -o postfix -g postdrop /var/spool/postfix/maildrop
install -d -m 2710 -o postfix -g postdrop /var/spool/postfix/public
"""
MAILDROP = "/var/spool/postfix/maildrop"


def test_the_report_of_yesterday_is_handed_to_sendmail_and_its_timer_waits(
    host: SystemdHost,
) -> None:
    made = host.run("sh", "-c", QUEUE)
    assert made.returncode == 0, made.stderr
    started = host.run("systemctl", "start", "mailingest")
    assert started.returncode == 0, started.stderr + host.log()
    yesterday = datetime.now(UTC).replace(hour=12) - timedelta(days=1)
    line = (
        f"<22>1 {yesterday:%Y-%m-%dT%H:%M:%SZ} mx1 postfix/smtp 1 - - 4C9D81A4B78: "
        "to=<bob@reported.example>, relay=mx.example.net[198.51.100.9]:25, delay=1, "
        "delays=0/0/0/1, dsn=5.1.1, status=bounced (550 5.1.1 no)"
    )
    host.run("bash", "-c", f"printf '%s' '{line}' > /dev/udp/127.0.0.1/5000")
    day = f"/var/lib/mailingest/mail/mail-{yesterday:%Y.%m.%d}.sqlite"
    wait_until(lambda: host.run("test", "-s", day).returncode == 0, "the line is stored")
    # All that was taken is stored before it ends.
    assert host.run("systemctl", "stop", "mailingest.socket", "mailingest").returncode == 0
    drop_in = "/run/systemd/system/mailingest-report.service.d"
    text = "[Service]\\nEnvironment=REPORT_TO=ann@example.org\\n"
    host.run("sh", "-c", f"mkdir -p {drop_in}; printf '{text}' > {drop_in}/to.conf")
    host.run("systemctl", "daemon-reload")

    reported = host.run("systemctl", "start", "mailingest-report.service")
    assert reported.returncode == 0, reported.stderr + host.log()
    [name] = host.run("ls", MAILDROP).stdout.split()
    mail = host.run("postcat", f"{MAILDROP}/{name}").stdout
    assert "\nTo: ann@example.org\n" in mail
    assert "\nSubject: Mail " in mail
    assert "reported.example" in mail

    assert host.run("systemctl", "start", "mailingest-report.timer").returncode == 0
    assert host.show("mailingest-report.timer", "NextElapseUSecRealtime") != ""
    host.run("systemctl", "stop", "mailingest-report.timer")


def test_the_page_shows_what_the_daemon_stores_and_can_write_none_of_it(host: SystemdHost) -> None:
    started = host.run("systemctl", "start", "mailingest", "mailingest-web")
    assert started.returncode == 0, started.stderr + host.log()
    line = (
        "<22>Nov 24 15:41:22 mx1 postfix/smtp[1]: 4C9D81A4B77: to=<bob@example.net>, "
        "relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
        "status=sent (250 2.0.0 Ok: queued as REMOTE77)"
    )
    host.run("bash", "-c", f"printf '%s' '{line}' > /dev/udp/127.0.0.1/5000")
    # While the daemon has the file open there is a write-ahead log, which a reader has to use.
    wait_until(lambda: mails(host) == ["bob@example.net"], "the page shows the mail")
    store = "/var/lib/mailingest/mail"
    logs = host.run("find", store, "-name", "*.sqlite-wal", "-size", "+0").stdout
    assert "/mail-" in logs
    assert as_the_page(host, f"cat {store}/*.sqlite > /dev/null").returncode == 0
    for attempt in (
        f"touch {store}/new",
        f"for file in {store}/*; do (: >> $file) && exit; done; exit 1",
        f"kill -0 {host.show('mailingest', 'MainPID')}",
    ):
        assert as_the_page(host, attempt).returncode != 0, attempt

    assert host.run("systemctl", "stop", "mailingest.socket", "mailingest").returncode == 0
    assert mails(host) == ["bob@example.net"], "also without the daemon"
    assert host.run("systemctl", "stop", "mailingest-web.socket", "mailingest-web").returncode == 0
    assert host.show("mailingest-web", "Result") == "success"


SEND = """
import json, os, socket, sys, time
# Knows nothing of restarts: each datagram goes once, and each connection has to be had at once.
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent, resets, number = 0, 0, 0
def line(kind):
    global sent
    sent += 1
    return f"<22>Nov 24 15:41:22 mx1 postfix/qmgr[{number}]: {kind}{sent:07X}: removed".encode()
print("begun", flush=True)
while not os.path.exists(sys.argv[1]):
    number += 1
    udp.sendto(line("4A"), ("127.0.0.1", 5000))
    if not number % 4:
        text = line("4B") + b"\\n"
        while True:
            # What ends may have reset a connection before connect() has returned.
            try:
                with socket.create_connection(("127.0.0.1", 5000), timeout=300) as tcp:
                    tcp.sendall(text)
                    tcp.shutdown(socket.SHUT_WR)
                    if tcp.recv(1) == b"":
                        break
            except (ConnectionResetError, BrokenPipeError):
                resets += 1  # was not accepted, and is sent again
    time.sleep(0.002)
print(json.dumps([sent, resets]))
"""
COUNT = """
from pathlib import Path
from tests.support.sqlite import StoredDocuments
found = StoredDocuments(Path("/var/lib/mailingest/mail"), "mail").find(limit=1_000_000)
print(sum(str(one.get("postfix_queueid")).startswith(("4A00", "4B00")) for one in found))
"""


def test_a_sender_that_knows_of_no_restart_loses_nothing(host: SystemdHost) -> None:
    started = host.run("systemctl", "start", "mailingest.socket")
    assert started.returncode == 0, started.stderr + host.log()
    stop = "/run/stop-sending"
    with host.started(sys.executable, "-c", SEND, stop) as sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == "begun\n"  # the first datagram starts the service
        wait_until(lambda: host.show("mailingest", "ActiveState") == "active", "it is started")
        for _ in range(3):
            restarted = host.run("systemctl", "restart", "mailingest")
            assert restarted.returncode == 0, restarted.stderr + host.log()
        host.run("touch", stop)
        said, _ = sender.communicate(timeout=PATIENCE)
    assert sender.returncode == 0
    sent, _ = json.loads(said)

    def stored() -> int:
        counted = host.run("env", f"PYTHONPATH={ROOT}", sys.executable, "-c", COUNT)
        assert counted.returncode == 0, counted.stderr
        return int(counted.stdout)

    wait_until(lambda: stored() >= sent, f"{sent} lines are stored, not {stored()}")
    assert stored() == sent
    assert "lines/s" in host.show("mailingest", "StatusText")
    host.run("systemctl", "stop", "mailingest.socket", "mailingest")


def test_the_state_of_a_dynamic_user_is_taken_over(host: SystemdHost) -> None:
    """As earlier versions had it: below /var/lib/private, of a user made at each start."""
    host.run("systemctl", "stop", "mailingest.socket", "mailingest", "mailingest-web")
    host.run("sh", "-c", "rm -rf /var/lib/mailingest /var/lib/private")
    drop_in = "/run/systemd/system/mailingest.service.d"
    host.run("mkdir", "-p", drop_in)
    text = "[Service]\\nDynamicUser=yes\\nUser=mailingest-old\\nGroup=mailingest-old\\n"
    host.run("sh", "-c", f"printf '{text}' > {drop_in}/old.conf")
    host.run("systemctl", "daemon-reload")
    started = host.run("systemctl", "start", "mailingest")
    assert started.returncode == 0, started.stderr + host.log()
    line = "<22>Nov 24 15:41:22 mx1 postfix/qmgr[1]: 4C0000001: removed"
    host.run("bash", "-c", f"printf '{line}' > /dev/udp/127.0.0.1/5000")
    files = "ls /var/lib/private/mailingest/mail"
    wait_until(lambda: ".sqlite" in host.run("sh", "-c", files).stdout, "it is stored")
    host.run("systemctl", "stop", "mailingest.socket", "mailingest")
    host.run("rm", "-r", drop_in)
    host.run("systemctl", "daemon-reload")
    started = host.run("systemctl", "start", "mailingest")
    assert started.returncode == 0, started.stderr + host.log()
    assert host.run("test", "-L", "/var/lib/mailingest").returncode == 1
    found = host.run("find", "/var/lib/mailingest", "-not", "-user", "mailingest")
    assert (found.returncode, found.stdout) == (0, "")
    traced = host.run(
        *("env", "STATE_DIRECTORY=/var/lib/mailingest", f"PYTHONPATH={ROOT}"),
        *(sys.executable, "-m", "mailingest", "trace", "--queue-id", "4C0000001"),
    )
    assert "4C0000001" in traced.stdout, traced.stderr
    host.run("systemctl", "stop", "mailingest.socket", "mailingest")


def mails(host: SystemdHost) -> list[str]:
    """The recipients that the page tells of."""
    url = "http://127.0.0.1:8025/search.json?queue_id=4C9D81A4B77"
    done = host.run(sys.executable, "-c", FETCH, url, f"ann:{PASSWORD}")
    assert done.returncode == 0, done.stderr + host.log()
    answer: Any = json.loads(done.stdout)
    return [mail["recipient"] for mail in answer["mails"]]


def as_the_page(host: SystemdHost, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with what the page's process sees, and with no more rights than it has."""
    pid = host.show("mailingest-web", "MainPID")
    user, group = host.run("stat", "-c", "%u %g", f"/proc/{pid}").stdout.split()
    return host.run("nsenter", "-t", pid, "-m", "-S", user, "-G", group, "sh", "-c", script)
