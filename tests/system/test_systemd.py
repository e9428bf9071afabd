"""The systemd units, on a real systemd: they start, restart, stop, and are hardened."""

import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailingest.web.users import hash_password
from tests.support.lab.polling import PATIENCE, wait_until
from tests.support.systemd_host import SystemdHost

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "mailingest.service"
RETENTION = ROOT / "systemd" / "mailingest-retention.service"
WEB = ROOT / "systemd" / "mailingest-web.service"
UNITS = (UNIT, RETENTION, WEB)
PROGRAM = "/usr/local/bin/mailingest"
# In tenths.  What systemd-analyze gives a unit without any protection is 9.6; its best class ends
# at 2.0.
HIGHEST_EXPOSURE = 15

# The file that the web unit is given as a credential, and a request of one who has logged in.
USERS = "/run/systemd/system/users"
PASSWORD = "s3cret"
FETCH = """
import base64, sys, urllib.request
request = urllib.request.Request(sys.argv[1])
request.add_header("Authorization", "Basic " + base64.b64encode(sys.argv[2].encode()).decode())
print(urllib.request.urlopen(request, timeout=300).read().decode())
"""

pytestmark = pytest.mark.system


def installed(directory: Path) -> Path:
    """The units, with the program of this environment in place of the installed one.

    Interpreter and libraries may lie in a home directory, which the unit hides: they are shown
    to it elsewhere.
    """
    units = directory / "units"
    units.mkdir()
    interpreter = Path(sys.executable).resolve().relative_to(sys.base_prefix)
    places = {
        "/run/python": sys.base_prefix,
        "/run/libraries": sysconfig.get_path("purelib"),
        "/run/source": str(ROOT),
    }
    binds = "".join(f"BindReadOnlyPaths={there}:{here}\n" for here, there in places.items())
    # An interpreter may be linked to a library beside it.
    paths = "Environment=PYTHONPATH=/run/libraries:/run/source LD_LIBRARY_PATH=/run/python/lib\n"
    settings = "Environment=MAILINGEST_RETENTION__DAYS=3 MAILINGEST_WEB__USERS_FILE=users\n"
    settings += f"TimeoutStartSec={PATIENCE:g}\n"
    for unit in UNITS:
        text = unit.read_text().replace(PROGRAM, f"/run/python/{interpreter} -m mailingest")
        text = text.replace("[Service]", f"[Service]\n{binds}{paths}{settings}")
        text = text.replace(
            "# LoadCredential=users:/etc/mailingest/users", f"LoadCredential=users:{USERS}"
        )
        (units / unit.name).write_text(text)
    timer = RETENTION.with_suffix(".timer")
    (units / timer.name).write_text(timer.read_text())
    users = units / Path(USERS).name
    users.write_text(f"ann:{hash_password(PASSWORD)}\n")
    users.chmod(0o600)
    return units


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    directory = tmp_path_factory.mktemp("systemd")
    with SystemdHost(installed(directory), directory / "console.log") as running:
        yield running


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_well_formed(tmp_path: Path, path: Path) -> None:
    unit = tmp_path / path.name
    unit.write_text(path.read_text().replace(PROGRAM, sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
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
    files = "ls /var/lib/private/mailingest/mail /var/lib/mailingest/mail"
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
    stopped = host.run("systemctl", "stop", "mailingest")
    assert stopped.returncode == 0
    assert host.show("mailingest", "Result") == "success"


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
    started = host.run("systemctl", "start", "mailingest")
    assert started.returncode == 0, started.stderr + host.log()
    before = int(host.show("mailingest", "NRestarts"))
    line = f"<22>Nov 24 15:41:22 mx1 myfilter[1]: x1y2{'a' * 40}!"
    host.run("bash", "-c", f"printf '{line}' > /dev/udp/127.0.0.1/5000")
    letters = "cat /var/lib/private/mailingest/dead-letters-*"
    wait_until(lambda: "x1y2" in host.run("sh", "-c", letters).stdout, "it is a dead letter")
    assert "earlier runs of mailingest ended" in host.run("sh", "-c", letters).stdout
    assert int(host.show("mailingest", "NRestarts")) - before == 2
    host.run("rm", "-r", unit)
    host.run("systemctl", "daemon-reload")
    assert host.run("systemctl", "stop", "mailingest").returncode == 0


def test_retention_deletes_old_days_of_its_user_and_its_timer_waits(host: SystemdHost) -> None:
    state = "/var/lib/private/mailingest"
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
    log = "/var/lib/private/mailingest/mail/*.sqlite-wal"
    assert host.run("sh", "-c", f"test -s {log}").returncode == 0

    store = "/var/lib/mailingest/mail"
    assert as_the_page(host, f"cat {store}/*.sqlite > /dev/null").returncode == 0
    for attempt in (
        f"touch {store}/new",
        f"for file in {store}/*; do (: >> $file) && exit; done; exit 1",
        f"kill -0 {host.show('mailingest', 'MainPID')}",
    ):
        assert as_the_page(host, attempt).returncode != 0, attempt

    assert host.run("systemctl", "stop", "mailingest").returncode == 0
    assert mails(host) == ["bob@example.net"], "also without the daemon"
    assert host.run("systemctl", "stop", "mailingest-web").returncode == 0
    assert host.show("mailingest-web", "Result") == "success"


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
