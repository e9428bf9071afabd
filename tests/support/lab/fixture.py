"""The pytest fixtures; a test module names this module in its ``pytest_plugins``."""

from collections.abc import Iterator

import pytest

from tests.support.lab import MailLab
from tests.support.lab.corpus import Corpus, record_corpus
from tests.support.lab.volume import Volume, record_volume


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailLab]:
    """A running laboratory, one for the whole test session."""
    with MailLab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The corpus, recorded once for the whole test session."""
    return record_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    """The log of some thousand mails, recorded once for the whole test session."""
    return record_volume(tmp_path_factory.mktemp("volume"), seed=1)
