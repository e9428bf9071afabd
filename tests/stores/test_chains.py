"""Mails that a store has only pieces of until it is asked: by a login, a filter's ID, a refusal."""

# Long lines are log lines.
# ruff: noqa: E501

from pathlib import Path
from typing import Any

import pytest

from mailingest.stores.criteria import Criteria, Term, address_term, id_term, text_term
from mailingest.stores.protocol import Reader
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.store import SqliteStore
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.gathering import gather
from mailingest.trace.history import with_history
from mailingest.trace.stories import build_stories
from tests.support.earlier import write_earlier
from tests.support.logs import documents_of, events_of, lines_of
from tests.support.stores import MakeReader, fill

D = "delay=1, delays=0/0/0/1, dsn=2.0.0"


def login(number: int, name: str, sender: str = "ann@example.com") -> str:
    """A mail of a client that logged in, and one that was refused after a login."""
    return f"""
24T10:00:0{number} mx1 postfix/submission/smtpd: AAAAAA{number}: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username={name}
24T10:00:0{number} mx1 postfix/cleanup: AAAAAA{number}: message-id=<{number}@example.com>
24T10:00:0{number} mx1 postfix/qmgr: AAAAAA{number}: from=<{sender}>, size=500, nrcpt=1 (queue active)
24T10:00:0{number} mx1 postfix/smtp: AAAAAA{number}: to=<to{number}@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, status=sent (250 2.0.0 Ok: queued as 4XYZQ{number})
24T10:00:0{number} mx1 postfix/qmgr: AAAAAA{number}: removed
"""


LOGINS = (
    login(1, "Ann@Example.org")
    + login(2, "ann.smith")
    + login(3, "eve@example.org", sender="ann@example.org")
    + """
24T10:00:04 mx1 postfix/submission/smtpd: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 553 5.7.1 <boss@example.org>: Sender address rejected: not owned by user ann@example.org; from=<boss@example.org> to=<to4@example.net> proto=ESMTP helo=<pc> sasl_username=<ann@example.org>
24T10:00:05 mx1 postfix/submission/smtpd: warning: pc.example.com[192.0.2.7]: SASL PLAIN authentication failed: authentication failure, sasl_username=ann@example.org
"""
)


async def recipients(reader: Reader, criteria: Criteria) -> list[str | None]:
    return sorted((story.recipient for story in (await trace(reader, criteria)).stories), key=str)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param("ann@example.org", [1, 4], id="a whole name"),
        pytest.param("ANN@example.ORG", [1, 4], id="in another case"),
        pytest.param("ann", [1, 2, 4], id="a part"),
        pytest.param("ann@", [1, 4], id="a local part"),
        pytest.param("@example.org", [1, 3, 4], id="a domain"),
        pytest.param("smith", [2], id="without a domain"),
        pytest.param("bob", [], id="nobody"),
    ],
)
async def test_who_logged_in_is_asked_for(
    make_reader: MakeReader, asked: str, found: list[int]
) -> None:
    reader = await make_reader(LOGINS)
    criteria = Criteria(sasl_user=address_term(asked))
    assert await recipients(reader, criteria) == [f"to{number}@example.net" for number in found]


async def test_a_login_and_a_recipient(make_reader: MakeReader) -> None:
    criteria = Criteria(
        sasl_user=address_term("ann@example.org"), recipient=address_term("to1@example.net")
    )
    assert await recipients(await make_reader(LOGINS), criteria) == ["to1@example.net"]


async def test_lines_about_no_mail_are_no_candidates(make_reader: MakeReader) -> None:
    """An account that is attacked has thousands of them."""
    failed = LOGINS.strip().splitlines()[-1] + "\n"
    attack = "".join(failed.replace("10:00:05", f"10:01:{second:02}") for second in range(60))
    found = await (await make_reader(LOGINS + attack)).find(
        Criteria(sasl_user=Term("ann@example.org", "equals")), 1
    )
    assert ["NOQUEUE: reject" in str(event["message"]) for event in found.events] == [True]


async def test_a_file_of_an_earlier_version_knows_logins_too(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, ["mail"])
    first = list(documents_of(lines_of(login(1, "ann@example.org"))))
    write_earlier(tmp_path / "mail-2026.11.24.sqlite", first, 2)
    asked = [address_term(text) for text in ("ann@example.org", "ann@", "@example.org", "nn")]
    for term in asked:
        assert await recipients(SqliteReader(tmp_path, "mail"), Criteria(sasl_user=term)) == [
            "to1@example.net"
        ]
    # What is new goes into the tables of this version beside.
    await fill(store, documents_of(lines_of(login(2, "ann@example.org"))))
    for term in asked:
        assert await recipients(SqliteReader(tmp_path, "mail"), Criteria(sasl_user=term)) == [
            "to1@example.net",
            "to2@example.net",
        ]


FILTER_ID = "20A9560092030F3374"
PROXMOX = f"""
24T10:00:01 mx1 postfix/smtpd: DEF2520A69: client=in.example.org[192.0.2.1]
24T10:00:01 mx1 postfix/cleanup: DEF2520A69: message-id=<one@example.org>
24T10:00:01 mx1 postfix/qmgr: DEF2520A69: from=<ann@example.org>, size=500, nrcpt=2 (queue active)
24T10:00:02 mx1 pmg-smtp-filter: {FILTER_ID}: new mail message-id=<one@example.org>#012
24T10:00:03 mx1 postfix/smtpd: A673520AB5: client=localhost[127.0.0.1], orig_client=in.example.org[192.0.2.1]
24T10:00:03 mx1 postfix/cleanup: A673520AB5: message-id=<two@mx1>
24T10:00:03 mx1 pmg-smtp-filter: {FILTER_ID}: accept mail to <bob@example.net> (A673520AB5) (rule: default-accept)
24T10:00:03 mx1 pmg-smtp-filter: {FILTER_ID}: block mail to <eve@example.net> (rule: block)
24T10:00:03 mx1 postfix/qmgr: A673520AB5: from=<ann@example.org>, size=700, nrcpt=1 (queue active)
24T10:00:03 mx1 postfix/lmtp: DEF2520A69: to=<bob@example.net>, relay=127.0.0.1[127.0.0.1]:10024, {D}, status=sent (250 2.5.0 OK ({FILTER_ID}))
24T10:00:03 mx1 postfix/lmtp: DEF2520A69: to=<eve@example.net>, relay=127.0.0.1[127.0.0.1]:10024, {D}, status=sent (250 2.5.0 OK ({FILTER_ID}))
24T10:00:03 mx1 postfix/qmgr: DEF2520A69: removed
24T10:00:04 mx1 postfix/smtp: A673520AB5: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, status=sent (250 2.0.0 Ok: queued as 4XYZQ1)
24T10:00:04 mx1 postfix/qmgr: A673520AB5: removed
"""
BEFORE_THE_QUEUE = f"""
24T10:00:01 mx1 postfix/smtpd[9]: NOQUEUE: client=in.example.org[192.0.2.1]
24T10:00:03 mx1 pmg-smtp-filter: {FILTER_ID}: block mail to <eve@example.net> (rule: block)
24T10:00:03 mx1 postfix/smtpd[9]: proxy-accept: END-OF-MESSAGE: 250 2.5.0 OK ({FILTER_ID}); from=<ann@example.org> to=<bob@example.net> proto=ESMTP helo=<in.example.org>
"""
MAILSCANNER = f"""
24T10:00:01 mx1 postfix/smtpd: DEF2520A69: client=in.example.org[192.0.2.1]
24T10:00:01 mx1 postfix/cleanup: DEF2520A69: hold: header Received: x from in.example.org[192.0.2.1]; from=<ann@example.org> to=<bob@example.net> proto=ESMTP helo=<in>
24T10:00:01 mx1 postfix/cleanup: DEF2520A69: message-id=<one@example.org>
24T10:00:03 mx1 MailScanner: Requeue: DEF2520A69.AFE5C to A673520AB5
24T10:00:03 mx1 postfix/qmgr: A673520AB5: from=<ann@example.org>, size=700, nrcpt=1 (queue active)
24T10:00:04 mx1 postfix/smtp: A673520AB5: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, status=sent (250 2.0.0 Ok: queued as 4XYZQ1)
24T10:00:04 mx1 postfix/qmgr: A673520AB5: removed
"""
AFTER_A_FILTER = f"""
24T10:00:01 mx1 postfix/smtpd: DEF2520A69: client=localhost[127.0.0.1], orig_client=in.example.org[192.0.2.1]
24T10:00:01 mx1 postfix/qmgr: DEF2520A69: from=<ann@example.org>, size=500, nrcpt=1 (queue active)
24T10:00:04 mx1 postfix/smtp: DEF2520A69: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, status=sent (250 2.0.0 Ok: queued as 4XYZQ1)
"""
GREYLISTED = f"""
24T09:50:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from in.example.org[192.0.2.1]: 450 4.2.0 <bob@example.net>: Recipient address rejected: Greylisted; from=<ann@example.org> to=<bob@example.net> proto=ESMTP helo=<in.example.org>
24T10:00:01 mx1 postfix/smtpd: DEF2520A69: client=in.example.org[192.0.2.1]
24T10:00:01 mx1 postfix/cleanup: DEF2520A69: message-id=<one@example.org>
24T10:00:01 mx1 postfix/qmgr: DEF2520A69: from=<ann@example.org>, size=500, nrcpt=1 (queue active)
24T10:00:04 mx1 postfix/smtp: DEF2520A69: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, status=sent (250 2.0.0 Ok: queued as 4XYZQ1)
24T10:00:04 mx1 postfix/qmgr: DEF2520A69: removed
"""


@pytest.mark.parametrize(
    ("log", "question"),
    [
        pytest.param(PROXMOX, {"queue_id": "DEF2520A69"}, id="the first queue ID"),
        pytest.param(PROXMOX, {"queue_id": "A673520AB5"}, id="the last one"),
        pytest.param(PROXMOX, {"queue_id": FILTER_ID}, id="the filter's own"),
        pytest.param(PROXMOX, {"message_id": id_term("two@mx1")}, id="the second Message-ID"),
        pytest.param(PROXMOX, {"recipient": address_term("eve@example.net")}, id="blocked"),
        pytest.param(PROXMOX, {"client": text_term("192.0.2.1")}, id="the client"),
        pytest.param(BEFORE_THE_QUEUE, {}, id="before the queue"),
        pytest.param(
            BEFORE_THE_QUEUE, {"recipient": address_term("eve@")}, id="before it, by recipient"
        ),
        pytest.param(
            BEFORE_THE_QUEUE, {"sender": address_term("ann@example.org")}, id="and by sender"
        ),
        pytest.param(MAILSCANNER, {"queue_id": "DEF2520A69"}, id="held for a filter"),
        pytest.param(MAILSCANNER, {"queue_id": "A673520AB5"}, id="requeued by a filter"),
        pytest.param(
            AFTER_A_FILTER, {"client": text_term("192.0.2.1")}, id="the client before a filter"
        ),
        pytest.param(
            AFTER_A_FILTER, {"client": text_term("IN.example")}, id="the name of that client"
        ),
        pytest.param(GREYLISTED, {"queue_id": "DEF2520A69"}, id="refused before"),
        pytest.param(
            GREYLISTED, {"message_id": id_term("one@example.org")}, id="refused, by Message-ID"
        ),
    ],
)
async def test_a_question_leads_to_all_of_the_mail(
    make_reader: MakeReader, log: str, question: dict[str, Any]
) -> None:
    expected = with_history(build_stories(gather(events_of(log))))
    wanted = [one for one in map(story_to_json, expected) if is_asked(one, question)]
    result = await trace(await make_reader(log), Criteria(**question))
    assert [story_to_json(story) for story in result.stories] == wanted
    assert wanted


def is_asked(row: dict[str, Any], question: dict[str, Any]) -> bool:
    """Whether a row is an answer; all rows of these logs are of one mail."""
    if "recipient" in question:
        return bool(question["recipient"].matches(row["recipient"]))
    if "queue_id" in question or "message_id" in question:
        ids = {step["queue_id"] for step in row["chain"]} | {row["remote_queue_id"]}
        asked = question.get("queue_id", "A673520AB5" if "two@mx1" in str(question) else "")
        return bool(row["chain"]) and (not asked or asked in ids or asked == FILTER_ID)
    return True
