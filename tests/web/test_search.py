"""The list of found mails over HTTP: pages, orders, files, times, and searches that take long."""

import asyncio
import csv
import html as markup
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailingest.errors import StoreUnavailable
from mailingest.stores.criteria import Criteria
from mailingest.stores.protocol import Found
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.web.access import Access
from tests.support.lab.polling import PATIENCE
from tests.support.logs import documents_of, lines_of
from tests.support.stores import sqlite_reader
from tests.web import serving
from tests.web.serving import Page

# Long lines are log lines.
# ruff: noqa: E501

FORMULA = "=HYPERLINK(1)"


def mail(number: int) -> str:
    said = f"{FORMULA} later" if number == 7 else "451 later"
    how = f"deferred ({said})" if number % 2 else "sent (250 Ok)"
    return f"""
24T10:{number // 60:02}:{number % 60:02} mx1 postfix/smtpd: 4fXbpG2Zh0z{number:04}: client=pc.example.com[192.0.2.7]
24T10:{number // 60:02}:{number % 60:02} mx1 postfix/cleanup: 4fXbpG2Zh0z{number:04}: warning: header Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= {number} from pc.example.com[192.0.2.7]; from=<ann@example.com> to=<bob@example.net> proto=ESMTP helo=<pc>
24T10:{number // 60:02}:{number % 60:02} mx1 postfix/qmgr: 4fXbpG2Zh0z{number:04}: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
24T10:{number // 60:02}:{number % 60:02} mx1 postfix/smtp: 4fXbpG2Zh0z{number:04}: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status={how}
"""


MAILS = 120
LOG = "".join(map(mail, range(MAILS)))


class Slow(SqliteReader):
    """A real store that finds nothing before it is let go."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "mail")
        self.go = asyncio.Event()
        self.go.set()
        self.fault = ""

    async def find(self, criteria: Criteria, limit: int) -> Found:
        await self.go.wait()
        if self.fault:
            raise StoreUnavailable(self.fault)
        return await super().find(criteria, limit)


@pytest.fixture
async def store(tmp_path: Path) -> Slow:
    await sqlite_reader(tmp_path, documents_of(lines_of(LOG)))
    return Slow(tmp_path)


@pytest.fixture
async def page(store: Slow) -> AsyncIterator[Page]:
    async for one in serving.served(store, Access(questions_a_minute=1000)):
        yield one


def link(html: str, rel: str) -> str:
    """The target of a link of the list, "" if there is none."""
    found = re.search(rf'<a rel="{rel}" href="([^"]+)"', html)
    return markup.unescape(found[1]) if found is not None else ""


def ids(html: str) -> list[str]:
    return re.findall(r'<td class="id"[^>]*>(\S+?)</td>', html)


@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_pages_lead_on_and_back(page: Page, order: str) -> None:
    paths, shown, counts = [f"?to=bob@example.net&order={order}&tz=Europe/Berlin"], [], []
    while paths[-1]:
        status, html = await page.get(paths[-1])
        assert status == 200
        shown.append(ids(html))
        counts += re.findall(r"<strong>(.*?)</strong>", html)
        paths.append(link(html, "next"))
    assert [count.partition(" ")[0] for count in counts] == ["1–50", "51–100", "101–120"]
    assert counts[-1] == "101–120 of 120"
    numbers = [int(one[-4:]) for ids_of_page in shown for one in ids_of_page]
    assert numbers == sorted(range(MAILS), reverse=order == "newest")
    back = link(html, "prev")
    _, html = await page.get(back)
    assert ids(html) == shown[1]
    assert "tz=Europe%2FBerlin" in back
    _, html = await page.get(link(html, "prev"))
    assert ids(html) == shown[0]


async def test_a_page_of_another_question_is_refused(page: Page) -> None:
    for cursor in ("nonsense", "W10"):
        status, html = await page.get(f"?to=bob@example.net&page={cursor}")
        assert status == 400
        assert "Please search anew." in html
        assert (await page.get(f"search.json?to=bob@&page={cursor}"))[0] == 400


async def test_json_has_the_cursors(page: Page) -> None:
    _, text = await page.get("search.json?to=bob@example.net")
    first = json.loads(text)
    assert first["before"] is None
    _, text = await page.get(f"search.json?to=bob@example.net&page={first['after']}")
    second = json.loads(text)
    names = [one["queue_id"] for one in [*second["mails"], *first["mails"]]]
    assert names == sorted(names)
    assert len(set(names)) == 100


async def test_a_subject_that_is_logged_is_shown_but_not_where_names_are_masked(
    page: Page, store: Slow
) -> None:
    _, html = await page.get("?queue_id=4fXbpG2Zh0z0007")
    assert "Grüße 7</td>" in html
    async for masked in serving.served(store, Access(is_masked=True)):
        _, html = await masked.get("?queue_id=4fXbpG2Zh0z0007")
        assert "4fXbpG2Zh0z0007" in html
        assert "Grüße" not in html


async def test_all_mails_are_a_file_in_which_nothing_is_a_formula(page: Page) -> None:
    status, text = await page.get("search.csv?to=bob@example.net")
    assert status == 200
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["queue_id"][-4:] for row in rows] == [f"{one:04}" for one in range(MAILS)]
    assert rows[7]["reply"] == f"'{FORMULA} later"
    assert not [cell for row in rows for cell in row.values() if cell.startswith("=")]
    status, text = await page.get("search.jsonl?to=bob@example.net&status=pending")
    mails = [json.loads(line) for line in text.splitlines()]
    assert [mail["verdict"] for mail in mails] == ["pending"] * (MAILS // 2)
    async with page.session.get(page.url + "search.csv?to=nobody@example.net") as response:
        assert response.headers["Content-Disposition"] == 'attachment; filename="mails.csv"'
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert len((await response.text()).splitlines()) == 1
    assert (await page.get("search.csv?since=soon"))[0] == 400


async def test_files_are_masked_too(store: Slow) -> None:
    async for page in serving.served(store, Access(is_masked=True)):
        for path in ("search.csv?to=bob@example.net", "search.jsonl?to=bob@example.net"):
            _, text = await page.get(path)
            assert "b***@example.net" in text
            assert "bob@" not in text
            assert "ann@" not in text
        # A part of a name must not be guessed letter by letter.
        assert len((await page.get("search.csv?to=bo"))[1].splitlines()) == 1


async def test_a_file_that_is_not_whole_says_so(store: Slow, tmp_path: Path) -> None:
    (tmp_path / "mail-2026.11.23.sqlite").write_bytes(b"no database" * 500)
    async for page in serving.served(store, Access()):
        rows = list(csv.DictReader((await page.get("search.csv?to=bob@"))[1].splitlines()))
        assert rows[-1]["verdict"] == ""
        assert rows[-1]["note"].startswith("There may be more mails: A day of the logs")
        last = json.loads((await page.get("search.jsonl?to=bob@"))[1].splitlines()[-1])
        assert (last["verdict"], last["whole"]) == (None, False)


async def test_nothing_in_the_time_that_was_searched_is_not_no_such_mail(page: Page) -> None:
    query = "?to=bob@example.net&since=2026-11-24T10:01:00.5Z&tz=UTC"
    _, html = await page.get(query + "&until=2026-11-24T10:01:00.9Z")
    assert "No such mail from 2026-11-24 10:01:00 UTC until" in html
    assert "Other times were not searched" in html
    nav = html.partition('<nav class="spans"')[2]
    links = [markup.unescape(one) for one in re.findall(r'href="([^"]+)"', nav)][:6]
    assert "span=7d" in links[3]
    assert all("since" not in one and "to=bob%40example.net" in one for one in links)
    _, html = await page.get(links[5])
    assert len(ids(html)) == 50


async def test_times_are_those_of_the_reader(page: Page) -> None:
    query = "?to=bob@example.net&since=24.11.2026 11:01:58&until_at=2026-11-24T11:02"
    _, html = await page.get(query + "&tz=Europe/Berlin&lang=de")
    assert [int(one[-4:]) for one in ids(html)] == [119, 118]
    assert "24.11.2026 11:01:59" in html
    assert "Zeiten gelten in der Zone Europe/Berlin." in html
    assert 'name="since" value="24.11.2026 11:01:58"' in html
    assert 'name="tz" value="Europe/Berlin"' in html
    assert ids((await page.get(query + "&tz=UTC"))[1]) == []
    for zone in ("Nowhere", "../../etc/passwd", "Europe", "\0", "a" * 2000):
        status, text = await page.get("", params={"to": "bob@", "tz": zone})
        assert status == 400
        assert "Traceback" not in text


async def test_several_verdicts_and_the_host_can_be_asked_for(page: Page) -> None:
    _, html = await page.get("?status=pending&status=bounced&host=mx1")
    assert {int(one[-4:]) % 2 for one in ids(html)} == {1}
    assert re.findall(r'name="status" value="(\w+)" checked', html) == ["pending", "bounced"]
    assert ids((await page.get("?host=mx2&status=pending"))[1]) == []


async def test_the_form_proposes_two_days_and_keeps_its_question(page: Page) -> None:
    _, html = await page.get("")
    assert re.findall(r'name="span" value="(\w*)" checked', html) == ["2d"]
    _, html = await page.get("?to=bob@example.net&span=&lang=de")
    assert re.findall(r'name="span" value="(\w*)" checked', html) == [""]
    row = markup.unescape(re.findall(r'href="(mail\?[^"]+)"', html)[0])
    status, mail_page = await page.get(row)
    assert status == 200
    [back] = [one for one in re.findall(r'href="(\./\?[^"]+)"', mail_page) if "to=" in one]
    assert markup.unescape(back) == "./?to=bob%40example.net&lang=de"
    assert ids((await page.get(markup.unescape(back)[2:]))[1]) == ids(html)


async def test_a_way_back_leads_only_to_the_search(page: Page) -> None:
    path = "mail?host=mx1&queue_id=4fXbpG2Zh0z0001&at=2026-11-24T10:00:01Z"
    for back in ("https://evil.example/", "//evil.example", "x=1&to=a&to=%22%3E<b>", "&" * 99):
        status, html = await page.get(path, params={"back": back})
        assert status == 200
        assert "evil.example" not in re.findall(r'href="(\./\?[^"]*)"', html)[0]
        assert "<b>" not in html


async def test_who_waits_sees_that_something_is_done(store: Slow) -> None:
    async for page in serving.served(store, Access(question_seconds=PATIENCE)):
        store.go.clear()
        async with page.session.get(page.url + "?to=bob@example.net") as response:
            begin = b""
            while b"Searching." not in begin.partition(b"</form>")[2]:
                begin += await response.content.readany()
            assert b'id="results"' not in begin
            assert "Content-Security-Policy" in response.headers
            store.go.set()
            rest = await response.text()
        assert len(ids(rest)) == 50
        assert rest.rstrip().endswith("</html>")


async def test_who_waited_for_nothing_is_told(store: Slow) -> None:
    async for page in serving.served(store, Access(question_seconds=PATIENCE)):
        store.go.clear()
        store.fault = "10.0.0.1 is away"
        async with page.session.get(page.url + "?to=bob@example.net") as response:
            begin = b""
            while b"Searching." not in begin.partition(b"</form>")[2]:
                begin += await response.content.readany()
            store.go.set()
            rest = await response.text()
        assert response.status == 200
        assert '<p class="error" role="alert">The store cannot be asked' in rest
        assert "10.0.0.1" not in rest
        assert 'class="error"' not in begin.decode()


async def test_a_search_that_is_ended_says_how_to_go_on(store: Slow) -> None:
    on = ""
    async for page in serving.served(store, Access(question_seconds=0.2)):
        store.go.clear()
        status, html = await page.get("?to=bob@example.net")
        assert status == 504
        assert "No such mail" not in html
        [reached] = re.findall(r"So far only back to (.*?);", html)
        # What was asked for is not what was searched.
        assert f"Searched: {reached} to now." in html
        store.go.set()
        [on] = re.findall(r'<a class="on" href="([^"]+)"', html)
    async for page in serving.served(store, Access()):
        status, html = await page.get(markup.unescape(on))
        assert (status, len(ids(html))) == (200, 50)
