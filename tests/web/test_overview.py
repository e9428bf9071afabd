"""The overview over HTTP, on a real store, and the times that it is asked for."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.errors import UsageError
from mailingest.postfix.outcome import BUCKET_SECONDS
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.web.access import Access
from mailingest.web.period import read_period
from tests.support.logs import documents_of, lines_of
from tests.web.serving import Page, served

# Long lines are log lines.
# ruff: noqa: E501

D = "delay=1, delays=0/0/0/1"
DAY = "overview?since=2026-11-24&until=2026-11-25"
LOG = f"""
24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
24T10:00:00 mx1 postfix/cleanup: AAAAAA1: message-id=<one@example.com>
24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=2500, nrcpt=3 (queue active)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, dsn=2.0.0, status=sent (250 2.0.0 Ok)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<eve@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, dsn=4.7.1, status=deferred (host mx.example.net[198.51.100.9] said: 451 4.7.1 <img src=x onerror=alert(2)> Greylisted \u202e for eve@example.net)
24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<joe@example.net>, relay=mx.example.net[198.51.100.9]:25, {D}, dsn=5.1.1, status=bounced (host mx.example.net[198.51.100.9] said: 550 5.1.1 <joe@example.net>: User unknown here)
24T11:00:00 mx1 postfix/smtpd: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 554 5.7.1 <no@example.com>: Relay access denied; from=<ann@example.com> to=<no@example.com> proto=ESMTP helo=<pc>
"""


async def store(directory: Path, log: str) -> SqliteReader:
    output = SqliteWriter(directory)
    await output.open()
    await output.write(documents_of(lines_of(log)))
    await output.close()
    return SqliteReader(directory, "mail")


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async for one in served(await store(tmp_path, LOG), Access()):
        yield one


async def test_the_page_has_figures_pictures_and_reasons(page: Page) -> None:
    status, html = await page.get(DAY)
    assert status == 200
    assert figures_of(html) == [
        ("Received", "1", ""),
        ("Sent", "1", "2.5\u202fkB"),
        ("Deferred", "1", ""),  # of three attempts, shares say nothing
        ("Bounced", "1", ""),
        ("Rejected", "1", ""),
    ]
    assert html.count('<svg class="chart"') == 3
    assert html.count("<caption") == 3 + html.count('<table class="numbers names">')
    assert "554 5.7.1 *: Relay access denied" in html
    assert "style=" not in html


def figures_of(html: str) -> list[tuple[str, str, str]]:
    link = r"<dt>(\w+)</dt><dd><a [^>]*>(\d+)</a>(?: <small>(.*?)</small>)?"
    return re.findall(link, html)


async def test_shares_are_told_where_there_are_enough(tmp_path: Path) -> None:
    lines = [line for line in LOG.splitlines() if "smtp: " in line]
    log = "\n".join(
        line.replace("AAAAAA1", f"AAAAAA{number}") for number in range(1, 9) for line in lines
    )
    async for page in served(await store(tmp_path, log), Access()):
        _, html = await page.get(DAY)
        assert ("Deferred", "8", "33.3\u202f%") in figures_of(html)
        assert 'data-label="Deferred">8 · 33.3\u202f%</td>' in html


@pytest.mark.parametrize(
    ("title", "name", "found"),
    [
        ("Senders", "ann@example.com", 4),
        ("Domains of senders", "example.com", 4),
        ("Recipients", "eve@example.net", 1),
        ("Domains of recipients", "example.net", 3),
        ("Sending servers", "192.0.2.7", 4),
        ("Receiving servers", "mx.example.net", 3),
    ],
)
async def test_a_name_leads_to_its_mails(page: Page, title: str, name: str, found: int) -> None:
    _, html = await page.get(DAY)
    table = html.split(f"<h2>{title}</h2>")[1].split("</table>")[0]
    [link] = [
        unescape(link)
        for link, text in re.findall(r'<a href="(.*?)">(.*?)</a>', table)
        if text == name
    ]
    status, answer = await page.get("search.json" + link.removeprefix("."))
    assert status == 200
    assert len(orjson.loads(answer)["mails"]) == found


@pytest.mark.parametrize(
    ("name", "recipients"),
    [
        ("sent", {"bob@example.net"}),
        ("bounced", {"joe@example.net"}),
        ("rejected", {"no@example.com"}),
        ("deferred", {"bob@example.net", "eve@example.net", "joe@example.net"}),
    ],
)
async def test_a_figure_leads_to_its_mails(page: Page, name: str, recipients: set[str]) -> None:
    _, html = await page.get(DAY)
    [link] = re.findall(rf'<div class="{name}"><dt>\w+</dt><dd><a href="(.*?)">', html)
    _, answer = await page.get("search.json" + unescape(link).removeprefix("."))
    assert {mail["recipient"] for mail in orjson.loads(answer)["mails"]} == recipients


async def test_a_column_leads_to_the_mails_of_its_time(page: Page) -> None:
    _, html = await page.get(DAY)
    links = re.findall(
        r'<a href="([^"]*)" tabindex="-1" aria-label="[^"]*"><g><title>Tue 11-24 11:00: ', html
    )
    [link] = links  # nothing was delivered then
    _, answer = await page.get("search.json" + unescape(link).removeprefix("."))
    assert [mail["recipient"] for mail in orjson.loads(answer)["mails"]] == ["no@example.com"]


async def test_every_picture_has_its_numbers_as_a_table(page: Page) -> None:
    _, html = await page.get(DAY)
    tables = re.findall(r"<tbody>(.*?)</tbody>", html, re.DOTALL)
    rows = re.findall(r'<th scope="row"><a [^>]*>(.*?)</a></th>(.*?)</tr>', tables[0])
    assert [(bucket, re.findall(r">(\d+)<", cells)) for bucket, cells in rows] == [
        ("Tue 11-24 10:00", ["1", "0"]),
        ("Tue 11-24 11:00", ["0", "1"]),
    ]


@pytest.mark.parametrize(
    ("reason", "verdict", "found"),
    [
        ("Relay access denied", "rejected", "no@example.com"),
        ("User unknown here", "bounced", "joe@example.net"),
        ("Greylisted", "delivered", "eve@example.net"),
    ],
)
async def test_a_reason_leads_to_the_mails(
    page: Page, reason: str, verdict: str | None, found: str
) -> None:
    _, html = await page.get(DAY)
    links = [unescape(one) for one in re.findall(r'<a href="(\.\?text=[^"]+)">', html)]
    [link] = [one for one in links if reason.split()[0] in one]
    assert (f"status={verdict}" in link) == (verdict is not None)
    status, answer = await page.get(link.removeprefix("."))
    assert status == 200
    assert found in answer


async def test_log_content_is_never_markup(page: Page) -> None:
    _, html = await page.get(DAY)
    assert "<img" not in html
    assert "\u202e" not in html
    assert "for eve@" not in html


@pytest.mark.parametrize(
    "path",
    ["overview", "overview?span=24h", "overview?span=7d", "overview?span=30d", "overview?since=7d",
     "overview?until=2026-11-25"],
)  # fmt: skip
async def test_times_are_asked_for_by_links_and_by_a_form(page: Page, path: str) -> None:
    status, html = await page.get(path)
    assert status == 200
    span = path.partition("span=")[2] or ("24h" if path == "overview" else None)
    current = re.findall(r'span=(\w+)&amp;lang=en" aria-current="true"', html)
    assert current == ([span] if span else [])


async def test_both_pages_lead_to_each_other_in_the_reader_s_language(page: Page) -> None:
    for path in ("", "overview"):
        _, html = await page.get(path, headers={"Accept-Language": "de"})
        assert '<a href="overview?lang=de"' in html
        assert '<a class="brand" href=".?lang=de"' in html
        assert "Überblick" in html


async def test_times_are_those_of_the_reader(page: Page) -> None:
    _, html = await page.get(f"{DAY}&tz=Asia/Tokyo&lang=de")
    assert "<title>Di 24.11. 19:00: " in html
    assert "Gezeigt: 24.11.2026 00:00 JST bis 25.11.2026 00:00 JST." in html
    assert "Zeiten gelten in der Zone Asia/Tokyo." in html
    _, text = await page.get(f"{DAY.replace('?', '.json?')}&tz=Asia/Tokyo")
    assert orjson.loads(text)["since"] == "2026-11-23T15:00:00.000Z"
    # A zone that is none is left out here: a time is asked for, and no mail.
    status, html = await page.get(f"{DAY}&tz=Nowhere")
    assert (status, "Tue 11-24 10:00" in html) == (200, True)


async def test_the_numbers_are_there_for_scripts(page: Page) -> None:
    async with page.session.get(page.url + DAY.replace("?", ".json?")) as response:
        found = await response.json()
    assert found["since"] == "2026-11-24T00:00:00.000Z"
    assert found["step_seconds"] == 1800
    assert {name: sum(lines) for name, lines in found["counts"].items() if any(lines)} == {
        "received": 1, "sent": 1, "deferred": 1, "bounced": 1, "rejected": 1,
    }  # fmt: skip
    assert found["sent_bytes"] == 2500
    assert found["reasons"]["rejected"] == [
        {"reason": "554 5.7.1 *: Relay access denied", "count": 1}
    ]
    assert (found["whole"], found["why"]) == (True, [])
    assert found["logs_last"] == "2026-11-24T11:00:00.000Z"


@pytest.mark.parametrize(
    "query",
    ["span=1y", "since=soon", "since=2026-11-25&until=2026-11-24", "since=0001-01-01",
     "until=9999-12-31&since=2001-01-01"],
)  # fmt: skip
async def test_a_time_that_makes_no_sense_is_refused(page: Page, query: str) -> None:
    for path in ("overview", "overview.json"):
        status, text = await page.get(f"{path}?{query}")
        assert status == 400
        assert "Traceback" not in text


async def test_a_time_without_lines_is_not_the_same_as_an_empty_store(
    page: Page, tmp_path: Path
) -> None:
    _, html = await page.get("overview?since=2026-11-20&until=2026-11-21")
    assert "Nothing of that time is counted. The logs reach from 2026-11-24" in html
    async for empty in served(SqliteReader(tmp_path / "none", "mail"), Access()):
        status, html = await empty.get("overview")
        assert status == 200
        assert "There are no logs yet." in html
        assert "<svg" not in html


async def test_a_store_that_is_down_is_not_shown_as_zero(tmp_path: Path) -> None:
    (tmp_path / f"mail-{datetime.now(UTC):%Y.%m.%d}.sqlite").write_bytes(b"no database" * 1000)
    async for page in served(SqliteReader(tmp_path, "mail"), Access()):
        for path in ("overview", "overview.json"):
            status, text = await page.get(path)
            assert status == 503
            assert "sqlite" not in text


async def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    source = await store(tmp_path, LOG)
    (tmp_path / "mail-2026.11.23.sqlite").write_bytes(b"no database" * 1000)
    async for page in served(source, Access()):
        _, html = await page.get("overview?since=2026-11-23&until=2026-11-25")
        assert "A day of the logs cannot be read" in html


async def test_it_is_guarded_like_the_other_pages(tmp_path: Path) -> None:
    source = await store(tmp_path, LOG)
    async for page in served(source, Access(proxy_header="X-Remote-User")):
        assert (await page.get("overview"))[0] == 401
        assert (await page.get("overview.json"))[0] == 401
    async for page in served(source, Access(questions_a_minute=1)):
        assert [(await page.get("overview"))[0] for _ in range(2)] == [200, 429]


NOW = datetime(2026, 11, 24, 15, 41, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("span", "zone", "start", "seconds", "count"),
    [
        ("24h", "UTC", "2026-11-23T15:30:00+00:00", 1800, 49),
        ("7d", "Europe/Berlin", "2026-11-17T14:00:00+00:00", 10_800, 57),
        ("30d", "Asia/Kathmandu", "2026-10-25T06:20:00+00:00", 43_200, 61),
    ],
)
def test_buckets_begin_at_round_local_times(
    span: str, zone: str, start: str, seconds: int, count: int
) -> None:
    buckets = read_period({"span": span}, now=NOW, zone=ZoneInfo(zone)).buckets
    assert (buckets.since.isoformat(), buckets.seconds, buckets.count) == (start, seconds, count)


@given(st.integers(1, 999_999), st.sampled_from(["UTC", "Asia/Kolkata", "America/Lima"]))
def test_few_buckets_cover_all_of_the_time(minutes: int, zone: str) -> None:
    buckets = read_period({"since": f"{minutes}m"}, now=NOW, zone=ZoneInfo(zone)).buckets
    assert buckets.start <= NOW.timestamp() - minutes * 60
    assert NOW.timestamp() <= buckets.end < NOW.timestamp() + buckets.seconds
    assert buckets.count <= 62
    assert buckets.start % BUCKET_SECONDS == buckets.seconds % BUCKET_SECONDS == 0


def test_an_unknown_span_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="24h, 7d, 30d"):
        read_period({"span": "1y"}, now=NOW, zone=UTC)
