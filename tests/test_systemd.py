"""The systemd unit, on a real systemd: starts, receives, restarts, stops, and is hardened."""

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.lab.polling import wait_until
from tests.systemd_host import SystemdHost

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "systemd" / "mailingest.service"
RETENTION = ROOT / "systemd" / "mailingest-retention.service"
PROGRAM = "/usr/local/bin/mailingest"
# What systemd-analyze gives a unit without any protection is 9.6; below 2.0 is its best class.
HIGHEST_EXPOSURE = 2.0

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
    days = "Environment=MAILINGEST_RETENTION__DAYS=3\n"
    for unit in (UNIT, RETENTION):
        text = unit.read_text().replace(PROGRAM, f"/run/python/{interpreter} -m mailingest")
        text = text.replace("[Service]", f"[Service]\n{binds}{paths}{days}")
        (units / unit.name).write_text(text)
    timer = RETENTION.with_suffix(".timer")
    (units / timer.name).write_text(timer.read_text())
    return units


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    directory = tmp_path_factory.mktemp("systemd")
    with SystemdHost(installed(directory), directory / "console.log") as running:
        yield running


def test_the_unit_is_well_formed(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_hardened() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(UNIT)],
        capture_output=True,
        text=True,
        check=True,
    )
    exposure = re.search(r"exposure level for mailingest.service: ([\d.]+)", done.stdout)
    assert exposure is not None
    assert float(exposure[1]) < HIGHEST_EXPOSURE


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
