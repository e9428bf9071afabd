"""Connections that bring no request, or whose answer is not taken, end: nobody can use them all up.

aiohttp waits for the rest of a request for as long as the connection stays open.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Longer than a proxy keeps a connection that it may use again (nginx: keepalive_timeout, 60 s), and
# than it takes to send a request or to take an answer.
_SECONDS: Final = 65.0
_SWEEP_SECONDS: Final = 5.0
# A quarter of the descriptors that a process has by default (1024).
_MOST: Final = 256


class Connections:
    """The connections of a server; a connection in which a request is being answered is busy."""

    def __init__(self, seconds: float = _SECONDS, most: int = _MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._busy: set[RequestHandler] = set()
        # Since when each one has not been busy, the longest first.
        self._idle: dict[RequestHandler, float] = {}

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, for which the connection is busy."""
        protocol = request.protocol
        self._idle.pop(protocol, None)
        self._busy.add(protocol)
        try:
            return await handler(request)
        finally:
            self._busy.discard(protocol)
            self._idle[protocol] = _now()

    async def watch(self, runner: web.AppRunner) -> None:
        """End what is idle for too long, and the longest when there are too many; for ever."""
        while True:
            self.sweep(runner)
            await asyncio.sleep(min(_SWEEP_SECONDS, self._seconds))

    def sweep(self, runner: web.AppRunner) -> None:
        """End what is idle for too long, and the longest when there are too many."""
        now = _now()
        open_now = runner.server.connections if runner.server is not None else []
        still = set(open_now)
        self._idle = {one: since for one, since in self._idle.items() if one in still}
        for one in open_now:
            if one not in self._busy:
                self._idle.setdefault(one, now)
        too_many = len(open_now) - self._most
        for place, (protocol, since) in enumerate(list(self._idle.items())):
            if place < too_many or now - since >= self._seconds:
                del self._idle[protocol]
                if protocol.transport is not None:
                    protocol.transport.abort()


def _now() -> float:
    return asyncio.get_running_loop().time()
