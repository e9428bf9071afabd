from functools import partial

import pytest

from mailingest.web import access, logins
from mailingest.web.rate_limit import RateLimit


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a machine takes for a password or a page, no limit is relaxed meanwhile."""
    for module in (access, logins):
        monkeypatch.setattr(module, "RateLimit", partial(RateLimit, clock=lambda: 0.0))
