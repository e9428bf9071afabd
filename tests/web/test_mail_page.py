"""The page of one mail: the answer first, its header and lines once, its recipients by pages."""

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path

import pytest

from benchmarks.recipients import mail_of
from mailingest.trace.explanations import Explanations
from mailingest.trace.mails import mail_to_json, mails_of
from mailingest.trace.story import with_
from mailingest.web.access import Access
from mailingest.web.links import Links
from mailingest.web.mail_view import MailView, Selection
from mailingest.web.story_view import StoryView
from mailingest.web.texts import Texts
from tests.support.logs import documents_of, stories_of
from tests.support.stores import sqlite_reader
from tests.web import serving
from tests.web.serving import Page

RECIPIENTS = 230
MAIL = "mail?host=mx1&queue_id=4fXbpG2Zh0z9q2P&at=2026-03-02T05:00:00Z"
BOUNCED = f"{MAIL}&to=user81@d1.example.net"


async def _served(directory: Path, access: Access) -> AsyncIterator[Page]:
    reader = await sqlite_reader(directory, documents_of(mail_of(RECIPIENTS)))
    async for page in serving.served(reader, access):
        yield page


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async for one in _served(tmp_path, Access(questions_a_minute=1000)):
        yield one


def recipients_in(text: str) -> list[str]:
    """The addresses in the table."""
    return re.findall(r'<tr class="story.*?<a href="mail\?[^"]*">(.*?)</a>', text, re.DOTALL)


def link_named(text: str, name: str) -> str:
    """The link with a text."""
    [found] = {
        html.unescape(link)
        for link, shown in re.findall(r'<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', text, re.DOTALL)
        if re.sub(r"(?:<[^>]+>|\s)+", " ", shown).strip() == name
    }
    return found.partition("#")[0]


async def test_all_recipients_are_on_pages_and_each_is_there_once(page: Page) -> None:
    _, text = await page.get(MAIL)
    found = recipients_in(text)
    assert len(found) == 50
    while 'rel="next"' in text:
        _, text = await page.get(link_named(text, "Next"))
        found += recipients_in(text)
    assert len(found) == RECIPIENTS + len(range(0, RECIPIENTS, 97))
    assert len(set(found)) == len(found)
    assert "201–233 of 233" in text
    assert recipients_in((await page.get(link_named(text, "Previous")))[1]) == found[150:200]


async def test_a_count_leads_to_those_with_this_verdict(page: Page) -> None:
    _, text = await page.get(MAIL)
    assert "233 recipients" in text
    _, bounced = await page.get(link_named(text, "20 Bounced"))
    assert len(recipients_in(bounced)) == 20
    assert bounced.count('<tr class="story bounced"') == 20
    assert recipients_in(bounced) == recipients_in(text)[:20]


async def test_a_reply_stands_as_it_was_and_in_plain_words(page: Page) -> None:
    for language, words in (("en", "does not know this address"), ("de", "kennt diese Adresse")):
        _, text = await page.get(f"{BOUNCED}&lang={language}")
        answer = text.partition("<article")[2].partition("</article>")[0]
        assert "550 5.1.1" in answer
        assert words in answer


async def test_lines_are_there_once_whoever_is_open(page: Page) -> None:
    _, text = await page.get(BOUNCED)
    assert text.count("4fXbpG2Zh0z9q2P: client=list.example.org") == 1
    # In the line that proves it, and in its own lines.
    assert text.count("to=&lt;user81@d1.example.net&gt;") == 2
    assert "to=&lt;user80@d0.example.net&gt;" not in text
    assert len(text) < 60_000


async def test_who_is_no_recipient_is_said_to_be_none(page: Page) -> None:
    _, text = await page.get(f"{MAIL}&to=user81@example.net")
    assert "No line tells of this recipient of the mail." in text
    assert "233 recipients" in text


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999", "9999", "²"])
async def test_a_page_that_is_none_is_one_that_is(page: Page, number: str) -> None:
    status, text = await page.get(f"{MAIL}&page={number}")
    assert status == 200
    assert recipients_in(text)


async def test_masked_links_name_nobody_and_cannot_be_made_of_guesses(tmp_path: Path) -> None:
    tokens = set()
    for number in range(2):
        directory = tmp_path / str(number)
        directory.mkdir()
        access = Access(is_masked=True, questions_a_minute=1000)
        async for page in _served(directory, access):
            link = link_named((await page.get(BOUNCED))[1], "Link to this mail")
            tokens.add(re.findall(r"to=(\w+)", link)[0])
            _, text = await page.get(link)
            assert "u***@d1.example.net</span></h1>" in text
            assert "user" not in html.unescape(text).replace("User unknown", "")
    assert len(tokens) == 2


def test_a_link_opens_its_own_recipient_or_none() -> None:
    stories = stories_of(
        "24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<a@b>, size=1, nrcpt=3 (queue active)\n"
        + "\n".join(
            f"24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<{name}@example.net>,"
            " relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)"
            for name in ("ann", "bob", "eve")
        )
    )
    seen = [with_(one, not_shown=1) for one in stories if one.recipient != "bob@example.net"]
    [mail] = mails_of(seen)
    view = MailView(
        StoryView(Texts("en"), UTC, Links("en"), lambda _: {}), mail_to_json, Explanations(())
    )
    hidden = view.page(mail, Selection(to="bob@example.net"), None)
    assert (hidden["open"], hidden["is_missing"], hidden["not_shown"]) == (None, True, "1")
    assert "bob" not in str(hidden)
    shown = view.page(mail, Selection(to="EVE@example.net"), None)
    assert shown["open"]["recipient"] == "eve@example.net"
