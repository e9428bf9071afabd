"""What serves an application over HTTP, the same for all of them."""

import logging

from aiohttp import web


def runner_of(app: web.Application) -> web.AppRunner:
    """What serves the pages, not set up yet."""
    # Of a request that is not HTTP it would log a traceback; the pages log their own faults.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # Who goes away ends a question, and can ask another one.
    return web.AppRunner(app, access_log=None, handler_cancellation=True)
