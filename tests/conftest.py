"""The real servers of a test run: each is started once, in the order in which tests want them."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer

from mailingest.logs.limit import log_limit
from mailingest.logs.output import log_output
from tests.support.schedule import Schedule, put_in_order
from tests.support.servers import (
    KINDS,
    OPTIONAL_KINDS,
    SECURED_KINDS,
    WANTED_KINDS,
    Kind,
    SearchServer,
)
from tests.support.servers.kafka import Broker
from tests.support.servers.starting import Servers
from tests.support.servers.victorialogs import VictoriaLogsServer
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
_WANTED = pytest.StashKey[dict[Path, set[Kind]]]()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Schedule | None:
    """Workers take long modules first."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return Schedule(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the tests; without workers, modules stay in random order."""
    if hasattr(config, "workerinput"):
        put_in_order(items)


def pytest_report_header() -> str | None:
    """Names the servers that this run leaves out."""
    left_out = ", ".join(str(kind) for kind in OPTIONAL_KINDS if kind not in WANTED_KINDS)
    return f"not run without MAILINGEST_TEST_SERVERS=all: {left_out}" if left_out else None


@pytest.fixture(scope="session")
def search_servers(request: pytest.FixtureRequest) -> Iterator[Callable[[Kind], SearchServer]]:
    """Gives the one server of a kind.

    Not a parametrised session fixture: tests come in random order, and pytest would start
    and end a server at each change of the parameter.  While the first tests of a module run, the
    servers of later ones are started: those of other modules may be for another worker.
    """
    settings = {"http.max_content_length": f"{MAX_REQUEST}b"}
    wanted: dict[Path, set[Kind]] = defaultdict(set)
    for item in request.session.items:
        if "search_servers" in getattr(item, "fixturenames", ()):
            values = item.callspec.params.values() if hasattr(item, "callspec") else ()
            wanted[item.path].update(value for value in values if isinstance(value, Kind))
    stash = request.config.stash
    with ExitStack() as running:
        servers = Servers(running, lambda kind: SearchServer(kind, settings=settings))
        stash[_SERVERS], stash[_WANTED] = servers, wanted
        yield servers.get
        del stash[_SERVERS]


@pytest.fixture(scope="session")
def victorialogs_server() -> Iterator[VictoriaLogsServer]:
    """The one VictoriaLogs server of a run, which may delete events of single types."""
    with VictoriaLogsServer("-delete.enable=true") as server:
        yield server


@pytest.fixture(autouse=True)
def _log_goes_on() -> Iterator[None]:
    """Commands that are run in this process log to an output that is closed after their test.

    What other tests have logged often is logged for the next one as well.
    """
    yield
    log_limit.forget()
    assert sys.__stderr__ is not None
    log_output.use(sys.__stderr__)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Go on with starting servers, between two tests."""
    if (servers := item.config.stash.get(_SERVERS, None)) is not None:
        for kind in item.config.stash[_WANTED].get(item.path, ()):
            servers.want(kind)
        servers.go_on()


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.servers) for kind in KINDS], ids=str)
def search_server(
    request: pytest.FixtureRequest, search_servers: Callable[[Kind], SearchServer]
) -> SearchServer:
    """A running server; the test runs once for each kind."""
    return search_servers(request.param)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A running broker of Kafka, for topics of each test's own."""
    with Broker() as running:
        yield running


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
