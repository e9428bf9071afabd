"""Which events tracing needs: by the lines that Postfix writes, and nothing is uncounted."""

import pytest

from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.pipeline import Pipeline
from mailingest.trace.gathering import gather
from mailingest.wiring import build_pipeline

START = 1_795_500_000.0


def pipeline(*, events: str) -> Pipeline:
    settings = Settings.model_validate({"index": {"events": events}, "syslog": {"timezone": "UTC"}})
    return build_pipeline(settings, live=True)


def line(tag: str, text: str) -> bytes:
    return f"Nov 24 06:00:00 mx1 {tag}[7]: {text}".encode()


def documents(core: Pipeline, frames: list[bytes]) -> list[Document]:
    ready = [one for frame in frames for one in core.feed(frame, START, "192.0.2.1")]
    return [*ready, *core.flush()]


DELIVERY = (
    "relay=mx.example.net[192.0.2.9]:25, delay=1, delays=0/0/0.5/0.5, dsn=2.0.0, status=sent (Ok)"
)
NEEDED = [
    pytest.param("postfix/smtpd", "4AB12CD34: client=a.example[192.0.2.5]", id="accepted"),
    pytest.param("postfix/pickup", "4AB12CD34: uid=0 from=<root>", id="submitted"),
    pytest.param("postfix/cleanup", "4AB12CD34: message-id=<1@example.org>", id="message-id"),
    pytest.param(
        "postfix/cleanup",
        "4AB12CD34: milter-reject: END-OF-MESSAGE from a.example[192.0.2.5]: 5.7.1 Spam; "
        "from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<a.example>",
        id="refused by a milter",
    ),
    pytest.param(
        "postfix/qmgr", "4AB12CD34: from=<a@b.example>, size=9, nrcpt=1 (queue active)", id="active"
    ),
    pytest.param(
        "postfix/qmgr",
        "4AB12CD34: from=<a@b.example>, status=expired, returned to sender",
        id="expired",
    ),
    pytest.param("postfix/qmgr", "4AB12CD34: removed", id="removed"),
    pytest.param("postfix/smtp", f"4AB12CD34: to=<c@d.example>, {DELIVERY}", id="delivered"),
    pytest.param(
        "postfix/smtp",
        "4AB12CD34: host mx.example.net[192.0.2.9] said: 450 later (in reply to RCPT TO command)",
        id="what a next hop said",
    ),
    pytest.param(
        "postfix/bounce", "4AB12CD34: sender non-delivery notification: 4AB12CD35", id="a bounce"
    ),
    pytest.param("postfix/postsuper", "4AB12CD34: placed on hold", id="an operator's action"),
    pytest.param(
        "postfix/smtpd",
        "NOQUEUE: reject: RCPT from a.example[192.0.2.5]: 550 5.1.1 <x@d.example>: unknown; "
        "from=<a@b.example> to=<x@d.example> proto=ESMTP helo=<a.example>",
        id="refused before the queue",
    ),
    pytest.param(
        "postfix/postscreen",
        "NOQUEUE: reject: RCPT from [192.0.2.5]:4711: 550 5.7.1 Service unavailable; "
        "from=<a@b.example>, to=<x@d.example>, proto=ESMTP, helo=<a.example>",
        id="refused by postscreen",
    ),
    pytest.param("postfix/cleanup", "warning: 4AB12CD34: queue file size", id="a warning of it"),
    pytest.param(
        "postfix/smtpd",
        "lost connection after DATA (9 bytes) from a.example[192.0.2.5]",
        id="a client lost while it sent a mail",
    ),
    pytest.param(
        "dovecot",
        "lmtp(bob)<9><aBcDeFgH12>: msgid=<1@example.org>: saved mail to INBOX",
        id="stored by the mail store",
    ),
]
NOT_NEEDED = [
    pytest.param("postfix/smtpd", "connect from a.example[192.0.2.5]", id="connected"),
    pytest.param(
        "postfix/smtpd",
        "disconnect from a.example[192.0.2.5] ehlo=1 quit=1 commands=2",
        id="disconnected",
    ),
    pytest.param(
        "postfix/smtpd", "lost connection after EHLO from a.example[192.0.2.5]", id="lost early"
    ),
    pytest.param(
        "postfix/smtpd",
        "Anonymous TLS connection established from a.example[192.0.2.5]: TLSv1.3 with cipher X "
        "(256/256 bits)",
        id="TLS",
    ),
    pytest.param(
        "postfix/smtp",
        "connect to mx.example.net[192.0.2.9]:25: Connection timed out",
        id="a connection that failed",
    ),
    pytest.param("postfix/anvil", "statistics: max cache size 1 at Nov 24 06:00:00", id="anvil"),
    pytest.param("postfix/postscreen", "CONNECT from [192.0.2.5]:4711 to [192.0.2.1]:25", id="ps"),
    pytest.param(
        "postfix/smtpd",
        "warning: a.example[192.0.2.5]: SASL LOGIN authentication failed: x",
        id="a login that failed",
    ),
    pytest.param("dovecot", "imap(bob): Logged out", id="another program"),
]


@pytest.mark.parametrize(("tag", "text"), NEEDED)
def test_an_event_of_a_mail_is_kept(tag: str, text: str) -> None:
    core = pipeline(events="deliveries")
    [document] = documents(core, [line(tag, text)])
    assert document.fields["message"] == text
    assert core.counters.documents_left_out == 0


@pytest.mark.parametrize(("tag", "text"), NOT_NEEDED)
def test_an_event_of_no_mail_is_left_out_and_counted(tag: str, text: str) -> None:
    core = pipeline(events="deliveries")
    assert documents(core, [line(tag, text)]) == []
    assert (core.counters.frames, core.counters.documents_left_out) == (1, 1)
    assert len(documents(pipeline(events="all"), [line(tag, text)])) == 1


def test_a_line_that_cannot_be_read_is_kept() -> None:
    assert len(documents(pipeline(events="deliveries"), [b"\x00 what is this"])) == 1


MAIL = [
    line("postfix/smtpd", "connect from a.example[192.0.2.5]"),
    line(
        "postfix/smtpd",
        "Anonymous TLS connection established from a.example[192.0.2.5]: TLSv1.3 with cipher X "
        "(256/256 bits)",
    ),
    line("postfix/smtpd", "4AB12CD34: client=a.example[192.0.2.5]"),
    line("postfix/cleanup", "4AB12CD34: message-id=<1@example.org>"),
    line("postfix/qmgr", "4AB12CD34: from=<a@b.example>, size=9, nrcpt=1 (queue active)"),
    line("postfix/smtpd", "disconnect from a.example[192.0.2.5] ehlo=1 quit=1 commands=2"),
    line("postfix/smtp", f"4AB12CD34: to=<c@d.example>, {DELIVERY}"),
    line("postfix/qmgr", "4AB12CD34: removed"),
]


def test_what_is_kept_is_the_same_document_as_with_all_events() -> None:
    everything = {one.id: one.body for one in documents(pipeline(events="all"), MAIL)}
    kept = {one.id: one.body for one in documents(pipeline(events="deliveries"), MAIL)}
    assert len(everything) == 8
    assert len(kept) == 5
    assert kept.items() <= everything.items()


def test_a_trace_has_the_same_facts_as_with_all_events() -> None:
    def facts(events: str) -> object:
        found = gather(one.fields for one in documents(pipeline(events=events), MAIL))
        [queue] = found.queues
        return (
            queue.client_hostname,
            queue.message_id,
            queue.sender,
            queue.is_active,
            queue.ended,
        ), [(attempt.recipient, attempt.status) for attempt in queue.attempts]

    assert facts("deliveries") == facts("all")
