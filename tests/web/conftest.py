from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mailingest.web import access, logins, users
from mailingest.web.rate_limit import RateLimit

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a machine takes for a password or a page, no limit is relaxed meanwhile."""
    for module in (access, logins):
        monkeypatch.setattr(module, "RateLimit", partial(RateLimit, clock=lambda: 0.0))


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that count logins: how long a hash takes is for test_users.py."""
    monkeypatch.setitem(users._COST, "n", 16)


@pytest.fixture(scope="module")
def browser(url: str) -> "Iterator[Browser]":
    """Chromium, for the pages at the ``url`` of a module.

    While it runs, nothing else can run an event loop, so the store is filled before.
    """
    from tests.web.browser import chromium

    with chromium() as running:
        yield running
