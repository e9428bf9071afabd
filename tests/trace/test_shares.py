"""The lines of a mail: those that are common to all recipients, and those of each."""

import pytest

from benchmarks.recipients import mail_of
from mailingest.trace.answer import story_to_json
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from mailingest.trace.story import Story, by_mail, lines_of
from tests.support.logs import events_of_lines, stories_of
from tests.support.told import faults_of

D = "delay=2, delays=0/0/1/1"
LOG = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <no@example.net>: unknown; from=<ann@example.com> to=<no@example.net> proto=ESMTP helo=<pc>
24T10:00:01 mx1 postfix/cleanup: AAAAAA1: warning: header To: <bob@example.net>, <eve@example.net> from pc.example.com[192.0.2.7]; from=<ann@example.com> proto=ESMTP helo=<pc>
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=4 (queue active)
24T10:00:02 mx1 postfix/smtp[7]: AAAAAA1: lost connection with mx1.example.net[198.51.100.9] while sending RCPT TO
24T10:00:02 mx1 postfix/smtp[7]: AAAAAA1: host mx2.example.net[198.51.100.9] said: 450 4.2.0 <eve@example.net>: later (in reply to RCPT TO command)
24T10:00:03 mx1 postfix/smtp[7]: AAAAAA1: to=<bob@example.net>, relay=mx2.example.net[198.51.100.9]:25, {D}, dsn=2.0.0, status=sent (250 Ok)
24T10:00:03 mx1 postfix/smtp[7]: AAAAAA1: to=<eve@example.net>, relay=mx2.example.net[198.51.100.9]:25, {D}, dsn=4.2.0, status=deferred (450 later)
24T10:00:03 mx1 postfix/local[8]: AAAAAA1: to=<ann@mx1>, orig_to=<team@mx1>, relay=local, {D}, dsn=2.0.0, status=sent (delivered to mailbox)
24T10:00:03 mx1 postfix/local[8]: AAAAAA1: to=<ann@mx1>, relay=local, {D}, dsn=2.0.0, status=sent (delivered to mailbox)
24T11:00:00 mx1 postfix/smtp[7]: AAAAAA1: to=<eve@example.net>, relay=mx2.example.net[198.51.100.9]:25, {D}, dsn=2.0.0, status=sent (250 Ok)
24T11:00:00 mx1 postfix/qmgr: AAAAAA1: removed
"""  # noqa: E501
COMMON = ["client=", "header To:", "queue active", "removed"]


@pytest.mark.parametrize(
    ("recipient", "original", "own"),
    [
        pytest.param(
            "bob@example.net", None, ["lost connection", "to=<bob"], id="its try was broken off"
        ),
        pytest.param(
            "eve@example.net",
            None,
            ["lost connection", "450 4.2.0 <eve", "status=deferred", "to=<eve"],
            id="several tries, and a reply that names it",
        ),
        pytest.param("ann@mx1", "team@mx1", ["orig_to=<team"], id="by way of an alias"),
        pytest.param("ann@mx1", None, ["to=<ann@mx1>, relay"], id="the same address for itself"),
        pytest.param("no@example.net", None, ["550 5.1.1 <no"], id="a refused one"),
    ],
)
def test_a_proof_is_of_one_recipient(recipient: str, original: str | None, own: list[str]) -> None:
    [story] = [
        one
        for one in stories_of(LOG)
        if (one.recipient, one.original_recipient) == (recipient, original)
    ]
    lines = story_to_json(story)["proof"]
    assert [line for line in lines if not any(text in line for text in (*COMMON, *own))] == []
    for text in (*COMMON, *own):
        assert any(text in line for line in lines), text


def test_all_lines_of_a_mail_are_there_once() -> None:
    [stories] = by_mail(stories_of(LOG))
    messages = [event["message"] for event in lines_of(stories)]
    assert messages == [line.split(": ", 1)[1] for line in LOG.strip().splitlines()]


def _size(stories: list[Story]) -> float:
    return sum(len(line) for one in stories for line in story_to_json(one)["proof"]) / len(stories)


def test_an_answer_does_not_grow_with_the_number_of_recipients() -> None:
    few, many = (build_stories(gather(events_of_lines(mail_of(count)))) for count in (100, 400))
    assert len(many) > 3.9 * len(few)
    assert _size(many) < 1.1 * _size(few)


def test_nothing_of_a_mail_with_many_recipients_is_told_nowhere_or_twice() -> None:
    assert faults_of(events_of_lines(mail_of(200))) == []
