"""Masked answers: local parts are gone wherever they stand, and cannot be found by guessing."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.trace.criteria import meets
from mailingest.trace.history import with_history
from mailingest.trace.story import Story
from mailingest.web.masking import is_shown, mask, story_to_masked_json
from mailingest.web.story_view import permalink
from tests.support.logs import stories_of

# Long lines are log lines.
# ruff: noqa: E501

D = "delay=1, delays=0/0/0/1"
LOG = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username=annika
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<ann.berg@example.com>, size=500, nrcpt=3 (queue active)
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<bob+news@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, dsn=5.1.1, status=bounced (host mx.example.net[198.51.100.9] said: 550 Mailbox bob+news. of BOB is full: /home/bob/Maildir, "bob" <bob@internal>)
24T10:00:02 mx1 postfix/local: AAAAAA1: to=<carla@mx1.example.com>, orig_to=<postmaster>, relay=local, {D}, dsn=2.0.0, status=sent (delivered to command: deliver -u carla)
24T10:00:02 mx1 postfix/virtual: AAAAAA1: to=<"dora von x"@example.org>, relay=virtual, {D}, dsn=2.0.0, status=sent (delivered to maildir)
24T11:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <emil@example.com>: User unknown; from=<ann.berg@example.com> to=<emil@example.com> proto=ESMTP helo=<pc>
"""
NAMES = ("annika", "ann.berg", "bob", "news", "carla", "postmaster", "dora", "von x", "emil")


def stories() -> list[Story]:
    return stories_of(LOG)


def story_of(recipient: str) -> Story:
    [found] = [one for one in stories() if one.recipient == recipient]
    return found


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("ann.smith@example.com", "a***@example.com", id="an address"),
        pytest.param("böb@exämple.de", "b***@exämple.de", id="not ASCII"),
        pytest.param(
            "to=<bob@example.net>, orig_to=<xy@z>",
            "to=<b***@example.net>, orig_to=<x***@z>",
            id="in brackets",
        ),
        pytest.param("to=<bob>, orig_to=<root>", "to=<b***>, orig_to=<r***>", id="no domain"),
        pytest.param('"john doe"@example.net', "j***@example.net", id="quoted"),
        pytest.param("<john doe@example.net>", "<j***@example.net>", id="a space, not quoted"),
        pytest.param('<"a>b"@example.net>', "<a***@example.net>", id="a bracket within quotes"),
        pytest.param("b+bob=example.net@list.example", "b***@list.example", id="VERP"),
        pytest.param("o'brien@example.net", "o***@example.net", id="an apostrophe"),
        pytest.param("x" * 80 + "@example.net", "x***@example.net", id="longer than allowed"),
        pytest.param("sasl_username=bob, x", "sasl_username=b***, x", id="a login"),
        pytest.param("sasl_username=bob@e.net", "sasl_username=b***@e.net", id="a login address"),
        pytest.param("user@[192.0.2.1]", "u***@[192.0.2.1]", id="an address literal"),
        pytest.param("<@relay:bob@example.net>", "<r***@example.net>", id="a source route"),
        pytest.param("<@example.net>", "<***@example.net>", id="no local part"),
        pytest.param("no address", "no address", id="nothing"),
        pytest.param("mx[192.0.2.1]:25, helo=<pc>", "mx[192.0.2.1]:25, helo=<pc>", id="a server"),
    ],
)
def test_local_parts_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(st.text(st.characters(exclude_characters="@=")))
def test_what_has_no_address_and_no_login_stays(text: str) -> None:
    assert mask(text) == text


@given(st.from_regex(r"\A[a-z]{4}[a-z.+'=-]{0,20}\Z"), st.sampled_from(["{}", "<{}>", "to={},"]))
def test_no_more_than_a_letter_of_an_address_is_left(local: str, form: str) -> None:
    masked = mask(form.format(f"{local}@example.net"))
    assert masked == form.format(f"{local[0]}***@example.net")
    assert mask(masked) == masked


@pytest.mark.parametrize(
    "unit", ['"', '\\"', "<", "@", "x", "<@", '"@', "=", "to=<", "sasl_username="]
)
def test_a_long_untrusted_text_takes_no_more_time_than_its_length(unit: str) -> None:
    # A line has 64 KiB at most; what grows with the square would run for minutes here.
    mask(unit * (1_000_000 // len(unit)))


def test_an_answer_names_nobody_in_any_of_its_texts() -> None:
    assert len(stories()) == 4
    for story in stories():
        shown = json.dumps(story_to_masked_json(story)).lower()
        assert [name for name in NAMES if name in shown] == []
        assert "***@example." in shown


def test_what_is_not_personal_stays() -> None:
    shown = story_to_masked_json(story_of("bob+news@example.net"))
    assert shown["verdict"] == "bounced"
    assert shown["recipient"] == "b***@example.net"
    assert shown["relay"] == "mx.example.net[198.51.100.9]:25"
    assert shown["client"] == "pc.example.com[192.0.2.7]"
    assert shown["queue_id"] == "AAAAAA1"
    assert (
        shown["reply"]
        == "host mx.example.net[198.51.100.9] said: 550 Mailbox b***. of B*** is full: "
        '/home/b***/Maildir, "b***" <b***@internal>'
    )


def test_a_login_is_a_name() -> None:
    shown = story_to_masked_json(story_of("bob+news@example.net"))
    assert (shown["sasl_username"], shown["sasl_method"]) == ("a***", "PLAIN")


def test_earlier_refusals_name_nobody() -> None:
    greylisted = LOG.strip().splitlines()[-1].replace("550 5.1.1", "450 4.2.0")
    again = LOG.strip().splitlines()[0].replace("T10:", "T12:").replace("AAAAAA1", "AAAAAA2")
    active = LOG.strip().splitlines()[1].replace("T10:", "T12:").replace("AAAAAA1", "AAAAAA2")
    sent = f"24T12:00:02 mx1 postfix/virtual: AAAAAA2: to=<emil@example.com>, relay=virtual, {D}, dsn=2.0.0, status=sent (delivered to maildir)"
    stories = with_history(stories_of("\n".join([greylisted, again, active, sent])))
    [shown] = [one for one in map(story_to_masked_json, stories) if one["refused_before"]]
    assert "450 4.2.0 <e***@example.com>" in shown["refused_before"][0]
    assert not [name for name in NAMES if name in json.dumps(shown).lower()]


def test_the_sender_of_a_bounce_stays_nobody() -> None:
    [story] = stories_of(
        "24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<>, size=5, nrcpt=1 (queue active)"
    )
    assert story_to_masked_json(story)["sender"] == ""


def test_a_link_names_nobody() -> None:
    for story in stories():
        query = parse_qs(urlsplit(permalink(story)).query)
        assert query.keys() in ({"host", "queue_id", "at"}, {"line", "at"})
        assert not [name for name in NAMES if name in permalink(story)]


@pytest.mark.parametrize(
    ("criteria", "is_met"),
    [
        pytest.param(Criteria(recipient=address_term("bob+news@example.net")), True, id="known"),
        pytest.param(Criteria(recipient=address_term("bob+news@")), True, id="known, any domain"),
        pytest.param(Criteria(recipient=address_term("@example.net")), True, id="a domain"),
        pytest.param(Criteria(recipient=address_term("example")), True, id="a part that is shown"),
        pytest.param(Criteria(recipient=address_term("bo")), False, id="the beginning of a name"),
        pytest.param(Criteria(recipient=address_term("news")), False, id="a part of a name"),
        pytest.param(Criteria(sender=address_term("ann")), False, id="a part of the sender"),
        pytest.param(Criteria(sender=address_term("ann.berg@example.com")), True, id="the sender"),
        pytest.param(Criteria(text=text_term("is full")), True, id="a text that is shown"),
        pytest.param(Criteria(text=text_term("to=<bob")), False, id="a text that is masked"),
        pytest.param(Criteria(text=text_term("ob+news@example.net")), False, id="an end"),
        pytest.param(Criteria(queue_id="AAAAAA1"), True, id="a queue ID"),
        pytest.param(Criteria(sasl_user=address_term("annik")), False, id="a part of a login"),
    ],
)
def test_a_name_cannot_be_guessed_letter_by_letter(criteria: Criteria, is_met: bool) -> None:
    story = story_of("bob+news@example.net")
    assert meets(criteria, story)
    assert (meets(criteria, story) and is_shown(criteria, story)) is is_met
