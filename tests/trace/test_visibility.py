"""What a user of some domains may see of mails, and what a search tells them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.postfix.mail_domains import MailDomains, domain_of
from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.mails import mail_to_json, mails_of
from mailingest.trace.redaction import HIDDEN, Redaction
from mailingest.trace.story import Story
from mailingest.trace.visibility import Visibility
from tests.support.logs import documents_of, lines_of, stories_of
from tests.support.stores import sqlite_reader

# Long lines are log lines.
# ruff: noqa: E501

D = "delays=0/0/0/1"
RELAY = "relay=mx.secret.example[198.51.100.9]:25"
MINE = Visibility(MailDomains.read(["mine.example"]))

TO_BOTH = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=out.far.example[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<m1@far.example>
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: warning: header To: Bob Secret <bob@secret.example>, alice@mine.example from out.far.example[192.0.2.7]; from=<fay@far.example> to=<alice@mine.example> proto=ESMTP helo=<out>
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<fay@far.example>, size=500, nrcpt=2 (queue active)
24T10:00:01 mx1 postfix/lmtp[8]: AAAAAA1: to=<alice@mine.example>, relay=box[10.0.0.1]:24, delay=1, {D}, dsn=2.0.0, status=sent (250 2.0.0 Ok)
24T10:00:01 mx1 postfix/smtp[9]: AAAAAA1: lost connection with mx.secret.example[198.51.100.9] while receiving the initial server greeting
24T10:00:02 mx1 postfix/smtp[9]: AAAAAA1: to=<bob@secret.example>, {RELAY}, delay=2, {D}, dsn=4.2.2, status=deferred (host mx.secret.example said: 452 secret is full)
24T10:10:00 mx1 postfix/qmgr: AAAAAA1: from=<fay@far.example>, size=500, nrcpt=2 (queue active)
24T10:10:02 mx1 postfix/smtp[9]: AAAAAA1: to=<bob@secret.example>, {RELAY}, delay=602, {D}, dsn=5.2.2, status=bounced (host mx.secret.example said: 552 secret is gone)
24T10:10:02 mx1 postfix/bounce: AAAAAA1: sender non-delivery notification: BBBBBB2
24T10:10:03 mx1 postfix/qmgr: AAAAAA1: removed
"""


def sent(login: str | None, sender: str, *deliveries: str) -> str:
    by = f", sasl_method=PLAIN, sasl_username={login}" if login else ""
    return "\n".join(
        [
            f"24T11:00:00 mx1 postfix/smtpd: CCCCCC1: client=pc[192.0.2.7]{by}",
            f"24T11:00:00 mx1 postfix/qmgr: CCCCCC1: from=<{sender}>, size=500, nrcpt={len(deliveries)} (queue active)",
            *(
                f"24T11:00:01 mx1 postfix/smtp: CCCCCC1: {one}, {RELAY}, delay=1, {D}, dsn=2.0.0, status=sent (250 Ok)"
                for one in deliveries
            ),
        ]
    )


def seen(log: str, visibility: Visibility = MINE) -> list[Story]:
    return visibility.of(stories_of(log))


def everything(stories: list[Story]) -> str:
    """All that can be made of stories."""
    told = [story_to_json(story) for story in stories]
    return json.dumps([*told, *map(mail_to_json, mails_of(stories))]) + repr(stories)


def test_of_other_recipients_only_the_number_is_told() -> None:
    [story] = seen(TO_BOTH)
    told = story_to_json(story)
    assert (told["recipient"], told["verdict"], told["not_shown"]) == (
        "alice@mine.example",
        "delivered",
        1,
    )
    assert told["sender"] == "fay@far.example"
    assert told["message_id"] == "m1@far.example"
    assert "secret" not in everything([story]).lower()
    assert "BBBBBB2" not in everything([story])
    # That somebody else's part was tried again later would be told by these.
    assert not [line for line in told["proof"] if "T10:10" in line]
    assert [line.split("postfix/")[1].split(":")[0] for line in told["proof"]] == [
        "smtpd[77]",
        "cleanup[77]",
        "qmgr[77]",
        "lmtp[8]",
    ]


def test_the_only_recipient_has_all_lines_of_a_mail() -> None:
    log = TO_BOTH.replace("nrcpt=2", "nrcpt=1")
    alone = "\n".join(
        line for line in log.splitlines() if "secret" not in line and "bounce" not in line
    )
    [story] = seen(alone)
    assert story.not_shown == 0
    assert "removed" in story_to_json(story)["proof"][-1]


def test_own_recipients_of_a_mail_are_one_mail() -> None:
    log = TO_BOTH.replace("bob@secret.example", "al@mine.example")
    assert [len(mail.stories) for mail in mails_of(seen(log))] == [2]


def test_what_was_sent_with_a_login_of_the_domain_is_theirs() -> None:
    for login, sender in (
        ("ann@mine.example", "ann@mine.example"),
        ("ann@MINE.example", "ann@elsewhere.example"),
        ("ann", "ann@mine.example"),
    ):
        [story] = seen(sent(login, sender, "to=<bob@secret.example>"))
        told = story_to_json(story)
        assert (told["recipient"], told["relay"], told["not_shown"]) == (
            "bob@secret.example",
            "mx.secret.example[198.51.100.9]:25",
            0,
        )


@pytest.mark.parametrize(
    ("login", "sender"),
    [
        (None, "ann@mine.example"),
        ("carla@secret.example", "ann@mine.example"),
        ("carla", "carla@secret.example"),
        (None, ""),
        (None, "SRS0=HH=TT=mine.example=ann@secret.example"),
    ],
)
def test_a_sender_that_anybody_can_write_makes_no_mail_theirs(
    login: str | None, sender: str
) -> None:
    assert seen(sent(login, sender, "to=<bob@secret.example>")) == []


def test_who_wrote_to_an_alias_of_others_does_not_learn_where_it_leads() -> None:
    log = sent(
        "ann@mine.example",
        "ann@mine.example",
        "to=<boss@secret.example>, orig_to=<info@other.example>",
        "to=<cy@plain.example>",
    )
    info, cy = sorted(seen(log), key=lambda story: str(story.recipient), reverse=True)
    assert (info.recipient, info.verdict) == ("info@other.example", "handed_over")
    assert "boss" not in everything([info])
    assert story_to_json(info)["relay"] is None
    assert cy.recipient == "cy@plain.example"
    own = log.replace("info@other.example", "info@mine.example")
    assert {story.recipient for story in seen(own)} == {"boss@secret.example", "cy@plain.example"}


def test_whoever_has_a_mail_does_not_learn_of_the_login_it_was_sent_with() -> None:
    [story] = seen(sent("secret@other.example", "shop@far.example", "to=<alice@mine.example>"))
    assert "secret@" not in everything([story])
    assert story_to_json(story)["sasl_username"] is None
    assert story_to_json(story)["client"] == "pc[192.0.2.7]"
    [story] = seen(sent("topsecret", "shop@far.example", "to=<alice@mine.example>"))
    assert "topsecret" not in everything([story])


def test_refusals_are_told_to_whom_they_are_about() -> None:
    line = "24T12:00:0{} mx1 postfix/smtpd[{}]: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 554 5.7.1 <{}>: Relay access denied; from=<{}> to=<{}> proto=ESMTP helo=<pc>{}\n"
    log = "".join(
        line.format(number, number, to, sender, to, login)
        for number, (sender, to, login) in enumerate(
            [
                ("x@far.example", "alice@mine.example", ""),
                ("ann@mine.example", "bob@secret.example", ""),
                ("x@far.example", "bob@secret.example", ""),
            ]
        )
    )
    assert [story.recipient for story in seen(log)] == ["alice@mine.example"]


def test_a_notification_is_told_to_whom_it_goes() -> None:
    log = f"""
24T13:00:00 mx1 postfix/bounce: AAAAAA9: sender non-delivery notification: DDDDDD1
24T13:00:00 mx1 postfix/qmgr: DDDDDD1: from=<>, size=500, nrcpt=1 (queue active)
24T13:00:01 mx1 postfix/lmtp: DDDDDD1: to=<alice@mine.example>, orig_to=<SRS0=HH=TT=mine.example=alice@fwd.example>, relay=box[10.0.0.1]:24, delay=1, {D}, dsn=2.0.0, status=sent (250 Ok)
"""
    assert [story.recipient for story in seen(log) if story.recipient] == ["alice@mine.example"]


def test_a_text_in_the_reply_to_them_names_nobody_else() -> None:
    reply = "550 5.7.1 alice@mine.example, bob@secret.example, bob%40secret.example and &quot;b s&quot;@secret.example"
    log = TO_BOTH.replace("(250 2.0.0 Ok)", f"({reply})").replace("status=sent", "status=bounced")
    [story] = [one for one in seen(log) if one.recipient == "alice@mine.example"]
    assert "secret.example" not in everything([story])
    assert f"alice@mine.example, {HIDDEN}" in str(story_to_json(story)["reply"])


# Domains


@pytest.mark.parametrize(
    ("bound", "address", "is_covered"),
    [
        ("mine.example", "a@mine.example", True),
        ("Mine.Example", "A@MINE.example.", True),
        ("mine.example", "a@sub.mine.example", False),
        ("mine.example", "a@notmine.example", False),
        ("*.mine.example", "a@sub.mine.example", True),
        ("*.mine.example", "a@x.sub.mine.example", True),
        ("*.mine.example", "a@mine.example", False),
        ("*.mine.example", "a@notmine.example", False),
        ("bücher.example", "a@xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "a@BÜCHER.example", True),
        ("mine.example", "ann+ext@mine.example", True),
        ("mine.example", "prvs=1234abcd=ann@mine.example", True),
        ("mine.example", "SRS0=HH=TT=mine.example=ann@fwd.example", False),
        ("mine.example", '"a@fwd.example"@mine.example', True),
        ("mine.example", '"a@mine.example"@fwd.example', False),
        ("mine.example", "a%mine.example@fwd.example", False),
        ("mine.example", "mine.example", False),
        ("mine.example", "", False),
    ],
)
def test_which_addresses_are_of_a_domain(bound: str, address: str, is_covered: bool) -> None:
    assert MailDomains.read([bound]).covers(address) is is_covered


@pytest.mark.parametrize("text", ["", "*", "*.", "example", "a@b.example", "a b.example", "x..y"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no mail domain"):
        MailDomains.read([text])


labels = st.text("abz019", min_size=1, max_size=5)
names = st.lists(labels, min_size=2, max_size=4).map(".".join)


@given(names, names, st.booleans())
def test_a_domain_covers_itself_and_a_star_what_is_below(
    bound: str, asked: str, is_upper: bool
) -> None:
    address = f"a@{asked.upper() if is_upper else asked}"
    assert MailDomains.read([bound]).covers(address) is (bound == asked)
    assert MailDomains.read([f"*.{bound}"]).covers(address) is asked.endswith(f".{bound}")


@given(names, names, st.booleans())
def test_a_source_can_be_asked_for_all_that_is_covered(
    bound: str, asked: str, is_below: bool
) -> None:
    domains = MailDomains.read([f"*.{bound}" if is_below else bound])
    address = f"a@{asked}"
    if domains.covers(address):
        assert address.endswith(tuple(domains.endings()))


@given(st.text(max_size=30))
def test_any_text_has_a_domain_or_none(text: str) -> None:
    assert domain_of(text) == domain_of(text.upper()) or not text.isascii()


around = st.text(" <>\"(),;:=+.%\\'x4", max_size=12)


@given(around, around, st.sampled_from(["bob@secret.example", "bob%40secret.example"]))
def test_no_address_of_others_is_left_in_any_text(before: str, after: str, address: str) -> None:
    redaction = Redaction(MINE.domains, frozenset({"fay@far.example"}))
    text = redaction.text(f"{before}{address}{after} to=<fay@far.example> a@mine.example")
    assert "bob@secret" not in text
    assert "secret.example" not in text


# The search


async def test_a_search_is_no_oracle(tmp_path: Path) -> None:
    unmatched = "24T10:00:05 mx1 postfix/smtp: something new about bob@secret.example\n"
    reader = await sqlite_reader(tmp_path, documents_of(lines_of(TO_BOTH + unmatched)))
    nothing = await trace(reader, Criteria(text=text_term("nowhere")), visibility=MINE)
    for criteria in (
        Criteria(text=text_term("bob@secret")),
        Criteria(text=text_term("secret is gone")),
        Criteria(relay=text_term("mx.secret.example")),
        Criteria(recipient=address_term("bob@secret.example")),
        Criteria(recipient=address_term("bob@")),
        Criteria(queue_id="BBBBBB2"),
        Criteria(verdicts=frozenset({"bounced"})),
        Criteria(text=text_term("removed")),
    ):
        result = await trace(reader, criteria, visibility=MINE)
        assert (result.stories, result.why) == (nothing.stories, nothing.why) == ([], []), criteria
    for criteria in (
        Criteria(),
        Criteria(text=text_term("status=sent")),
        Criteria(queue_id="AAAAAA1"),
        Criteria(recipient=address_term("alice@")),
        Criteria(recipient=address_term("@mine.example")),
        Criteria(sender=address_term("fay@far.example")),
        Criteria(verdicts=frozenset({"delivered"})),
    ):
        result = await trace(reader, criteria, visibility=MINE)
        assert [story.recipient for story in result.stories] == ["alice@mine.example"], criteria
    await reader.close()


async def test_how_many_lines_others_have_makes_no_difference(tmp_path: Path) -> None:
    own = sent("ann@mine.example", "ann@mine.example", "to=<cy@plain.example>")
    others = "".join(
        f"24T12:00:0{n % 10} mx1 postfix/smtp: FFFFFF{n}: to=<bob@secret.example>, {RELAY}, delay=1, {D}, dsn=4.0.0, status=deferred (452 later)\n"
        for n in range(30)
    )
    reader = await sqlite_reader(tmp_path, documents_of(lines_of(own + "\n" + others)))
    for criteria in (Criteria(), Criteria(text=text_term("later"))):
        result = await trace(reader, criteria, limit=1, most_events=8, visibility=MINE)
        assert result.why == []
    await reader.close()


async def test_lines_that_are_not_understood_are_told_of_whatever_was_asked(tmp_path: Path) -> None:
    strange = (
        "24T10:00:05 mx1 postfix/smtp: something new about ann@mine.example, bob@secret.example\n"
    )
    reader = await sqlite_reader(tmp_path, documents_of(lines_of(TO_BOTH + strange)))
    for text in ("bob@secret", "nowhere"):
        result = await trace(reader, Criteria(text=text_term(text)), visibility=MINE)
        assert [gap.code for gap in result.why] == ["not_understood"]
        assert "secret" not in result.why[0].text
    await reader.close()
