"""The pages on a phone in a real Chromium: nothing to scroll sideways, the form out of the way."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from benchmarks.recipients import mail_of
from tests.web.browser import Visit, visits, web_of_lines

DAY = "since=2026-03-02&until=2026-03-03"
MAIL = "mail?host=mx1&queue_id=4fXbpG2Zh0z9q2P&at=2026-03-02T05:00:00Z"
SEARCH = f"?from=news@example.org&status=bounced&{DAY}"
PAGES = [
    pytest.param("", id="search"),
    pytest.param(SEARCH, id="results"),
    pytest.param("?since=soon", id="a wrong question"),
    pytest.param(f"{MAIL}&to=user81@d1.example.net", id="a recipient"),
    pytest.param(MAIL, id="a mail to many"),
    pytest.param(f"overview?{DAY}", id="overview"),
]
PHONE = {"width": 375, "height": 700}

# What is wider than its place, or ends outside the window.
_WIDER = """() => [...document.querySelectorAll("main *")].filter((one) => {
  const { overflowX } = getComputedStyle(one);
  const scrolls = ["auto", "scroll"].includes(overflowX) && one.scrollWidth > one.clientWidth;
  const box = one.getBoundingClientRect();
  const isSeen = box.width > 1 && one.checkVisibility() && !one.closest("thead");
  return scrolls || (isSeen && (box.right > innerWidth + 1 || box.left < -1));
}).map((one) => one.outerHTML.slice(0, 200))"""
# The size of letters of each text in a picture, and where it begins and ends.
_LABELS = """() => [...document.querySelectorAll("svg text")].filter((one) => one.checkVisibility())
  .map((one) => {
    const { left, right, top } = one.getBoundingClientRect();
    return [parseFloat(getComputedStyle(one).fontSize), left, right, top];
  })"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with web_of_lines(tmp_path_factory.mktemp("store"), mail_of(120)) as served:
        yield served


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    with visits(browser, url, viewport=PHONE) as make:
        yield make


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [320, 375, 800])
def test_nothing_is_scrolled_sideways(visit: Visit, path: str, width: int) -> None:
    visitor = visit(locale="de-DE", viewport={"width": width, "height": 700})
    visitor.go(path)
    visitor.open_all()
    assert visitor.overflow <= 0
    assert visitor.page.evaluate(_WIDER) == []


@pytest.mark.parametrize("width", [320, 768, 769, 1280])
def test_labels_of_charts_can_be_read(visit: Visit, width: int) -> None:
    visitor = visit(viewport={"width": width, "height": 700})
    visitor.go(f"overview?{DAY}")
    labels = visitor.page.evaluate(_LABELS)
    assert len(labels) >= 3 * (5 + 2)
    assert all(size >= 12 and left >= 0 and right <= width for size, left, right, _ in labels)
    rows: dict[int, list[tuple[float, float]]] = {}
    for _, left, right, top in labels:
        rows.setdefault(round(top), []).append((left, right))
    for row in rows.values():
        ordered = sorted(row)
        assert all(before[1] < after[0] for before, after in pairwise(ordered)), ordered


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_everyone_can_read_it(visit: Visit, path: str, scheme: str) -> None:
    visitor = visit(color_scheme=scheme, locale="de-DE")
    visitor.go(path)
    for _ in range(2):
        found = Axe().run(visitor.page)
        assert found.violations_count == 0, found.generate_report()
        visitor.open_all()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_the_form_is_folded_away_once_it_was_asked(visit: Visit, scripts: bool) -> None:
    visitor = visit(java_script_enabled=scripts)
    page = visitor.page
    visitor.go("")
    recipient = page.get_by_label("Recipient", exact=True)
    expect(recipient).to_be_focused()
    recipient.fill("user81@d1.example.net")
    page.get_by_text("any time").click()
    page.get_by_role("button", name="Search").click()
    summary = page.locator("main summary").first
    expect(summary).to_have_text(
        "Recipient: user81@d1.example.net Time: any time Change", use_inner_text=True
    )
    expect(page.locator(".story").first).to_be_in_viewport()
    expect(recipient).not_to_be_visible()
    # Nothing that is folded away has the focus, or gets it.
    assert page.locator(":focus").count() == 0
    while not page.locator(".story a:focus").count():
        page.keyboard.press("Tab")
        assert page.locator("form.search :focus").count() == 0
    summary.focus()
    page.keyboard.press("Enter")
    expect(recipient).to_be_visible()
    expect(recipient).to_have_value("user81@d1.example.net")
    page.keyboard.press("Tab")
    expect(recipient).to_be_focused()


def test_a_wrong_question_is_open_and_says_what_is_wrong(visit: Visit) -> None:
    visitor = visit()
    assert visitor.go("?to=bob@example.net&since=soon") == 400
    page = visitor.page
    expect(page.get_by_role("alert")).to_be_in_viewport()
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_label("Recipient", exact=True)).to_be_visible()
    expect(page.get_by_label("From (time)", exact=True)).to_have_value("soon")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_where_there_is_room_the_form_stays(visit: Visit, scripts: bool) -> None:
    visitor = visit(viewport={"width": 1280, "height": 700}, java_script_enabled=scripts)
    page = visitor.page
    visitor.go(SEARCH)
    recipient = page.get_by_label("Recipient", exact=True)
    expect(recipient).to_be_visible()
    expect(page.locator("main summary").first).not_to_be_visible()
    page.locator("header a").last.focus()
    page.keyboard.press("Tab")
    expect(recipient).to_be_focused()
    visitor.go(f"overview?{DAY}")
    expect(page.get_by_role("button", name="Show")).to_be_visible()


def test_what_was_asked_is_printed_and_not_the_form(visit: Visit) -> None:
    visitor = visit(viewport={"width": 1280, "height": 700})
    visitor.go(SEARCH)
    visitor.page.emulate_media(media="print")
    expect(visitor.page.locator("main summary").first).to_contain_text("Verdict: Bounced")
    expect(visitor.page.locator("form.search")).not_to_be_visible()
