"""The overview names nobody where names are masked, and to a user of some domains only theirs."""

import html
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from mailingest.report.report import FEWEST
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.trace.visibility import Visibility
from mailingest.web import answers, overview_names
from mailingest.web.access import Access
from mailingest.web.answers import Answers
from mailingest.web.bindings import Bindings
from tests.support.logs import documents_of, lines_of
from tests.support.stores import sqlite_reader
from tests.web import serving
from tests.web.serving import Page

# Long lines are log lines.
# ruff: noqa: E501

HEADER = "X-Remote-User"
SPAN = "since=2026-11-24&until=2026-11-25"
PATHS = [
    f"{path}?{SPAN}{more}"
    for path, more in (
        ("overview", "&lang=en"),
        ("overview", "&lang=de"),
        ("overview.json", ""),
        ("api/v1/overview", ""),
        ("api/v1/report", ""),
    )
]
TITLES = (
    *("Senders", "Domains of senders", "Users who logged in", "Recipients"),
    *("Domains of recipients", "Sending servers", "Receiving servers", "Hosts"),
    *("Slow domains", "Slow servers"),
)


def mail(number: int, sender: str, recipient: str, *, at: str = "mx1", **more: str) -> str:
    """A mail that is delivered; ``more`` is its client, login, relay or end."""
    client, login = more.get("client", "192.0.2.7"), more.get("login", "")
    relay, end = (
        more.get("relay", "mx.example.net[198.51.100.9]:25"),
        more.get("end", "sent (250 Ok)"),
    )
    name = f"4fXbpG2Zh0z{number:04}"
    logged_in = f", sasl_method=PLAIN, sasl_username={login}" if login else ""
    return f"""
24T10:{number // 60:02}:{number % 60:02} {at} postfix/smtpd: {name}: client=pc.example.com[{client}]{logged_in}
24T10:{number // 60:02}:{number % 60:02} {at} postfix/qmgr: {name}: from=<{sender}>, size=2500, nrcpt=1 (queue active)
24T10:{number // 60:02}:{number % 60:02} {at} postfix/smtp: {name}: to=<{recipient}>, relay={relay}, delay=9, delays=0/0/0/9, dsn=2.0.0, status={end}
"""


def rejected(client: str, sender: str, recipient: str, why: str, at: str = "mx1") -> str:
    return f"24T11:00:00 {at} postfix/smtpd: NOQUEUE: reject: RCPT from pc.example.com[{client}]: 550 5.7.1 <{recipient}>: {why}; from=<{sender}> to=<{recipient}> proto=ESMTP helo=<pc>\n"


def others(number: int, **more: str) -> str:
    """A mail in which everything is of others."""
    return mail(
        number,
        "a.foreign@foreign.example",
        "b.foreign@foreign.example",
        at="mx-foreign",
        client="203.0.113.66",
        login="foreign-login",
        relay="mx.foreign.example[203.0.113.67]:25",
        **more,
    )


BOUND = "\n".join(
    [
        *(mail(number, "ann@partner.example", "bob@example.net") for number in range(FEWEST)),
        mail(40, "carl@example.net", "dora@customer.example", login="carl@example.net"),
        mail(41, "ann@partner.example", "bob@example.net", end="deferred (451 own reason)"),
        rejected("192.0.2.7", "ann@partner.example", "bob@example.net", "Own rejection"),
        # Anybody can write a sender: nobody says that this one is of the domain.
        mail(42, "carl@example.net", "e.foreign@foreign.example", client="203.0.113.66"),
        *(others(number) for number in range(50, 50 + FEWEST)),
        others(80, end="deferred (451 foreign reason)"),
        others(81, end="bounced (550 foreign bounce)"),
        rejected(
            "203.0.113.66",
            "a.foreign@foreign.example",
            "x@foreign.example",
            "Foreign no",
            "mx-foreign",
        ),
    ]
)
OF_OTHERS = re.compile(r"foreign|203\.0\.113", re.IGNORECASE)

SECRET = "secret"
MASKED = "\n".join(
    [
        *(
            mail(number, "secretann@example.com", "secretlocal", login="secretlogin")
            for number in range(FEWEST)
        ),
        mail(40, "b-secretbob=example.net@lists.example", '"secret bob"@example.net'),
        mail(
            41,
            "secretann@example.com",
            "secretbob@example.net",
            login="secretlogin@example.com",
            end="bounced (host mx said: 550 5.1.1 <secretbob@example.net>: no secretbob here)",
        ),
        *(
            mail(
                number,
                "x@example.com",
                "y@example.net",
                relay="SecretAnn-pc2.dyn.example[192.0.2.9]:25",
            )
            for number in range(50, 50 + FEWEST)
        ),
        mail(
            42,
            "secretann@example.com",
            "secretbob@example.net",
            end="deferred (451 /home/secretbob/Maildir: quota of secretbob%40example.net)",
        ),
        rejected(
            "192.0.2.7", "secretann@example.com", "secretbob@example.net", "secretbob is away"
        ),
        "24T12:00:00 mx1 postfix/smtpd: warning: pc[192.0.2.7]: SASL LOGIN authentication failed: sasl_username=secretlogin",
    ]
)


async def _served(directory: Path, log: str, **more: Any) -> AsyncIterator[Page]:
    reader = await sqlite_reader(directory, documents_of(lines_of(log)))
    access = Access(
        proxy_header=HEADER,
        proxies=frozenset({"127.0.0.1"}),
        questions_a_minute=1000,
        **more,
    )
    async for page in serving.served(reader, access):
        yield page


async def shown_to(page: Page, user: str) -> dict[str, str]:
    """What the overview and the report show, by path."""
    found = {}
    for path in PATHS:
        status, text = await page.get(path, headers={HEADER: user})
        assert status == 200, (path, text)
        found[path] = "\n".join((text, unquote(html.unescape(text))))
    return found


def tables_of(text: str) -> dict[str, set[str]]:
    """The names in each table of the page."""
    parts = re.split(r"<h2>(.*?)</h2>", text)
    return {
        title: {
            html.unescape(re.sub(r"<[^>]+>", "", name))
            for name in re.findall(r'<th scope="row" dir="ltr">(.*?)</th>', table)
        }
        for title, table in zip(parts[1::2], parts[2::2], strict=True)
    }


BOUND_ACCESS = {"bindings": Bindings.read({"net": ("example.net",)})}


async def test_a_user_of_some_domains_sees_these_in_every_table(tmp_path: Path) -> None:
    async for page in _served(tmp_path, BOUND, **BOUND_ACCESS):
        for path, text in (await shown_to(page, "net")).items():
            assert OF_OTHERS.search(text) is None, (path, OF_OTHERS.findall(text))
        _, text = await page.get(PATHS[0], headers={HEADER: "net"})
        tables = tables_of(text)
        assert {title: tables[title] for title in TITLES} == {
            "Senders": {"ann@partner.example", "carl@example.net"},
            "Domains of senders": {"partner.example", "example.net"},
            "Users who logged in": {"carl@example.net"},
            "Recipients": {"bob@example.net", "dora@customer.example"},
            "Domains of recipients": {"example.net", "customer.example"},
            "Sending servers": {"192.0.2.7"},
            "Receiving servers": {"mx.example.net"},
            "Hosts": {"mx1"},
            "Slow domains": {"example.net"},
            "Slow servers": {"mx.example.net"},
        }
        assert "own reason" in text
        assert "Own rejection" in text
        # Each table has something of others for somebody who may see them.
        _, text = await page.get(PATHS[0], headers={HEADER: "unbound"})
        everything = tables_of(text)
        assert [title for title in TITLES if not OF_OTHERS.search(str(everything[title]))] == []


async def _all_lines(source: Any, buckets: TimeBuckets, *_: object) -> tuple[Counts, Breakdown]:
    return await source.counts(buckets), await source.breakdown(buckets)


@pytest.mark.parametrize(
    ("holder", "name", "leak"),
    [
        pytest.param(Visibility, "line", lambda _, event: event, id="lines"),
        pytest.param(answers, "activity_of", _all_lines, id="the counts of all"),
    ],
)
async def test_a_leak_to_a_user_of_some_domains_would_be_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    holder: object,
    name: str,
    leak: Callable[..., object],
) -> None:
    monkeypatch.setattr(holder, name, leak)
    async for page in _served(tmp_path, BOUND, **BOUND_ACCESS):
        found = await shown_to(page, "net")
        assert [path for path, text in found.items() if not OF_OTHERS.search(text)] == []


async def test_a_masked_overview_names_nobody(tmp_path: Path) -> None:
    async for page in _served(tmp_path, MASKED, is_masked=True):
        for path, text in (await shown_to(page, "ann")).items():
            assert SECRET not in text.lower(), path
        _, text = await page.get(PATHS[0], headers={HEADER: "ann"})
        tables = tables_of(text)
        assert tables["Senders"] == {"s***@example.com", "b***@lists.example", "x***@example.com"}
        assert tables["Recipients"] == {"s***", "s***@example.net", "y***@example.net"}
        assert tables["Receiving servers"] == {"S***-pc2.dyn.example", "mx.example.net"}
        assert tables["Slow servers"] == {"S***-pc2.dyn.example", "mx.example.net"}
        assert tables["Users who logged in"] == {"s***", "s***@example.com"}
        assert tables["Domains of recipients"] == {"s***", "example.net"}


@pytest.mark.parametrize(
    ("holder", "name", "leak"),
    [
        pytest.param(Answers, "shown_names", lambda *_: overview_names.as_counted, id="names"),
        pytest.param(overview_names, "_PERSONAL", frozenset({"sender"}), id="a kind of names"),
        pytest.param(overview_names, "DOMAINS", frozenset(), id="names without a domain"),
        pytest.param(overview_names, "masked_host", lambda host, _: host, id="names of servers"),
    ],
)
async def test_a_leak_of_masked_names_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: object, name: str, leak: object
) -> None:
    monkeypatch.setattr(holder, name, leak)
    async for page in _served(tmp_path, MASKED, is_masked=True):
        found = await shown_to(page, "ann")
        assert SECRET in found[PATHS[0]].lower()
