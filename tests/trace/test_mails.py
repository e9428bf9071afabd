"""A mail as a whole: what its recipients have in common once, and what became of it for each."""

from benchmarks.recipients import mail_of
from mailingest.postfix.mail_domains import MailDomains
from mailingest.trace.attempts import attempts_of, by_reply
from mailingest.trace.gathering import gather
from mailingest.trace.mails import HEADER_KEYS, RECIPIENT_KEYS, Mail, mail_to_json, mails_of
from mailingest.trace.stories import build_stories
from mailingest.trace.story import Story, lines_of
from mailingest.trace.visibility import Visibility
from tests.support.logs import events_of_lines, stories_of

RELAY = "relay=mx.example.net[198.51.100.9]:25"
D = "delays=0/0/0/1"
DEFERRED = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username=ann
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=2 (queue active)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<zoe@example.org>, {RELAY}, delay=1, {D}, dsn=2.0.0, status=sent (250 Ok)
24T10:00:30 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=none, delay=30, {D}, dsn=4.4.1, status=deferred (connect to mx.example.net[198.51.100.9]:25: Connection timed out)
24T10:30:30 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=none, delay=1830, {D}, dsn=4.4.1, status=deferred (connect to mx2.example.net[198.51.100.10]:25: Connection timed out)
24T11:00:00 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, {RELAY}, delay=3600, {D}, dsn=4.2.2, status=deferred (host mx.example.net[198.51.100.9] said: 452 4.2.2 <bob@example.net>: Mailbox full)
24T12:00:00 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, {RELAY}, delay=7200, {D}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4XYZ)
24T12:00:00 mx1 postfix/qmgr: AAAAAA1: removed
"""  # noqa: E501


def _large(recipients: int) -> list[Story]:
    return build_stories(gather(events_of_lines(mail_of(recipients))))


def test_a_mail_has_its_header_and_lines_once_and_each_recipient() -> None:
    [mail] = mails_of(stories_of(DEFERRED))
    found = mail_to_json(mail)
    assert {key: found[key] for key in HEADER_KEYS} == {
        "sender": "ann@example.com",
        "message_id": "one@example.com",
        "host": "mx1",
        "instance": "postfix",
        "queue_id": "AAAAAA1",
        "client": "pc.example.com[192.0.2.7]",
        "sasl_username": "ann",
        "sasl_method": "PLAIN",
        "sasl_sender": None,
        "received_at": "2026-11-24T10:00:00.000Z",
        "size": 500,
    }
    assert (found["counts"], found["not_shown"]) == ({"handed_over": 2}, 0)
    assert found["queues"] == [{"host": "mx1", "instance": "postfix", "queue_id": "AAAAAA1"}]
    assert [line.split(": ", 1)[1].split(",")[0] for line in found["lines"]] == [
        "AAAAAA1: client=pc.example.com[192.0.2.7]",
        "AAAAAA1: message-id=<one@example.com>",
        "AAAAAA1: from=<ann@example.com>",
        "AAAAAA1: removed",
    ]
    bob, zoe = found["recipients"]
    assert [one["recipient"] for one in (bob, zoe)] == ["bob@example.net", "zoe@example.org"]
    assert set(RECIPIENT_KEYS) < set(bob)
    assert [len(one["lines"]) for one in (bob, zoe)] == [4, 1]
    assert [(one["count"], one["status"], one["dsn"]) for one in bob["replies"]] == [
        (2, "deferred", "4.4.1"),
        (1, "deferred", "4.2.2"),
        (1, "sent", "2.0.0"),
    ]
    assert bob["replies"][0]["first_at"] == "2026-11-24T10:00:30.000Z"
    assert bob["replies"][0]["last_at"] == "2026-11-24T10:30:30.000Z"
    assert "mx2.example.net" in bob["replies"][0]["reply"]


def test_only_those_asked_for_are_told_but_all_are_counted() -> None:
    [mail] = mails_of(stories_of(DEFERRED))
    found = mail_to_json(mail, mail.stories[1:])
    assert [one["recipient"] for one in found["recipients"]] == ["zoe@example.org"]
    assert found["counts"] == {"handed_over": 2}


def test_of_recipients_that_a_reader_may_not_see_only_their_number_is_told() -> None:
    seen = Visibility(MailDomains.read(["example.org"])).of(stories_of(DEFERRED))
    [mail] = mails_of(seen)
    found = mail_to_json(mail)
    assert (found["counts"], found["not_shown"]) == ({"handed_over": 1}, 1)
    assert "bob" not in str(found)


def test_what_went_wrong_comes_first_and_all_is_counted() -> None:
    stories = _large(200)
    [mail] = mails_of(stories)
    assert list(mail.counts) == ["bounced", "rejected", "pending", "handed_over"]
    assert sum(mail.counts.values()) == len(stories)
    verdicts = [story.verdict for story in mail.stories]
    assert verdicts == sorted(verdicts, key=list(mail.counts).index)


def test_each_line_is_common_or_of_recipients_and_none_is_missing() -> None:
    [mail] = mails_of(_large(100))
    common = {event["_id"] for event in mail.common_lines()}
    own = {event["_id"] for lines in mail.own_lines(mail.stories) for event in lines}
    assert common
    assert own
    assert not common & own
    assert common | own == {event["_id"] for event in lines_of(mail.stories)}


def test_what_is_common_does_not_grow_with_the_recipients() -> None:
    few, many = (mails_of(_large(count))[0] for count in (50, 200))
    assert len(few.common_lines()) == len(many.common_lines())
    assert [queue.key.queue_id for queue in many.queues] == ["4fXbpG2Zh0z9q2P"]
    copies = [story for story in many.stories if len(story.queues) > 1]
    assert len(copies) == 20
    [lines] = many.own_lines(copies[:1])
    assert "removed" in lines[-1]["message"]


def test_the_only_recipient_has_all_queue_ids_of_its_way() -> None:
    [mail] = mails_of(
        stories_of(f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T10:00:01 mx1 postfix/smtpd: AAAAAA2: client=localhost[127.0.0.1], orig_client=pc.example.com[192.0.2.7]
24T10:00:01 mx1 postfix/qmgr: AAAAAA2: from=<ann@example.com>, size=600, nrcpt=1 (queue active)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<list@example.com>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, {D}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as AAAAAA2)
24T10:00:02 mx1 postfix/smtp: AAAAAA2: to=<bob@example.net>, orig_to=<list@example.com>, {RELAY}, delay=1, {D}, dsn=4.4.1, status=deferred (452 later)
24T10:10:02 mx1 postfix/smtp: AAAAAA2: to=<bob@example.net>, orig_to=<list@example.com>, {RELAY}, delay=601, {D}, dsn=2.0.0, status=sent (250 Ok)
24T10:10:02 mx1 postfix/smtp: AAAAAA2: to=<bob@example.net>, orig_to=<list@example.com>, {RELAY}, delay=601, {D}, dsn=2.0.0, status=sent (250 Ok)
""")  # noqa: E501
    )
    assert [queue.key.queue_id for queue in mail.queues] == ["AAAAAA1", "AAAAAA2"]
    tries = attempts_of(mail.stories[0])
    assert [one.status for one in tries] == ["sent", "deferred", "sent"]
    assert [len(group.attempts) for group in by_reply(tries)] == [1, 1, 1]


def test_a_refusal_is_a_mail_of_its_own() -> None:
    [mail] = mails_of(
        stories_of(
            "24T10:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 550 5.1.1"
            " <b@example.net>: no; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>"
        )
    )
    found = mail_to_json(mail)
    assert (found["sender"], found["queues"], found["lines"]) == ("a@example.com", [], [])
    assert len(found["recipients"][0]["lines"]) == 1
    assert isinstance(mail, Mail)
