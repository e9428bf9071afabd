"""One daemon for all tests of what it shows."""

import sys
from collections.abc import Iterator

import pytest

from mailingest.logs.output import log_output
from tests.monitoring.watched import DEFERRED, UNMATCHED, Watched
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.site import LIFE


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A daemon that has taken and stored a few lines; no test sends it others."""
    watched = Watched(tmp_path_factory.mktemp("watched"))
    with Daemon(watched.site.config):
        watched.site.hand_over(*LIFE, DEFERRED, *UNMATCHED)
        wait_until(
            lambda: watched.samples()["mailingest_documents_stored_total", ()] == 8, "all is stored"
        )
        yield watched


@pytest.fixture(autouse=True)
def _log_goes_on() -> Iterator[None]:
    """Commands that are run here log to an output that is closed after them."""
    yield
    assert sys.__stderr__ is not None
    log_output.use(sys.__stderr__)
