"""What a line counts as."""

# Long lines are log lines.
# ruff: noqa: E501

import pytest

from mailingest.postfix.completion import stored_outcome
from tests.support.logs import as_stored_before, documents_of, lines_of

D = "delay=1, delays=0/0/0/1, dsn=2.0.0"
SESSION = "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<pc>"


def delivery(agent: str, relay: str, status: str) -> str:
    return f"{agent}: AAAAAA1: to=<b@example.net>, relay={relay}, {D}, status={status}"


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        pytest.param("smtpd: AAAAAA1: client=pc[192.0.2.7]", "received", id="a client's mail"),
        pytest.param("smtpd: AAAAAA1: client=localhost[127.0.0.1]", None,
                     id="a filter that tells nothing gives a mail back"),
        pytest.param("smtpd: AAAAAA1: client=localhost[::1], sasl_method=PLAIN, sasl_username=ann",
                     "received", id="a webmail on this machine logs in"),
        pytest.param("smtpd: AAAAAA1: client=filter[192.0.2.8], orig_queue_id=AAAAAA2, orig_client=pc[192.0.2.7]",
                     None, id="a filter elsewhere gives a mail back"),
        pytest.param("smtpd: AAAAAA1: client=localhost[127.0.0.1], orig_client=pc[192.0.2.7]",
                     "received", id="the mail comes through a before-queue filter"),
        pytest.param("smtpd: NOQUEUE: client=pc[192.0.2.7]", None, id="before a before-queue filter"),
        pytest.param("qmqpd: AAAAAA1: client=pc[192.0.2.7]", "received", id="by QMQP"),
        pytest.param("pickup: AAAAAA1: uid=0 from=<root>", "received", id="by sendmail(1)"),
        pytest.param("pickup: AAAAAA1: uid=0 from=<root> orig_id=AAAAAA2", None, id="requeued"),
        pytest.param(delivery("smtp", "mx[198.51.100.9]:25", "sent (250 Ok: queued as 4XYZQ1)"), "sent", id="to another server"),
        pytest.param(delivery("local", "local", "sent (delivered to mailbox)"), "sent", id="into a mailbox"),
        pytest.param(delivery("lmtp", "127.0.0.1[127.0.0.1]:24", "sent (250 2.0.0 <b> x Saved)"), "sent", id="into a mail store on this machine"),
        pytest.param(delivery("smtp", "127.0.0.1[127.0.0.1]:10024", "sent (250 2.0.0 Ok: queued as AAAAAA2)"), "passed_on", id="to a filter on this machine"),
        pytest.param(delivery("local", "local", "sent (forwarded as AAAAAA2)"), "passed_on", id="forwarded"),
        pytest.param(delivery("smtp", "127.0.0.1[127.0.0.1]:10024", "sent (250 2.7.0 Ok, discarded, id=1-01 - spam)"), "discarded", id="a filter threw it away"),
        pytest.param(delivery("smtp", "127.0.0.1[127.0.0.1]:10024", "sent (250 2.5.0 Ok, id=1-01, BOUNCE)"), "bounced", id="a filter bounced it"),
        pytest.param(delivery("smtp", "127.0.0.1[127.0.0.1]:10024", "deferred (connect to 127.0.0.1[127.0.0.1]:10024: refused)"), "deferred", id="a filter is down"),
        pytest.param(delivery("smtp", "mx[198.51.100.9]:25", "undeliverable (550 no)"), None, id="a probe"),
        pytest.param("qmgr: AAAAAA1: from=<a@b.example>, status=force-expired, returned to sender", "expired", id="expired"),
        pytest.param("qmgr: AAAAAA1: removed", None, id="removed"),
        pytest.param(f"smtpd: AAAAAA1: reject: RCPT from pc[192.0.2.7]: 550 5.1.1 no; {SESSION}", "rejected", id="a second recipient"),
        pytest.param(f"smtpd: NOQUEUE: reject_warning: RCPT from pc[192.0.2.7]: 550 5.1.1 no; {SESSION}", None, id="a warning"),
        pytest.param(f"cleanup: AAAAAA1: milter-reject: END-OF-MESSAGE from pc[192.0.2.7]: 5.7.1 no; {SESSION}", "rejected", id="a milter refuses"),
        pytest.param(f"smtpd: proxy-reject: END-OF-MESSAGE: 554 5.7.1 spam; {SESSION}", "rejected", id="a before-queue filter refuses"),
        pytest.param("smtpd: connect from pc[192.0.2.7]", None, id="a session"),
    ],
)  # fmt: skip
def test_the_outcome_of_a_line(line: str, outcome: str | None) -> None:
    [document] = documents_of(lines_of(f"24T10:00:00 mx1 postfix/{line}"))
    assert document.fields.get("outcome") == outcome
    assert stored_outcome(document.fields) == outcome
    assert stored_outcome(as_stored_before(document.fields)) == outcome


def test_a_line_of_another_program_about_a_client_counts_as_nothing() -> None:
    [document] = documents_of(
        lines_of("24T10:00:00 mx1 opendkim: AAAAAA1: mail.example.org [192.0.2.5] not internal")
    )
    assert "outcome" not in document.fields
    assert stored_outcome(as_stored_before(document.fields)) is None
