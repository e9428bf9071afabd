"""Replies of mail servers -> the name that they gave the mail, and what they did with it.

Marked as real are wordings of servers that wrote them to a real Postfix; the others come from the
servers' documentation or from logs that their operators made public.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.postfix.replies import (
    add_links,
    disposition,
    forwarded_queue_id,
    lmtp_session,
    remote_queue_id,
)

EXCHANGE = "373 bytes in 0.123, 12.345 KB/sec Queued mail for delivery"


@pytest.mark.parametrize(
    ("reply", "queue_id"),
    [
        pytest.param("250 2.0.0 Ok: queued as 6A1D2A4B9DC", "6A1D2A4B9DC", id="Postfix (real)"),
        pytest.param(
            "250 2.0.0 Ok: queued as 4gXk2h1Bc0zPjfw", "4gXk2h1Bc0zPjfw", id="a long ID (real)"
        ),
        pytest.param(
            "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 01733A4A852",
            "01733A4A852",
            id="amavis (real)",
        ),
        pytest.param(
            "250 2.6.0 Ok, id=24855-05, from MTA([127.0.0.1]:10025): 250 Ok: queued as EA569169C4",
            "EA569169C4",
            id="amavis before 2.6: the queue ID, not amavis's own number",
        ),
        pytest.param("250 2.5.0 Ok, id=32531-02, BOUNCE", "32531-02", id="amavis kept it (real)"),
        pytest.param(
            "250 2.7.0 Ok, discarded, id=03774-01 - SPAM", "03774-01", id="amavis threw it away"
        ),
        pytest.param("250 OK id=1abcDE-0000xx-Ab", "1abcDE-0000xx-Ab", id="Exim"),
        pytest.param(
            "250 OK id=1vxNiW-4o5NDgrjpxK-skOz", "1vxNiW-4o5NDgrjpxK-skOz", id="Exim since 4.97"
        ),
        pytest.param(
            "250 Requested mail action okay, completed: id=0Lub9E-1XV0VB2eUC-00zmjo",
            "0Lub9E-1XV0VB2eUC-00zmjo",
            id="GMX",
        ),
        pytest.param(
            f"250 2.6.0 <a@b> [InternalId=98302941156152, Hostname=EX01.a.test] {EXCHANGE}",
            "98302941156152",
            id="Exchange",
        ),
        pytest.param(
            f"250 2.6.0 <queued as AAAAA [InternalId=1111]> [InternalId=98302941156152] {EXCHANGE}",
            "98302941156152",
            id="Exchange with a Message-ID that was made to confuse",
        ),
        pytest.param(
            "250 2.0.0 OK  1795534882 a1e0cc1a2514c-88b46054si123456241.71 - gsmtp",
            "a1e0cc1a2514c-88b46054si123456241.71",
            id="Gmail",
        ),
        pytest.param("250 2.0.0 OK 1584148796 q7si7179241", "q7si7179241", id="Gmail of old"),
        pytest.param(
            "250 2.0.0 kA50s0cL029158 Message accepted for delivery",
            "kA50s0cL029158",
            id="sendmail",
        ),
        pytest.param(
            "250 2.0.0 t5UI2nBt018923-t5UI2nBw018923 Message accepted for delivery",
            "t5UI2nBt018923-t5UI2nBw018923",
            id="Proofpoint",
        ),
        pytest.param(
            "250 2.0.0 a1b2c3d4 Message accepted for delivery", "a1b2c3d4", id="OpenSMTPD"
        ),
        pytest.param("250 ok 1795534882 qp 1234", "1234", id="qmail"),
        pytest.param(
            "250 Message Queued (3F2504E0-4F89-41D3-9A0C-0305E82C3301.1)",
            "3F2504E0-4F89-41D3-9A0C-0305E82C3301.1",
            id="Haraka",
        ),
        pytest.param(
            "250 Ok: queued as c8a1b2c3-4f89-41d3-9a0c-0305e82c3301",
            "c8a1b2c3-4f89-41d3-9a0c-0305e82c3301",
            id="Halon",
        ),
        pytest.param(
            "250 SmtpThread-12847346-1481623412341@mta-86.example Received OK [hoSCG9y5M4SRg.uk86]",
            "hoSCG9y5M4SRg.uk86",
            id="Mimecast",
        ),
        pytest.param("250 ok:  Message 204931658 accepted", "204931658", id="Cisco ESA"),
        pytest.param(
            "250 2.0.0 Ok: queued on mx3j.example.net as 1487181064-lyDmMVZ9eP-p2c0s157",
            "1487181064-lyDmMVZ9eP-p2c0s157",
            id="Yandex of old",
        ),
        pytest.param(
            "250 2.0.0 Ok: queued on mx-63.example.net 1713776738-b5Fuwi0olW20-QT44GJVK",
            "1713776738-b5Fuwi0olW20-QT44GJVK",
            id="Yandex",
        ),
        pytest.param(
            "250 Mail OK queued as mx24,KsmowAAXjy_Xc1BZ8HYWFg--.41679S2 1498444760",
            "mx24,KsmowAAXjy_Xc1BZ8HYWFg--.41679S2",
            id="Coremail (NetEase)",
        ),
        pytest.param(
            "250 Ok 0102018f3c1d2e4b-5a6b7c8d-000000", "0102018f3c1d2e4b-5a6b7c8d-000000", id="SES"
        ),
        pytest.param("250 2.0.0 OK 8A/52-12345-7D9A5F00", "8A/52-12345-7D9A5F00", id="Momentum"),
        pytest.param(
            "250 2.5.0 Ok, envelope id 0S4X00ABC123@mx.example",
            "0S4X00ABC123@mx.example",
            id="iCloud",
        ),
        pytest.param("250 2.5.0 OK (C0FFEE0000000001)", "C0FFEE0000000001", id="Proxmox gateway"),
        pytest.param("250 2.7.0 BLOCKED (C0FFEE0000000001)", "C0FFEE0000000001", id="... blocked"),
        pytest.param("250 Ok: queued as 6A1D2A4B9DC.", "6A1D2A4B9DC", id="with a full stop"),
    ],
)
def test_a_reply_tells_the_name_of_the_mail(reply: str, queue_id: str) -> None:
    assert remote_queue_id(reply) == queue_id


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("", id="empty"),
        pytest.param("250 ok dirdel", id="Yahoo"),
        pytest.param("250 2.0.0 Message accepted for delivery", id="no name before the words"),
        pytest.param("250 Your Message accepted for delivery", id="a word before the words"),
        pytest.param("250 OK: queued as.", id="QQ: the words without a name"),
        pytest.param("250 Queued (0.123 seconds)", id="hMailServer: a time"),
        pytest.param("250 2.6.0 <a@example.org> Queued mail for delivery", id="Exchange, just so"),
        pytest.param("250 2.0.0 <queued as AAAAA@a.example> ABCDEFGHIJ Saved", id="a mail store"),
        pytest.param("250 OK see https://a.example/?id=12345", id="a link"),
        pytest.param("550 5.7.1 Ok: queued as 6A1D2A4B9DC", id="no 2xx reply"),
        pytest.param("delivered to command: echo queued as 6A1D2A4B9DC", id="no reply at all"),
        pytest.param(f"250 Ok: queued as {'A' * 128}", id="too long"),
        pytest.param("250 Ok: queued as AAAA", id="too short"),
        pytest.param("250 Ok: queued as \u0391\u0392\u0393\u0394\u0395", id="not ASCII"),
        pytest.param("250 2.0.0 OK 1 2 3", id="numbers"),
    ],
)
def test_a_reply_that_tells_no_name(reply: str) -> None:
    assert remote_queue_id(reply) is None


@pytest.mark.parametrize(
    ("reply", "session"),
    [
        pytest.param(
            "250 2.0.0 <alice@example.com> KKTNOCGwBWsXBAAAMzN6MA:T4:R3 Saved",
            "KKTNOCGwBWsXBAAAMzN6MA:T4:R3",
            id="Dovecot (real)",
        ),
        pytest.param(
            "250 2.0.0 <john smith@example.com> +AFDMSGwBWuAAgAAMzN6MA Saved",
            "+AFDMSGwBWuAAgAAMzN6MA",
            id="Dovecot, with all its characters (real)",
        ),
        pytest.param(
            "250 2.1.5 Ok SESSIONID=<cyrus-12345-1795534882-1-5123456789>",
            "cyrus-12345-1795534882-1-5123456789",
            id="Cyrus",
        ),
        pytest.param("250 2.1.5 OK Saved", None, id="too short for a session"),
        pytest.param("Game Saved", None, id="no reply"),
        pytest.param("250 2.0.0 Ok: queued as 6A1D2A4B9DC", None, id="no mail store"),
    ],
)
def test_a_mail_store_tells_its_session(reply: str, session: str | None) -> None:
    assert lmtp_session(reply) == session


@pytest.mark.parametrize(
    ("text", "queue_id"),
    [
        pytest.param("forwarded as 6A1D2A4B9DC", "6A1D2A4B9DC", id="an alias (real)"),
        pytest.param("forwarded as me", None, id="no queue ID"),
        pytest.param("delivered to command: forwarded as 6A1D2A4B9DC", None, id="a command"),
        pytest.param("forwarded as 6A1D2A4B9DC by me", None, id="more than local(8) writes"),
    ],
)
def test_local_tells_the_queue_id_that_it_forwarded_as(text: str, queue_id: str | None) -> None:
    assert forwarded_queue_id(text) == queue_id


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        pytest.param("250 2.7.0 Ok, discarded, id=03774-01 - SPAM", "discarded", id="amavis"),
        pytest.param("250 2.7.1 Ok, discarded, UBE, id=03774-01", "discarded", id="amavis of old"),
        pytest.param("250 2.5.0 Ok, id=32531-02, BOUNCE", "bounced", id="amavis (real)"),
        pytest.param("250 2.7.0 BLOCKED (C0FFEE0000000001)", "blocked", id="Proxmox gateway"),
        pytest.param("250 OK, but blackholed", "discarded", id="a black hole"),
        pytest.param("250 Message silently dropped", "discarded", id="dropped"),
        pytest.param("250 2.0.0 Message quarantined", "quarantined", id="quarantined"),
        pytest.param("250 Virus Detected; Discarded Email", "discarded", id="clamsmtpd"),
        pytest.param("250 Spam detected: message discarded", "discarded", id="why, and what"),
        pytest.param("250 Mail accepted and silently dropped", "discarded", id="accepted and"),
        pytest.param("250 Email was quarantined", "quarantined", id="was"),
        pytest.param("250 mail will be discarded later", None, id="not yet"),
        pytest.param("250 Message received; not discarded", None, id="not"),
        pytest.param("250 Mail discarder is ready", None, id="part of a word"),
        pytest.param("250 2.7.0 nothing apparently wrong in the message", None, id="only the code"),
        pytest.param("250 2.0.0 Ok: queued as D15CA2DED01", None, id="queued"),
        pytest.param("250 OK, spam will be discarded later", None, id="a warning"),
        pytest.param("250 2.0.0 Ok, id=1-2, BOUNCES: none", None, id="another word"),
        pytest.param("554 5.7.0 Ok, discarded", None, id="no 2xx reply"),
    ],
)
def test_a_reply_tells_that_the_mail_goes_no_further(reply: str, what: str | None) -> None:
    assert disposition(reply) == what


def links(**texts: str) -> dict[str, Any]:
    fields = {f"postfix_{name}": text for name, text in texts.items()}
    add_links(fields)
    return {
        name.removeprefix("postfix_"): value
        for name, value in fields.items()
        if name.removeprefix("postfix_") not in texts
    }


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        pytest.param(
            {"relay": "none", "smtp_response": "example.net"},
            {"disposition": "discarded"},
            id="discard(8) has no next hop",
        ),
        pytest.param(
            {"relay": "local", "local_response": "forwarded as 6A1D2A4B9DC"},
            {"forwarded_queueid": "6A1D2A4B9DC"},
            id="local(8)",
        ),
        pytest.param(
            {
                "relay": "local",
                "local_response": "delivered to command: echo 250 queued as 6A1D2A4",
            },
            {},
            id="the name of a command is no reply",
        ),
        pytest.param(
            {"relay": "f", "pipe_response": "delivered via f service (queued as 6A1D2A4B9DC)"},
            {},
            id="what a command writes is no reply",
        ),
        pytest.param(
            {"proxy_message": "250 2.0.0 Ok: queued as 6A1D2A4B9DC"},
            {"remote_queueid": "6A1D2A4B9DC"},
            id="a filter before the queue",
        ),
        pytest.param(
            {"relay": "a[192.0.2.9]:25", "smtp_response": "250 2.7.0 Ok, discarded, id=03774-01"},
            {"remote_queueid": "03774-01", "disposition": "discarded"},
            id="a filter that throws away tells its own number",
        ),
        pytest.param(
            {"relay": "a[private/lmtp]", "smtp_response": "250 2.0.0 <a> ABCDEFGHIJ Saved"},
            {"lmtp_session": "ABCDEFGHIJ"},
            id="a mail store",
        ),
        pytest.param({"relay": "a[192.0.2.9]:25"}, {}, id="a line that was cut before the text"),
    ],
)
def test_links_are_written_by_who_said_it(texts: dict[str, str], found: dict[str, str]) -> None:
    assert links(**texts) == found


WORDS = [
    *("250", "2.0.0", "OK", "Ok:", "queued as", "queued on", "[InternalId=", "Saved", "qp", "id="),
    *("forwarded as", "Queued mail for delivery", "- gsmtp", "6A1D2A4B9DC", "Received OK [", "("),
    *("SESSIONID=<", "discarded", "blocked", "BOUNCE", "Message", "accepted", "1795534882", ")"),
]
replies = st.lists(st.sampled_from(WORDS) | st.text(max_size=9)).map(" ".join)


@given(reply=replies)
def test_what_is_found_is_short_and_a_part_of_the_reply(reply: str) -> None:
    for found in (remote_queue_id(reply), lmtp_session(reply), forwarded_queue_id(reply)):
        if found is not None:
            assert found in reply
            assert found.isascii()
            assert found.isprintable()
            assert 1 <= len(found) <= 128
    assert disposition(reply) in (None, "discarded", "quarantined", "blocked", "bounced")


@given(queue_id=st.from_regex(r"\A[0-9A-F]{6,12}\Z"), rest=st.sampled_from(["", " (x)", ", ok"]))
def test_any_queue_id_is_found(queue_id: str, rest: str) -> None:
    assert remote_queue_id(f"250 2.0.0 Ok: queued as {queue_id}{rest}") == queue_id
