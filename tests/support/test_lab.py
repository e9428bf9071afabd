"""The laboratory itself: its mails have the fate they should have, and its log arrives."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.lab import REMOTE_HOSTNAME, USERS, MailLab
from tests.support.lab.collectors import Collector
from tests.support.lab.facts import LocalCopy, Refused, SentMail
from tests.support.lab.polling import wait_until
from tests.support.lab.remote import RemoteMail
from tests.support.lab.scenarios import SCENARIOS

pytest_plugins = ["tests.support.lab.fixture"]
pytestmark = pytest.mark.lab

# "Grüße" in ISO-8859-1, as a daemon with 8-bit text writes it to /dev/log.
LATIN1_LINE = b"<22>Nov 24 12:00:00 dovecot: imap(bob): Gr\xfc\xdfe"


@dataclass(frozen=True)
class Run:
    """What one run left behind."""

    facts: list[SentMail]
    refused: list[Refused]
    local: list[LocalCopy]
    remote: list[RemoteMail]
    log: bytes
    iso_log: bytes
    datagrams: list[bytes]
    stream: bytes


@pytest.fixture(scope="module")
def run(lab: MailLab) -> Iterator[Run]:
    with Collector() as collector:
        lab.record(udp_ports=[collector.udp_port], tcp_ports=[collector.tcp_port])
        lab.send_all()
        lab.log(LATIN1_LINE)
        wait_until(lambda: LATIN1_LINE[-5:] in lab.traditional_log.read_bytes(), "the last line")
        log = lab.traditional_log.read_bytes()
        lines = log.count(b"\n")
        wait_until(lambda: len(collector.datagrams) >= lines, "all datagrams have come")
        wait_until(lambda: collector.stream.count(b"\n") >= lines, "the whole stream has come")
        yield Run(
            facts=lab.facts,
            refused=lab.refused,
            local=lab.local_copies(),
            remote=list(lab.remote.mails),
            log=log,
            iso_log=lab.iso_log.read_bytes(),
            datagrams=collector.datagrams,
            stream=collector.stream,
        )


def without_priority(record: bytes) -> bytes:
    return record.partition(b">")[2]


def mailboxes(run: Run, mail: SentMail) -> list[str]:
    return [copy.mailbox for copy in run.local if copy.message_id == mail.message_id]


def test_every_scenario_has_its_facts_and_each_bounce_its_notification(run: Run) -> None:
    scenarios = [mail.scenario for mail in run.facts]
    bounced = [scenario.name for scenario in SCENARIOS if "bounced" in str(scenario.recipients)]
    assert scenarios == [each.name for each in SCENARIOS] + ["notification"] * len(bounced)
    notified = {mail.recipients[0].address.partition("@")[0] for mail in run.facts[-2:]}
    assert notified == set(bounced) == {"bounced", "several"}


def test_mail_is_in_exactly_the_mailboxes_it_was_sent_to(run: Run) -> None:
    for mail in run.facts:
        local = [each.address for each in mail.recipients if each.address.endswith("@example.com")]
        assert mailboxes(run, mail) == [address.partition("@")[0] for address in local], mail


def test_the_partner_took_exactly_the_mail_that_was_sent_to_it(run: Run) -> None:
    expected = {
        (mail.message_id, each.address, mail.remote_queue_id)
        for mail in run.facts
        for each in mail.recipients
        if each.statuses[-1] == "sent" and not each.address.endswith("@example.com")
    }
    taken = {(mail.message_id, mail.recipients[0], mail.queue_id) for mail in run.remote}
    assert taken == expected


def test_the_log_agrees_with_the_facts(run: Run) -> None:
    lines = run.log.decode("latin-1").splitlines()
    for mail in run.facts:
        of_mail = [line for line in lines if f" {mail.queue_id}: " in line]
        active = f"from=<{mail.sender}>, size={mail.size}, nrcpt={len(mail.recipients)} "
        assert any(active in line for line in of_mail), active
        assert any(f"message-id={mail.message_id}" in line for line in of_mail), mail
        for recipient in mail.recipients:
            deliveries = [line for line in of_mail if f" to=<{recipient.address}>," in line]
            statuses = tuple(line.split("status=")[1].split()[0] for line in deliveries)
            assert statuses == recipient.statuses, mail
            by_partner = not recipient.address.endswith("@example.com")
            assert all((REMOTE_HOSTNAME in line) == by_partner for line in deliveries), mail


def test_smtpd_refuses_who_does_not_exist_before_there_is_a_queue_id(run: Run) -> None:
    (refused,) = run.refused
    assert refused.reply.startswith("550 5.1.1")
    assert f"NOQUEUE: reject: RCPT from client.example.org[127.0.0.79]: {refused.reply}" in (
        run.log.decode("latin-1")
    )


def test_a_submitted_mail_shows_its_user(run: Run) -> None:
    (mail,) = [mail for mail in run.facts if mail.uid is not None]
    line = f": {mail.queue_id}: uid={USERS['alice']} from=<{mail.sender}>"
    assert line in run.log.decode("latin-1")


def test_postfix_masks_latin1_and_keeps_utf8(run: Run) -> None:
    assert b"header Subject: checked Gr??e from" in run.log
    assert "header Subject: checked Grüße from".encode() in run.log


def test_udp_carries_the_lines_of_the_file_each_with_its_priority(run: Run) -> None:
    records = [without_priority(datagram) for datagram in run.datagrams]
    assert records == run.log.splitlines()


def test_tcp_carries_the_same_records_with_line_feeds(run: Run) -> None:
    assert run.stream == b"".join(datagram + b"\n" for datagram in run.datagrams)


def test_a_latin1_octet_of_another_daemon_travels_unchanged(run: Run) -> None:
    assert without_priority(run.datagrams[-1]).endswith(b"mx1 dovecot: imap(bob): Gr\xfc\xdfe")


def test_the_iso_log_has_the_same_lines_with_the_zone_of_the_laboratory(run: Run) -> None:
    records = [line.partition(b" ")[2] for line in run.iso_log.splitlines()]
    assert records == [line[16:] for line in run.log.splitlines()]
    assert all(line.partition(b" ")[0].endswith(b"+14:00") for line in run.iso_log.splitlines())


def test_nothing_of_it_lies_in_the_machine_s_own_places(lab: MailLab) -> None:
    for place in ("/dev", "/etc/passwd", "/etc/postfix", "/var/mail", "/var/spool/postfix"):
        assert not Path(place).samefile(lab.inside(place))
    mounted = Path("/proc/self/mounts").read_text()
    assert "/etc/postfix" not in mounted
    assert "/var/spool/postfix" not in mounted


def test_closing_ends_every_process(tmp_path: Path) -> None:
    with MailLab(tmp_path) as second:
        second.record()
        second.send_all()
        started = processes_of(tmp_path)
    assert any("rsyslogd" in command for command in started)
    assert processes_of(tmp_path) == []


def processes_of(directory: Path) -> list[str]:
    """Command lines that name a directory."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if str(directory) in line]


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(RuntimeError, match=r"apt-get install .* postfix rsyslog"):
        MailLab(tmp_path)
