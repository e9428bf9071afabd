"""What became of a mail: the verdict for each recipient, and the chain that leads to it."""

import random

import pytest

from mailingest.trace.answer import KEYS, story_to_json
from mailingest.trace.gathering import gather
from mailingest.trace.notes import Note
from mailingest.trace.stories import build_stories
from tests.support.logs import events_of, stories_of, summary

# Long lines are log lines.
# ruff: noqa: E501

D = "delay=1, delays=0.1/0.2/0.3/0.4"
ACCEPTED = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
"""
REMOVED = "24T10:00:09 mx1 postfix/qmgr: AAAAAA1: removed\n"


def delivery(
    agent: str, status: str, *, to: str = "bob@example.net", relay: str = "none", time: str = "02"
) -> str:
    return (
        f"24T10:00:{time} mx1 postfix/{agent}: AAAAAA1: to=<{to}>, relay={relay}, {D}, dsn=2.0.0,"
        f" status={status}\n"
    )


REMOTE = "mx.example.net[198.51.100.9]:25"
SENT = delivery("smtp", "sent (250 2.0.0 Ok: queued as 4XYZQ1)", relay=REMOTE)
DEFERRED = delivery("smtp", "deferred (host mx said: 451 4.7.1 later)", relay=REMOTE)


@pytest.mark.parametrize(
    ("log", "verdict"),
    [
        pytest.param(ACCEPTED + SENT + REMOVED, "handed_over", id="a foreign server said yes"),
        pytest.param(
            ACCEPTED + delivery("local", "sent (delivered to mailbox)", relay="local") + REMOVED,
            "delivered",
            id="local(8) put it into a mailbox",
        ),
        pytest.param(
            ACCEPTED
            + delivery("lmtp", "sent (250 2.0.0 <b> x Saved)", relay="mx[private/dovecot-lmtp]"),
            "delivered",
            id="the mail store took it",
        ),
        pytest.param(ACCEPTED + DEFERRED, "pending", id="it was put off"),
        pytest.param(ACCEPTED, "pending", id="it became active a moment ago"),
        pytest.param(
            ACCEPTED + delivery("smtp", "bounced (host mx said: 550 5.1.1 no)", relay=REMOTE),
            "bounced",
            id="it was refused for good",
        ),
        pytest.param(
            ACCEPTED
            + DEFERRED
            + "29T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, status=expired,"
            " returned to sender\n",
            "expired",
            id="it was too old",
        ),
        pytest.param(
            ACCEPTED + DEFERRED + "24T11:00:00 mx1 postfix/postsuper: AAAAAA1: removed\n",
            "deleted",
            id="an operator deleted it",
        ),
        pytest.param(
            ACCEPTED + "24T10:00:01 mx1 postfix/postsuper: AAAAAA1: placed on hold\n",
            "held",
            id="an operator put it on hold",
        ),
        pytest.param(
            ACCEPTED + delivery("discard", "sent (silently)"), "discarded", id="discard(8) took it"
        ),
        pytest.param(
            ACCEPTED + delivery("smtp", "deliverable (250 2.1.5 Ok)", relay=REMOTE),
            "probe",
            id="only the address was checked",
        ),
        pytest.param(
            ACCEPTED + REMOVED, "unknown", id="it was removed, and its delivery line is missing"
        ),
        pytest.param(
            ACCEPTED + DEFERRED + REMOVED, "unknown", id="its last delivery line is missing"
        ),
        pytest.param(
            ACCEPTED
            + delivery("smtp", "sent (250 Ok: queued as BBBBBB2)", relay="127.0.0.1[127.0.0.1]:1"),
            "unknown",
            id="a filter took it, and no line tells more",
        ),
        pytest.param(
            ACCEPTED + delivery("local", "sent (forwarded as BBBBBB2)", relay="local"),
            "unknown",
            id="it was forwarded, and no line tells more",
        ),
        pytest.param(
            ACCEPTED.replace("qmgr: AAAAAA1: from", "qmgr: AAAAAA9: from"),
            "unknown",
            id="the lines end before it became active",
        ),
        pytest.param(
            "\n".join(ACCEPTED.splitlines()[:3])
            + "\n24T10:00:02 mx1 postfix/smtpd: lost connection after DATA from pc[192.0.2.7]\n",
            "not_accepted",
            id="the client went away",
        ),
        pytest.param(
            "24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]\n"
            "24T10:00:01 mx1 postfix/cleanup: AAAAAA1: discard: header Subject: x from pc[192.0.2.7];"
            " from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>: why\n",
            "discarded",
            id="header_checks discarded it",
        ),
        pytest.param(
            "24T10:00:00 mx1 postfix/smtpd: NOQUEUE: hold: RCPT from pc[192.0.2.7]: <a@example.com>:"
            " Sender address on hold; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>\n"
            "24T10:00:01 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
            "24T10:00:01 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>\n",
            "held",
            id="an access map put it on hold",
        ),
        pytest.param(
            ACCEPTED
            + delivery("smtp", "deferred (delivery temporarily suspended)")
            + "25T20:00:00 mx1 postfix/qmgr: AAAAAA9: removed\n",
            "pending",
            id="a put-off mail stays pending however long it is",
        ),
        pytest.param(
            ACCEPTED + "25T20:00:00 mx1 postfix/qmgr: AAAAAAA: removed\n",
            "unknown",
            id="nothing was heard of an active mail for a day",
        ),
    ],
)
def test_the_verdict(log: str, verdict: str) -> None:
    story = next(one for one in stories_of(log) if one.queues[0].key.queue_id == "AAAAAA1")
    assert story.verdict == verdict


@pytest.mark.parametrize(
    ("code", "temporary"), [("450 4.7.1", True), ("550 5.7.1", False), ("421", True)]
)
def test_a_refusal_tells_whether_it_is_for_good(code: str, temporary: bool) -> None:
    [story] = stories_of(
        f"24T10:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc[192.0.2.7]: {code}"
        " <b@example.net>: no; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>"
    )
    assert (story.verdict, story.temporary) == ("rejected", temporary)
    assert story_to_json(story)["sender"] == "a@example.com"
    assert story_to_json(story)["client"] == "pc[192.0.2.7]"
    assert story_to_json(story)["reply"].startswith(code)


RETRIES = "".join(
    f"{day}T10:00:0{second} mx1 postfix/{line}\n"
    for day in range(25, 28)
    for second, line in (
        (1, "qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)"),
        (
            2,
            f"smtp: AAAAAA1: to=<bob@example.net>, relay={REMOTE}, {D}, dsn=4.7.1,"
            " status=deferred (451 later)",
        ),
    )
)
SENT_AFTER_DAYS = ACCEPTED + DEFERRED + RETRIES + SENT.replace("24T", "28T")


def test_a_mail_put_off_for_days_and_then_sent_is_handed_over() -> None:
    [story] = stories_of(SENT_AFTER_DAYS)
    assert (story.verdict, story.attempts) == ("handed_over", 5)
    assert story_to_json(story)["remote_queue_id"] == "4XYZQ1"


@pytest.mark.parametrize(
    "time",
    [
        pytest.param("26T10:00:0", id="days later"),
        pytest.param("24T14:00:0", id="hours later"),
        pytest.param("24T10:00:3", id="while the map still knows the first"),
    ],
)
def test_a_queue_id_that_is_used_again_makes_two_stories(time: str) -> None:
    second = (ACCEPTED + DEFERRED).replace("24T10:00:0", time)
    second = second.replace("ann@", "eve@").replace("one@", "two@")
    first_story, second_story = stories_of(ACCEPTED + SENT + REMOVED + second)
    assert (first_story.verdict, story_to_json(first_story)["sender"]) == (
        "handed_over",
        "ann@example.com",
    )
    assert (second_story.verdict, story_to_json(second_story)["sender"]) == (
        "pending",
        "eve@example.com",
    )
    assert story_to_json(second_story)["message_id"] == "two@example.com"


# Edge, content filter behind SMTP, and a mail store instance behind it: four queue IDs.
CHAIN = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T10:00:01 mx1 postfix/smtpd: AAAAAA2: client=localhost[127.0.0.1], orig_queue_id=AAAAAA1, orig_client=pc.example.com[192.0.2.7]
24T10:00:01 mx1 postfix/cleanup: AAAAAA2: message-id=<one@example.com>
24T10:00:01 mx1 postfix/qmgr: AAAAAA2: from=<ann@example.com>, size=600, nrcpt=1 (queue active)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<bob@example.com>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as AAAAAA2)
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: removed
24T10:00:02 mbox postfix/smtpd: AAAAAA3: client=mx1[192.0.2.1]
24T10:00:02 mbox postfix/cleanup: AAAAAA3: message-id=<one@example.com>
24T10:00:02 mbox postfix/qmgr: AAAAAA3: from=<ann@example.com>, size=700, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/smtp: AAAAAA2: to=<bob@example.com>, relay=mbox[192.0.2.2]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as AAAAAA3)
24T10:00:02 mx1 postfix/qmgr: AAAAAA2: removed
24T10:00:03 mbox postfix/cleanup: AAAAAA4: message-id=<one@example.com>
24T10:00:03 mbox postfix/qmgr: AAAAAA4: from=<ann@example.com>, size=800, nrcpt=2 (queue active)
24T10:00:03 mbox postfix/local: AAAAAA3: to=<bob@example.com>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (forwarded as AAAAAA4)
24T10:00:03 mbox postfix/qmgr: AAAAAA3: removed
24T10:00:04 mbox postfix/lmtp: AAAAAA4: to=<bob@store.example.com>, orig_to=<bob@example.com>, relay=mbox[private/lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Saved)
24T10:00:05 mbox postfix/smtp: AAAAAA4: to=<bob@example.net>, orig_to=<bob@example.com>, relay=mx.example.net[198.51.100.9]:25, delay=2, delays=0/0/0/2, dsn=4.0.0, status=deferred (451 later)
"""


def test_a_chain_of_four_queue_ids_on_two_hosts_is_one_story_for_each_recipient() -> None:
    chain = ["AAAAAA1", "AAAAAA2", "AAAAAA3", "AAAAAA4"]
    assert [summary(story) for story in stories_of(CHAIN)] == [
        {
            "verdict": "delivered",
            "recipient": "bob@store.example.com",
            "original": "bob@example.com",
            "chain": chain,
        },
        {
            "verdict": "pending",
            "recipient": "bob@example.net",
            "original": "bob@example.com",
            "chain": chain,
        },
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_events_are_given_does_not_matter(seed: int) -> None:
    events = events_of(CHAIN)
    random.Random(seed).shuffle(events)
    assert list(map(summary, build_stories(gather(events)))) == list(
        map(summary, stories_of(CHAIN))
    )


@pytest.mark.parametrize("lost", range(1, len(CHAIN.strip().splitlines())))
def test_a_lost_line_never_makes_a_wrong_verdict(lost: int) -> None:
    lines = CHAIN.strip().splitlines()
    stories = stories_of("\n".join([*lines[:lost], *lines[lost + 1 :]]))
    expected = {"bob@store.example.com": "delivered", "bob@example.net": "pending"}
    for story in stories:
        assert story.verdict in ("unknown", expected.get(story.recipient or ""))


DOUBLE_BOUNCE = (
    ACCEPTED
    + """
24T10:00:02 mx1 postfix/cleanup: BBBBBB2: message-id=<bounce@mx1>
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=mx[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (550 no)
24T10:00:02 mx1 postfix/bounce: AAAAAA1: sender non-delivery notification: BBBBBB2
24T10:00:02 mx1 postfix/qmgr: BBBBBB2: from=<>, size=900, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/qmgr: AAAAAA1: removed
24T10:00:03 mx1 postfix/cleanup: CCCCCC3: message-id=<double@mx1>
24T10:00:03 mx1 postfix/smtp: BBBBBB2: to=<ann@example.com>, relay=mx[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (550 no)
24T10:00:03 mx1 postfix/bounce: BBBBBB2: postmaster non-delivery notification: CCCCCC3
24T10:00:03 mx1 postfix/qmgr: CCCCCC3: from=<double-bounce@mx1>, size=900, nrcpt=1 (queue active)
24T10:00:03 mx1 postfix/qmgr: BBBBBB2: removed
24T10:00:04 mx1 postfix/local: CCCCCC3: to=<root@mx1>, orig_to=<postmaster>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (delivered to mailbox)
24T10:00:04 mx1 postfix/qmgr: CCCCCC3: removed
"""
)


def test_a_bounce_of_a_bounce() -> None:
    mail, bounce, double = stories_of(DOUBLE_BOUNCE)
    assert (mail.verdict, mail.notification) == ("bounced", "BBBBBB2")
    assert (bounce.verdict, bounce.notification) == ("bounced", "CCCCCC3")
    assert story_to_json(bounce)["sender"] == ""
    assert (double.verdict, double.recipient) == ("delivered", "root@mx1")


def test_of_a_notification_that_bounces_nobody_is_told() -> None:
    bounced = delivery("smtp", "bounced (550 no)", relay=REMOTE)
    [story] = stories_of(ACCEPTED.replace("ann@example.com", "") + bounced)
    assert (story.verdict, story.note) == ("bounced", Note("nobody_told"))


def test_every_recipient_has_its_own_verdict() -> None:
    log = (
        ACCEPTED.replace("nrcpt=1", "nrcpt=4")
        + SENT
        + delivery("local", "sent (delivered to mailbox)", to="root@mx1", relay="local")
        + delivery("smtp", "bounced (550 no)", to="no@example.net", relay=REMOTE)
        + REMOVED
    )
    verdicts = {story.recipient: story.verdict for story in stories_of(log)}
    assert verdicts == {
        "bob@example.net": "handed_over",
        "root@mx1": "delivered",
        "no@example.net": "bounced",
        # qmgr knew of four.
        None: "unknown",
    }


def test_a_requeued_mail_goes_on_under_its_new_queue_id() -> None:
    log = (
        ACCEPTED
        + DEFERRED
        + """
24T11:00:00 mx1 postfix/postsuper: AAAAAA1: requeued
24T11:00:01 mx1 postfix/pickup: BBBBBB2: uid=0 from=<ann@example.com> orig_id=AAAAAA1
24T11:00:01 mx1 postfix/cleanup: BBBBBB2: message-id=<one@example.com>
24T11:00:01 mx1 postfix/qmgr: BBBBBB2: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
"""
        + SENT.replace("AAAAAA1", "BBBBBB2").replace("10:00", "11:00")
    )
    [story] = stories_of(log)
    assert (story.verdict, [q.key.queue_id for q in story.queues]) == (
        "handed_over",
        ["AAAAAA1", "BBBBBB2"],
    )


def test_of_a_mail_on_hold_no_more_is_claimed_than_its_lines_say() -> None:
    held = "24T10:00:09 mx1 postfix/postsuper: AAAAAA1: placed on hold\n"
    [story] = stories_of(ACCEPTED + DEFERRED + held)
    assert story.verdict == "held"
    assert story_to_json(story)["note"] == (
        "on hold since 2026-11-24T10:00:09.000Z; no later line says that it was released or deleted"
    )


def test_a_hold_that_was_released_is_over() -> None:
    log = (
        ACCEPTED.replace("24T10:00:01", "24T12:00:01")
        + "24T10:00:01 mx1 postfix/postsuper: AAAAAA1: placed on hold\n"
        + "24T12:00:00 mx1 postfix/postsuper: AAAAAA1: released from hold\n"
        + SENT.replace("10:00", "12:00")
    )
    [story] = stories_of(log)
    assert story.verdict == "handed_over"


RENAMED = (
    ACCEPTED
    + DEFERRED
    + (RETRIES + (SENT + REMOVED).replace("24T", "28T")).replace(" mx1 ", " mx1-new ")
)


def test_a_mail_that_waits_while_its_host_is_renamed_is_one_mail() -> None:
    [story] = stories_of(RENAMED)
    assert (story.verdict, story.attempts) == ("handed_over", 5)


def test_the_same_queue_id_on_two_hosts_is_two_mails() -> None:
    other = (ACCEPTED + DEFERRED).replace(" mx1 ", " mx2 ").replace("one@", "two@")
    verdicts = {
        story.queues[0].key.host: story.verdict for story in stories_of(ACCEPTED + SENT + other)
    }
    assert verdicts == {"mx1": "handed_over", "mx2": "pending"}


TWO_INSTANCES = (
    ACCEPTED
    + SENT
    + REMOVED
    + (ACCEPTED + DEFERRED).replace(" postfix/", " postfix-out/").replace("one@", "two@")
)


def test_the_same_queue_id_in_two_instances_is_two_mails() -> None:
    stories = stories_of(TWO_INSTANCES)
    verdicts = {story.queues[0].key.instance: story.verdict for story in stories}
    assert verdicts == {"postfix": "handed_over", "postfix-out": "pending"}


def test_a_mail_that_is_forwarded_in_a_circle_is_told_once() -> None:
    there = ACCEPTED.replace("AAAAAA1", "BBBBBB2") + delivery(
        "local", "sent (forwarded as AAAAAA1)", relay="local"
    ).replace(": AAAAAA1: to", ": BBBBBB2: to")
    back = delivery("local", "sent (forwarded as BBBBBB2)", relay="local")
    assert all(story.verdict == "unknown" for story in stories_of(ACCEPTED + back + there))


def test_one_recipient_that_is_named_twice_is_told_once() -> None:
    # recipient_bcc_maps may add an address that is there already.
    [story] = stories_of(ACCEPTED.replace("nrcpt=1", "nrcpt=2") + SENT + SENT + REMOVED)
    assert (story.verdict, story.attempts) == ("handed_over", 1)


def test_a_recipient_that_is_passed_over_is_not_called_pending() -> None:
    active = ACCEPTED.splitlines()[-1] + "\n"
    again = "".join(
        active.replace("T10", f"T1{hour}")
        + delivery("smtp", "deferred (451 later)", to="eve@example.net").replace("T10", f"T1{hour}")
        for hour in (1, 2)
    )
    verdicts = {story.recipient: story.verdict for story in stories_of(ACCEPTED + DEFERRED + again)}
    assert verdicts == {"bob@example.net": "unknown", "eve@example.net": "pending"}


def test_a_mail_that_was_not_heard_of_for_long_is_pending_with_a_doubt() -> None:
    story = stories_of(ACCEPTED + DEFERRED + "26T10:00:00 mx1 postfix/qmgr: AAAAAA9: removed\n")[0]
    since = story.queues[0].last_line()
    assert (story.verdict, story.note) == ("pending", Note("silent", {"since": since}))
    assert str(story_to_json(story)["note"]).startswith(
        "it should have been tried again, but no line tells of it since 2026-11-24T"
    )


@pytest.mark.parametrize("stage", ["DATA", "END-OF-MESSAGE"])
def test_a_mail_that_is_refused_as_a_whole_is_told_once(stage: str) -> None:
    stories = stories_of(
        f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]
24T10:00:01 mx1 postfix/smtpd: AAAAAA1: reject: {stage} from pc[192.0.2.7]: 503 5.5.0 <DATA>: no; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>
24T10:00:02 mx1 postfix/smtpd: disconnect from pc[192.0.2.7] ehlo=1 mail=1 rcpt=1 data=0/1 commands=3/4
"""
    )
    assert [story.verdict for story in stories] == ["rejected"]
    assert story_to_json(stories[0])["reply"] == "503 5.5.0 <DATA>: no"


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        pytest.param("mail=1 rcpt=1 data=0/1 commands=2/3", "not_accepted", id="none was complete"),
        pytest.param("mail=2 rcpt=2 data=1 commands=5", "not_accepted", id="one of two was"),
        pytest.param("mail=1 rcpt=1 data=1 commands=3", "unknown", id="it was complete"),
        pytest.param("", "not_accepted", id="an old Postfix counts nothing"),
    ],
)
def test_a_session_takes_a_mail_along_that_was_not_complete(counts: str, verdict: str) -> None:
    [story] = stories_of(
        f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]
24T10:00:02 mx1 postfix/smtpd: disconnect from pc[192.0.2.7] {counts}
"""
    )
    assert story.verdict == verdict


def test_lines_of_a_filter_belong_to_the_mail_and_decide_nothing() -> None:
    log = (
        ACCEPTED
        + "24T10:00:01 mx1 opendkim: AAAAAA1: DKIM-Signature field added (s=mail, d=example.com)\n"
        + DEFERRED
    )
    [story] = stories_of(log)
    assert story.verdict == "pending"
    assert any("DKIM-Signature" in line for line in story_to_json(story)["proof"])


def test_a_foreign_queue_id_that_looks_like_ours_is_not_followed() -> None:
    other = ACCEPTED.replace("AAAAAA1", "BBBBBB2").replace("one@", "other@") + DEFERRED.replace(
        "AAAAAA1", "BBBBBB2"
    ).replace("bob@", "eve@")
    log = other + ACCEPTED + SENT.replace("4XYZQ1", "BBBBBB2") + REMOVED
    verdicts = {story.recipient: story.verdict for story in stories_of(log)}
    assert verdicts == {"bob@example.net": "handed_over", "eve@example.net": "pending"}


def test_the_object_has_the_keys_that_scripts_read() -> None:
    [story] = stories_of(ACCEPTED + SENT + REMOVED)
    row = story_to_json(story)
    assert tuple(row) == KEYS
    assert row["verdict"] == "handed_over"
    assert row["chain"] == [{"host": "mx1", "instance": "postfix", "queue_id": "AAAAAA1"}]
    assert row["client"] == "pc.example.com[192.0.2.7]"
    assert row["received_at"] == "2026-11-24T10:00:00.000Z"
    assert row["decided_at"] == "2026-11-24T10:00:02.000Z"
    assert (row["relay"], row["relay_ip"], row["relay_port"]) == (REMOTE, "198.51.100.9", 25)
    assert row["delays"] == {
        "total": 1.0,
        "before_qmgr": 0.1,
        "in_qmgr": 0.2,
        "conn_setup": 0.3,
        "transmission": 0.4,
    }
    assert (row["size"], row["attempts"], row["dsn"]) == (500, 1, "2.0.0")
    assert row["evidence"] in row["proof"]
    assert len(row["proof"]) == 5


def test_an_address_that_is_a_recipient_and_in_an_alias_has_a_story_for_each() -> None:
    log = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=2 (queue active)
24T10:00:01 mx1 postfix/smtpd: AAAAAA2: client=localhost[127.0.0.1], orig_queue_id=AAAAAA1, orig_client=pc.example.com[192.0.2.7]
24T10:00:01 mx1 postfix/cleanup: AAAAAA2: message-id=<one@example.com>
24T10:00:01 mx1 postfix/qmgr: AAAAAA2: from=<ann@example.com>, size=600, nrcpt=2 (queue active)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<bob@example.com>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as AAAAAA2)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<all@example.com>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as AAAAAA2)
24T10:00:02 mx1 postfix/lmtp: AAAAAA2: to=<bob@example.com>, relay=mx1[private/lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Saved)
24T10:00:02 mx1 postfix/lmtp: AAAAAA2: to=<bob@example.com>, orig_to=<all@example.com>, relay=mx1[private/lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Saved)
24T10:00:03 mx1 postfix/qmgr: AAAAAA2: removed
"""
    found = [(story.recipient, story.original_recipient) for story in stories_of(log)]
    assert sorted(found, key=str) == [
        ("bob@example.com", "all@example.com"),
        ("bob@example.com", None),
    ]


def test_a_mail_submitted_here_is_one_story_however_often_it_is_tried() -> None:
    log = """
24T10:00:00 mx1 postfix/pickup: AAAAAA1: uid=1000 from=<ann>
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
"""
    tries = "".join(DEFERRED.replace("24T10:00", f"24T1{hour}:00") for hour in range(1, 4))
    [story] = stories_of(log + tries)
    assert (story.verdict, story.attempts) == ("pending", 3)
