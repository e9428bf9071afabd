"""What is known of the mails that were sent, without a look at any log."""

import mailbox
import re
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

from tests.support.lab.remote import RemoteMail, RemoteServer

# Postfix counts what lies in its queue file: a line ending counts as two octets.
_LINE_ENDING = 2
# local(8) writes these in front of the mail.
_ADDED_BY_LOCAL = re.compile(rb"\A(?:(?:X-Original-To|Delivered-To|Return-Path): .*\n)+")


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient and the status of each attempt to deliver to it, in order."""

    address: str
    statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SentMail:
    """One mail in Postfix's queue: by SMTP (``client_*``), by sendmail (``uid``), or its own.

    ``queue_id`` is the one in Postfix's reply and in the delivered copies.
    ``size`` is what Postfix announced to the partner and that of the copy in the mailbox.
    ``remote_queue_id`` is the one in the partner's reply.
    """

    scenario: str
    sender: str
    recipients: tuple[Recipient, ...]
    message_id: str
    queue_id: str
    size: int
    client_hostname: str | None
    client_ip: str | None
    uid: int | None
    remote_queue_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A recipient that smtpd refused, and its reply."""

    sender: str
    recipient: str
    reply: str


@dataclass(frozen=True, slots=True)
class Submission:
    """What the sending side knows of a mail at once."""

    scenario: str
    sender: str
    recipients: tuple[Recipient, ...]
    message_id: str
    queue_id: str | None = None
    client_hostname: str | None = None
    client_ip: str | None = None
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """A mail in a local mailbox: ``content`` as it was in the queue, with LF line endings."""

    mailbox: str
    message_id: str
    content: bytes

    @property
    def size(self) -> int:
        """The size as Postfix counts it (for lines of less than 128 octets)."""
        return sum(len(line) + _LINE_ENDING for line in self.content.splitlines())


def local_copies(directory: Path) -> list[LocalCopy]:
    """All mails in the mailboxes of a directory."""
    copies = []
    for path in sorted(directory.iterdir()):
        box = mailbox.mbox(path, create=False)
        for key in box.keys():  # noqa: SIM118
            content = _ADDED_BY_LOCAL.sub(b"", box.get_bytes(key))
            message_id = str(message_from_bytes(content)["Message-ID"])
            copies.append(LocalCopy(path.name, message_id, content))
        box.close()
    return copies


def complete(submission: Submission, copies: list[LocalCopy], remote: RemoteServer) -> SentMail:
    """Add what the delivered copies and the partner know; raises LookupError without any."""
    message_id = submission.message_id
    here = [copy for copy in copies if copy.message_id == message_id]
    taken = [mail for mail in remote.mails if mail.message_id == message_id]
    sizes = [mail.size for mail in taken] + [copy.size for copy in here]
    if submission.sender in remote.announced_sizes:  # refused, perhaps by all
        sizes.append(remote.announced_sizes[submission.sender])
    queue_ids = [submission.queue_id] if submission.queue_id else []
    contents = [mail.content for mail in taken] + [copy.content for copy in here]
    queue_ids += [received_by(content) for content in contents]
    if len(set(queue_ids)) != 1 or len(set(sizes)) != 1:
        raise LookupError(f"{submission.scenario}: queue IDs {queue_ids}, sizes {sizes}")
    return SentMail(
        scenario=submission.scenario,
        sender=submission.sender,
        recipients=submission.recipients,
        message_id=message_id,
        queue_id=queue_ids[0],
        size=sizes[0],
        client_hostname=submission.client_hostname,
        client_ip=submission.client_ip,
        uid=submission.uid,
        remote_queue_id=taken[0].queue_id if taken else None,
    )


def notification(mail: RemoteMail) -> SentMail:
    """The facts of a notification that Postfix itself wrote to a sender."""
    return SentMail(
        scenario="notification",
        sender="",
        recipients=tuple(Recipient(address, ("sent",)) for address in mail.recipients),
        message_id=mail.message_id,
        queue_id=received_by(mail.content),
        size=mail.size,
        client_hostname=None,
        client_ip=None,
        uid=None,
        remote_queue_id=mail.queue_id,
    )


def received_by(content: bytes) -> str:
    """The queue ID in the newest Received header, which is the last server's own."""
    received = str(message_from_bytes(content)["Received"])
    found = re.search(r"\bid ([0-9A-Za-z]+)", received)
    if found is None:
        raise LookupError(f"no queue ID in {received!r}")
    return found[1]
