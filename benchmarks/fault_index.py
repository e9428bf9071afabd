"""Faults of today's index: what an operator does to a cluster by mistake, and sets right.

Nothing of this takes a document that is stored.  To have an index that is mapped otherwise, today's
name is an alias: it is moved to an index that takes no document, and back, in one step each.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from random import Random
from typing import Any, Final

MAPPED_OTHERWISE: Final = "index mapped otherwise"
CLOSED: Final = "index closed"
BLOCKED: Final = "index blocked"
# In the order in which they have to begin, and to end in reverse: a block is in the way of others.
FAULTS: Final = (MAPPED_OTHERWISE, CLOSED, BLOCKED)

_BLOCKS: Final = ("write", "read_only", "read_only_allow_delete")
# As Elastic's common schema has it: every line of mailingest has a text there.
_OTHERWISE: Final = {"properties": {"host": {"properties": {"name": {"type": "keyword"}}}}}
_PASSING: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
_ANSWER_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 300.0


class IndexFaults:
    """Breaks the indices of a prefix on a server, each for as long as a block lasts."""

    def __init__(self, url: str, prefix: str, random: Random) -> None:
        self._url = url
        self._prefix = prefix
        self._random = random
        self._today = f"{prefix}-{datetime.now(UTC):%Y.%m.%d}"
        self._good = f"{prefix}-000001"
        self._wrong = 0

    def prepare(self) -> None:
        """Make today's name an alias, when the daemon has put its template and nothing is sent."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not self._is_there(f"/_index_template/{self._prefix}"):
            if time.monotonic() > end:
                raise TimeoutError("the daemon puts no index template")
            time.sleep(0.1)
        self._ask("PUT", f"/{self._good}", {})
        self._ask("POST", "/_aliases", {"actions": [self._add(self._good)]})

    @contextmanager
    def blocked(self) -> Iterator[None]:
        block = f"index.blocks.{self._random.choice(_BLOCKS)}"
        self._ask("PUT", f"/{self._prefix}-*/_settings", {block: True})
        try:
            yield
        finally:
            self._ask("PUT", f"/{self._prefix}-*/_settings", {block: None})

    @contextmanager
    def closed(self) -> Iterator[None]:
        self._ask("POST", f"/{self._prefix}-*/_close")
        try:
            yield
        finally:
            self._ask("POST", f"/{self._prefix}-*/_open")

    @contextmanager
    def mapped_otherwise(self) -> Iterator[None]:
        self._wrong += 1
        wrong = f"otherwise-{self._prefix}-{self._wrong}"
        self._ask("PUT", f"/{wrong}", {"mappings": _OTHERWISE})
        self._move(self._good, wrong)
        try:
            yield
        finally:
            self._move(wrong, self._good)
            self._ask("POST", f"/{wrong}/_refresh")
            count = self._ask("GET", f"/{wrong}/_count")["count"]
            if count:
                raise RuntimeError(f"{count} documents are in an index that should take none")
            self._ask("DELETE", f"/{wrong}")

    def _move(self, index: str, to: str) -> None:
        remove = {"remove": {"index": index, "alias": self._today}}
        self._ask("POST", "/_aliases", {"actions": [remove, self._add(to)]})

    def _add(self, index: str) -> dict[str, Any]:
        return {"add": {"index": index, "alias": self._today, "is_write_index": True}}

    def _is_there(self, path: str) -> bool:
        try:
            self._once("GET", path, None)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The answer, as soon as there is one: the server may just have been killed."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._once(method, path, body)
            except urllib.error.HTTPError as error:
                said = error.read().decode()
                # The answer to the same request may have been lost.
                if "resource_already_exists" in said or "aliases_not_found" in said:
                    return {}
                passes = error.code in (
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    HTTPStatus.TOO_MANY_REQUESTS,
                )
                if not passes or time.monotonic() > end:
                    raise RuntimeError(f"{method} {path}: {said}") from error
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def _once(self, method: str, path: str, body: object) -> dict[str, Any]:
        request = urllib.request.Request(
            self._url + path,
            None if body is None else json.dumps(body).encode(),
            {"content-type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:
            content: dict[str, Any] = json.load(answer)
        return content
