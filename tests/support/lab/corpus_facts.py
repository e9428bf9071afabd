"""What is true of a run of the corpus, learned outside its log: replies, copies, notifications."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from itertools import pairwise
from typing import Any

from tests.support.lab.corpus_servers import Taken

Fields = dict[str, Any]

_QUEUE_ID = re.compile(r"\(Postfix.*\bid ([0-9A-Za-z]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fact:
    """An event has to have all fields of one of the ``choices``, and the text in its message.

    A value of None stands for any.
    """

    about: str
    choices: tuple[Fields, ...]
    text: str = ""

    def is_told_by(self, event: Mapping[str, Any]) -> bool:
        """Whether the event tells it."""
        return self.text in event["message"] and any(
            all(name in event and value in (None, event[name]) for name, value in choice.items())
            for choice in self.choices
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """The statuses of the attempts for a recipient, repetitions left out."""

    about: str
    queue_id: str
    address: str
    statuses: tuple[str, ...]


def fact(about: str, text: str = "", **fields: Any) -> Fact:
    """A fact with one choice; the names of fields lack `postfix_`."""
    return Fact(about, (named(**fields),), text)


def named(**fields: Any) -> Fields:
    """Fields with their full names, which Python would not take."""
    full = {"message_id": "postfix_message-id", "from_": "postfix_from", "program": "program"}
    return {full.get(name, f"postfix_{name}"): value for name, value in fields.items()}


def scenario_of(content: bytes) -> str:
    """Which scenario a mail belongs to, also if it is in a notification."""
    found = re.search(rb"(?m)^X-Scenario: (\S+?)\r?$", content)
    return found[1].decode() if found is not None else ""


def queue_ids(content: bytes) -> list[str]:
    """The queue IDs in the Received headers of Postfix, the newest first."""
    received = message_from_bytes(content).get_all("Received", [])
    found = [_QUEUE_ID.search(str(each)) for each in received]
    return [each[1] for each in found if each is not None]


def facts_of_copy(mail: Taken) -> Iterator[Fact]:
    """What a server knows of a mail that it took over from Postfix."""
    about = scenario_of(mail.content) or "notification"
    ids = queue_ids(mail.content)
    server = mail.server
    for number, recipient in enumerate(mail.recipients):
        told = named(
            queueid=ids[0],
            to=recipient,
            status="sent",
            smtp_response=mail.replies[number if server.lmtp else 0],
            size=mail.size,
            from_=mail.sender,
        )
        if server.port:
            told |= named(relay_ip=server.address, relay_port=server.port)
        else:
            told |= named(relay_service="private/store")
        told |= named(lmtp_session=mail.given) if server.lmtp else named(remote_queueid=mail.given)
        if mail.tls:
            told |= named(tls_version="TLSv1.3")
        message_id = str(message_from_bytes(mail.content)["Message-ID"] or "").strip()
        if re.fullmatch(r"<[^<>]+>", message_id):
            told |= named(message_id=message_id[1:-1])
        yield Fact(about, (told,))
    yield from links(about, ids)


def links(about: str, ids: Sequence[str]) -> Iterator[Fact]:
    """How a mail came from one queue ID to the next; ``ids`` has the newest first."""
    for child, parent in pairwise(ids):
        yield Fact(
            about,
            (
                named(queueid=parent, remote_queueid=child, status="sent"),
                named(queueid=parent, forwarded_queueid=child, status="sent"),
                named(queueid=child, orig_queueid=parent),
                named(queueid=child, orig_id=parent),
            ),
        )


def facts_of_filter(mail: Taken) -> Iterator[Fact]:
    """What the filter behind the queue knows of a mail that it has passed on."""
    about = scenario_of(mail.content)
    before, after = mail.xforward["IDENT"], mail.given
    yield fact(about, queueid=after, orig_queueid=before, orig_client_ip=mail.xforward["ADDR"])
    for recipient in mail.recipients:
        yield fact(
            about,
            queueid=before,
            to=recipient,
            remote_queueid=after,
            relay_port=mail.server.port,
            smtp_response=mail.replies[0],
        )


def facts_of_proxy(mail: Taken) -> Iterator[Fact]:
    """What the proxy before the queue knows of a mail that it has passed on."""
    about = scenario_of(mail.content)
    yield fact(about, remote_queueid=mail.given, proxy_result="accept", proxy_status_code=250)


def facts_of_notification(mail: Taken) -> Iterator[Fact]:
    """What a notification that Postfix wrote says of another mail (RFC 3464)."""
    about = scenario_of(mail.content)
    first, recipients = status_report(message_from_bytes(mail.content))
    queue_id = str(first["X-Postfix-Queue-ID"])
    actions = {str(each["Action"]).split()[0] for each in recipients}
    reasons = {"failed": "non-delivery", "delayed": "delay"}
    if len(actions) == 1 and actions <= reasons.keys():
        (action,) = actions
        yield fact(
            about,
            queueid=queue_id,
            bounce_queueid=queue_ids(mail.content)[-1],
            bounce_reason=reasons[action],
        )
    for each in recipients:
        kind, _, address = str(each["Final-Recipient"]).partition("; ")
        if kind == "rfc822" and each["Action"] != "delayed":
            yield fact(about, queueid=queue_id, to=address, dsn=str(each["Status"]))


_STATUS_REPORTS = ("delivery-status", "global-delivery-status")


def status_report(report: Message) -> tuple[Message, list[Message]]:
    """What a notification says of the mail, and of each of its recipients (RFC 3464)."""
    # In a bounce of a bounce there are two; its own comes first.
    status = next(p for p in report.walk() if p.get_content_subtype() in _STATUS_REPORTS)
    blocks = status.get_payload()
    assert isinstance(blocks, list)
    first, *recipients = (each for each in blocks if isinstance(each, Message) and each.keys())
    return first, recipients


def facts_of_queue(listing: Sequence[Mapping[str, Any]]) -> Iterator[Fact]:
    """What `postqueue -j` says of the mails that wait."""
    for mail in listing:
        for recipient in mail["recipients"]:
            if "delay_reason" in recipient:
                yield fact(
                    f"queue {mail['queue_id']}",
                    f"status=deferred ({recipient['delay_reason']}",
                    queueid=mail["queue_id"],
                    to=recipient["address"],
                    status="deferred",
                )
