"""The pages over a store of several types: all are asked, or the one that was chosen."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailingest.config import Settings
from mailingest.web.access import Access
from mailingest.web.app import application
from mailingest.wiring import build_store
from tests.support.logs import documents_of, lines_of
from tests.support.stores import fill
from tests.web.serving import Page, served_app

# mx1 hands a mail to mbox1, which delivers it; another one is refused there.
MAIL = """
    24T10:00:00 mx1 postfix/smtpd: AAAAAA1: client=pc.example.com[192.0.2.7]
    24T10:00:00 mx1 postfix/qmgr: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=1 (queue active)
    24T10:00:01 mx1 postfix/smtp: AAAAAA1: to=<bob@example.net>, relay=mbox1.example.net[192.0.2.8]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as BBBBBB2)
    24T10:00:01 mx1 postfix/qmgr: AAAAAA1: removed
"""  # noqa: E501
MBOX = """
    24T10:00:01 mbox1 postfix/smtpd: BBBBBB2: client=mx1.example.com[192.0.2.9]
    24T10:00:01 mbox1 postfix/qmgr: BBBBBB2: from=<ann@example.com>, size=600, nrcpt=1 (queue active)
    24T10:00:02 mbox1 postfix/lmtp: BBBBBB2: to=<bob@example.net>, relay=mbox1.example.net[private/dovecot-lmtp], delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 <bob@example.net> Saved)
    24T10:00:02 mbox1 postfix/qmgr: BBBBBB2: removed
    24T10:00:03 mbox1 postfix/smtpd: NOQUEUE: reject: RCPT from mx1.example.com[192.0.2.9]: 550 5.1.1 <no@example.net>: User unknown; from=<ann@example.com> to=<no@example.net> proto=ESMTP helo=<mx1>
"""  # noqa: E501
DAY = "since=2026-11-24T00:00:00Z&until=2026-11-25T00:00:00Z"


async def pages(directory: Path, logs: dict[str, str], access: Access) -> AsyncIterator[Page]:
    """The pages over a store that has a log of each of the types."""
    settings = Settings.model_validate(
        {
            "state": {"directory": directory},
            "syslog": {"timezone": "UTC"},
            "types": {name: {} for name in logs if name != "mail"},
        }
    )
    for name, log in logs.items():
        of_type = settings.for_source(name, None)
        await fill(build_store(of_type), documents_of(lines_of(log), of_type))
    by_type = {name: build_store(settings, name).reader() for name in settings.type_names}
    reader = build_store(settings).reader()
    app = application(reader, access, ZoneInfo("UTC"), by_type=by_type)
    async for page in served_app(app):
        yield page


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async for one in pages(tmp_path, {"mail": MAIL, "mbox": MBOX}, Access()):
        yield one


async def found(page: Page, query: str) -> list[tuple[str, str, list[str]]]:
    """Recipient, verdict and types of the mails that are found, and what was asked."""
    status, text = await page.get(f"search.json?{query}")
    assert status == 200, text
    return [(one["recipient"], one["verdict"], one["types"]) for one in json.loads(text)["mails"]]


async def test_a_search_asks_all_types_or_the_chosen_one(page: Page) -> None:
    assert await found(page, "to=bob@example.net") == [
        ("bob@example.net", "delivered", ["mail", "mbox"])
    ]
    assert await found(page, "to=bob@example.net&type=mail") == [
        ("bob@example.net", "handed_over", ["mail"])
    ]
    assert await found(page, "type=mbox") == [
        ("bob@example.net", "delivered", ["mbox"]),
        ("no@example.net", "rejected", ["mbox"]),
    ]
    for query, types in (("", ["mail", "mbox"]), ("type=mbox", ["mbox"])):
        for path in ("search.json", "overview.json"):
            _, text = await page.get(f"{path}?{query}")
            assert json.loads(text)["types"] == types


async def test_the_choice_stands_in_the_form_and_stays_chosen(page: Page) -> None:
    for path in ("?to=bob@", f"overview?{DAY}"):
        for query, chosen in (("", []), ("&type=mbox", ["mbox"])):
            _, html = await page.get(path + query)
            [field] = re.findall(r'<select id="type".*?</select>', html, re.DOTALL)
            assert re.findall(r'value="(.*?)"', field) == ["", "mail", "mbox"]
            assert re.findall(r'value="(.*?)" selected', field) == chosen


async def test_a_result_leads_to_the_whole_mail_of_all_types(page: Page) -> None:
    _, html = await page.get("?to=bob@example.net&type=mbox")
    assert '<span class="types" dir="ltr">mbox</span>' in html
    [link] = re.findall(r'href="(mail\?[^"]+)"', html)
    status, mail = await page.get(link.replace("&amp;", "&"))
    assert status == 200
    assert '<dt>Type</dt><dd><span dir="ltr">mail › mbox</span></dd>' in mail


async def test_the_overview_counts_all_types_or_the_chosen_one(page: Page) -> None:
    counted = {}
    for query in ("", "&type=mail", "&type=mbox"):
        _, text = await page.get(f"overview.json?{DAY}{query}")
        counts = json.loads(text)["counts"]
        counted[query] = (sum(counts["received"]), sum(counts["sent"]), sum(counts["rejected"]))
    assert counted == {"": (2, 2, 1), "&type=mail": (1, 1, 0), "&type=mbox": (1, 1, 1)}


async def test_links_of_the_overview_keep_the_choice(page: Page) -> None:
    _, html = await page.get(f"overview?{DAY}&type=mbox")
    links = re.findall(r'href="([^"]+)"', html)
    for wanted in ("overview?span=24h", "overview.json?", ".?text="):
        [link] = [one for one in links if one.startswith(wanted)]
        assert "type=mbox" in link
    [reason] = [one for one in links if one.startswith(".?text=")]
    assert await found(page, reason.partition("?")[2].replace("&amp;", "&")) == [
        ("no@example.net", "rejected", ["mbox"])
    ]


@pytest.mark.parametrize("path", ["?type=%s", "overview?type=%s", "search.json?type=%s"])
async def test_a_type_that_there_is_not_is_told(page: Page, path: str) -> None:
    status, text = await page.get(path % "<b>spam")
    assert status == 400
    assert "There is no such type; there are mail, mbox." in text
    assert "<b>spam" not in text


async def test_masking_leaves_the_types_as_they_are(tmp_path: Path) -> None:
    log = MBOX.replace("bob@", "mbox@")
    async for page in pages(tmp_path, {"mail": MAIL, "mbox": log}, Access(is_masked=True)):
        assert ("m***@example.net", "delivered", ["mbox"]) in await found(page, "type=mbox")


async def test_without_a_choice_there_is_none(tmp_path: Path) -> None:
    async for page in pages(tmp_path, {"mail": MAIL}, Access()):
        for path in ("?to=bob@example.net", "overview"):
            _, html = await page.get(path)
            assert 'name="type"' not in html
            assert 'class="types"' not in html
        assert await found(page, "to=bob@example.net&type=mail") != []
