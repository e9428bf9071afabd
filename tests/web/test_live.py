"""The live list: what is decided appears by itself, and without scripts when the page is loaded."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.support.lab.polling import PATIENCE, wait_until
from tests.web.browser import Visitor, chromium, web


def decided(number: int, name: str = "bob", status: str = "sent (250 2.0.0 Ok)") -> list[bytes]:
    """The lines of a mail that is decided now."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    dsn = "2.0.0" if status.startswith("sent") else "5.1.1"
    return [
        f"{stamp} mx1 {line}".encode()
        for line in (
            f"postfix/qmgr[1]: 4F2A11E0A{number:02d}: from=<ann@example.com>, size=5000, nrcpt=1 "
            "(queue active)",
            f"postfix/smtp[1]: 4F2A11E0A{number:02d}: to=<{name}{number}@example.net>, "
            f"relay=mx.example.net[198.51.100.9]:25, delay=1, delays=0/0/0/1, dsn={dsn}, "
            f"status={status}",
        )
    ]


def fill(directory: Path, lines: list[bytes]) -> None:
    """Store what is made of lines, as somebody else does while the page is open."""
    config = directory / "fill.toml"
    config.write_text(f'[state]\ndirectory = "{directory}"\n[syslog]\ntimezone = "UTC"\n')
    subprocess.run(
        [sys.executable, "-m", "mailingest", "replay", "-c", str(config), "-"],
        input=b"".join(b"%b\n" % line for line in lines),
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    fill(tmp_path, decided(1))
    return tmp_path


@pytest.fixture
def url(directory: Path) -> Iterator[str]:
    with web(directory) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_what_is_decided_appears_on_top(browser: Browser, url: str, directory: Path) -> None:
    context = browser.new_context()
    visitor = Visitor(context, url)
    visitor.go("live?to=@example.net")
    page = visitor.page
    rows = page.locator("table.stories tbody")
    expect(page.get_by_role("status")).to_contain_text("goes on by itself")
    expect(rows).to_have_count(1)
    fill(directory, decided(2, status="bounced (host said: 550 5.1.1 <b>no such user</b>)"))
    fill(directory, decided(3, name="<img src=x onerror=alert(1)>"))
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("<img src=x onerror=alert(1)>3@example.net")
    expect(rows.nth(1)).to_contain_text("550 5.1.1 <b>no such user</b>")
    # Nothing is told twice while time goes on, and nothing comes while it stands still.
    page.get_by_role("button", name="Pause").click()
    fill(directory, decided(4))
    expect(page.get_by_role("status")).to_contain_text("stands still")
    page.get_by_role("button", name="Go on").click()
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text("bob4@example.net")
    page.get_by_role("link", name="Handed over bob4@example.net").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("bob4@example.net")
    assert visitor.faults == []
    context.close()


def test_the_question_of_a_search_is_kept(browser: Browser, url: str, directory: Path) -> None:
    context = browser.new_context()
    visitor = Visitor(context, url)
    visitor.go("?status=bounced&span=1h&to=@example.net")
    fill(directory, decided(5, status="bounced (host said: 550 5.1.1 who)"))
    visitor.page.goto(visitor.page.url)
    visitor.page.locator("main").get_by_role("link", name="Live").click()
    rows = visitor.page.locator("table.stories tbody")
    expect(rows).to_have_count(1)
    fill(directory, [*decided(6), *decided(7, status="bounced (host said: 550 5.1.1 who)")])
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("bob7@example.net")
    visitor.page.get_by_role("link", name="Back to the search").click()
    expect(visitor.page.get_by_label("Recipient")).to_have_value("@example.net")
    context.close()


def test_without_scripts_the_page_is_loaded_anew(
    browser: Browser, url: str, directory: Path
) -> None:
    context = browser.new_context(java_script_enabled=False, locale="de-DE")
    visitor = Visitor(context, url)
    visitor.go("live")
    expect(visitor.page.get_by_role("status")).to_contain_text("alle 10 Sekunden")
    # A browser whose scripts are only kept from running does not take this part of the page.
    reload = '<noscript><meta http-equiv="refresh" content="10"></noscript>'
    assert reload in context.request.get(visitor.page.url).text()
    fill(directory, decided(2))
    visitor.page.reload()
    expect(visitor.page.locator("table.stories tbody")).to_have_count(2)
    context.close()


@pytest.mark.parametrize("width", [375, 1280])
def test_it_can_be_read_by_all(browser: Browser, url: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme="dark")
    visitor = Visitor(context, url)
    visitor.go("live")
    expect(visitor.page.get_by_role("status")).to_contain_text("goes on by itself")
    assert visitor.overflow <= 0
    found = Axe().run(visitor.page)
    assert found.violations_count == 0, found.generate_report()
    context.close()


def test_a_stream_ends_with_the_server(browser: Browser, directory: Path) -> None:
    context = browser.new_context()
    with web(directory) as served:
        visitor = Visitor(context, served)
        visitor.go("live")
        expect(visitor.page.get_by_role("status")).to_contain_text("goes on by itself")
    # It ended while the stream was open, or `web` would have complained; the page says so.
    expect(visitor.page.get_by_role("status")).to_contain_text("connection is lost")
    context.close()


def test_what_is_no_question_is_refused(browser: Browser, url: str) -> None:
    context = browser.new_context()
    for query in ("type=nothing", "tz=Nowhere/At-all", "status=lost"):
        assert context.request.get(f"{url}live?{query}").status == 400
        assert context.request.get(f"{url}live/events?{query}").status == 400
    context.close()


def test_a_browser_goes_on_from_where_it_was(browser: Browser, url: str, directory: Path) -> None:
    context = browser.new_context()
    visitor = Visitor(context, url)
    visitor.go("live")
    rows = visitor.page.locator("table.stories tbody")
    before = datetime.now(UTC) - timedelta(seconds=5)
    fill(directory, decided(8))
    got: list[str] = visitor.page.evaluate(
        """at => new Promise(found => {
            const source = new EventSource(`live/events?at=${encodeURIComponent(at)}`);
            source.onmessage = event => { source.close(); found([event.lastEventId, event.data]); };
        })""",
        before.isoformat(),
    )
    assert datetime.fromisoformat(got[0]) > before
    assert "bob8@example.net" in got[1]
    wait_until(lambda: rows.count() >= 2, "the page itself has it, too")
    context.close()
