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
    r'<li class="story.*?href="(mail\?[^"]+)".*?class="recipient"[^>]*>(.*?)</span>', re.DOTALL
)
_NOTIFICATION = re.compile(r'<a href="(\./\?queue_id=[^"]+)">(.*?)</a>')
_ALL = "?since=2000-01-01&lang=en"


def links_in(text: str) -> Iterator[str]:
    """The paths that a page leads to, but for those of the overview and the other language."""
    for link in map(html.unescape, _LINK.findall(text)):
        path = link.partition("#")[0].removeprefix("./")
        if path and not path.startswith("overview") and "lang=de" not in path:
            yield path


async def crawled(page: Page, first: str) -> dict[str, str]:
    """All pages that lead on from one another, by their path; each has to be there."""
    waiting, found = deque([first]), {first: ""}
    while waiting:
        path = waiting.popleft()
        status, text = await page.get(path)
        assert status == 200, path
        found[path] = text
        for link in links_in(text):
            if link not in found:
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
            [heading] = _HEADING.findall(pages[html.unescape(link)])
            assert recipient in heading
        # A bounce message is found by its link, beside the mail that names it.
        notifications = {one for text in pages.values() for one in _NOTIFICATION.findall(text)}
        assert len(notifications) > 1
        for link, queue_id in notifications:
            found = _ROW.findall(pages[html.unescape(link).removeprefix("./")])
            [mail] = [one for one, _ in found if queue_id in one]
            assert queue_id in pages[html.unescape(mail)]
