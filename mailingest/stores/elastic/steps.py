"""Requests that change a server, each compared with what the server has: shown, or sent."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from elasticsearch import AsyncElasticsearch

JSON: Final = {"accept": "application/json", "content-type": "application/json"}
"""The headers of a request that the client has no method for."""

NO_HANDLER: Final = (400, 405, 410)
"""What a server answers to a path that it has no handler for.

OpenSearch without ISM says 400, a path with other methods 405, a serverless project 410.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A request, and what it changes: ``current`` is what the server has, None if nothing.

    ``current`` and ``wanted`` are in a form that can be compared.
    """

    what: str
    method: str
    path: str
    body: Mapping[str, Any]
    current: Mapping[str, Any] | None
    wanted: Mapping[str, Any]

    @property
    def state(self) -> Literal["new", "changed", "unchanged"]:
        if self.current is None:
            return "new"
        return "unchanged" if self.current == self.wanted else "changed"

    def request(self) -> str:
        """The request as text, as the consoles of Kibana and OpenSearch Dashboards take it."""
        if self.state == "unchanged":
            return f"# {self.what}: unchanged, no request\n"
        body = orjson.dumps(self.body, option=orjson.OPT_INDENT_2).decode()
        return f"# {self.what}: {self.state}\n{self.method} {self.path}\n{body}\n"

    def difference(self) -> str:
        """What would change on the server, as a unified diff."""
        if self.state == "unchanged":
            return f"{self.what}: unchanged"
        current = _lines(self.current) if self.current is not None else []
        return "\n".join(
            difflib.unified_diff(
                current,
                _lines(self.wanted),
                f"{self.what}: server",
                f"{self.what}: wanted",
                lineterm="",
            )
        )

    async def send(self, client: AsyncElasticsearch) -> None:
        """Change the server, unless it is as it should be."""
        if self.state != "unchanged":
            await client.perform_request(self.method, self.path, headers=JSON, body=self.body)


def _lines(value: object) -> list[str]:
    option = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return orjson.dumps(value, option=option).decode().splitlines()
