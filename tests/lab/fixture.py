"""The pytest fixture; a test module names this module in its ``pytest_plugins``."""

from collections.abc import Iterator

import pytest

from tests.lab import MailLab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailLab]:
    """A running laboratory, one for the whole test session."""
    with MailLab(tmp_path_factory.mktemp("lab")) as running:
        yield running
