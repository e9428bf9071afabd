"""Reasons: what differs from line to line is gone, what stays can be searched for."""

# Long lines are log lines.
# ruff: noqa: E501

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.postfix.reasons import LONGEST_REASON, literal, reason
from tests.support.logs import documents_of, lines_of

SESSION = "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<pc>"
DELIVERY = "AAAAAA1: to=<b@example.net>, relay=none, delay=1, delays=0/0/0/1, dsn=4.0.0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "host mx.example.net[192.0.2.9] said: 550 5.1.1 <bob@example.org>: Recipient address rejected: User unknown (in reply to RCPT TO command)",
            "550 5.1.1 *: Recipient address rejected: User unknown",
            id="who said it to whom, and in reply to what",
        ),
        pytest.param(
            "host mx[2001:db8::1] refused to talk to me: 421 4.7.0 Too many connections",
            "421 4.7.0 Too many connections",
            id="a server that does not even greet",
        ),
        pytest.param(
            "connect to mx.example.net[192.0.2.9]:25: Connection timed out",
            "connect to *: Connection timed out",
            id="a host with address and port",
        ),
        pytest.param(
            "lost connection with mx.example.net[192.0.2.9] while receiving",
            "lost connection with * while receiving",
            id="a host with an address",
        ),
        pytest.param(
            "Host or domain name not found. Name service error for name=example.invalid type=MX: Host not found",
            "Host or domain name not found. Name service error for name=* type=MX: Host not found",
            id="a named value",
        ),
        pytest.param(
            "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
            "450 4.7.25 Client host rejected: cannot find your hostname, [*]",
            id="an address in brackets",
        ),
        pytest.param(
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example.com; https://www.example.com/query/192.0.2.1",
            "554 5.7.1 Service unavailable; Client host [*] blocked using zen.example.com; *",
            id="the name of a DNS list stays",
        ),
        pytest.param(
            "452-4.2.2 The account is over quota. q3-2002 (#4.2.2)",
            "452-4.2.2 The account is over quota. * (#4.2.2)",
            id="status codes stay wherever they are",
        ),
        pytest.param('unknown user: "bob smith"', "unknown user: *", id="quoted words"),
        pytest.param("don't know 'bob'", "don't know *", id="an apostrophe is no quote"),
        pytest.param(
            "cannot update mailbox /var/mail/bob for user", "cannot update mailbox * for user",
            id="a path",
        ),
        pytest.param("451 4.3.0 BpdfghjklmnpqrsT: later", "451 4.3.0 *: later", id="a queue ID"),
        pytest.param("try in 300 seconds", "try in * seconds", id="a number"),
        pytest.param(
            "550 no (bob@example.com:blocked)", "550 no (*)", id="an address among brackets"
        ),
        pytest.param("552 5.2.2 Empfänger <a@b> über Quota", "552 5.2.2 Empfänger * über Quota",
                     id="words of any language stay"),
        pytest.param("1.2.3.4, 5.6.7.8, 9.10.11.12 no", "* no", id="a list of any length"),
        pytest.param("", "", id="no text"),
    ],
)  # fmt: skip
def test_what_differs_from_line_to_line_is_gone(text: str, expected: str) -> None:
    assert reason(text) == expected


@given(st.text(max_size=600))
def test_a_reason_is_bounded_and_the_same_each_time(text: str) -> None:
    first = reason(text)
    assert len(first) <= LONGEST_REASON
    assert reason(text) == first


@given(
    st.lists(
        st.sampled_from(
            ["later", "a@example.com", "<b@c>", "[192.0.2.1]", "mx.example.net", "4.2.2", " ", "*"]
        )
    ).map(" ".join)
)
def test_what_is_searched_for_stands_in_the_text(text: str) -> None:
    assert literal(reason(text)) in text


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("550 5.1.1 *: Recipient address rejected: no", "Recipient address rejected: no"),
        ("connect to *: Connection refused", "Connection refused"),
        ("550 5.1.1", ""),
        ("*", ""),
        ("", ""),
    ],
)
def test_the_longest_piece_is_searched_for_if_it_tells_something(told: str, found: str) -> None:
    assert literal(told) == found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            f"smtp: {DELIVERY}, status=deferred (connect to mx[192.0.2.9]:25: timed out)",
            "connect to *: timed out",
            id="deferred by smtp(8)",
        ),
        pytest.param(
            f'local: {DELIVERY}, status=bounced (unknown user: "bob")',
            "unknown user: *",
            id="bounced by local(8)",
        ),
        pytest.param(
            "smtp: AAAAAA1: to=<carla+news@example.net>, relay=none, delay=1, delays=0/0/0/1, dsn=4.2.2, status=deferred (host mx[192.0.2.9] said: 452 4.2.2 Mailbox Carla is full, carlas is not)",
            "452 4.2.2 Mailbox * is full, carlas is not",
            id="the name of the recipient",
        ),
        pytest.param(
            "smtp: AAAAAA1: to=<452@example.net>, relay=none, delay=1, delays=0/0/0/1, dsn=4.2.2, status=deferred (host mx[192.0.2.9] said: 452 4.2.2 full)",
            "452 4.2.2 full",
            id="a name that looks like a status",
        ),
        pytest.param(
            f"pipe: {DELIVERY}, status=deferred (temporary failure)",
            "temporary failure",
            id="deferred by pipe(8)",
        ),
        pytest.param(
            f"error: {DELIVERY}, status=bounced (User unknown in virtual alias table)",
            "User unknown in virtual alias table",
            id="bounced by error(8)",
        ),
        pytest.param(
            "qmgr: AAAAAA1: from=<a@b.example>, status=expired, returned to sender",
            "expired",
            id="expired",
        ),
        pytest.param(
            f"smtpd: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 550 5.1.1 <x@y.example>: User unknown; {SESSION}",
            "550 5.1.1 *: User unknown",
            id="rejected by smtpd(8)",
        ),
        pytest.param(
            f"smtpd: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.example; {SESSION}",
            "554 5.7.1 Service unavailable; client [*] blocked using zen.example",
            id="a listed client",
        ),
        pytest.param(
            f"cleanup: AAAAAA1: milter-reject: END-OF-MESSAGE from pc[192.0.2.7]: 5.7.1 virus; {SESSION}",
            "5.7.1 virus",
            id="rejected by a milter",
        ),
        pytest.param(
            f"cleanup: AAAAAA1: reject: header Subject: secret from pc[192.0.2.7]; {SESSION}: 5.7.1 not here",
            "5.7.1 not here",
            id="rejected for a header",
        ),
        pytest.param(
            f"cleanup: AAAAAA1: reject: header Subject: secret from pc[192.0.2.7]; {SESSION}",
            "header",
            id="a header is not quoted",
        ),
        pytest.param(
            f"smtpd: proxy-reject: END-OF-MESSAGE: 554 5.7.1 spam; {SESSION}",
            "554 5.7.1 spam",
            id="rejected by a before-queue filter",
        ),
        pytest.param(
            "postscreen: NOQUEUE: reject: CONNECT from [192.0.2.7]:4915: all screening ports busy",
            "all screening ports busy",
            id="rejected by postscreen(8)",
        ),
        pytest.param(f"smtp: {DELIVERY}, status=sent (250 Ok)", None, id="sent"),
        pytest.param(f"smtp: {DELIVERY}, status=deliverable (250 Ok)", None, id="a probe"),
        pytest.param(
            f"smtpd: NOQUEUE: reject_warning: RCPT from pc[192.0.2.7]: 550 5.1.1 no; {SESSION}",
            None,
            id="a warning only",
        ),
        pytest.param("smtpd: connect from pc[192.0.2.7]", None, id="nothing refused"),
    ],
)
def test_lines_that_put_off_or_refuse_have_a_reason(line: str, expected: str | None) -> None:
    [document] = documents_of(lines_of(f"24T10:00:00 mx1 postfix/{line}"))
    assert document.fields.get("postfix_reason") == expected
