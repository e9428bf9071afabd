"""Output for people, scripts and spreadsheets, in which untrusted text executes nothing."""

import csv
import io
import pty
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.commands.render import short_line, text_lines
from mailingest.commands.terminal import shows_colours
from mailingest.escaping import escape_terminal
from mailingest.trace.answer import line_of, story_to_json
from mailingest.trace.exporting import json_line, write_csv
from mailingest.trace.history import with_history
from mailingest.trace.notes import Note
from mailingest.trace.story import Story, lines_of
from tests.support.logs import stories_of

LOG = """
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<=cmd@example.com>, size=5000, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 {reply})
"""  # noqa: E501


def story(reply: str = "Ok") -> Story:
    [found] = stories_of(LOG.format(reply=reply))
    return found


def text(shown: Story, *, colour: bool = False, lines: Sequence[str] = ()) -> str:
    zone = ZoneInfo("Europe/Berlin")
    return "\n".join(text_lines(shown, zone=zone, colour=colour, lines=lines))


def test_a_note_stands_for_the_meaning_with_its_time_in_the_zone_of_the_reader() -> None:
    since = datetime(2026, 11, 24, 10, tzinfo=UTC)
    shown = text(replace(story(), verdict="held", note=Note("on_hold", {"since": since})))
    assert "  meaning   on hold since 2026-11-24 11:00:00 CET; no later line says" in shown


def test_the_verdict_comes_first_then_the_mail_then_the_proof() -> None:
    first, *rest = text(story()).splitlines()
    assert first == "HANDED OVER  bob@example.net  2026-11-24 11:00:02 CET"
    assert rest[0] == "  from      =cmd@example.com, 5,000 bytes, by pc.example.com[192.0.2.7]"
    assert "  relay     mx.example.net[198.51.100.9]:25" in rest
    assert "  said      250 2.0.0 Ok" in rest
    assert rest[-1].startswith(
        "  proof     2026-11-24T10:00:02.000Z mx1 postfix/smtp[77]: AAAAAA1:"
    )


LOGIN = """
24T09:50:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 450 4.2.0 <bob@example.net>: Greylisted; from=<ann@example.com> to=<bob@example.net> proto=ESMTP helo=<pc>
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=LOGIN, sasl_username=ann, sasl_sender=ann@example.com
24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=5000, nrcpt=1 (queue active)
24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)
"""  # noqa: E501


def test_the_login_and_what_was_before_are_shown() -> None:
    _, shown = with_history(stories_of(LOGIN))
    lines = text(shown).splitlines()
    assert "  login     ann, LOGIN, for ann@example.com" in lines
    assert "  before    refused for the time being once, and sent again by the client:" in lines
    assert any("450 4.2.0" in line for line in lines)


def test_a_row_has_the_login_and_what_was_before() -> None:
    out = io.StringIO()
    write_csv(with_history(stories_of(LOGIN)), out)
    refused, sent = csv.DictReader(io.StringIO(out.getvalue()))
    names = ("sasl_username", "sasl_method", "sasl_sender")
    assert [sent[name] for name in names] == ["ann", "LOGIN", "ann@example.com"]
    assert "Greylisted" in sent["refused_before"]
    assert refused["refused_before"] == refused["sasl_username"] == ""


def test_lines_are_shown_below() -> None:
    one = story()
    shown = text(one, lines=[line_of(event) for event in lines_of([one])])
    assert shown.partition("  lines\n")[2].count("mx1 postfix/") == 3


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b[" not in text(story())
    assert "\x1b[32mHANDED OVER\x1b[0m" in text(story(), colour=True)


@pytest.mark.parametrize(
    "untrusted",
    [
        pytest.param("\x1b]0;owned\x07", id="a terminal escape"),
        pytest.param("a\rb\x08c", id="what overwrites a line"),
        pytest.param("\u202etxt.exe", id="right-to-left override"),
        pytest.param("\x9b31m", id="an 8-bit escape"),
        pytest.param("a\u2028b", id="a line separator"),
    ],
)
def test_untrusted_text_does_nothing_to_a_terminal(untrusted: str) -> None:
    one = story(untrusted)
    shown = text(one, lines=[line_of(event) for event in lines_of([one])])
    assert all(character.isprintable() or character == "\n" for character in shown)


@given(st.text())
def test_escaped_text_has_no_control_character(raw: str) -> None:
    assert all(character.isprintable() or character.isspace() for character in escape_terminal(raw))
    assert "\n" not in escape_terminal(raw)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t=", "\r=", "＝", "＋", "－", "＠"])
def test_a_cell_is_never_a_formula(begin: str) -> None:
    one = story()
    formula = f"{begin}cmd|' /C calc'!A0"
    one.queues[0].sender = one.queues[0].client_hostname = one.queues[0].message_id = formula
    one = replace(one, recipient=formula, original_recipient=formula, notification=formula)
    out = io.StringIO()
    write_csv([one], out)
    [row] = csv.DictReader(io.StringIO(out.getvalue()))
    for name in ("sender", "recipient", "original_recipient", "message_id", "notification"):
        assert row[name] in (f"'{formula}", escape_terminal(formula)), name
    assert not [cell for cell in row.values() if cell[:1] in tuple("=+-@\t\r＝＋－＠")]
    assert row["chain"] == "mx1 postfix AAAAAA1"


@given(st.text())
def test_json_escapes_what_is_hidden_and_stays_equivalent(raw: str) -> None:
    one = replace(story(), note=Note("not_there", {"queue_id": raw}))
    line = json_line(one).decode()
    assert line[-1:] == "\n"
    assert line[:-1].isprintable()
    assert orjson.loads(line) == {**story_to_json(one), "whole": True, "why": []}


def test_json_is_one_object_a_line() -> None:
    line = json_line(story("with \x0b and \x00"))
    assert line.count(b"\n") == 1
    assert orjson.loads(line)["verdict"] == "handed_over"


def test_a_short_line_has_a_word_for_what_is_not_known() -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert short_line(story(), zone=zone, colour=False) == (
        "2026-11-24 11:00:02 CET  HANDED_OVER    bob@example.net  =cmd@example.com  AAAAAA1"
    )
    refused, _ = with_history(stories_of(LOGIN))
    assert short_line(refused, zone=zone, colour=False).endswith(
        "  REJECTED       bob@example.net  ann@example.com  -"
    )


@given(st.text(st.characters(exclude_categories=["C", "Z"])), st.integers(40, 200))
def test_long_values_go_on_below_where_they_began(reply: str, width: int) -> None:
    shown = list(text_lines(story("x" * 90 + reply), zone=UTC, colour=False, width=width))
    assert all(len(line) <= width for line in shown[1:])
    unbroken = "".join(text_lines(story("x" * 90 + reply), zone=UTC, colour=False))
    assert "".join(shown).replace(" ", "") == unbroken.replace(" ", "")


@pytest.mark.parametrize(
    ("environment", "on_terminal", "elsewhere"),
    [
        pytest.param({}, True, False, id="nothing is wanted"),
        pytest.param({"NO_COLOR": "1"}, False, False, id="none"),
        pytest.param({"NO_COLOR": ""}, True, False, id="none, but empty"),
        pytest.param({"FORCE_COLOR": "1"}, True, True, id="everywhere"),
        pytest.param({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, id="both"),
        pytest.param({"TERM": "dumb"}, False, False, id="a terminal without"),
    ],
)
def test_colours(environment: dict[str, str], on_terminal: bool, elsewhere: bool) -> None:
    terminal, other_end = pty.openpty()
    with open(other_end, "w") as out, open(terminal, "rb"):
        assert shows_colours(out, environment) is on_terminal
    assert shows_colours(io.StringIO(), environment) is elsewhere
