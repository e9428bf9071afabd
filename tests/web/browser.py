"""A real Chromium, and a real `mailingest web` for it to visit."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from mailingest.config import Settings
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.wiring import build_pipeline
from tests.support.lab.polling import PATIENCE

# Later than all lines of the tests.
_REFERENCE: Final = 1_795_600_000.0
_SERVED: Final = re.compile(r"http://127\.0\.0\.1:\d+/")
# Playwright waits by itself for whatever a test asks of a page.
_MILLISECONDS: Final = PATIENCE * 1000
expect.set_options(timeout=_MILLISECONDS)


def fill(directory: Path, lines: Iterable[bytes]) -> None:
    """Store what is made of log lines where the settings of `web` look for it."""
    settings = Settings.model_validate(
        {"state": {"directory": directory}, "syslog": {"timezone": "UTC"}}
    )
    pipeline = build_pipeline(settings, live=False)
    documents = [one for line in lines for one in pipeline.feed(line, _REFERENCE)]

    async def write() -> None:
        output = SqliteWriter(settings.sqlite_directory)
        await output.open()
        await output.write([*documents, *pipeline.flush()])
        await output.close()

    asyncio.run(write())


@contextmanager
def web(directory: Path, settings: str = "") -> Iterator[str]:
    """The URL of the page, served by the program over what `fill` stored."""
    config = directory / "web.toml"
    config.write_text(
        f'[state]\ndirectory = "{directory}"\n[syslog]\ntimezone = "UTC"\n'
        f"[web]\nport = 0\nquestions_a_minute = 10000\n{settings}"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mailingest", "web", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = _SERVED.search(line)
        assert found is not None, line + process.stderr.read()
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@contextmanager
def web_of_lines(directory: Path, lines: Iterable[bytes]) -> Iterator[str]:
    """The same over what is made of log lines."""
    fill(directory, lines)
    with web(directory) as url:
        yield url


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; RuntimeError says how to install it."""
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("no chromium: install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        # Root has no sandbox; what is visited is mailingest's.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=_MILLISECONDS
        )
        yield browser
        browser.close()


Visit = Callable[..., "Visitor"]
"""Makes a visitor, of an address and options of the browser's context."""


@contextmanager
def visits(browser: Browser, url: str, **usual: Any) -> Iterator[Visit]:
    """Visits of ``url``, none of which may have met a fault in the end."""
    visitors: list[Visitor] = []
    contexts = []

    def make(at: str = url, **options: Any) -> Visitor:
        context = browser.new_context(**{"locale": "en-GB", **usual, **options})
        contexts.append(context)
        visitors.append(Visitor(context, at))
        return visitors[-1]

    yield make
    for context in contexts:
        context.close()
    assert [fault for visitor in visitors for fault in visitor.faults] == []


class Visitor:
    """A window of the browser that remembers what a page must not do."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        context.set_default_timeout(_MILLISECONDS)
        self.page: Page = context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._on_request)
        self.page.on("dialog", self._dialog)

    def go(self, path: str) -> int:
        """Visit a path; the status."""
        response = self.page.goto(self.url + path)
        assert response is not None
        return response.status

    def open_all(self) -> None:
        """Open whatever is folded away."""
        self.page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")

    @property
    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return wide

    def _on_console(self, message: Any) -> None:
        # The browser itself reports the status of a page that is an error.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith(self.url):
            self.faults.append(f"requested {request.url}")

    def _dialog(self, dialog: Any) -> None:
        self.faults.append(f"dialog {dialog.message}")
        dialog.dismiss()
