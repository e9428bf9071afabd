"""The pages over a source, as a browser gets them."""

from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

from aiohttp import ClientSession, web

from mailingest.config import Settings
from mailingest.httpd.serving import runner_of
from mailingest.stores.protocol import CountingReader
from mailingest.web.access import Access
from mailingest.web.app import application
from mailingest.wiring import build_explanations


class Page:
    """A served page and a client."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url = url
        self.session = session

    async def get(self, path: str, **options: object) -> tuple[int, str]:
        """Status and text of an answer, whose headers must forbid what a page must not do."""
        async with self.session.get(self.url + path, **options) as response:  # type: ignore[arg-type]
            for name in ("Content-Security-Policy", "X-Content-Type-Options", "Cache-Control"):
                assert name in response.headers
            return response.status, await response.text()


async def served(source: CountingReader, access: Access) -> AsyncIterator[Page]:
    """Serve a source until the test is over."""
    try:
        app = application(
            source, access, ZoneInfo("UTC"), explanations=build_explanations(Settings())
        )
        async for page in served_app(app):
            yield page
    finally:
        await source.close()


async def served_app(app: web.Application) -> AsyncIterator[Page]:
    """Serve pages until the test is over."""
    runner = runner_of(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with ClientSession() as session:
            yield Page(f"http://127.0.0.1:{runner.addresses[0][1]}/", session)
    finally:
        await runner.cleanup()
