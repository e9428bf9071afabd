"""The pages in a real Chromium: with a mouse, with a keyboard only, and with untrusted content."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from mailingest.web.users import hash_password
from tests.web.browser import Visit, Visitor, fill, visits, web

SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=http://192.0.2.1/x onerror=alert(2)>"
QUOTES = "\"'><svg onload=alert(3)>"
# Right-to-left override, isolate, zero-width space, byte order mark; ESC, C1 CSI, bell, backspace.
MARKS = "\u202etxt.exe\u2067\u200b\ufeff\x1b[31mred\x1b]0;title\x07\x9b2J\x08"
UNTRUSTED = f"{SCRIPT}{IMAGE}{QUOTES}{MARKS}"
ADDRESS = f'"{SCRIPT}{MARKS}"@evil.example'
LONG = "x" * 900

LOG = f"""\
Nov 24 10:00:00 mx1 postfix/smtpd[7]: AAAAAA1: client=pc.example.com[192.0.2.7]
Nov 24 10:00:00 mx1 postfix/cleanup[8]: AAAAAA1: message-id=<one@example.com>
Nov 24 10:00:00 mx1 postfix/qmgr[9]: AAAAAA1: from=<ann@example.com>, size=500, nrcpt=2 (queue active)
Nov 24 10:00:01 mx1 postfix/smtp[10]: AAAAAA1: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as ZZZZZZ1)
Nov 24 10:00:01 mx1 postfix/smtp[10]: AAAAAA1: to=<carla@example.org>, relay=mx.example.org[198.51.100.8]:25, delay=1, delays=0/0/0/1, dsn=4.7.1, status=deferred (451 later)
Nov 24 10:00:02 mx1 postfix/smtpd[7]: NOQUEUE: reject: RCPT from pc.example.com[192.0.2.7]: 550 5.1.1 <nobody@example.com>: User unknown; from=<ann@example.com> to=<nobody@example.com> proto=ESMTP helo=<pc>
Nov 24 11:00:00 mx1 postfix/smtpd[7]: BBBBBB1: client=unknown[192.0.2.8], sasl_method=PLAIN, sasl_username={SCRIPT}{MARKS}
Nov 24 11:00:00 mx1 postfix/cleanup[8]: BBBBBB1: message-id=<{IMAGE}{MARKS}>
Nov 24 11:00:00 mx1 postfix/qmgr[9]: BBBBBB1: from=<{ADDRESS}>, size=500, nrcpt=2 (queue active)
Nov 24 11:00:01 mx1 postfix/smtp[10]: BBBBBB1: to=<{ADDRESS}>, orig_to=<{ADDRESS}>, relay=mx.evil.example[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn=5.0.0, status=bounced (host {SCRIPT}[198.51.100.9] said: 550 {UNTRUSTED} {LONG})
Nov 24 11:00:01 mx1 postfix/smtp[10]: BBBBBB1: to=<{LONG}@evil.example>, relay=none, delay=1, delays=0/0/0/1, dsn=4.0.0, status=deferred ({LONG})
Nov 24 11:00:02 mx1 postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 550 5.1.1 <{ADDRESS}>: {UNTRUSTED}; from=<{ADDRESS}> to=<{ADDRESS}> proto=ESMTP helo=<alert(1)>
"""  # noqa: E501

OF_HOSTS = "?to=@evil.example"
OVERVIEW = "overview?since=2026-11-24&until=2026-11-25"
MAIL = "mail?host=mx1&queue_id=AAAAAA1&at=2026-11-24T10:00:00Z"
PAGES = [
    pytest.param("", id="search"),
    pytest.param("?from=ann@example.com", id="results"),
    pytest.param("?to=nobody-at-all@example.com", id="nothing found"),
    pytest.param("?since=soon", id="a wrong question"),
    pytest.param(MAIL, id="a mail to several"),
    pytest.param(f"{MAIL}&to=carla@example.org", id="one of its recipients"),
    pytest.param(OVERVIEW, id="overview"),
    pytest.param("no/such/page", id="no such page"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("store")
    fill(directory, (line.encode("utf-8") for line in LOG.split("\n")))
    return directory


@pytest.fixture(scope="module")
def url(store: Path) -> Iterator[str]:
    with web(store) as served:
        yield served


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    with visits(browser, url) as make:
        yield make


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_mail_is_found_linked_and_left_again(visit: Visit, scripts: bool) -> None:
    visitor = visit(java_script_enabled=scripts)
    page = visitor.page
    visitor.go("")
    page.get_by_label("Recipient", exact=True).fill("bob@example.net")
    page.get_by_text("any time").first.click()
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".story")).to_have_count(1)
    page.get_by_role("link", name="Handed over").click()
    expect(page.get_by_role("heading", name="Handed over bob@example.net")).to_be_visible()
    expect(page.locator("svg.timeline").first).to_be_visible()
    lines = page.locator("details pre")
    for place, (title, text) in enumerate(
        [
            ("Log lines of this recipient", "AAAAAA1: to=<bob@example.net>"),
            ("Log lines of the mail", "AAAAAA1: client=pc.example.com"),
        ]
    ):
        expect(lines.nth(place)).not_to_be_visible()
        page.get_by_text(title).click()
        expect(lines.nth(place)).to_be_visible()
        expect(lines.nth(place)).to_contain_text(text)

    another = visit()
    link = page.get_by_role("link", name="Link to this mail").first.get_attribute("href")
    assert link is not None
    assert another.go(link) == 200
    assert another.page.locator("h1").all_inner_texts() == page.locator("h1").all_inner_texts()

    page.go_back()
    expect(page.locator(".story")).to_have_count(1)
    expect(page.get_by_label("Recipient", exact=True)).to_have_value("bob@example.net")
    page.go_back()
    expect(page.get_by_label("Recipient", exact=True)).to_have_value("")


@pytest.mark.parametrize(
    ("label", "text", "count"),
    [
        ("Mail server (host)", "mx1", 6),
        ("Sender", "ANN@example.com", 3),
        ("Recipient", "@example.org", 1),
        ("Queue ID (ours or the other server's)", "ZZZZZZ1", 1),
        ("Text in a log line", "User unknown", 1),
    ],
)
def test_the_form_asks_for(visit: Visit, label: str, text: str, count: int) -> None:
    visitor = visit()
    visitor.go("")
    visitor.page.get_by_text("any time").first.click()
    field = visitor.page.get_by_label(label, exact=True)
    if not field.is_visible():
        visitor.page.get_by_text("More criteria").click()
    field.fill(text)
    field.press("Enter")
    expect(visitor.page.locator(".story")).to_have_count(count)
    expect(field).to_have_value(text)
    expect(field).to_be_visible()


def test_a_keyboard_is_enough(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("")
    # Whoever comes to ask can type at once; the way back leads past what is there on each page.
    expect(page.locator("#to")).to_be_focused()
    skip = page.get_by_role("link", name="Skip to the results")
    for _ in range(5):
        page.keyboard.press("Shift+Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    _tab_to(visitor, "#to")
    page.keyboard.type("carla@example.org")
    _tab_to(visitor, '[name="span"]:checked')
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator('[name="span"][value=""]')).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator(".story")).to_have_count(1)
    _tab_to(visitor, ".story a")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pending carla@example.org")).to_be_visible()
    _tab_to(visitor, "summary")
    page.keyboard.press("Enter")
    expect(page.locator("details pre").first).to_be_visible()
    page.go_back()
    expect(page.locator(".story")).to_have_count(1)


def _tab_to(visitor: Visitor, selector: str) -> None:
    """Press Tab until the element has the focus, and see that this can be seen."""
    wanted = visitor.page.locator(selector).first
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        outline: str = visitor.page.evaluate(
            "getComputedStyle(document.activeElement).outlineStyle"
        )
        assert outline != "none", visitor.page.evaluate("document.activeElement.outerHTML")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"no way to {selector} by keyboard")


@pytest.mark.parametrize("width", [1280, 375])
def test_untrusted_content_is_shown_as_text_and_does_nothing(visit: Visit, width: int) -> None:
    visitor = visit(viewport={"width": width, "height": 800})
    page = visitor.page
    visitor.go(OF_HOSTS)
    expect(page.locator(".story")).to_have_count(3)
    links = [link.get_attribute("href") for link in page.locator(".story a").all()]
    for path in (OF_HOSTS, *links, OVERVIEW):
        assert path is not None
        assert visitor.go(path) == 200
        visitor.open_all()
        assert visitor.overflow <= 0
        assert page.locator("script:not([src^='static/']), img, [onload], [onerror]").count() == 0
        text = page.content()
        assert not {"\u202e", "\u2067", "\u200b", "\ufeff", "\x1b", "\x07", "\x9b"}.intersection(
            text
        )
    visitor.go(OF_HOSTS)
    expect(page.locator("#results")).to_contain_text("<script>alert(1)</script>")


def test_what_is_typed_is_text(visit: Visit) -> None:
    visitor = visit()
    visitor.go("")
    visitor.page.get_by_text("any time").first.click()
    field = visitor.page.get_by_label("Recipient", exact=True)
    field.fill(QUOTES)
    field.press("Enter")
    expect(field).to_have_value(QUOTES)
    expect(visitor.page.locator("#results")).to_contain_text("No such mail.")


def test_recent_questions_stay_in_the_browser_until_they_are_forgotten(
    visit: Visit, store: Path
) -> None:
    visitor = visit(timezone_id="Asia/Tokyo")
    page = visitor.page
    visitor.go("")
    recent = page.locator("#recent")
    expect(recent).to_be_hidden()
    page.get_by_text("any time").first.click()
    page.get_by_label("Recipient", exact=True).fill("bob@example.net")
    page.keyboard.press("Enter")
    expect(page.locator(".story")).to_have_count(1)
    expect(page.locator("#results")).to_contain_text("Times are in the zone Asia/Tokyo.")
    expect(page.locator(".story time")).to_have_text("2026-11-24 19:00:00")
    visitor.go("")
    page.get_by_role("link", name="Recipient: bob@example.net").click()
    expect(page.locator(".story")).to_have_count(1)
    # They are not in the way of an answer.
    page.get_by_text("Recent questions").click()
    page.get_by_role("button", name="Forget them").click()
    expect(recent).to_be_hidden()
    assert page.evaluate("localStorage.length") == 0
    with web(store, "mask_local_parts = true\n") as served:
        masked = visit(served)
        masked.go("")
        masked.page.get_by_label("Recipient", exact=True).fill("bob@example.net")
        masked.page.keyboard.press("Enter")
        expect(masked.page.locator("#results h2")).to_be_visible()
        assert masked.page.evaluate("localStorage.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_everyone_can_read_it(visit: Visit, path: str, scheme: str) -> None:
    # Contrast (WCAG 2.1 AA), labels, roles, the order of headings, and more.
    visitor = visit(color_scheme=scheme)
    visitor.go(path)
    visitor.open_all()
    found = Axe().run(visitor.page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [1280, 375])
def test_no_page_is_wider_than_its_window(visit: Visit, path: str, width: int) -> None:
    visitor = visit(viewport={"width": width, "height": 800})
    visitor.go(path)
    assert visitor.overflow <= 0


def test_german_stays_german(visit: Visit) -> None:
    visitor = visit(locale="de-DE")
    page = visitor.page
    visitor.go("")
    page.get_by_label("Empfänger", exact=True).fill("bob@example.net")
    page.get_by_text("beliebig").first.click()
    page.get_by_role("button", name="Suchen").click()
    page.get_by_role("link", name="Übergeben").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", name="Handed over bob@example.net")).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_users_log_in(visit: Visit, store: Path) -> None:
    users = store / "users"
    users.write_text(f"ann:{hash_password('s3cret')}\n")
    with web(store, f'users_file = "{users}"\n') as served:
        wrong = visit(served, http_credentials={"username": "ann", "password": "wrong"})
        assert wrong.go("") == 401
        expect(wrong.page.get_by_role("heading", level=1)).to_have_text("Please log in.")
        right = visit(served, http_credentials={"username": "ann", "password": "s3cret"})
        assert right.go("?to=bob@example.net") == 200
        expect(right.page.locator(".story")).to_have_count(1)


def test_masked_pages_name_nobody(visit: Visit, store: Path) -> None:
    with web(store, "mask_local_parts = true\n") as served:
        visitor = visit(served)
        visitor.go("?from=@example.com&until=2026-11-24T10:30:00")
        links = [one.get_attribute("href") for one in visitor.page.locator(".story a").all()]
        assert len(links) == 3
        for path in links:
            assert path is not None
            assert visitor.go(path) == 200
            text = visitor.page.content()
            assert "***@example." in text
            assert not [name for name in ("ann@", "bob@", "carla@", "nobody@") if name in text]


def test_a_store_that_is_away_is_shown_as_such(visit: Visit, store: Path) -> None:
    nowhere = '[elasticsearch]\nhosts = ["http://127.0.0.1:9"]\n'
    with web(store, nowhere) as served:
        visitor = visit(served)
        for path in ("?to=bob@example.net", "overview"):
            assert visitor.go(path) == 503
            expect(visitor.page.get_by_role("alert")).to_contain_text("cannot be asked")


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_name_that_was_made_to_lead_here_shows_nothing(
    visit: Visit, url: str, language: str
) -> None:
    # Browsers take all names of this top-level domain to this machine, as DNS rebinding does.
    visitor = visit(url.replace("127.0.0.1", "evil.localhost"), locale=language)
    assert visitor.go("?from=ann@example.com") == 421
    expect(visitor.page.get_by_role("heading")).to_contain_text("web.server_names")
    assert visitor.page.locator(".story").count() == 0
