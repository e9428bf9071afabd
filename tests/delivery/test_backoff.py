"""How long a batch waits before it is tried again."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mailingest.delivery.backoff import BACKOFF_CAP, backoff


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_waiting_has_a_cap_and_is_never_negative(attempt: int, rng: Random) -> None:
    assert 0.0 <= backoff(attempt, rng) <= BACKOFF_CAP


def test_the_longest_wait_doubles_with_each_attempt_up_to_the_cap() -> None:
    class Last(Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    longest = [backoff(attempt, Last()) for attempt in range(8)]

    assert longest == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
