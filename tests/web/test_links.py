"""Each link of a mail's page leads to a page that has what it promises: crawled, on a real log."""

import gzip
import html
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from benchmarks.recipients import mail_of
from mailingest.web.access import Access
from mailingest.web.links import Links
from tests.support.logs import documents_of
from tests.support.stores import sqlite_reader
from tests.web import serving
from tests.web.serving import Page

_LOG = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"
_LINK = re.compile(r'<a\b[^>]*?href="([^"]*)"')
_HEADING = re.compile(r"<h1>(.*?)</h1>", re.DOTALL)
_ROW = re.compile(
    r'<a class="verdict" href="(mail\?[^"]+)">[^<]*<span class="visually-hidden"> (.*?)</span>'
)
# The way back from a mail makes no other page of it.
_BACK = re.compile(r"&back=[^&#]*")
_NOTIFICATION = re.compile(r'<a href="(\./\?queue_id=[^"]+)">(.*?)</a>')
# Of the list, which has a way on and a way back from each place.
_MOST_PAGES = 2
_ALL = "?since=2000-01-01&lang=en"


# What the list leads to besides its mails: itself, otherwise, and other pages.
_OTHERWISE = re.compile(r"overview|live|search\.|.*[?&](?:lang=de|span=|order=)")


def path_of(link: str) -> str:
    """The path that a link of a page leads to, without what makes no other page."""
    return _BACK.sub("", html.unescape(link)).partition("#")[0].removeprefix("./")


def links_in(text: str) -> Iterator[str]:
    """The paths that a page leads to, but for other lists, other pages and the other language."""
    return (
        path for path in map(path_of, _LINK.findall(text)) if path and not _OTHERWISE.match(path)
    )


async def crawled(page: Page, first: str) -> dict[str, str]:
    """All pages that lead on from one another, by their path; each has to be there."""
    waiting, found = deque([first]), {first: ""}
    while waiting:
        path = waiting.popleft()
        status, text = await page.get(path)
        assert status == 200, path
        found[path] = text
        for link in links_in(text):
            is_far = "page=" in link and sum("page=" in one for one in found) >= _MOST_PAGES
            if link not in found and not is_far:
                found[link] = ""
                waiting.append(link)
    return found


async def test_all_links_work_and_lead_to_the_right_mail(tmp_path: Path) -> None:
    lines = gzip.decompress(_LOG.read_bytes()).splitlines()
    reader = await sqlite_reader(tmp_path, documents_of(lines))
    async for page in serving.served(reader, Access(questions_a_minute=100_000)):
        pages = await crawled(page, _ALL)
        rows = _ROW.findall(pages[_ALL])
        assert len(rows) > 20
        for link, recipient in rows:
            [heading] = _HEADING.findall(pages[path_of(link)])
            assert recipient in heading
        # A bounce message is found by its link, beside the mail that names it.
        notifications = {one for text in pages.values() for one in _NOTIFICATION.findall(text)}
        assert len(notifications) > 1
        for link, queue_id in notifications:
            found = [path_of(one) for one, _ in _ROW.findall(pages[path_of(link)])]
            [mail] = [one for one in found if queue_id in one]
            assert queue_id in pages[mail]


_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
_QUESTION = {"from": "news@example.org", "since": "2026-03-02", "status": "bounced,pending"}
_MANNER = {"lang": "de", "tz": "Asia/Tokyo"}


def query_of(link: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(link).query))


def assert_kept(kept: dict[str, str], link: str) -> None:
    """Language and zone, and on the way to a mail the question."""
    language = "en" if kept.get("lang") == "en" else "de"
    assert (kept.get("lang"), kept.get("tz")) == (language, _MANNER["tz"]), link
    if link.startswith("mail"):
        assert dict(parse_qsl(kept["back"])) == {**_QUESTION, "tz": _MANNER["tz"]}, link


async def test_every_link_keeps_question_language_and_zone(tmp_path: Path) -> None:
    reader = await sqlite_reader(tmp_path, documents_of(mail_of(120)))
    async for page in serving.served(reader, Access(questions_a_minute=100_000)):
        _, listed = await page.get(f"?{urlencode({**_QUESTION, **_MANNER})}")
        [first, *_] = [html.unescape(link) for link, _ in _ROW.findall(listed)]
        waiting, found = deque([first]), {first}
        checked = 0
        for _ in range(8):
            path = waiting.popleft()
            status, text = await page.get(path)
            assert status == 200, path
            assert "JST" in text, path
            # One link is for others: it names nobody, and they have a language of their own.
            [permalink] = re.findall(r'<a href="(mail\?[^"]+)">Link zu dieser Mail</a>', text)
            assert query_of(html.unescape(permalink)).keys() <= {"host", "queue_id", "at", "to"}
            links = {html.unescape(one) for one in _LINK.findall(text)} - {html.unescape(permalink)}
            links = {one for one in links if not one.startswith("#")}
            for link in links:
                assert_kept(query_of(link), link)
                checked += 1
            for form in _FORM.findall(text):
                assert_kept({k: html.unescape(v) for k, v in _HIDDEN.findall(form)}, "mail (form)")
            [back] = [one for one in links if one.startswith("./?from=")]
            assert query_of(back) == {**_QUESTION, **_MANNER}
            for link in sorted(links):
                link = link.partition("#")[0]
                if link.startswith("mail?") and "lang=en" not in link and link not in found:
                    found.add(link)
                    waiting.append(link)
        assert checked > 300
        manner = urlencode(_MANNER)
        for path in (
            "?",
            "?from=news@example.org&",
            "overview?since=2026-03-02&",
            "live?",
            "none?",
        ):
            _, text = await page.get(f"{path}{manner}")
            for link in map(html.unescape, _LINK.findall(text)):
                if not link.startswith(("#", "mail")):
                    assert_kept(query_of(link), link)


def test_a_question_that_is_too_long_for_a_link_stays_behind() -> None:
    links = Links("en", question={"text": "ß" * 100})
    assert "back=text%3D%25C3%259F" in links.to_mail("mail?line=x")
    links = Links("en", question={"text": "ß" * 1000})
    assert links.to_mail("mail?line=x") == "mail?line=x&lang=en"


async def test_a_zone_that_is_none_is_not_handed_on(tmp_path: Path) -> None:
    reader = await sqlite_reader(tmp_path, documents_of(mail_of(2)))
    async for page in serving.served(reader, Access()):
        status, text = await page.get("?from=news@example.org&tz=Nowhere")
        assert status == 400
        # Whoever asks again is not refused again.
        assert 'name="tz"' not in text
        links = [html.unescape(one) for one in _LINK.findall(text)]
        assert [one for one in links if "tz=" in one and "lang=de" not in one] == []
