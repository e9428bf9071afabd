"""The page of a mail with many recipients in a real Chromium: buttons, phones, paper."""

from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from benchmarks.recipients import mail_of
from tests.web.browser import Visitor, web_of_lines

MAIL = "mail?host=mx1&queue_id=4fXbpG2Zh0z9q2P&at=2026-03-02T05:00:00Z"
BOUNCED = f"{MAIL}&to=user81@d1.example.net"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with web_of_lines(tmp_path_factory.mktemp("store"), mail_of(120)) as served:
        yield served


def test_a_button_copies_what_stands_beside_it(browser: Browser, url: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    visitor = Visitor(context, url)
    visitor.go(BOUNCED)
    button = visitor.page.get_by_role("button", name="Copy: 4fXbpG2Zh0z9q2P")
    button.focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    assert visitor.page.evaluate("navigator.clipboard.readText()") == "4fXbpG2Zh0z9q2P"
    assert visitor.faults == []
    context.close()


def test_without_scripts_there_is_no_button_and_nothing_is_missing(
    browser: Browser, url: str
) -> None:
    context = browser.new_context(java_script_enabled=False)
    visitor = Visitor(context, url)
    visitor.go(MAIL)
    assert visitor.page.locator("button.copy").count() == 0
    visitor.page.get_by_label("A recipient of this mail").fill("user81@d1.example.net")
    visitor.page.get_by_role("button", name="Show").click()
    heading = visitor.page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Bounced user81@d1.example.net")
    visitor.page.locator(".chips").get_by_role("link", name="Pending").click()
    expect(heading).to_have_text("Bounced user81@d1.example.net")
    expect(visitor.page.locator("tr.story.pending").first).to_be_visible()
    assert visitor.page.locator("tr.story.bounced").count() == 0
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_on_a_phone(
    browser: Browser, url: str, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(
        viewport={"width": 375, "height": 700}, color_scheme=scheme, locale="de-DE"
    )
    visitor = Visitor(context, url)
    visitor.go(BOUNCED)
    page = visitor.page
    assert visitor.overflow <= 0
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    picture = page.locator("svg.timeline").first.bounding_box()
    assert picture is not None
    assert 250 < picture["width"] < 375
    size = page.locator(".stay").first.evaluate("one => parseFloat(getComputedStyle(one).fontSize)")
    assert size >= 14
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    context.close()


def test_what_is_printed_has_the_lines_and_nothing_to_click(browser: Browser, url: str) -> None:
    context = browser.new_context()
    visitor = Visitor(context, url)
    visitor.go(BOUNCED)
    visitor.page.emulate_media(media="print")
    expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
    for hidden in ("header", ".ways", "form.find"):
        expect(visitor.page.locator(hidden).first).not_to_be_visible()
    for button in visitor.page.locator("button.copy").all():
        expect(button).not_to_be_visible()
    for lines in visitor.page.locator("details pre").all():
        expect(lines).to_be_visible()
    context.close()
