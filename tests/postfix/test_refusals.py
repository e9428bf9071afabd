"""Refusals: what the client was told, by the line itself or by what Postfix is known to reply."""

from typing import Any

import pytest

from mailingest.postfix.refusals import Refusal, refusal_of, reply_of
from tests.postfix.test_patterns import parse

CLIENT = "mail.example.org[192.0.2.5]"
END = "END-OF-MESSAGE"


def fields_of(tag: str, text: str) -> dict[str, Any]:
    return parse(tag, text).fields


@pytest.mark.parametrize(
    ("tag", "text", "refusal"),
    [
        ("smtpd", f"Illegal address syntax from {CLIENT} in RCPT command: <a,b@example.net>",
         Refusal("RCPT", 501, "5.1.3")),
        ("smtpd", f"Illegal address syntax from {CLIENT} in MAIL command: <a,b@example.net>",
         Refusal("MAIL", 501, "5.1.7")),
        ("smtpd", f"Illegal address syntax from {CLIENT} in VRFY command: a,b",
         Refusal("VRFY", 501, "5.1.3")),
        ("smtpd", f"Message delivery request rate limit exceeded: 31 from {CLIENT} for service x",
         Refusal("MAIL", 450, "4.7.1")),
        ("smtpd", f"Recipient address rate limit exceeded: 31 from {CLIENT} for service smtp",
         Refusal("RCPT", 450, "4.7.1")),
        ("smtpd", f"AUTH command rate limit exceeded: 31 from {CLIENT} for service smtp",
         Refusal("AUTH", 450, "4.7.1")),
        ("smtpd", f"New TLS session rate limit exceeded: 31 from {CLIENT} for service smtp",
         Refusal("STARTTLS", 421, "4.7.0")),
        ("smtpd", f"Connection concurrency limit exceeded: 51 from {CLIENT} for service smtp",
         Refusal("CONNECT", 421, "4.7.0")),
        ("smtpd", f"Connection rate limit exceeded: 51 from {CLIENT} for service smtp",
         Refusal("CONNECT", 421, "4.7.0")),
        ("smtpd", "4F2A11E0ABC: queue file size limit exceeded", Refusal(END, 552, "5.3.4")),
        ("smtpd", "NOQUEUE: queue file size limit exceeded", Refusal(END, 552, "5.3.4")),
        ("smtpd", f"4F2A11E0ABC: BDAT request from {CLIENT} exceeds message size limit",
         Refusal("BDAT", 552, "5.3.4")),
        ("smtpd", f"4F2A11E0ABC: null BDAT request from {CLIENT}", Refusal("BDAT", 551, "5.7.1")),
        ("smtpd", f"NOQUEUE: malformed BDAT command syntax from {CLIENT}: BDAT x",
         Refusal("BDAT", 521, "5.5.4")),
        ("cleanup", "4F2A11E0ABC: queue file size limit exceeded", Refusal(END, 552, "5.3.4")),
        ("cleanup", "4F2A11E0ABC: message rejected: hopcount exceeded",
         Refusal(END, 554, "5.4.0")),
        ("cleanup", "4F2A11E0ABC: message rejected: no Received: header",
         Refusal(END, 451, "4.3.0")),
        ("cleanup", "4F2A11E0ABC: write queue file: No space left on device",
         Refusal(END, 451, "4.3.0")),
        ("cleanup", "4F2A11E0ABC: trace logfile update error", Refusal(END, 451, "4.3.0")),
        ("cleanup", "4F2A11E0ABC: bounce message failure", Refusal(END, 451, "4.3.0")),
        ("cleanup", "4F2A11E0ABC: record type 88 not allowed - discarding this message",
         Refusal(END, 451, "4.3.0")),
        ("cleanup", "4F2A11E0ABC: body_checks map lookup problem -- message not accepted, try "
         "again later", Refusal(END, 451, "4.3.0")),
        ("cleanup", "4F2A11E0ABC: unreasonable virtual_alias_maps map nesting for a@example.net "
         "-- message not accepted, try again later", Refusal(END, 451, "4.7.1")),
        ("cleanup", "4F2A11E0ABC: message not accepted, try again later",
         Refusal(END, 451, "4.7.1")),
        ("qmqpd", f"4F2A11E0ABC: {CLIENT}: Error: too many hops", Refusal(END, 554, "5.4.0")),
        ("qmqpd", f"4F2A11E0ABC: {CLIENT}: Error: message too large", Refusal(END, 552, "5.3.4")),
        ("qmqpd", f"4F2A11E0ABC: {CLIENT}: Error: queue file write error",
         Refusal(END, 451, "4.3.0")),
        ("qmqpd", f"4F2A11E0ABC: {CLIENT}: Error: internal error 4", Refusal(END, 451, "4.3.0")),
        ("qmqpd", f"4F2A11E0ABC: {CLIENT}: Error: 4.7.1 later", Refusal(END, 451, "4.7.1")),
        ("qmqpd", f"4F2A11E0ABC: {CLIENT}: Error: 5.7.1 no", Refusal(END, 550, "5.7.1")),
    ],
)  # fmt: skip
def test_what_the_client_was_told_is_known_by_the_warning(
    tag: str, text: str, refusal: Refusal
) -> None:
    fields = fields_of(tag, f"warning: {text}")

    assert refusal_of(fields) == refusal
    assert refusal.is_temporary == refusal.enhanced_status_code.startswith("4")


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("smtpd", f"warning: non-SMTP command from {CLIENT}: GET / HTTP/1.1"),
        ("smtpd", f"warning: {CLIENT}: SASL LOGIN authentication failed: limit exceeded: 3"),
        ("cleanup", "warning: 4F2A11E0ABC: ignoring bad delay time: x"),
        ("cleanup", "4F2A11E0ABC: message-id=<write queue file: x>"),
        ("smtp", "warning: 4F2A11E0ABC: queue file size limit exceeded"),
        ("qmqpd", f"warning: 4F2A11E0ABC: {CLIENT}: Error handling"),
    ],
)
def test_another_warning_is_no_refusal(tag: str, text: str) -> None:
    fields = fields_of(tag, text)

    assert "postfix_refusal" not in fields
    assert refusal_of(fields) is None


def test_words_that_tell_no_reply_have_none() -> None:
    assert refusal_of({"postfix_refusal": "Moon phase limit exceeded"}) is None


SESSION = "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<mail.example.org>"


@pytest.mark.parametrize(
    ("tag", "text", "reply"),
    [
        ("smtpd", f"NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 Service unavailable; Client "
         f"host [192.0.2.5] blocked using rbl.example; see [x]: y; {SESSION}",
         "554 5.7.1 Service unavailable; Client host [192.0.2.5] blocked using rbl.example; see "
         "[x]: y"),
        ("smtpd", f"NOQUEUE: reject: RCPT from {CLIENT}:4711: 554 5.7.1 Service unavailable; "
         f"Sender address [a@example.org] blocked using rhsbl.example; {SESSION}",
         "554 5.7.1 Service unavailable; Sender address [a@example.org] blocked using "
         "rhsbl.example"),
        ("smtpd", f"NOQUEUE: reject: RCPT from {CLIENT}: 550 5.1.1 <b@example.net>: Recipient "
         f"address rejected: User unknown; {SESSION}",
         "550 5.1.1 <b@example.net>: Recipient address rejected: User unknown"),
        ("smtpd", f"4F2A11E0ABC: milter-reject: RCPT from {CLIENT}: 451 4.7.1 later; {SESSION}",
         "451 4.7.1 later"),
        ("cleanup", f"4F2A11E0ABC: milter-reject: END-OF-MESSAGE from {CLIENT}: 5.7.1 spam; why: "
         f"x; {SESSION}", "5.7.1 spam; why: x"),
        ("cleanup", f"4F2A11E0ABC: milter-reject: END-OF-MESSAGE from {CLIENT}: message content "
         f"rejected; {SESSION}", "message content rejected"),
        ("cleanup", f"4F2A11E0ABC: milter-header-reject: header X: y from {CLIENT}; {SESSION}: "
         "5.7.1 no spam", "5.7.1 no spam"),
        ("cleanup", f"4F2A11E0ABC: reject: header Subject: x from {CLIENT}; {SESSION}: 4.2.0 try "
         "again", "4.2.0 try again"),
        ("cleanup", f"4F2A11E0ABC: reject: body x from unknown; {SESSION}: 5.7.1 message content "
         "rejected", "5.7.1 message content rejected"),
        ("postscreen", "NOQUEUE: reject: RCPT from [192.0.2.5]:4711: 550 5.7.1 Service "
         "unavailable; client [192.0.2.5] blocked using x; from=<a>, to=<b>, proto=SMTP, helo=<c>",
         "550 5.7.1 Service unavailable; client [192.0.2.5] blocked using x"),
        ("cleanup", f"4F2A11E0ABC: hold: header Subject: x from {CLIENT}; {SESSION}", None),
        ("cleanup", f"4F2A11E0ABC: milter-hold: END-OF-MESSAGE from {CLIENT}: why; {SESSION}",
         None),
    ],
)  # fmt: skip
def test_the_reply_stands_as_in_the_line(tag: str, text: str, reply: str | None) -> None:
    assert reply_of(fields_of(tag, text)) == reply


def test_without_the_line_the_reply_is_made_of_its_parts() -> None:
    fields = {
        "postfix_status_code": 550,
        "postfix_status_data": "b@example.net",
        "postfix_status_message": "no",
    }

    assert reply_of(fields) == "550 <b@example.net>: no"
