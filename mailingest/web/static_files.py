"""The style sheet and the scripts of the pages, which say nothing of any mail."""

from importlib.resources import files
from typing import Final

from aiohttp import web

_TYPES: Final = {
    "style.css": "text/css",
    "copy.js": "text/javascript",
    "live.js": "text/javascript",
    "search.js": "text/javascript",
}
_DIRECTORY: Final = files("mailingest.web").joinpath("static")
_TEXTS: Final = {name: _DIRECTORY.joinpath(name).read_text("utf-8") for name in _TYPES}

ROUTE: Final = "/static/{name}"


async def static_file(request: web.Request) -> web.Response:
    """One of these files; raises HTTPNotFound."""
    name = request.match_info["name"]
    if name not in _TYPES:
        raise web.HTTPNotFound
    return web.Response(text=_TEXTS[name], content_type=_TYPES[name])
