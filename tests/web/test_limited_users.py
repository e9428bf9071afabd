"""Users of some domains ask everything under every name, over a real log."""

import gzip
import html
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode
from zoneinfo import ZoneInfo

import pytest

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.postfix.mail_domains import MailDomains
from mailingest.postfix.names import (
    ORIGINAL_RECIPIENT,
    RECIPIENT,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.stores.protocol import CountingReader
from mailingest.trace.domain_search import find_own
from mailingest.trace.gathering import gather
from mailingest.trace.origin import values_in
from mailingest.trace.redaction import Redaction
from mailingest.trace.stories import build_stories
from mailingest.trace.visibility import _MailView
from mailingest.web.access import Access
from mailingest.web.app import application
from mailingest.web.bindings import Bindings
from mailingest.web.server import access_of
from mailingest.web.users import Users, hash_password
from tests.support.logs import documents_of, events_of_lines
from tests.support.servers import Kind
from tests.support.stores import SEARCHED, filled_case, sqlite_reader
from tests.web import serving
from tests.web.serving import Page

LOG = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"
HEADER = "X-Remote-User"
# What the reader may ask for, whoever asks: a new page has to be thought of here.
PAGES = {
    "/",
    "/search.json",
    "/search.csv",
    "/search.jsonl",
    "/mail",
    "/mail.json",
    "/overview",
    "/overview.json",
    "/live",
    "/live/events",
}
PAGES |= {f"/api/v1/{name}" for name in ("search", "mail", "overview", "report")}
NOTHING_OF_OTHERS = {"/static/{name}", "/api/openapi.json"}
SPAN = "since=2026-11-20&until=2026-12-10"
ADDRESSES = (RECIPIENT, ORIGINAL_RECIPIENT, SENDER, SASL_USERNAME)
BOUND = {"org": ("example.org",), "net": ("example.net",), "lists": ("lists.example.com",)}
_MOST_PAGES = 60
_NO_LINKS = (".json", ".csv", ".jsonl", "/search", "/mail", "/overview", "/report")
_OF_A_MAIL = ("host", "queue_id", "at", "line")

_NAMED = re.compile(r"\b(?:orig_to|to|from)=<([^<>]+@[^<>]+)>")
_QUEUE_ID = re.compile(r"postfix/\S+: ([0-9A-Za-z]{6,}|NOQUEUE): ")


def log_lines() -> list[str]:
    return gzip.decompress(LOG.read_bytes()).decode("latin-1").splitlines()


def hidden_from(domain: str, lines: Iterable[str]) -> set[str]:
    """The addresses in the log that are on no way of a recipient of the domain, nor its sender."""
    lines = list(lines)
    shown: set[str] = set()
    for story in build_stories(gather(events_of_lines(one.encode("latin-1") for one in lines))):
        tried = [one for one in (*story.passed, story.attempt) if one is not None]
        way = {story.recipient, story.original_recipient}
        way |= {name for one in tried for name in (one.recipient, one.original_recipient)}
        if any(name and name.lower().endswith(f"@{domain}") for name in way):
            senders = {str(value) for value in values_in(story, "postfix_from")}
            shown |= {name.lower() for name in way | senders if name}
    every = {name.lower() for line in lines for name in _NAMED.findall(line)}
    left = {one for one in every if one not in shown and not one.endswith(f"@{domain}")}
    return {one for one in left if not any(one in other for other in shown)}


def leaks_in(text: str, hidden: Iterable[str]) -> set[str]:
    shown = "\n".join((text, html.unescape(text), unquote(html.unescape(text)))).lower()
    return {one for one in hidden if one in shown}


def links_in(text: str) -> set[str]:
    links = map(html.unescape, re.findall(r'href="([^"]*)"', text))
    return {link.partition("#")[0] for link in links if not re.match(r"\w+:|static/", link)}


async def crawled(page: Page, user: str, first: Iterable[str]) -> dict[str, str]:
    """All that a user gets, from the first pages on."""
    found: dict[str, str] = {}
    to_do = list(first)
    while to_do and len(found) < _MOST_PAGES:
        # The way back from a mail makes no other page of it.
        path = re.sub(r"&back=[^&]*", "", to_do.pop(0).removeprefix("./").removeprefix("."))
        if path in found or "lang=de" in path:
            continue
        status, text = await page.get(path, headers={HEADER: user})
        assert status in (200, 404), (path, status, text)
        found[path] = text
        name, _, query = path.partition("?")
        if not name.endswith(_NO_LINKS):
            to_do += sorted(links_in(text))
        if name == "mail":
            asked = [pair for pair in parse_qsl(query) if pair[0] in _OF_A_MAIL]
            to_do[:0] = [
                f"mail.json?{query}",
                f"api/v1/mail?{urlencode([*asked, ('limit', '500')])}",
            ]
    return found


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return log_lines()


@pytest.fixture(params=SEARCHED, ids=str)
async def reader(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    prefixes: dict[tuple[Kind, bytes], str],
    lines: list[str],
) -> CountingReader:
    """The log in a store of each kind; whoever uses it closes it."""
    raw = [line.encode("latin-1") for line in lines]
    case = await filled_case(request.param, tmp_path, request, prefixes, raw)
    return case.store.reader()


@pytest.fixture
async def page(tmp_path: Path, lines: list[str]) -> AsyncIterator[Page]:
    raw = (line.encode("latin-1") for line in lines)
    reader = await sqlite_reader(tmp_path, documents_of(raw))
    async for served in served_to_users(reader):
        yield served


async def served_to_users(reader: CountingReader) -> AsyncIterator[Page]:
    """The pages over a store, for users of `BOUND`."""
    access = Access(
        proxy_header=HEADER,
        proxies=frozenset({"127.0.0.1"}),
        bindings=Bindings.read(BOUND),
        questions_a_minute=100_000,
    )
    try:
        app = application(reader, access, ZoneInfo("UTC"))
        routes = {one.canonical for one in app.router.resources()}
        assert routes == PAGES | NOTHING_OF_OTHERS
        async for served in serving.served_app(app):
            yield served
    finally:
        await reader.close()


FIRST = (
    f"?{SPAN}",
    f"search.json?{SPAN}",
    f"search.csv?{SPAN}",
    f"search.jsonl?{SPAN}",
    f"overview?{SPAN}",
    f"overview.json?{SPAN}",
    *(f"api/v1/{name}?{SPAN}" for name in ("search", "overview", "report")),
)


@pytest.fixture
async def lately(tmp_path: Path) -> AsyncIterator[Page]:
    """The pages over a mail to two recipients that has been decided just now."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    sent = "relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)"
    lines = [
        f"{stamp} mx1 postfix/qmgr[1]: 4F2A11E0A01: from=<ann@example.com>, size=5, nrcpt=2 (queue "
        "active)",
        f"{stamp} mx1 postfix/smtp[1]: 4F2A11E0A01: to=<bob@example.net>, {sent}",
        f"{stamp} mx1 postfix/smtp[1]: 4F2A11E0A01: to=<eve@elsewhere.example>, {sent}",
    ]
    reader = await sqlite_reader(tmp_path, documents_of(line.encode() for line in lines))
    async for served in served_to_users(reader):
        yield served


async def test_the_live_list_has_no_address_of_others(lately: Page) -> None:
    at = quote((datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    for user, is_shown in (("net", True), ("org", False)):
        headers = {HEADER: user}
        _, text = await lately.get("live", headers=headers)
        async with lately.session.get(
            f"{lately.url}live/events?at={at}", headers=headers
        ) as response:
            event = await response.content.readuntil(b"\n\n")
        for shown in (text, event.decode()):
            assert ("bob@example.net" in shown) is is_shown
            assert "elsewhere" not in shown


@pytest.mark.parametrize("user", sorted(BOUND))
async def test_no_page_has_an_address_of_others(page: Page, lines: list[str], user: str) -> None:
    hidden = hidden_from(BOUND[user][0], lines)
    assert len(hidden) > 20
    found = await crawled(page, user.upper(), FIRST)
    for name in ("mail?", "mail.json?", "api/v1/mail?"):
        assert sum(path.startswith(name) for path in found) > 3
    for path, text in found.items():
        assert not leaks_in(text, hidden), path
    # Others see them.
    everything = await crawled(page, "unbound", (f"search.json?{SPAN}",))
    assert any(leaks_in(text, hidden) for text in everything.values())


async def test_a_leak_would_be_found(
    page: Page, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_MailView, "_is_shown", lambda *_: True)
    monkeypatch.setattr(Redaction, "line", lambda _, event: event)
    found = await crawled(page, "net", FIRST)
    hidden = hidden_from("example.net", lines)
    assert any(leaks_in(text, hidden) for text in found.values())


@pytest.mark.parametrize("user", sorted(BOUND))
async def test_a_store_is_asked_for_lines_of_the_domains_only(
    reader: CountingReader, lines: list[str], user: str
) -> None:
    """What is found of others is thrown away; that there is some would show in limits and times."""
    domains = MailDomains.read(BOUND[user])
    others = sorted(hidden_from(BOUND[user][0], lines))[::12]
    terms = [(text_term(one), address_term(one)) for one in others]
    questions = [Criteria(), *(Criteria(text=text, recipient=to) for text, to in terms)]
    questions += [Criteria(client=text_term("192.0.2")), Criteria(sender=address_term("<>"))]
    every = len(lines)
    counts = set()
    for question in questions:
        found = await find_own(reader, question, every, domains)
        assert not found.is_cut
        for event in found.events:
            names = [str(event.get(name, "")) for name in ADDRESSES]
            assert any(map(domains.covers, names)), event["message"]
        counts.add(len(found.events))
    # Whatever is asked for, the same lines are looked at: all of theirs.
    own = documents_of(line.encode("latin-1") for line in lines)
    named = [one for one in own if any(map(domains.covers, map(one.fields.get, ADDRESSES)))]
    assert counts == {len(named)}
    await reader.close()


async def test_no_question_tells_whether_others_have_something(
    page: Page, lines: list[str]
) -> None:
    async def asked(**query: str) -> tuple[int, str]:
        path = f"search.json?{SPAN}&{urlencode(query)}"
        return await page.get(path, headers={HEADER: "lists"})

    hidden = sorted(hidden_from("lists.example.com", lines))
    nothing = await asked(text="such a thing is nowhere")
    assert json.loads(nothing[1])["mails"] == []
    for address in hidden[:: len(hidden) // 12]:
        local = address.partition("@")[0]
        for query in ({"text": address}, {"to": address}, {"to": f"{local}@"}, {"from": address}):
            assert await asked(**query) == nothing, query
    others = {
        match[1]: line
        for line in lines
        if (match := _QUEUE_ID.search(line)) and "status=bounced" in line
    }
    own = {
        one[1] for line in lines if "lists.example.com" in line and (one := _QUEUE_ID.search(line))
    }
    for queue_id in sorted(others.keys() - own)[:8]:
        assert await asked(queue_id=queue_id) == nothing
        for path in ("mail.json", "api/v1/mail"):
            status, _ = await page.get(
                f"{path}?host=mx1&queue_id={queue_id}&at=2026-11-24T15:45:00Z",
                headers={HEADER: "lists"},
            )
            assert status == 404


async def test_the_overview_counts_their_own_lines(page: Page, lines: list[str]) -> None:
    _, text = await page.get(f"overview.json?{SPAN}", headers={HEADER: "net"})
    counted = json.loads(text)
    sent = sum("status=sent" in one and "to=<" in one and "@example.net>" in one for one in lines)
    assert counted["whole"]
    assert 0 < sum(counted["counts"]["sent"]) <= sent


async def test_who_is_bound_to_nothing_sees_nothing(tmp_path: Path, lines: list[str]) -> None:
    bindings = Bindings.read({"*": (), "admin": ("*",)})
    assert bindings.of("admin") is None
    nobody = bindings.of("ann")
    assert nobody is not None
    assert not nobody.domains.covers("ann@example.org")


# Who is bound


def settings(**web: object) -> Settings:
    return Settings.model_validate({"web": web})


async def test_users_of_the_file_are_bound(tmp_path: Path) -> None:
    hashed = hash_password("s3cret")
    path = tmp_path / "users"
    path.write_text(f"ann:{hashed}:example.org,*.example.net\nbob:{hashed}\n")
    access = access_of(settings(users_file=str(path), domains={"Carl": ["example.com"]}))
    bound = {name: access.bindings.of(name) for name in ("ann", "ANN", "bob", "carl", "dora")}
    assert [str(one.domains) if one else None for one in bound.values()] == [
        "example.org,*.example.net",
        "example.org,*.example.net",
        None,
        "example.com",
        None,
    ]
    reader = await sqlite_reader(tmp_path, [])
    async for served in serving.served(reader, access):
        for password, status in (("s3cret", 200), ("wrong", 401)):
            login = b64encode(f"ann:{password}".encode()).decode()
            headers = {"Authorization": f"Basic {login}"}
            assert (await served.get(f"?{quote('to')}=x", headers=headers))[0] == status


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("ann:{}:", "users:1: '' is no mail domain"),
        ("ann:{}:example.org,x y", "users:1: 'x y' is no mail domain"),
        ("ann:x{}:example.org", "users:1: must be name:hash, or name:hash:domains"),
    ],
)
def test_a_wrong_line_is_refused(tmp_path: Path, line: str, text: str) -> None:
    path = tmp_path / "users"
    path.write_text(line.format(hash_password("s3cret")) + "\n")
    with pytest.raises(UsageError, match=re.escape(text)):
        Users(path)


def test_a_user_who_is_bound_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"ann:{hash_password('s3cret')}:example.org\n")
    with pytest.raises(UsageError, match=r"web.domains.ann: the line of web.users_file"):
        access_of(settings(users_file=str(path), domains={"Ann": ["example.com"]}))
    with pytest.raises(UsageError, match=r"is there twice"):
        access_of(settings(proxy_header="X", domains={"ann": [], "ANN": []}))
    with pytest.raises(UsageError, match=r"web.domains: nobody logs in"):
        access_of(settings(domains={"ann": ["example.org"]}))
