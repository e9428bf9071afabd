"""Makes the pictures in ``docs/``: ``python -m docs.screenshots``.

A real Chromium visits the real page, over the log of a mail that is in the tests.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.web.browser import chromium, fill, web

ROOT: Final = Path(__file__).parents[1]
_LOG: Final = ROOT / "tests" / "goldens" / "deferred_then_sent.log"
_QUESTION: Final = "?to=bob@example.net&since=2026-11-24&until=2026-11-26"
_WIDTH: Final = 1000


def main() -> None:
    """Write ``docs/page.png`` anew."""
    with TemporaryDirectory() as directory:
        fill(Path(directory), _LOG.read_bytes().splitlines())
        with web(Path(directory)) as url, chromium() as browser:
            page = browser.new_page(viewport={"width": _WIDTH, "height": _WIDTH})
            page.goto(url + _QUESTION)
            page.get_by_role("link", name="bob@example.net").first.click()
            page.screenshot(path=ROOT / "docs" / "page.png", full_page=True)


if __name__ == "__main__":
    main()
