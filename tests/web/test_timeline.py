"""The time line of a mail is well-formed SVG in which log content is text."""

from xml.etree import ElementTree

import pytest

from mailingest.trace.story import Story
from mailingest.web.timeline import PARTS, timeline
from tests.support.logs import stories_of
from tests.trace.test_stories import CHAIN
from tests.web.drawing import drawn

SVG = "{http://www.w3.org/2000/svg}"
NAMES = {part: f"<{part}>" for part in PARTS}


def svg(story: Story) -> str:
    return drawn("timeline", timeline(story, NAMES))


def test_each_queue_id_has_a_bar_and_the_parts_of_its_delay() -> None:
    story = stories_of(CHAIN)[0]
    picture = ElementTree.fromstring(svg(story))
    assert [text.text for text in picture.iter(f"{SVG}text") if text.get("class") == "queue"] == [
        "AAAAAA1",
        "AAAAAA2",
        "AAAAAA3",
        "AAAAAA4",
    ]
    kinds = [bar.get("class") for bar in picture.iter(f"{SVG}rect")]
    assert kinds.count("life") == 4
    # One bar for each attempt, and one in the legend.
    assert kinds.count("transmission") == 4 + 1
    assert picture.find(f"{SVG}title") is not None


def test_everything_lies_within_the_picture() -> None:
    for story in stories_of(CHAIN):
        picture = ElementTree.fromstring(svg(story))
        _, _, width, height = map(float, picture.attrib["viewBox"].split())
        for bar in picture.iter(f"{SVG}rect"):
            assert float(bar.attrib["x"]) >= 0
            assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
            assert float(bar.attrib["y"]) + float(bar.attrib["height"]) <= height


def test_untrusted_names_are_text() -> None:
    log = CHAIN.replace("mx1 ", "<script> ", 1).replace("\n24T10:00:00 mx1 ", "\n24T10:00:00 <b> ")
    picture = "".join(map(svg, stories_of(log)))
    assert "<script>" not in picture
    assert "<b>" not in picture
    assert "&lt;b&gt;" in picture
    assert "<before_qmgr>" not in picture


def test_a_refusal_has_no_time_line() -> None:
    [story] = stories_of(
        "24T10:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc[192.0.2.7]: 550 5.1.1"
        " <b@example.net>: no; from=<a@example.com> to=<b@example.net> proto=ESMTP helo=<pc>"
    )
    assert timeline(story, NAMES) is None


def test_a_later_attempt_hides_no_earlier_one() -> None:
    [story] = stories_of(
        "24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
        "24T10:00:02 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=mx[198.51.100.9]:25,"
        " delay=2, delays=1/0/0/1, dsn=4.7.1, status=deferred (451 later)\n"
        "24T10:10:00 mx1 postfix/smtp: AAAAAA1: to=<b@example.net>, relay=mx[198.51.100.9]:25,"
        " delay=600, delays=599/0/0/1, dsn=2.0.0, status=sent (250 Ok)"
    )
    marks = [one.get("class") for one in ElementTree.fromstring(svg(story)).iter()]
    parts = ["before_qmgr", "transmission"]
    assert [one for one in marks if one in ("life", "bad", "good", *parts)] == [
        "life", *parts, *parts, "bad", "good", "before_qmgr", "transmission",
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [0, 1, 90, 7200, 200_000])
def test_any_time_has_an_axis(seconds: int) -> None:
    day, rest = divmod(seconds, 86_400)
    hour, rest = divmod(rest, 3600)
    minute, second = divmod(rest, 60)
    log = (
        "01T00:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc[192.0.2.7]\n"
        f"{1 + day:02}T{hour:02}:{minute:02}:{second:02} mx1 postfix/smtp: AAAAAA1:"
        " to=<b@example.net>, relay=mx[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0,"
        " status=sent (250 Ok)"
    )
    [story] = stories_of(log)
    ElementTree.fromstring(svg(story))
