"""The journal of a real journald, read by the service as it is shipped."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.installed_units import PIECES, installed
from tests.support.lab.polling import wait_until
from tests.support.systemd_host import SystemdHost

WRITE = """
import socket, sys
first, count = map(int, sys.argv[1:])
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for number in range(first, first + count):
    for _ in range(3 if number % 10 == 0 else 1):  # some are the same in all that they say
        text = f"MESSAGE=NOQUEUE: reject: number {number}\\nSYSLOG_FACILITY=2\\nSYSLOG_PID=7\\n"
        text += "SYSLOG_IDENTIFIER=postfix/smtpd\\nPRIORITY=6\\n"
        journal.sendto(text.encode(), "/run/systemd/journal/socket")
"""
DROP_IN = "[Service]\nSupplementaryGroups=systemd-journal\nProcSubset=all\n"
DROP_INS = "/run/systemd/system/mailingest.service.d"
CONFIG = "[inputs.journald]\nenabled = true\n[state]\nsnapshot_interval = 1\n"
JOURNALD = "[Journal]\nRateLimitIntervalSec=0\nStorage=volatile\n"
READ = """
import json
from pathlib import Path
from tests.support.sqlite import StoredDocuments
found = StoredDocuments(Path("/var/lib/mailingest/mail"), "mail").find(limit=100_000)
print(json.dumps([[one["message"], one["host"], one["program"], one["pid"]] for one in found]))
"""

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdHost]:
    directory = tmp_path_factory.mktemp("journald")
    with SystemdHost(installed(directory), directory / "console.log") as running:
        for command in (
            f"systemd-sysusers {PIECES}/sysusers.d/mailingest.conf",
            f"systemd-tmpfiles --create {PIECES}/tmpfiles.d/mailingest.conf",
            f"mkdir -p /etc/mailingest; printf '{CONFIG}' > /etc/mailingest/mailingest.toml",
            f"printf '{JOURNALD}' > /etc/systemd/journald.conf",
            "mkdir -p /run/log/journal; systemd-tmpfiles --create --prefix=/run/log/journal",
            "systemctl start systemd-journald.socket systemd-journald.service",
        ):
            shell(running, command.replace("\n", "\\n"))
        yield running


def shell(host: SystemdHost, command: str) -> str:
    done = host.run("sh", "-c", command)
    assert done.returncode == 0, done.stderr + host.log()
    return done.stdout


def begin(host: SystemdHost, config: str = CONFIG, *, permitted: bool = True) -> None:
    """Whatever was before: settings without a state, and a service that may read the journal."""
    config, drop_in = config.replace("\n", "\\n"), DROP_IN.replace("\n", "\\n")
    shell(host, "systemctl stop mailingest; rm -rf /var/lib/mailingest/*")
    shell(host, f"printf '{config}' > /etc/mailingest/mailingest.toml")
    if permitted:
        shell(host, f"mkdir -p {DROP_INS} && printf '{drop_in}' > {DROP_INS}/journal.conf")
    else:
        shell(host, f"rm -rf {DROP_INS}")
    shell(host, "systemctl daemon-reload && systemctl reset-failed")


def start(host: SystemdHost) -> None:
    """Start the service for the first time; what is written from now on is new to it."""
    shell(host, "systemctl start mailingest")
    invocation = shell(host, "systemctl show -p InvocationID --value mailingest").strip()
    of_this_start = f"journalctl _SYSTEMD_INVOCATION_ID={invocation}"
    wait_until(lambda: "the journal is read" in shell(host, of_this_start), "it has begun")


def stored(host: SystemdHost) -> list[list[Any]]:
    root = Path(__file__).parents[2]
    done = host.run("sh", "-c", f"cd {root} && exec {sys.executable} -c '{READ}'")
    rows: list[list[Any]] = json.loads(done.stdout or "[]")
    return [row for row in rows if "number" in row[0]]


def test_entries_are_stored_once_whoever_is_killed(host: SystemdHost) -> None:
    # Without the group: the fix is said, and nothing is lost of what comes meanwhile.
    begin(host, permitted=False)
    shell(host, "systemctl start mailingest")
    wait_until(
        lambda: "SupplementaryGroups=systemd-journal" in shell(host, "journalctl -u mailingest"),
        "the missing group is told",
    )
    text = DROP_IN.replace("\n", "\\n")
    shell(host, f"mkdir -p {DROP_INS} && printf '{text}' > {DROP_INS}/journal.conf")
    shell(host, "systemctl daemon-reload && systemctl restart mailingest")
    write = f"{sys.executable} -c '{WRITE}'"
    shell(host, f"{write} 0 300 & pkill -KILL -x journalctl; wait")
    shell(host, f"{write} 300 300 & systemctl kill -s KILL mailingest; wait")
    shell(host, f"{write} 600 300 & systemctl kill -s KILL systemd-journald; wait")
    shell(host, f"{write} 900 300 & journalctl --rotate; systemctl restart mailingest; wait")
    expected = Counter(
        f"NOQUEUE: reject: number {number}"
        for number in range(1200)
        for _ in range(1 if number % 10 else 3)
    )
    wait_until(lambda: len(stored(host)) >= expected.total(), "all is stored")
    rows = stored(host)
    assert Counter(row[0] for row in rows) == expected
    assert {tuple(row[1:]) for row in rows} == {
        (shell(host, "hostname").strip(), "postfix/smtpd", "7")
    }


def test_an_entry_that_was_vacuumed_is_told_and_gone_on_behind(host: SystemdHost) -> None:
    write = f"{sys.executable} -c '{WRITE}'"
    begin(host)
    start(host)
    shell(host, f"{write} 1999 1")
    wait_until(lambda: len(stored(host)) == 1, "it has read one")
    shell(host, "systemctl stop mailingest")
    shell(host, f"{write} 2000 11; journalctl --rotate; {write} 3000 11; journalctl --rotate")
    # The file with the entry that was read last, and only that one, is gone.
    shell(host, "cd /run/log/journal/*/ && rm $(ls -tr system@*.journal | head -n -1)")
    shell(host, "systemctl start mailingest")

    def later() -> set[str]:
        return {row[0] for row in stored(host) if int(row[0].split()[-1]) >= 3000}

    wait_until(lambda: len(later()) == 11, "what is there is read")
    assert "is not there any more" in shell(host, "journalctl -u mailingest")


@pytest.mark.parametrize(
    ("since", "first", "reads_old"), [("all", 4000, True), ("1h", 5000, True), ("now", 6000, False)]
)
def test_the_first_start_begins_where_it_is_told(
    host: SystemdHost, since: str, first: int, reads_old: bool
) -> None:
    write = f"{sys.executable} -c '{WRITE}'"
    begin(host, CONFIG.replace("enabled = true", f'enabled = true\nsince = "{since}"'))
    shell(host, f"{write} {first} 1")
    start(host)
    shell(host, f"{write} {first + 1} 1")
    old, new = (f"NOQUEUE: reject: number {number}" for number in (first, first + 1))
    wait_until(lambda: new in {row[0] for row in stored(host)}, "what is new is stored")
    assert (old in {row[0] for row in stored(host)}) is reads_old
