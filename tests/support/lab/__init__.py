"""A small laboratory: real Postfix and real rsyslog, mails whose fate is known beforehand.

Nothing of the machine's own Postfix, syslog or mailboxes is touched: both run in private
namespaces with their own files.  Only the network is shared, and only loopback is used.
"""

import os
import re
import shutil
import smtplib
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from tests.support.lab.facts import (
    LocalCopy,
    Refused,
    SentMail,
    Submission,
    complete,
    local_copies,
    notification,
)
from tests.support.lab.namespace import Namespace
from tests.support.lab.polling import wait_until
from tests.support.lab.postfix import Postfix, prepare
from tests.support.lab.remote import RemoteServer
from tests.support.lab.rsyslog import Rsyslog
from tests.support.lab.scenarios import NO_SUCH_USER, SCENARIOS, Scenario
from tests.support.ports import free_port

_NEEDED = ("/usr/sbin/postfix", "/usr/sbin/rsyslogd", "/usr/bin/openssl")
_INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --no-install-recommends -y"
_PACKAGES = "postfix rsyslog openssl"

HOSTNAME = "mx1"
# Far from UTC: for 14 hours of each day the log's date is not that of the daily index.
TIMEZONE = "Pacific/Kiritimati"
POSIX_ZONE = "<+14>-14"
SERVER_IP = "127.0.0.77"
REMOTE_HOSTNAME = "mail.example.net"
REMOTE_IP = "127.0.0.78"
CLIENT_HOSTNAME = "client.example.org"
CLIENT_IP = "127.0.0.79"
USERS = {"alice": 50001, "bob": 50002}

_HOSTS = f"""\
127.0.0.1 localhost
{SERVER_IP} mx1.example.com mx1
{REMOTE_IP} {REMOTE_HOSTNAME}
{CLIENT_IP} {CLIENT_HOSTNAME}
"""
_QMGR = re.compile(r"/qmgr\[\d+\]: (\w+): (from=|removed)")


def require_programs() -> None:
    """Raise RuntimeError, with the command that helps, if the machine lacks something."""
    if missing := [program for program in _NEEDED if shutil.which(program) is None]:
        raise RuntimeError(f"{', '.join(missing)} missing; run: {_INSTALL} {_PACKAGES}")
    if os.geteuid() != 0:
        raise RuntimeError("Postfix in private namespaces needs root; run the tests as root")


class MailLab:
    """Postfix, rsyslog and a partner's server; a context manager that ends all of them.

    ``record`` begins a run, ``submit`` and ``send`` send mails, ``wait_until_quiet`` waits for
    their fate; ``facts`` then tells it, those of Postfix's own notifications last.
    """

    def __init__(self, directory: Path) -> None:
        require_programs()
        self._directory = directory
        self._runs = 0
        self._submissions: list[Submission] = []
        self._syslog: Rsyslog | None = None
        self.facts: list[SentMail] = []
        self.refused: list[Refused] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.remote = RemoteServer(REMOTE_IP, REMOTE_HOSTNAME)
            stack.callback(self.remote.close)
            self._port = free_port(SERVER_IP)
            mounts = self._system_files() | prepare(
                self._directory / "postfix", SERVER_IP, self._port, self.remote.port
            )
            self._namespace = Namespace(HOSTNAME, POSIX_ZONE, self._directory / "dev", mounts)
            stack.callback(self._namespace.close)
            self._postfix = Postfix(self._namespace, SERVER_IP, self._port)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._cleanup:
            if self._syslog is not None:
                self._syslog.close()

    def _system_files(self) -> dict[str, Path]:
        users = [f"{name}:x:{uid}:{uid}::/nonexistent:/bin/sh\n" for name, uid in USERS.items()]
        others = Path("/etc/passwd").read_text().splitlines(keepends=True)
        users += [line for line in others if line.partition(":")[0] not in USERS]
        files = {
            "/etc/hosts": _HOSTS,
            "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
            "/etc/passwd": "".join(users),
        }
        mounts = {}
        for inside, content in files.items():
            mounts[inside] = self._directory / Path(inside).name
            mounts[inside].write_text(content)
        return mounts

    @property
    def traditional_log(self) -> Path:
        """This run's log in the traditional format, which has no year."""
        return self._running_syslog.traditional_log

    @property
    def iso_log(self) -> Path:
        """This run's log with RFC 3339 times."""
        return self._running_syslog.iso_log

    @property
    def _running_syslog(self) -> Rsyslog:
        if self._syslog is None:
            raise RuntimeError("no run has begun: call record() first")
        return self._syslog

    def record(self, *, udp_ports: Iterable[int] = (), tcp_ports: Iterable[int] = ()) -> None:
        """Begin a run: new log files, no facts, and log lines forwarded to these ports.

        Who listens on a TCP port must do so already: rsyslog as it comes drops what it cannot
        deliver at once.
        """
        if self._syslog is not None:
            self._syslog.close()
        self._runs += 1
        self._submissions.clear()
        self.remote.forget()
        self.facts, self.refused = [], []
        self._syslog = Rsyslog(
            self._namespace, self._directory / f"run{self._runs}", udp_ports, tcp_ports
        )

    def send_all(self) -> None:
        """Send every scenario's mail and one to nobody, and wait until all is decided."""
        for scenario in SCENARIOS:
            self.submit(scenario)
        self.send_refused(NO_SUCH_USER)
        self.wait_until_decided()
        self.flush()
        self.wait_until_quiet()

    def submit(self, scenario: Scenario) -> None:
        """Send one scenario's mail the way it says."""
        send = self.sendmail if scenario.by == "sendmail" else self.send
        send(scenario)

    def send(self, scenario: Scenario) -> None:
        """Send a mail by SMTP; Postfix must take it for all its recipients."""
        sender = f"{scenario.name}@{CLIENT_HOSTNAME}"
        message_id, content = _mail(scenario, sender)
        with self._smtp() as client:
            client.mail(sender)
            for recipient in scenario.recipients:
                code, reply = client.rcpt(recipient.address)
                if code != 250:
                    raise RuntimeError(f"{recipient.address} was refused: {code} {reply!r}")
            code, reply = client.data(content)
        if code != 250:
            raise RuntimeError(f"{scenario.name} was refused: {code} {reply!r}")
        self._submissions.append(
            Submission(
                scenario=scenario.name,
                sender=sender,
                recipients=scenario.recipients,
                message_id=message_id,
                queue_id=reply.decode().rsplit(" ", 1)[1],
                client_hostname=CLIENT_HOSTNAME,
                client_ip=CLIENT_IP,
            )
        )

    def sendmail(self, scenario: Scenario) -> None:
        """Submit a mail by the sendmail command, as user alice."""
        sender = f"{scenario.name}@example.com"
        message_id, content = _mail(scenario, sender)
        uid = USERS["alice"]
        addresses = [recipient.address for recipient in scenario.recipients]
        self._postfix.sendmail(uid, sender, addresses, content)
        self._submissions.append(
            Submission(scenario.name, sender, scenario.recipients, message_id, uid=uid)
        )

    def send_refused(self, recipient: str) -> None:
        """Try a recipient that smtpd refuses."""
        sender = f"refused@{CLIENT_HOSTNAME}"
        with self._smtp() as client:
            client.mail(sender)
            code, reply = client.rcpt(recipient)
        if code < 400:
            raise RuntimeError(f"{recipient} was not refused: {code} {reply!r}")
        self.refused.append(Refused(sender, recipient, f"{code} {reply.decode()}"))

    def _smtp(self) -> smtplib.SMTP:
        client = smtplib.SMTP(
            SERVER_IP, self._port, local_hostname=CLIENT_HOSTNAME, source_address=(CLIENT_IP, 0)
        )
        client.ehlo()
        return client

    def log(self, line: bytes) -> None:
        """Write a line to /dev/log as the C library would: ``<PRI>TIMESTAMP TAG: MSG``."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect(str(self.inside("/dev/log")))
            client.send(line)

    def inside(self, path: str) -> Path:
        """Where the tests reach a path as Postfix and rsyslog see it."""
        return self._namespace.path(path)

    def log_lines(self) -> list[str]:
        """The lines of the traditional log so far."""
        if not self.traditional_log.exists():
            return []
        return self.traditional_log.read_text("latin-1").splitlines()

    def flush(self) -> None:
        """Try all deferred mail now."""
        self._postfix.flush()

    def wait_until_decided(self) -> None:
        """Wait until every mail was tried: the queue holds nothing but deferred mail."""

        def is_decided() -> bool:
            return all(mail["queue_name"] == "deferred" for mail in self._postfix.queue())

        # A mail on its way from one queue to another may be missing in a listing.
        wait_until(lambda: is_decided() and is_decided(), "only deferred mail is left")

    def wait_until_quiet(self) -> None:
        """Wait until the queue is empty and its last log line written; then fill ``facts``."""
        wait_until(lambda: not self._postfix.queue(), "the queue is empty")
        wait_until(lambda: not self._unfinished(), "the log has the end of every mail")
        copies = self.local_copies()
        self.facts = [complete(each, copies, self.remote) for each in self._submissions]
        self.facts += [notification(mail) for mail in self.remote.mails if mail.sender == ""]

    def _unfinished(self) -> set[str]:
        # A mail on its way from the deferred to the active queue may be missing in a listing.
        steps = _QMGR.findall("\n".join(self.log_lines()))
        ends = {queue_id for queue_id, step in steps if step == "removed"}
        return {queue_id for queue_id, _ in steps} - ends

    def local_copies(self) -> list[LocalCopy]:
        """All mails in local mailboxes, those of earlier runs too."""
        return local_copies(self._directory / "postfix" / "mail")


def _mail(scenario: Scenario, sender: str) -> tuple[str, bytes]:
    message_id = f"<{uuid4()}@{CLIENT_HOSTNAME}>"
    head = f"From: {sender}\r\nMessage-ID: {message_id}\r\n".encode()
    return message_id, head + b"Subject: " + scenario.subject + b"\r\n\r\nHello.\r\n"
