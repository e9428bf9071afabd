"""The time line of a mail: the truth about where the time went, as well-formed SVG."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from mailingest.trace.story import Story
from mailingest.web.timeline import HEIGHT, KINDS, WIDTH, Timeline, timeline
from tests.support.logs import stories_of
from tests.trace.test_stories import CHAIN
from tests.web.drawing import drawn

SVG = "{http://www.w3.org/2000/svg}"
NAMES = {kind: f"<{kind}>" for kind in KINDS}
RELAY = "relay=mx[198.51.100.9]:25"


def drawing(story: Story, until: datetime | None = None) -> Timeline:
    made = timeline(story, NAMES, until)
    assert made is not None
    return made


def html(story: Story) -> str:
    return drawn("timeline", drawing(story), HEIGHT)


def shares(story: Story, until: datetime | None = None) -> list[tuple[str, int]]:
    """The kinds of the bars of the only queue ID, and their parts of the width in percent."""
    [row] = drawing(story, until).rows
    return [(bar.kind, round(bar.width * 100 / WIDTH)) for bar in row.bars]


def test_each_queue_id_has_a_bar_and_the_parts_of_its_delay() -> None:
    made = drawing(stories_of(CHAIN)[0])
    ids = [row.queue_id for row in made.rows]
    assert ids == ["AAAAAA1", "AAAAAA2", "AAAAAA3", "AAAAAA4"]
    kinds = [bar.kind for row in made.rows for bar in row.bars]
    assert kinds.count("life") == 4
    assert kinds.count("transmission") == 4
    assert [len(row.dots) for row in made.rows] == [1, 1, 1, 1]


def test_everything_lies_within_the_picture() -> None:
    for story in stories_of(CHAIN):
        for row in drawing(story).rows:
            assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH + 0.1 for bar in row.bars)
            assert all(bar.y + bar.height <= HEIGHT for bar in row.bars)
            assert all(0 <= dot.x <= WIDTH for dot in row.dots)


def test_untrusted_names_are_text() -> None:
    log = CHAIN.replace("mx1 ", "<script> ", 1).replace("\n24T10:00:00 mx1 ", "\n24T10:00:00 <b> ")
    pictures = [html(story) for story in stories_of(log)]
    for picture in pictures:
        ElementTree.fromstring(f"<figure>{picture}</figure>")
    together = "".join(pictures)
    assert "<script>" not in together
    assert "<b>b" not in together
    assert "&lt;b&gt;" in together
    assert "<before_qmgr>" not in together


def test_a_refusal_has_no_time_line() -> None:
    [story] = stories_of(
        "24T10:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 550 5.1.1"
        " <b@example.net>: no; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>"
    )
    assert timeline(story, NAMES) is None


def test_between_two_tries_a_mail_waits() -> None:
    [story] = stories_of(
        "24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
        f"24T10:01:40 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, {RELAY},"
        " delay=100, delays=50/0/0/50, dsn=4.7.1, status=deferred (451 later)\n"
        f"24T10:16:40 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, {RELAY},"
        " delay=1000, delays=950/0/0/50, dsn=2.0.0, status=sent (250 Ok)"
    )
    assert shares(story) == [
        ("life", 100),
        ("before_qmgr", 5),
        ("transmission", 5),
        ("waiting", 85),
        ("transmission", 5),
    ]
    [row] = drawing(story).rows
    assert [(dot.kind, dot.x) for dot in row.dots] == [("wait", 100), ("good", 1000)]
    assert [kind for kind, _ in drawing(story).legend] == ["before_qmgr", "transmission", "waiting"]


def test_the_length_is_that_of_the_delay_and_not_of_whole_seconds() -> None:
    [story] = stories_of(
        "24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
        f"24T10:00:00 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, {RELAY},"
        " delay=0.8, delays=0.2/0/0.2/0.4, dsn=2.0.0, status=sent (250 Ok)"
    )
    assert drawing(story).axis == ["0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]
    assert shares(story) == [
        ("life", 100),
        ("before_qmgr", 25),
        ("conn_setup", 25),
        ("transmission", 50),
    ]


def test_the_longest_delay_counts_where_the_first_lines_are_missing() -> None:
    [story] = stories_of(
        "24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<a@example.com>, size=1, nrcpt=1 (queue"
        " active)\n"
        f"24T10:00:10 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, {RELAY},"
        " delay=7200, delays=7190/0/0/10, dsn=2.0.0, status=sent (250 Ok)"
    )
    assert drawing(story).axis[-1] == "2 h"


HELD = (
    "24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
    "24T10:00:00 mx1 postfix/cleanup: AAAAAA1: hold: header Subject: x from pc[192.0.2.7];"
    " from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>\n"
)


def test_hold_and_release_are_a_bar_of_their_own() -> None:
    [story] = stories_of(
        f"{HELD}"
        "24T10:45:00 mx1 postfix/postsuper: AAAAAA1: released from hold\n"
        "24T10:45:00 mx1 postfix/qmgr: AAAAAA1: from=<a@example.com>, size=1, nrcpt=1 (queue"
        " active)\n"
        f"24T11:00:00 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, {RELAY},"
        " delay=3600, delays=2700/0/0/900, dsn=2.0.0, status=sent (250 Ok)"
    )
    assert shares(story) == [
        ("life", 100),
        ("before_qmgr", 75),
        ("transmission", 25),
        ("on_hold", 75),
    ]


def test_what_is_still_held_or_waits_does_so_until_the_end_of_the_logs() -> None:
    [held] = stories_of(HELD)
    assert shares(held, datetime(2026, 11, 24, 12, tzinfo=UTC))[-1] == ("on_hold", 100)
    assert drawing(held, datetime(2026, 11, 24, 12, tzinfo=UTC)).axis[-1] == "2 h"
    [pending] = stories_of(
        "24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
        f"24T10:30:00 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, {RELAY},"
        " delay=1800, delays=1800/0/0/0, dsn=4.7.1, status=deferred (451 later)"
    )
    assert pending.verdict == "pending"
    until = datetime(2026, 11, 24, 10, 40, tzinfo=UTC)
    assert shares(pending, until)[1:] == [("waiting", 25), ("before_qmgr", 75)]


def test_a_try_that_began_before_the_logs_is_not_time_before_the_queue() -> None:
    """The queue manager had the mail from the start."""
    [story] = stories_of(
        "24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
        "24T10:00:01 mx1 postfix/qmgr: AAAAAA1: from=<a@example.com>, size=1, nrcpt=1 (queue"
        " active)\n"
        f"24T10:16:40 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, {RELAY},"
        " delay=1000, delays=990/0/0/10, dsn=2.0.0, status=sent (250 Ok)"
    )
    assert shares(story)[1:] == [("before_qmgr", 0), ("waiting", 99), ("transmission", 1)]


@pytest.mark.parametrize("seconds", [0, 1, 90, 7200, 200_000])
def test_any_time_has_an_axis(seconds: int) -> None:
    day, rest = divmod(seconds, 86_400)
    hour, rest = divmod(rest, 3600)
    minute, second = divmod(rest, 60)
    log = (
        "01T00:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
        f"{1 + day:02}T{hour:02}:{minute:02}:{second:02} mx1 postfix/smtp: AAAAAA1:"
        f" to=<b@example.net>, {RELAY}, delay=1, delays=0/0/0/1, dsn=2.0.0,"
        " status=sent (250 Ok)"
    )
    [story] = stories_of(log)
    assert len(drawing(story).axis) == 5
    ElementTree.fromstring(f"<figure>{html(story)}</figure>")
