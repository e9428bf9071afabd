"""Whatever the events are in, the same questions find the same ones and give the same stories."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailingest.stores.criteria import Criteria, Evidence, address_term, id_term, text_term
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.stores.protocol import Found
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from tests.support.logs import events_of
from tests.support.stores import MakeReader
from tests.trace.test_stories import (
    ACCEPTED,
    CHAIN,
    DEFERRED,
    DOUBLE_BOUNCE,
    REMOVED,
    RENAMED,
    SENT,
    SENT_AFTER_DAYS,
    TWO_INSTANCES,
)

# Long lines are log lines.
# ruff: noqa: E501

LOG = """
24T10:00:00.000 mx1 postfix/smtpd[11]: connect from PC.example.com[192.0.2.7]
24T10:00:00.100 mx1 postfix/smtpd[11]: 4bXyK1gQmWz1Bcd: client=PC.example.com[192.0.2.7]
24T10:00:00.200 mx1 postfix/cleanup[12]: 4bXyK1gQmWz1Bcd: message-id=<One.1@Example.com>
24T10:00:00.300 mx1 postfix/qmgr[13]: 4bXyK1gQmWz1Bcd: from=<Ann.Smith@Example.com>, size=500, nrcpt=1 (queue active)
24T10:00:00.400 mx1 postfix/smtp[14]: Trusted TLS connection established to mx.example.net[198.51.100.9]:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
24T10:00:01.000 mx1 postfix/smtp[14]: 4bXyK1gQmWz1Bcd: to=<Bob@mail.example.net>, orig_to=<robert@example.org>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as REMOTE77)
24T10:00:01.100 mx1 postfix/qmgr[13]: 4bXyK1gQmWz1Bcd: removed
24T10:00:01.200 mx1 postfix/smtpd[11]: disconnect from PC.example.com[192.0.2.7] ehlo=1 quit=1 commands=2
24T11:00:00.000 mx2 postfix/smtpd[11]: NOQUEUE: reject: RCPT from evil[192.0.2.66]: 550 5.7.1 <carol@example.org>: no; from=<x@evil.example> to=<carol@example.org> proto=ESMTP helo=<evil>
25T12:00:00.000 mx2 postfix/pickup[15]: ABCDEF01: uid=0 from=<root>
25T12:00:00.100 mx2 postfix/cleanup[16]: ABCDEF01: message-id=<two@mx2>
25T12:00:00.200 mx2 postfix/qmgr[17]: ABCDEF01: from=<>, size=900, nrcpt=1 (queue active)
25T12:00:00.300 mx2 postfix/local[18]: ABCDEF01: to=<eve@example.org>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (forwarded as ABCDEF02)
25T12:00:00.400 mx2 postfix/bounce[19]: ABCDEF01: sender non-delivery notification: ABCDEF03
25T12:00:00.500 mx2 postfix/qmgr[17]: ABCDEF01: removed
25T12:00:00.600 mx2 dovecot: imap-login: Login: user=<eve>, method=PLAIN
"""


def at(day: int, hour: int, minute: int = 0, second: float = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) + timedelta(seconds=second)


def texts(found: Found) -> list[str]:
    """Program and message, newest first."""
    return [f"{event['program'].rpartition('/')[2]} {event['message']}" for event in found.events]


def programs(found: Found) -> list[str]:
    return [text.split(" ")[0] for text in texts(found)]


async def test_the_span_is_that_of_the_first_and_last_line(make_reader: MakeReader) -> None:
    span = await (await make_reader(LOG)).span()
    assert span is not None
    assert (span.first, span.last) == (at(24, 10), at(25, 12, 0, 0.6))


async def test_nothing_has_no_span_and_no_answer(make_reader: MakeReader) -> None:
    reader = await make_reader("")
    assert await reader.span() is None
    assert await reader.find(Criteria(), 10) == Found([], False)
    assert await reader.of_mails({"A"}, {"B"}, None, None, 10) == Found([], False)
    assert (await trace(reader, Criteria())).stories == []


# `is_found` are parts of a line that has to be found; other lines of the mail may be as well.
@pytest.mark.parametrize(
    ("criteria", "is_found"),
    [
        pytest.param({"sender": address_term("ann.smith@example.COM")}, "from=<Ann", id="sender"),
        pytest.param({"sender": address_term("root")}, "uid=0", id="sender without domain"),
        pytest.param({"sender": address_term("x@evil.example")}, "NOQUEUE", id="refused sender"),
        pytest.param({"sender": address_term("<>")}, "from=<>", id="the empty sender"),
        pytest.param({"sender": address_term("@example.com")}, "from=<Ann", id="sender's domain"),
        pytest.param(
            {"recipient": address_term("bob@MAIL.example.net")}, "to=<Bob", id="recipient"
        ),
        pytest.param({"recipient": address_term("Robert@example.org")}, "to=<Bob", id="original"),
        pytest.param({"recipient": address_term("robert@")}, "to=<Bob", id="local part"),
        pytest.param({"recipient": address_term("@mail.example.net")}, "to=<Bob", id="domain"),
        pytest.param({"recipient": address_term("OB@mail.ex")}, None, id="no whole address"),
        pytest.param({"recipient": address_term("mail.Exam")}, "to=<Bob", id="part of it"),
        pytest.param({"recipient": address_term("@example.net")}, None, id="no subdomain"),
        pytest.param({"recipient": address_term("ob@")}, None, id="no part of a local part"),
        pytest.param({"message_id": id_term("<ONE.1@example.com>")}, "message-id=<One", id="id"),
        pytest.param({"message_id": id_term("one.1@example")}, None, id="no part of an id"),
        pytest.param({"queue_id": "4bXyK1gQmWz1Bcd"}, "removed", id="queue ID"),
        pytest.param({"queue_id": "4BXYK1GQMWZ1BCD"}, None, id="queue IDs differ by case"),
        pytest.param({"queue_id": "REMOTE77"}, "to=<Bob", id="the partner's queue ID"),
        pytest.param({"queue_id": "ABCDEF02"}, "to=<eve", id="a forwarded mail"),
        pytest.param({"queue_id": "ABCDEF03"}, "notification", id="a notification"),
        pytest.param({"client": text_term("pc.EXAMPLE")}, "client=PC", id="client"),
        pytest.param({"client": text_term("192.0.2.7")}, "client=PC", id="client's address"),
        pytest.param({"client": text_term("192.0.2.6")}, "NOQUEUE", id="part of an address"),
        pytest.param({"relay": text_term("MX.example.net[198.51")}, "to=<Bob", id="relay"),
        pytest.param({"relay": text_term("]:25")}, "to=<Bob", id="punctuation"),
        pytest.param({"text": text_term("ueued as remote7")}, "to=<Bob", id="text, part of words"),
        pytest.param({"text": text_term("0/1, dsn=2.0.0, st")}, "to=<Bob", id="text, punctuation"),
        pytest.param({"text": text_term("550 5.7.1 <carol")}, "NOQUEUE", id="text of a refusal"),
        pytest.param({"text": text_term("imap-login")}, None, id="text about no mail"),
        pytest.param({"host": text_term("MX2")}, "NOQUEUE", id="host"),
        pytest.param({"host": text_term("mx3")}, None, id="another host"),
        pytest.param(
            {
                "sender": address_term("ann.smith@example.com"),
                "recipient": address_term("@mail.example.net"),
            },
            "4bXyK1gQmWz1Bcd",
            id="two terms",
        ),
        pytest.param({"sender": address_term("nobody@example.com")}, None, id="nobody"),
    ],
)
async def test_a_term_finds_a_line_of_the_mail(
    make_reader: MakeReader, criteria: dict[str, Any], is_found: str | None
) -> None:
    found = texts(await (await make_reader(LOG)).find(Criteria(**criteria), 100))
    if is_found is None:
        assert found == []
    else:
        assert any(is_found in text for text in found)


async def test_without_a_term_lines_about_mails_are_found_newest_first(
    make_reader: MakeReader,
) -> None:
    found = await (await make_reader(LOG)).find(Criteria(), 100)
    assert programs(found) == [
        *("qmgr", "bounce", "local", "qmgr", "cleanup", "pickup"),
        *("smtpd", "qmgr", "smtp", "qmgr", "cleanup", "smtpd"),
    ]
    assert not found.is_cut


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        pytest.param(at(24, 10, 0, 0.3), at(24, 10, 0, 1), ["qmgr"], id="the start belongs to it"),
        pytest.param(at(24, 10, 0, 0.301), at(24, 10, 0, 1.001), ["smtp"], id="the end does not"),
        pytest.param(at(25, 12, 0, 0.5), None, ["qmgr"], id="no end"),
        pytest.param(None, at(24, 10, 0, 0.2), ["smtpd"], id="no start"),
        pytest.param(at(24, 11), at(25, 12), ["smtpd"], id="over midnight"),
        pytest.param(at(26, 0), None, [], id="after all"),
        pytest.param(None, at(24, 10), [], id="before all"),
        pytest.param(at(25, 12), at(24, 10), [], id="an end before the start"),
    ],
)
async def test_time_bounds_are_kept(
    make_reader: MakeReader, since: datetime | None, until: datetime | None, found: list[str]
) -> None:
    reader = await make_reader(LOG)
    assert programs(await reader.find(Criteria(since=since, until=until), 100)) == found
    ids = ["4bXyK1gQmWz1Bcd", "ABCDEF01"]
    of_mails = programs(await reader.of_mails(ids, [], since, until, 100))
    assert of_mails == [one for one in found if (since, until) != (at(24, 11), at(25, 12))]


@pytest.mark.parametrize("limit", [1, 5, 11, 12, 13])
async def test_a_limit_leaves_the_newest_and_says_so(make_reader: MakeReader, limit: int) -> None:
    reader = await make_reader(LOG)
    every = await reader.find(Criteria(), 100)
    found = await reader.find(Criteria(), limit)
    assert found.events == every.events[:limit]
    assert found.is_cut is (limit < 12)


QUEUE = ["qmgr", "smtp", "qmgr", "cleanup", "smtpd"]


@pytest.mark.parametrize(
    ("queue_ids", "message_ids", "found"),
    [
        pytest.param(["4bXyK1gQmWz1Bcd"], [], QUEUE, id="a queue ID"),
        pytest.param(["4bxyk1gqmwz1bcd"], [], [], id="in another case"),
        pytest.param(["REMOTE77"], [], ["smtp"], id="the partner's queue ID"),
        pytest.param(["ABCDEF02"], [], ["local"], id="of a forwarded mail"),
        pytest.param(["ABCDEF03"], [], ["bounce"], id="of a notification"),
        pytest.param(["ABCDEF"], [], [], id="no part of a queue ID"),
        pytest.param([], ["TWO@mx2"], ["cleanup"], id="a message-id"),
        pytest.param(
            ["ABCDEF03", "REMOTE77"], ["two@mx2"], ["bounce", "cleanup", "smtp"], id="all"
        ),
        pytest.param(["4bXyK1gQmWz1Bcd"], ["One.1@Example.com"], QUEUE, id="each event once"),
        pytest.param([f"{n:08X}" for n in range(2000)] + ["ABCDEF02"], [], ["local"], id="many"),
        pytest.param(
            [], [f"{n}@mx" for n in range(2000)] + ["two@mx2"], ["cleanup"], id="many ids"
        ),
    ],
)
async def test_mails_are_fetched(
    make_reader: MakeReader,
    queue_ids: Collection[str],
    message_ids: Collection[str],
    found: list[str],
) -> None:
    reader = await make_reader(LOG)
    events = await reader.of_mails(queue_ids, message_ids, None, None, 100)
    # A store has the Message-ID in delivery events as well.
    assert [one for one in programs(events) if found == QUEUE or one not in ("smtp", "local")] == [
        one for one in found if found == QUEUE or one not in ("smtp", "local")
    ]
    assert set(found) <= set(programs(events))
    assert not events.is_cut
    cut = await reader.of_mails(queue_ids, message_ids, None, None, 1)
    assert cut.events == events.events[:1]
    assert cut.is_cut is (len(events.events) > 1)


@pytest.mark.parametrize(
    ("session", "found"),
    [
        pytest.param(("mx1", "postfix/smtpd", "11"), ["disconnect", "connect"], id="a session"),
        pytest.param(("mx2", "postfix/smtpd", "11"), [], id="of another host"),
        pytest.param(("mx1", "postfix/smtpd", "1"), [], id="no part of a process id"),
        pytest.param(("mx1", "smtpd", "11"), [], id="of another program"),
    ],
)
async def test_sessions_are_fetched(
    make_reader: MakeReader, session: tuple[str, str, str], found: list[str]
) -> None:
    reader = await make_reader(LOG)
    many = {session} | {("mx9", "postfix/smtpd", str(pid)) for pid in range(1000, 1100)}
    for sessions in ({session}, many):
        events = await reader.of_sessions(sessions, at(24, 10), at(24, 11), 100)
        assert [text.split(" ")[1] for text in texts(events)] == found
    assert (await reader.of_sessions({session}, at(24, 11), None, 100)).events == []


async def test_an_event_is_the_document_as_stored(make_reader: MakeReader) -> None:
    found = await (await make_reader(LOG)).of_mails({"REMOTE77"}, [], None, None, 10)
    [event] = found.events
    [stored] = [one for one in events_of(LOG) if "postfix_remote_queueid" in one]
    same = {name: value for name, value in event.items() if name != "_position"}
    # What correlation adds is in the other lines of the mail.
    assert same.items() <= stored.items()
    assert same["_id"] == stored["_id"]
    assert same["postfix_tls_version"] == "TLSv1.3"


async def test_equal_lines_of_one_second_are_told_apart(make_reader: MakeReader) -> None:
    line = "24T10:00:00 mx1 postfix/smtp: AAAAAA1: host mx[192.0.2.1] said: 450 later\n"
    found = await (await make_reader(line * 3)).of_mails({"AAAAAA1"}, [], None, None, 10)
    assert {event["_id"] for event in found.events} == {one["_id"] for one in events_of(line * 3)}


async def test_events_of_one_moment_are_in_the_order_in_which_they_were_written(
    make_reader: MakeReader,
) -> None:
    log = "".join(
        f"24T10:00:00 mx1 postfix/qmgr: AAAAAA1: number {number}\n" for number in range(300)
    )
    found = await (await make_reader(log)).of_mails({"AAAAAA1"}, [], None, None, 1000)
    numbers = [int(event["message"].rpartition(" ")[2]) for event in found.events]
    assert numbers == list(reversed(range(300)))
    positions = [event["_position"] for event in found.events]
    assert positions == sorted(positions, reverse=True)


BOUNCED_LATE = """
24T10:00:00 mx1 postfix/smtpd[11]: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:01 mx1 postfix/qmgr[13]: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/smtp[14]: AAAAAA1: to=<bob@example.net>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (timed out)
24T11:00:00 mx1 postfix/smtpd[11]: AAAAAA2: client=pc.example.com[192.0.2.7]
24T11:00:01 mx1 postfix/qmgr[13]: AAAAAA2: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T11:00:02 mx1 postfix/smtp[14]: AAAAAA2: to=<eve@example.net>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (timed out)
24T12:00:00 mx1 postfix/smtpd[11]: NOQUEUE: reject: RCPT from evil[192.0.2.66]: 550 5.7.1 <carol@example.org>: no; from=<x@evil.example> to=<carol@example.org> proto=ESMTP helo=<evil>
26T10:00:00 mx1 postfix/smtp[14]: AAAAAA1: to=<bob@example.net>, relay=none, delay=9, delays=9/0/0/0, dsn=5.4.1, status=bounced (no)
26T10:00:01 mx1 postfix/qmgr[13]: AAAAAA1: removed
"""


@pytest.mark.parametrize(
    ("verdicts", "since", "until", "recipients"),
    [
        pytest.param({"bounced"}, None, None, ["bob@example.net"], id="bounced"),
        pytest.param({"bounced"}, None, at(24, 10, 30), ["bob@example.net"], id="bounced later"),
        pytest.param({"bounced"}, at(25, 0), None, ["bob@example.net"], id="received earlier"),
        pytest.param({"bounced"}, at(27, 0), None, [], id="after all"),
        pytest.param({"pending"}, None, None, ["eve@example.net"], id="pending"),
        pytest.param({"pending"}, None, at(24, 10, 30), [], id="pending, received later"),
        pytest.param({"rejected"}, None, None, ["carol@example.org"], id="rejected"),
        pytest.param({"rejected"}, None, at(24, 12), [], id="rejected later"),
        pytest.param(
            {"bounced", "rejected"}, None, None, ["bob@example.net", "carol@example.org"], id="two"
        ),
        pytest.param({"delivered"}, None, None, [], id="none is delivered"),
    ],
)
async def test_a_verdict_is_asked_for(
    make_reader: MakeReader,
    verdicts: set[str],
    since: datetime | None,
    until: datetime | None,
    recipients: list[str],
) -> None:
    criteria = Criteria(verdicts=frozenset(verdicts), since=since, until=until)
    result = await trace(await make_reader(BOUNCED_LATE), criteria)
    assert sorted(str(story.recipient) for story in result.stories) == recipients
    assert not result.is_cut


HELD_OR_NOT = """
24T10:00:00 mx1 postfix/smtpd[11]: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:01 mx1 postfix/cleanup[12]: AAAAAA1: hold: header Subject: x from pc.example.com[192.0.2.7]; from=<ann@example.com> to=<header@example.net> proto=ESMTP helo=<pc>: why
24T11:00:00 mx1 postfix/smtpd[21]: AAAAAA2: client=pc.example.com[192.0.2.7]
24T11:00:01 mx1 postfix/cleanup[12]: AAAAAA2: milter-hold: END-OF-MESSAGE from pc.example.com[192.0.2.7]: milter triggers HOLD action; from=<ann@example.com> to=<milter@example.net> proto=ESMTP helo=<pc>
24T12:00:00 mx1 postfix/qmgr[13]: AAAAAA3: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T12:00:01 mx1 postfix/qmgr[13]: warning: saving corrupt file "AAAAAA3" from queue "active" to queue "corrupt"
24T13:00:00 mx1 postfix/qmgr[13]: AAAAAA4: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T13:00:01 mx1 postfix/postsuper[14]: AAAAAA4: placed on hold
24T14:00:00 mx1 postfix/qmgr[13]: AAAAAA5: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T14:00:01 mx1 postfix/smtp[15]: warning: AAAAAA5: mail for the queue "corrupt" loops back to myself
24T14:00:02 mx1 postfix/cleanup[12]: AAAAAA5: discard: header Subject: x from pc.example.com[192.0.2.7]; from=<ann@example.com> to=<bob@example.net> proto=ESMTP helo=<pc>: why
"""


async def test_held_is_asked_for_in_all_its_kinds(make_reader: MakeReader) -> None:
    criteria = Criteria(verdicts=frozenset({"held"}))
    result = await trace(await make_reader(HELD_OR_NOT), criteria)
    told = [(story.verdict, story.queues[0].key.queue_id) for story in result.stories]
    assert told == [("held", f"AAAAAA{number}") for number in (1, 2, 3, 4)]
    assert result.is_whole


async def test_lines_that_may_decide_are_found_and_few_others(make_reader: MakeReader) -> None:
    reader = await make_reader(BOUNCED_LATE)
    evidence = Evidence(frozenset({"bounced"}), since=at(26, 10, 0, 1))
    found = await reader.find(Criteria(evidence=evidence), 100)
    if isinstance(reader, LogFilesReader):
        assert {"smtp", "qmgr"} <= set(programs(found))
    else:
        assert programs(found) == ["qmgr", "smtp"]


NOT_UNDERSTOOD = """
24T10:00:00 mx1 postfix/smtp[14]: AAAAAA1: to=<Bob@example.net>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (timed out)
24T10:00:01 mx1 postfix/smtpd[11]: brand new words about <Eve@example.net> of Postfix 4
24T10:00:02 mx2 postfix/smtp[14]: more new words about AAAAAA2
24T10:00:03 mx1 dovecot: words about <eve@example.net> that are no Postfix line
"""


@pytest.mark.parametrize(
    ("criteria", "numbers"),
    [
        pytest.param({}, [1, 2], id="all"),
        pytest.param({"recipient": address_term("eve@EXAMPLE.net")}, [1], id="address"),
        pytest.param({"sender": address_term("@example.net")}, [1], id="domain"),
        pytest.param({"recipient": address_term("bob@example.net")}, [], id="understood"),
        pytest.param({"recipient": address_term("zoe@example.net")}, [], id="not named"),
        pytest.param({"queue_id": "AAAAAA2"}, [2], id="queue ID"),
        pytest.param({"host": text_term("mx1")}, [1], id="host"),
        pytest.param({"host": text_term("mx1"), "queue_id": "AAAAAA2"}, [], id="another host"),
        pytest.param({"since": at(24, 10, 0, 2)}, [2], id="since"),
        pytest.param({"until": at(24, 10, 0, 2)}, [1], id="until"),
    ],
)
async def test_lines_that_no_pattern_matches_are_told_of(
    make_reader: MakeReader, criteria: dict[str, Any], numbers: list[int]
) -> None:
    reader = await make_reader(NOT_UNDERSTOOD)
    lines = NOT_UNDERSTOOD.strip().splitlines()
    found = await reader.unmatched(Criteria(**criteria), 10)
    messages = [event["message"] for event in found.events]
    assert messages == [lines[number].partition("]: ")[2] for number in reversed(numbers)]
    result = await trace(reader, Criteria(**criteria))
    is_doubtful = bool(numbers) and not result.stories
    assert [gap.code for gap in result.why] == ["not_understood"] * is_doubtful


async def test_no_such_mail_is_not_certain_if_too_many_lines_are_not_understood(
    make_reader: MakeReader,
) -> None:
    reader = await make_reader(NOT_UNDERSTOOD)
    found = await reader.unmatched(Criteria(), 1)
    assert [event["message"] for event in found.events] == ["more new words about AAAAAA2"]
    assert found.is_cut


UNTRUSTED = [
    pytest.param("' OR '' = '", id="SQL"),
    pytest.param('" OR 1=1 --', id="a double quote"),
    pytest.param("%", id="percent"),
    pytest.param("b_b@mail.example.net", id="underscore"),
    pytest.param("*", id="asterisk"),
    pytest.param("b?b@mail.example.net", id="question mark"),
    pytest.param("[a-z]*", id="a pattern"),
    pytest.param(".*", id="a regular expression"),
    pytest.param("\\", id="backslash"),
    pytest.param("\\\\*@mail.example.net", id="backslashes"),
    pytest.param("a\x00b", id="NUL"),
    pytest.param("\x00", id="NUL only"),
    pytest.param("bob\n@example.net", id="line feed"),
    pytest.param("{{}}${}", id="braces"),
    pytest.param("x" * 20_000, id="very long"),
    pytest.param("*" * 3000, id="long and special"),
    pytest.param("Ω@例え.example", id="not ASCII"),
    pytest.param("\udce4\udcf6", id="what the terminal could not decode"),
]


@pytest.mark.parametrize("text", UNTRUSTED)
async def test_untrusted_criteria_find_nothing_and_do_no_harm(
    make_reader: MakeReader, text: str
) -> None:
    reader = await make_reader(LOG)
    addresses = [address_term(text), address_term(f"@{text}"), address_term(f"{text}@")]
    for criteria in (
        *(Criteria(sender=term) for term in addresses),
        *(Criteria(recipient=term) for term in addresses),
        Criteria(message_id=id_term(text)),
        Criteria(client=text_term(text)),
        Criteria(relay=text_term(text)),
        Criteria(text=text_term(text)),
        Criteria(host=text_term(text)),
        Criteria(queue_id=text),
    ):
        assert (await trace(reader, criteria)).stories == []
    assert (await reader.of_mails([], [text], None, None, 10)).events == []
    assert (await reader.of_sessions({(text, text, text)}, None, None, 10)).events == []
    assert len((await reader.find(Criteria(), 100)).events) == 12


HELD = """
24T10:00:00 mx1 postfix/smtpd: NOQUEUE: hold: RCPT from pc[192.0.2.7]: <a@example.com>: Sender address on hold; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>
"""
# A client may take five minutes for a command, and a policy server 100 seconds.
DISCARDED_LATE = """
24T10:00:00 mx1 postfix/smtpd: connect from pc[192.0.2.7]
24T10:00:20 mx1 postfix/smtpd: NOQUEUE: discard: RCPT from pc[192.0.2.7]: <a@example.com>: Sender address; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>
24T10:06:40 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]
24T10:06:41 mx1 postfix/smtpd: disconnect from pc[192.0.2.7] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5
"""
SCENARIOS = [
    pytest.param(LOG, id="two days"),
    pytest.param(CHAIN, id="a filter and two hosts"),
    pytest.param(ACCEPTED + SENT + REMOVED, id="handed over"),
    pytest.param(
        ACCEPTED + DEFERRED + "".join(DEFERRED.replace("24T", f"2{d}T") for d in (5, 6)),
        id="deferred",
    ),
    pytest.param(
        ACCEPTED + SENT + REMOVED + ACCEPTED.replace("24T", "26T").replace("one@", "two@"),
        id="an ID used again",
    ),
    pytest.param(
        "\n".join(ACCEPTED.splitlines()[:3])
        + "\n24T10:00:00 mx1 postfix/smtpd: lost connection after DATA from pc.example.com[192.0.2.7]"
        "\n24T10:00:00 mx1 postfix/smtpd: disconnect from pc.example.com[192.0.2.7]\n",
        id="broken off",
    ),
    pytest.param(HELD, id="held"),
    pytest.param(DISCARDED_LATE, id="discarded, with a client that takes its time"),
    pytest.param(SENT_AFTER_DAYS, id="sent after days"),
    pytest.param(DOUBLE_BOUNCE, id="a bounce of a bounce"),
    pytest.param(TWO_INSTANCES, id="two instances with the same queue ID"),
    pytest.param(RENAMED, id="a host that was renamed"),
]


@pytest.mark.parametrize("log", SCENARIOS)
async def test_the_stories_are_those_of_the_log(make_reader: MakeReader, log: str) -> None:
    reader = await make_reader(log)
    expected = [story_to_json(story) for story in build_stories(gather(events_of(log)))]
    result = await trace(reader, Criteria())
    assert [story_to_json(story) for story in result.stories] == expected
    assert not result.is_cut
    for each in expected:
        criteria = Criteria(
            recipient=address_term(each["recipient"]) if each["recipient"] else None,
            queue_id=each["queue_id"],
            message_id=id_term(each["message_id"]) if each["message_id"] else None,
        )
        found = await trace(reader, criteria)
        assert each in [story_to_json(story) for story in found.stories]


async def test_a_partners_queue_id_leads_to_the_whole_chain(make_reader: MakeReader) -> None:
    reader = await make_reader(CHAIN)
    for queue_id in ("AAAAAA1", "AAAAAA4"):
        result = await trace(reader, Criteria(queue_id=queue_id))
        assert [story.recipient for story in result.stories] == [
            "bob@store.example.com",
            "bob@example.net",
        ]


NEWSLETTER = "".join(
    f"24T10:00:{number:02d} mx1 postfix/qmgr: AAAAA{number:02X}: from=<news@example.com>, size=1, nrcpt=1 (queue active)\n"
    f"24T10:00:{number:02d} mx1 postfix/smtp: AAAAA{number:02X}: to=<reader{number}@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)\n"
    for number in range(40)
)


async def test_the_term_that_few_lines_meet_decides(make_reader: MakeReader) -> None:
    reader = await make_reader(NEWSLETTER)
    criteria = Criteria(
        sender=address_term("news@example.com"), recipient=address_term("reader3@example.net")
    )
    found = await reader.find(criteria, 5)
    assert [event["postfix_queueid"] for event in found.events] == ["AAAAA03"]
    assert not found.is_cut
    assert [story.verdict for story in (await trace(reader, criteria)).stories] == ["handed_over"]


async def test_a_mail_that_an_access_map_holds_is_found_by_its_recipient(
    make_reader: MakeReader,
) -> None:
    reader = await make_reader(HELD)
    [story] = (await trace(reader, Criteria(recipient=address_term("b@example.net")))).stories
    assert (story.verdict, story_to_json(story)["queue_id"]) == ("held", "AAAAAA1")


@pytest.mark.parametrize(
    "criteria",
    [
        pytest.param(Criteria(queue_id="AAAAAA1"), id="queue ID"),
        pytest.param(Criteria(verdicts=frozenset({"discarded"})), id="verdict"),
        pytest.param(Criteria(recipient=address_term("b@example.net")), id="recipient"),
        pytest.param(Criteria(sender=address_term("a@example.com")), id="sender"),
    ],
)
async def test_a_mail_is_found_that_got_its_queue_id_long_after_it_was_to_be_discarded(
    make_reader: MakeReader, criteria: Criteria
) -> None:
    reader = await make_reader(DISCARDED_LATE)
    [story] = (await trace(reader, criteria)).stories
    assert (story.verdict, story.recipient) == ("discarded", "b@example.net")
    assert story_to_json(story)["queue_id"] == "AAAAAA1"


async def test_the_newest_are_given_although_few_events_are_looked_at_first(
    make_reader: MakeReader,
) -> None:
    reader = await make_reader(NEWSLETTER)
    # The first look finds the newest 16 events, of which none is one of his.
    criteria = Criteria(sender=address_term("news@"), verdicts=frozenset({"handed_over"}))
    result = await trace(reader, criteria, limit=1)
    assert [story.recipient for story in result.stories] == ["reader39@example.net"]
    assert result.is_cut
    text = Criteria(sender=address_term("news@"), text=text_term("reader3@"))
    result = await trace(reader, text, limit=1)
    assert [story.recipient for story in result.stories] == ["reader3@example.net"]
    assert not result.is_cut
