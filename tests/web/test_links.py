"""Each link of a mail's page leads to a page that has what it promises: crawled, on a real log."""

import gzip
import html
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from mailingest.web.access import Access
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
