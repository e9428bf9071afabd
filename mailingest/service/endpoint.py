"""`/metrics`, `/healthz` and `/readyz` over HTTP, for Prometheus and for whoever watches a service.

Anybody who reaches the address may read them: there are figures in them, and names of hosts, but no
address of a mail.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from mailingest.config.host_names import address_name
from mailingest.config.sections import Metrics
from mailingest.httpd.connections import Connections
from mailingest.httpd.hosts import asked_name, served_names
from mailingest.httpd.serving import runner_of
from mailingest.inputs.addresses import address_text
from mailingest.inputs.sockets import refusal
from mailingest.logs.logger import log
from mailingest.service.exposition import CONTENT_TYPE, exposition
from mailingest.service.parts import Figures

# Many may scrape; the figures are made once in so many seconds.
_FRESH_SECONDS: Final = 1.0
_MOST_CONNECTIONS: Final = 64
_MOST_REQUEST_BYTES: Final = 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoint:
    """Answers requests with what the figures say now."""

    def __init__(self, figures: Figures, names: frozenset[str]) -> None:
        self._figures = figures
        self._names = names
        self._text = b""
        self._made_at = -_FRESH_SECONDS

    def application(self, connections: Connections) -> web.Application:
        """The three pages."""
        app = web.Application(
            middlewares=[connections.middleware, self._of_known_names],
            client_max_size=_MOST_REQUEST_BYTES,
        )
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        return app

    @web.middleware
    async def _of_known_names(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer requests for names of this machine only: see mailingest.httpd.hosts."""
        target = request.raw_path if "://" in request.raw_path else None
        name = asked_name(request.headers.getall("Host", []), target and request.url.authority)
        # No name of somebody else leads here if none is asked for.
        if name is None or (name not in self._names and address_name(name) is None):
            raise web.HTTPMisdirectedRequest(
                text="not a name of this service: add it to metrics.server_names\n"
            )
        response = await handler(request)
        # Not which version of what library is to be attacked.
        response.headers["Server"] = "mailingest"
        return response

    async def _metrics(self, _: web.Request) -> web.Response:
        now = asyncio.get_running_loop().time()
        if now - self._made_at >= _FRESH_SECONDS:
            self._text, self._made_at = exposition(self._figures), now
        return web.Response(body=self._text, headers={"Content-Type": CONTENT_TYPE})

    async def _healthz(self, _: web.Request) -> web.Response:
        # That there is an answer is the answer: the event loop turns.
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if reasons := self._figures.receiving.readiness.reasons:
            return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
        return web.Response(text="ready\n")


@asynccontextmanager
async def endpoint_of(section: Metrics, figures: Figures) -> AsyncIterator[None]:
    """Serve as long as the context lasts, if a port is set; raises UsageError if it is taken."""
    if section.port is None:
        yield
        return
    names = served_names(section.host, section.server_names)
    connections = Connections(most=_MOST_CONNECTIONS)
    runner = runner_of(Endpoint(figures, names).application(connections))
    await runner.setup()
    watching = None
    try:
        site = web.TCPSite(runner, section.host, section.port)
        try:
            await site.start()
        except OSError as error:
            address = address_text(section.host, section.port)
            raise refusal(f"metrics {address}", error, section.port) from None
        host, port = runner.addresses[0][:2]
        log.info("metrics are served", url=f"http://{address_text(host, port)}/metrics")
        watching = asyncio.get_running_loop().create_task(connections.watch(runner))
        yield
    finally:
        if watching is not None:
            watching.cancel()
        await runner.cleanup()
