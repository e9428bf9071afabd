"""Errors of the API as problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web

PROBLEM: Final = "application/problem+json"
API: Final = "/api/"
"""What the paths of the API begin with."""


def problem(status: int, detail: str, more: Mapping[str, Any] | None = None) -> web.Response:
    """The response that says what is wrong; ``more`` are members of its own."""
    values = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body = {**values, "detail": detail, **(more or {})}
    return web.Response(
        body=orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE),
        content_type=PROBLEM,
        status=status,
    )
