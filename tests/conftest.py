"""The real servers of a test run: each is started once, in the order in which tests want them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from mailingest.logs.output import log_output
from tests.support.servers import (
    KINDS,
    OPTIONAL_KINDS,
    SECURED_KINDS,
    WANTED_KINDS,
    Kind,
    SearchServer,
)
from tests.support.servers.starting import Servers
from tests.support.stores import (
    case,
    make_counting_reader,
    make_reader,
    prefixes,
    searched_case,
)

# How long an example takes depends on the machine; nothing in a test is timed.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

MAX_REQUEST = 262_144
"""Bytes.  Small, so that tests meet the limit with little data (the default is 100 MB)."""


_SERVERS = pytest.StashKey[Servers]()


def pytest_report_header() -> str | None:
    """Names the servers that this run leaves out."""
    left_out = ", ".join(str(kind) for kind in OPTIONAL_KINDS if kind not in WANTED_KINDS)
    return f"not run without MAILINGEST_TEST_SERVERS=all: {left_out}" if left_out else None


@pytest.fixture(scope="session")
def search_servers(request: pytest.FixtureRequest) -> Iterator[Callable[[Kind], SearchServer]]:
    """Gives the one server of a kind.

    Not a parametrised session fixture: tests come in random order, and pytest would start
    and end a server at each change of the parameter.  While the first tests run, the servers of
    later ones are started.
    """
    settings = {"http.max_content_length": f"{MAX_REQUEST}b"}
    with ExitStack() as running:
        servers = Servers(running, lambda kind: SearchServer(kind, settings=settings))
        for item in request.session.items:
            if "search_servers" in getattr(item, "fixturenames", ()):
                for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
                    if isinstance(value, Kind):
                        servers.want(value)
        request.config.stash[_SERVERS] = servers
        yield servers.get
        del request.config.stash[_SERVERS]


@pytest.fixture(autouse=True)
def _log_goes_on() -> Iterator[None]:
    """Commands that are run in this process log to an output that is closed after their test."""
    yield
    assert sys.__stderr__ is not None
    log_output.use(sys.__stderr__)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Go on with starting servers, between two tests."""
    if (servers := item.config.stash.get(_SERVERS, None)) is not None:
        servers.go_on()


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.servers) for kind in KINDS], ids=str)
def search_server(
    request: pytest.FixtureRequest, search_servers: Callable[[Kind], SearchServer]
) -> SearchServer:
    """A running server; the test runs once for each kind."""
    return search_servers(request.param)


@pytest.fixture(
    params=[pytest.param(kind, marks=pytest.mark.servers) for kind in SECURED_KINDS], ids=str
)
def secured_server(
    request: pytest.FixtureRequest, search_servers: Callable[[Kind], SearchServer]
) -> SearchServer:
    """A running server with TLS and logins; the test runs once for each kind."""
    return search_servers(request.param)


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.servers)
        for kind in (*KINDS, *SECURED_KINDS, *WANTED_KINDS)
    ],
    ids=str,
)
def any_server(
    request: pytest.FixtureRequest, search_servers: Callable[[Kind], SearchServer]
) -> SearchServer:
    """A running server, plain or secured; the test runs once for each kind."""
    return search_servers(request.param)


__all__ = ["case", "make_counting_reader", "make_reader", "prefixes", "searched_case"]
