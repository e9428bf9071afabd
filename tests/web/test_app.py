"""The trace page over HTTP, on a real store: pages, JSON, and untrusted content."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailingest.config import Settings
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.criteria import Criteria
from mailingest.stores.protocol import Found
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.web.access import Access
from mailingest.wiring import build_pipeline, build_store
from tests.web import serving
from tests.web.serving import Page

LOG = """\
Nov 24 10:00:00 mx1 postfix/smtpd[7]: AAAAAA1: client=<script>alert(1)</script>[192.0.2.7]
Nov 24 10:00:00 mx1 postfix/smtpd[7]: AAAAAA1: client=pc.example.com[192.0.2.7], sasl_method=PLAIN, sasl_username=<i>login</i>
Nov 24 10:00:00 mx1 postfix/cleanup[8]: AAAAAA1: message-id=<one@example.com>
Nov 24 10:00:00 mx1 postfix/qmgr[9]: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=2 (queue active)
Nov 24 10:00:01 mx1 postfix/smtp[10]: AAAAAA1: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <img src=x onerror=alert(2)> \u202etxt.exe)
Nov 24 10:00:01 mx1 postfix/smtp[10]: AAAAAA1: to=<"<b>bold</b>"@example.org>, relay=mx.example.org[198.51.100.8]:25, delay=1, delays=0/0/0/1, dsn=4.7.1, status=deferred (451 later)
Nov 24 10:00:02 mx1 postfix/smtpd[7]: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <no@example.com>: User unknown; from=<ann@example.com> to=<no@example.com> proto=ESMTP helo=<pc>
"""  # noqa: E501


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """Settings of a store that has the log."""
    made = Settings.model_validate(
        {"state": {"directory": tmp_path}, "syslog": {"timezone": "UTC"}}
    )
    pipeline = build_pipeline(made, live=False)
    lines = LOG.encode().splitlines()
    documents = [one for line in lines for one in pipeline.feed(line, 1_795_600_000.0)]
    output = SqliteWriter(made.sqlite_directory)
    await output.open()
    await output.write([*documents, *pipeline.flush()])
    await output.close()
    return made


async def served(settings: Settings, access: Access) -> AsyncIterator[Page]:
    async for page in serving.served(build_store(settings).reader(), access):
        yield page


@pytest.fixture
async def page(settings: Settings) -> AsyncIterator[Page]:
    async for one in served(settings, Access()):
        yield one


async def test_the_search_form_comes_first_and_nothing_is_asked(page: Page) -> None:
    status, html = await page.get("")
    assert status == 200
    assert '<form class="search" action="." method="get"' in html
    assert 'class="stories"' not in html


async def test_a_search_gives_stories_that_lead_to_their_mail(page: Page) -> None:
    status, html = await page.get("?to=bob@example.net")
    assert status == 200
    assert "Handed over" in html
    [link] = re.findall(r'href="(mail\?[^"]+)"', html)
    status, mail = await page.get(link.replace("&amp;", "&"))
    assert status == 200
    assert "AAAAAA1" in mail
    assert '<svg class="timeline"' in mail
    assert "mx.example.net[198.51.100.9]:25" in mail


async def test_what_an_account_sent_is_found_and_its_page_names_the_account(page: Page) -> None:
    status, html = await page.get("?sasl_user=LOGIN")
    assert status == 200
    assert "bob@example.net" in html
    assert "no@example.com" not in html
    links = re.findall(r'href="(mail\?[^"]+)"', html)
    _, mail = await page.get(links[0].replace("&amp;", "&"))
    assert "Logged in as" in mail
    assert "&lt;i&gt;login&lt;/i&gt;</span> (PLAIN)" in mail
    _, nobody = await page.get("?sasl_user=somebody")
    assert "bob@example.net" not in nobody


async def test_json_lies_beside_each_page(page: Page) -> None:
    async with page.session.get(page.url + "search.json?from=ann@example.com") as response:
        found = await response.json()
    assert [mail["verdict"] for mail in found["mails"]] == ["handed_over", "pending", "rejected"]
    assert (found["whole"], found["why"]) == (True, [])
    async with page.session.get(
        page.url + "mail.json?host=mx1&queue_id=AAAAAA1&at=2026-11-24T10:00:00.000Z"
    ) as response:
        mail = await response.json()
    [told] = mail["mails"]
    assert [one["verdict"] for one in told["recipients"]] == ["pending", "handed_over"]


@pytest.mark.parametrize(
    "path", ["?to=example", "mail?host=mx1&queue_id=AAAAAA1&at=2026-11-24T10:00:00Z"]
)
async def test_log_content_is_never_markup(page: Page, path: str) -> None:
    _, html = await page.get(path)
    assert "<script" not in html.replace('<script src="static/', "")
    assert "<img" not in html
    assert "<b>" not in html
    assert "\u202e" not in html
    assert "&lt;img src=x onerror=alert(2)&gt;" in html


async def test_what_was_asked_is_text_too(page: Page) -> None:
    _, html = await page.get("", params={"to": '"><script>alert(1)</script>'})
    assert "<script" not in html.replace('<script src="static/', "")
    assert "&#34;&gt;&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?since=soon", 400),
        ("?since=999999w", 400),
        ("?since=2026-11-25&until=2026-11-24", 400),
        ("overview?until=0001-01-01", 400),
        ("?status=lost", 400),
        ("search.json?since=soon", 400),
        ("?to=" + "a" * 2000, 400),
        ("mail", 400),
        ("mail?host=mx1&queue_id=AAAAAA1&at=yesterday", 400),
        ("mail?host=mx1&queue_id=NONE&at=2026-11-24T10:00:00Z", 404),
        ("mail?at=2026-11-24T10:00:00Z", 400),
        ("mail?line=" + "a" * 2000 + "&at=2026-11-24T10:00:00Z", 400),
        ("mail?line=NONE&at=2026-11-24T10:00:00Z", 404),
        ("mail?line=NONE&at=0001-01-01T00:00:00Z", 400),
        ("nothing", 404),
        ("javascript:alert(1)", 404),
        ("static/../../config.py", 404),
    ],
)
async def test_a_wrong_question_is_answered_without_a_traceback(
    page: Page, path: str, status: int
) -> None:
    got, text = await page.get(path)
    assert got == status
    assert "Traceback" not in text


async def test_a_refusal_has_a_link_that_names_nobody(page: Page) -> None:
    _, html = await page.get("?to=no@example.com")
    [link] = re.findall(r'href="(mail\?line=[^"]+)"', html)
    permalink, _, manner = link.partition("&amp;lang=")
    assert "no" not in permalink
    assert manner == "en&amp;back=to%3Dno%2540example.com"
    status, mail = await page.get(link.replace("&amp;", "&"))
    assert status == 200
    assert "User unknown" in mail
    assert mail.count("<article") == 1


@pytest.mark.parametrize("path", ["nothing", "no/such/page", "mail"])
async def test_an_error_is_a_page_that_leads_back(page: Page, path: str) -> None:
    _, html = await page.get(path, headers={"Accept-Language": "de"})
    assert '<html lang="de">' in html
    root = "../" * path.count("/") or "./"
    assert f'href="{root}static/style.css"' in html
    assert f'href="{root}?lang=de">Zurück zur Suche' in html


async def test_an_error_beside_json_is_json(page: Page) -> None:
    async with page.session.get(page.url + "mail.json") as response:
        assert response.status == 400
        assert await response.json() == {"error": "This question cannot be understood."}


async def test_nothing_found_is_not_the_same_as_no_logs(page: Page) -> None:
    assert "No such mail." in (await page.get("?to=nobody@example.net"))[1]
    assert "no logs for that time" in (await page.get("?to=bob&until=2001-01-01"))[1]


async def test_lines_that_were_not_understood_make_no_such_mail_uncertain(
    settings: Settings,
) -> None:
    line = (
        "Nov 24 10:00:03 mx1 postfix/smtp[7]: words of a later version about <nobody@example.net>"
    )
    pipeline = build_pipeline(settings, live=False)
    writer = SqliteWriter(settings.sqlite_directory)
    await writer.open()
    await writer.write([*pipeline.feed(line.encode(), 1_795_600_000.0), *pipeline.flush()])
    await writer.close()
    async for page in served(settings, Access()):
        _, html = await page.get("?to=nobody@example.net")
        assert "Not found in what could be read and understood." in html
        assert "There are lines that may be about it and were not understood." in html
        status, text = await page.get("search.json?to=nobody@example.net")
        found = json.loads(text)
        assert (status, found["whole"]) == (503, False)
        assert [one["code"] for one in found["why"]] == ["not_understood"]
        assert "nobody" not in text
        assert "No such mail. " in (await page.get("?to=zoe@example.net"))[1]
    async for page in served(settings, Access(is_masked=True)):
        found = json.loads((await page.get("search.json?to=nobody@example.net"))[1])
        assert found["whole"] is False
        # A part of a name must not be guessed letter by letter.
        found = json.loads((await page.get("search.json?to=nobod"))[1])
        assert found["whole"] is True


async def test_german_is_spoken_if_asked_for(page: Page) -> None:
    _, html = await page.get("?to=bob@example.net", headers={"Accept-Language": "de"})
    assert '<html lang="de">' in html
    assert "Übergeben" in html


async def test_the_page_changes_nothing(page: Page) -> None:
    async with page.session.post(page.url) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET,HEAD"


async def test_local_parts_are_masked_everywhere(settings: Settings) -> None:
    async for page in served(settings, Access(is_masked=True)):
        for path in ("?from=ann@example.com", "search.json?from=ann@example.com"):
            _, text = await page.get(path)
            shown = text.replace("?from=ann@example.com", "").replace('value="ann@example.com"', "")
            assert "bob@" not in shown
            assert "b***@example.net" in shown
            assert "no@" not in shown
            assert "no%40" not in shown


async def test_a_masked_page_says_why_a_part_of_a_name_finds_nothing(settings: Settings) -> None:
    async for page in served(settings, Access(is_masked=True)):
        for path in ("?to=bo&from=ann@example.com", "?text=to=<bob@"):
            _, html = await page.get(path)
            assert 'class="stories"' not in html
            assert "Names are masked here" in html
        _, html = await page.get("?to=bob@example.net")
        assert 'class="stories"' in html
        assert "Names are masked here" not in html
        _, html = await page.get("?to=example.net")
        assert 'class="stories"' in html


class FaultyStore(SqliteReader):
    """A store that meets a fault whenever it is asked for mails."""

    def __init__(self, directory: Path, fault: Exception) -> None:
        super().__init__(directory, "mail")
        self._fault = fault

    async def find(self, criteria: Criteria, limit: int) -> Found:
        raise self._fault


@pytest.mark.parametrize(
    ("fault", "status", "shown"),
    [
        pytest.param(StoreUnavailable("10.0.0.1 is away"), 503, "erreichbar", id="it is away"),
        pytest.param(UsageError("10.0.0.1: 401"), 503, "erreichbar", id="it refuses the login"),
        pytest.param(
            ZeroDivisionError("10.0.0.1"), 500, "schiefgegangen", id="a fault of mailingest"
        ),
    ],
)
async def test_a_fault_is_shown_without_its_details(
    settings: Settings, fault: Exception, status: int, shown: str
) -> None:
    store = FaultyStore(settings.sqlite_directory, fault)
    async for page in serving.served(store, Access()):
        for path in ("?to=x", "mail?host=mx1&queue_id=AAAAAA1&at=2026-11-24T10:00:00Z"):
            got, html = await page.get(path, headers={"Accept-Language": "de"})
            assert got == status
            assert shown in html
            assert 'static/style.css"' in html
            assert "10.0.0.1" not in html
        got, text = await page.get("search.json?to=x")
        assert got == status
        assert "10.0.0.1" not in text
        said = json.loads(text)
        assert "error" in said
        assert said.get("whole") is (False if status == 503 else None)


@pytest.mark.parametrize(
    ("query", "english", "german"),
    [
        (
            "since=soon",
            "“soon” is not a valid time. Write it as one of 30m",
            "„soon“ ist keine gültige Zeit. Möglich sind 30m",
        ),
        ("since=1h&until=2h", "has to be later", "muss nach dem Anfang liegen"),
        ("status=lost", "no verdict “lost”", "kein Ergebnis „lost“"),
        ("to=" + "a" * 1001, "1000 characters at most", "höchstens 1000 Zeichen"),
    ],
)
async def test_a_wrong_question_is_explained_in_the_readers_language(
    page: Page, query: str, english: str, german: str
) -> None:
    for language, shown in (("en", english), ("de", german)):
        _, html = await page.get(f"?{query}", headers={"Accept-Language": language})
        assert shown in html
