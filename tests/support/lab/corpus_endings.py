"""How a mail of the corpus ended for each recipient, learned outside its log.

Copies tell it that lie with servers and in mailboxes, and so do notifications, the queue itself,
and what clients were told.
"""

import mailbox
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, Final

from tests.support.lab.corpus_facts import queue_ids, scenario_of, status_report
from tests.support.lab.corpus_servers import Taken

# Of these no copy remains: what they do with a mail is in the configuration.
_WITHOUT_COPY: Final[Mapping[str, str]] = {
    "ok@pipe.example.com": "delivered",
    "x@throw.example.com": "discarded",
    "command@mx1.example.com": "delivered",
    "archive@mx1.example.com": "discarded",
}
_WITHOUT_NOTIFICATION: Final = {"bounced": "bounced"}


@dataclass(frozen=True, slots=True)
class Ending:
    """What a trace has to tell of one mail and recipient; what is None is not known outside.

    ``chain`` are the queue IDs that the mail had, ``recipient`` is "" if none was named,
    ``client`` an address, and ``reply`` a part of what is to be quoted.
    """

    about: str
    verdict: str
    chain: tuple[str, ...] | None = None
    recipient: str | None = None
    client: str | None = None
    relay: str | None = None
    relay_ip: str | None = None
    relay_port: int | None = None
    remote_queue_id: str | None = None
    tls: bool | None = None
    reply: str = ""
    notification: str | None = None
    temporary: bool | None = None

    def differences(self, row: Mapping[str, Any]) -> list[str]:
        """The keys of a trace's answer that do not tell it."""
        told = {
            "verdict": row["verdict"] == self.verdict,
            "chain": self.chain in (None, tuple(step["queue_id"] for step in row["chain"])),
            "client": self.client is None or f"[{self.client}]" in (row["client"] or ""),
            "tls": self.tls in (None, "TLSv" in (row["tls"] or "")),
            "relay": self.relay in (None, (row["relay"] or "").partition("[")[0]),
            "reply": _words(self.reply) in _words(row["reply"] or ""),
        }
        for key in ("relay_ip", "relay_port", "remote_queue_id", "temporary"):
            told[key] = getattr(self, key) in (None, row[key])
        may_have_one = self.verdict in ("bounced", "expired") and self.notification is None
        told["notification"] = may_have_one or self.notification == row["notification"]
        told["recipient"] = self.recipient is None or (
            self.recipient.lower() == (row["recipient"] or "").lower()
        )
        return [key for key, is_told in told.items() if not is_told]


def endings_of_copy(mail: Taken) -> Iterator[Ending]:
    """What a server knows of a mail that it took over from Postfix."""
    server = mail.server
    for number, recipient in enumerate(mail.recipients):
        reply = mail.replies[number if server.lmtp else 0]
        verdict = "delivered" if server.lmtp else "handed_over"
        if server.address == "::1":
            # That is this host, and what is here after it is not in the log.
            verdict = "unknown"
        elif "discarded" in reply:
            verdict = "discarded"
        yield Ending(
            scenario_of(mail.content) or "notification",
            verdict,
            tuple(reversed(queue_ids(mail.content))),
            recipient,
            relay_ip=server.address if server.port else None,
            relay_port=server.port or None,
            remote_queue_id=None if server.lmtp else mail.given,
            tls=mail.tls,
            reply=reply,
        )


def ending_in_box(address: str, message: Message) -> Ending:
    """What a mailbox knows of a mail that local(8) or virtual(8) put there."""
    content = message.as_bytes()
    about = scenario_of(content) or "notification"
    return Ending(about, "delivered", tuple(reversed(queue_ids(content))), address)


def messages_in(directory: Path) -> Iterator[tuple[str, Message]]:
    """All mails in the mailboxes of a directory, files or directories, with the box's name."""
    for path in sorted(directory.iterdir()):
        is_directory = path.is_dir()
        box = (mailbox.Maildir if is_directory else mailbox.mbox)(path, create=False)
        for key in box.keys():  # noqa: SIM118
            message = message_from_bytes(box.get_bytes(key))
            if "Delivered-To" in message:
                yield path.name, message
        box.close()


def endings_of_notification(content: bytes, expired: frozenset[str]) -> Iterator[Ending]:
    """What a notification tells of another mail (RFC 3464); it has that mail's headers.

    ``expired`` are the queue IDs of mails that were tried for too long.
    """
    report = message_from_bytes(content)
    first, recipients = status_report(report)
    queue_id = str(first["X-Postfix-Queue-ID"])
    chain = tuple(reversed(queue_ids(_returned(report))))
    assert chain[-1] == queue_id, (chain, queue_id)
    for each in recipients:
        kind, _, address = str(each["Final-Recipient"]).partition("; ")
        action = str(each["Action"]).split()[0]
        recipient = address if kind == "rfc822" else None
        about = scenario_of(content)
        if action in ("deliverable", "undeliverable"):
            yield Ending(about, "probe", chain, recipient)
        elif action == "failed":
            mta = str(each["Remote-MTA"] or "").partition("; ")[2]
            kind, _, diagnosis = str(each["Diagnostic-Code"] or "").partition("; ")
            # What is not ASCII stands there in an encoding of its own, and errors of the system in
            # the words of sysexits(3).
            is_quoted = diagnosis.isascii() and kind != "x-unix"
            yield Ending(
                about,
                "expired" if queue_id in expired else "bounced",
                chain,
                recipient,
                relay=mta or None,
                reply=diagnosis if is_quoted else "",
                notification=queue_ids(content)[-1],
            )


def endings_of_queue(
    listing: Sequence[Mapping[str, Any]], former: Mapping[str, str]
) -> Iterator[Ending]:
    """What `postqueue -j` says of the mails that wait at the end.

    ``former`` has by sender the queue IDs that mails had before they were requeued.
    """
    for mail in listing:
        before = former.get(mail["sender"])
        chain = (before,) if before is not None else ()
        for recipient in mail["recipients"]:
            yield Ending(
                f"queue {mail['queue_id']}",
                "pending",
                (*chain, mail["queue_id"]),
                recipient["address"],
                reply=recipient.get("delay_reason", ""),
            )


def ending_without_copy(
    about: str, queue_id: str, recipient: str, statuses: Sequence[str]
) -> Ending | None:
    """How a mail ended for a recipient that nobody has a copy of; None if somebody must have."""
    verdict = _WITHOUT_COPY.get(recipient) or _WITHOUT_NOTIFICATION.get(statuses[-1])
    return Ending(about, verdict, (queue_id,), recipient) if verdict is not None else None


def known_best(endings: Iterable[Ending]) -> list[Ending]:
    """Each ending once; of what several sources tell of one recipient, the first one counts."""
    known: dict[object, Ending] = {}
    for each in endings:
        key = (each.chain[-1], (each.recipient or "").lower()) if each.chain else each
        known.setdefault(key, each)
    return list(known.values())


def _returned(report: Message) -> bytes:
    """The headers of the mail that a notification is about."""
    for part in report.walk():
        if part.get_content_type() in ("message/rfc822", "message/global"):
            inner = part.get_payload(0)
            assert isinstance(inner, Message)
            return inner.as_bytes()
        if part.get_content_type() in ("text/rfc822-headers", "message/global-headers"):
            headers = part.get_payload(decode=True)
            assert isinstance(headers, bytes)
            return headers
    raise LookupError("a notification without the mail that it is about")


def _words(text: str) -> str:
    return " ".join(text.split())
