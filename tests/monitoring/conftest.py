"""One daemon for all tests of what it shows."""

from collections.abc import Iterator

import pytest

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
