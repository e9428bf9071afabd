"""The Debian package in clean installations of Debian 12 and 13, as docs/install.md says."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from mailingest import __version__
from tests.docs.blocks import blocks_of
from tests.support.debian_host import DebianHost, fetch_wheels
from tests.support.lab.polling import PATIENCE, wait_until

ROOT: Final = Path(__file__).parents[2]
INSTALL: Final = ROOT / "docs" / "install.md"
OLDER: Final = "0.0.1"
DELIVERED: Final = (
    "4C9D81A4B77: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, "
    "delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as REMOTE77)"
)
# Sends a mail's line every few milliseconds until it is told to stop, and says how many.
SENDER: Final = """
import os, socket, time
sender, sent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
while not os.path.exists("/run/enough"):
    stamp = time.strftime("%b %e %H:%M:%S")
    line = f"<22>{stamp} mx1 postfix/smtp[{sent}]: 5AB12C{sent:05X}: to=<u{sent}@example.org>, "
    line += "relay=mx.example.org[198.51.100.9]:25, delay=1, dsn=2.0.0, status=sent (ok)"
    sender.sendto(line.encode(), ("127.0.0.1", 5000))
    sent += 1
    time.sleep(0.02)
open("/run/sent", "w").write(str(sent))
"""

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package, and with the same files as an older version."""
    directory = tmp_path_factory.mktemp("packages")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)
    [wheel] = directory.glob("*.whl")
    subprocess.run(
        [ROOT / ".ci" / "packages" / "deb", wheel, fetch_wheels(), directory], check=True
    )
    [package] = directory.glob("*.deb")
    older = directory / "older"
    older.mkdir()
    subprocess.run(["dpkg-deb", "-R", package, older / "content"], check=True)
    control = older / "content" / "DEBIAN" / "control"
    control.write_text(control.read_text().replace(f"Version: {__version__}", f"Version: {OLDER}"))
    config = older / "content" / "etc" / "mailingest" / "mailingest.toml"
    config.write_text(f"# {OLDER}\n{config.read_text()}")
    name = f"mailingest_{OLDER}_all.deb"
    subprocess.run(["dpkg-deb", "-Znone", "-b", older / "content", older / name], check=True)
    return directory


def commands(word: str) -> list[str]:
    """The commands of the block of docs/install.md that has a command with this word."""
    for block in blocks_of(INSTALL):
        if block.language == "console" and block.text.startswith("# ") and word in block.text:
            return [command.text for command in block.commands]
    raise LookupError(word)


class Host(DebianHost):
    """A clean Debian with what the walk asks of it."""

    def do(self, *commands: str) -> str:
        """Run commands as root in a shell, where the packages are; returns what they print."""
        out = ""
        for command in commands:
            shell = "export DEBIAN_FRONTEND=noninteractive; cd /mnt; " + command
            done = self.run("bash", "-c", shell)
            if done.returncode:
                raise AssertionError(f"{command}\n{done.stdout}{done.stderr}{self.log()}")
            out += done.stdout
        return out

    def is_active(self, unit: str) -> bool:
        return self.show(unit, "ActiveState") == "active"

    def traces(self, question: str) -> list[str]:
        """What `mailingest trace` answers, one JSON object a mail; nothing while there is none."""
        done = self.run("sh", "-c", f"mailingest trace --json --limit 0 {question}")
        return done.stdout.splitlines()

    def ours(self) -> set[str]:
        """All files that have the program's name in theirs."""
        return set(self.do("find / -xdev -path /mnt -prune -o -name '*mailingest*' -print").split())


@contextmanager
def lines_coming_in(host: Host) -> Iterator[list[int]]:
    """Datagrams come in all the time; how many it were is in the list after that."""
    host.do(f"systemd-run --quiet --unit=sender python3 -c '{SENDER}'")
    sent: list[int] = []
    wait_until(lambda: len(host.traces("--to @example.org")) > 0, "lines come in")
    yield sent
    host.do("touch /run/enough")
    wait_until(lambda: not host.is_active("sender"), "the sender has ended")
    sent.append(int(host.do("cat /run/sent")))


def test_it_is_installed_upgraded_removed_and_purged(packages: Path, tmp_path: Path) -> None:
    with Host("13", tmp_path / "host", packages) as host:
        before = host.ours()
        walk_to_the_first_mail(host)
        walk_through_an_upgrade(host)
        walk_away(host, before)


def test_it_serves_debian_12_too(packages: Path, tmp_path: Path) -> None:
    with Host("12", tmp_path / "host", packages) as host:
        before = host.ours()
        walk_to_the_first_mail(host)
        purge(host, before)


def walk_to_the_first_mail(host: Host) -> None:
    began = time.monotonic()
    host.do(*(each.replace("./", "./older/") for each in commands("apt-get install")))
    assert host.is_active("mailingest")
    assert host.show("mailingest", "User") == "mailingest"
    assert host.do("stat -c '%U:%G %a' /etc/mailingest/mailingest.toml") == "root:mailingest 640\n"
    assert host.is_active("mailingest-retention.timer")
    assert not host.is_active("mailingest-web")
    host.do(*commands("rsyslog.conf"))
    host.do(f"logger -p mail.info -t 'postfix/smtp[123]' '{DELIVERED}'")
    wait_until(lambda: len(host.traces("--to bob@example.net")) == 1, "the mail is found")
    print(f"{time.monotonic() - began:.0f} s to the first mail")
    assert "bob@example.net" in host.do(*commands("mailingest trace"))


def walk_through_an_upgrade(host: Host) -> None:
    host.do("sed -i 's/^# days = .*/days = 7/' /etc/mailingest/mailingest.toml")
    host.do("echo force-confold > /etc/dpkg/dpkg.cfg.d/keep")
    assert "WRONG" not in host.do(*commands("mailingest check"))
    host.do(*commands("mailingest-web"))
    process, page = (host.show(unit, "MainPID") for unit in ("mailingest", "mailingest-web"))
    with lines_coming_in(host) as sent:
        host.do(*commands("apt-get install"))
        wait_until(lambda: host.is_active("mailingest"), "it is active again")
    assert host.show("mailingest", "MainPID") != process
    assert __version__ in host.do("dpkg-query -W mailingest", "mailingest --version")
    wait_until(lambda: len(host.traces("--to @example.org")) == sent[0], "all lines are stored")
    assert len(host.traces("--to bob@example.net")) == 1
    config = host.do(
        "stat -c '%U:%G %a' /etc/mailingest/mailingest.toml", "grep ^days /etc/mailingest/*.toml"
    )
    assert config == "root:mailingest 640\ndays = 7\n"
    assert host.is_active("mailingest-web")
    assert host.show("mailingest-web", "MainPID") != page


def walk_away(host: Host, before: set[str]) -> None:
    host.do(*commands("apt-get remove"))
    assert not host.is_active("mailingest")
    assert not host.is_active("mailingest-web")
    assert not host.is_active("mailingest.socket")
    kept = "/etc/mailingest/mailingest.toml /var/lib/mailingest/mail/*.sqlite"
    host.do(f"ls {kept}", "! test -e /usr/bin/mailingest", "! test -e /usr/lib/mailingest")
    purge(host, before)


def purge(host: Host, before: set[str]) -> None:
    host.do(*commands("apt-get purge"))
    assert not host.is_active("mailingest")
    # The journal and what an operator has put beside it are not the package's.
    left = {path for path in host.ours() - before if not path.startswith("/etc/rsyslog.d/")}
    assert left == set()
