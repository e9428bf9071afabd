"""How often each peer may do something."""

import pytest

from mailingest.web.rate_limit import RateLimit
from tests.web.clock import Clock


def test_questions_are_limited_for_each_peer_and_allowed_again_later() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    assert [limit.allows("a") for _ in range(61)] == [True] * 60 + [False]
    assert limit.allows("b")
    clock.now += 1.0
    assert [limit.allows("a") for _ in range(2)] == [True, False]


def test_peers_that_are_counted_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailingest.web.rate_limit._MOST_PEERS", 2)
    limit = RateLimit(1, Clock())
    assert all(limit.allows(peer) for peer in "abc")
    # The oldest was forgotten, the newest was not.
    assert [limit.allows(peer) for peer in "ca"] == [False, True]


def test_an_event_that_is_given_back_does_not_count() -> None:
    limit = RateLimit(2, Clock())
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
    limit.give_back("a")
    assert not limit.is_spent("a")
    assert [limit.allows("a") for _ in range(2)] == [True, False]
    for _ in range(5):
        limit.give_back("a")
    assert [limit.allows("a") for _ in range(3)] == [True, True, False]
