"""Losses: each frame is counted once, in whatever order and however often it is missed."""

from hypothesis import given
from hypothesis import strategies as st

from mailingest.spool.losses import Losses

NUMBERS = st.integers(0, 60)
GAPS = st.lists(st.tuples(NUMBERS, NUMBERS).map(sorted), max_size=20)


@given(GAPS, NUMBERS)
def test_each_frame_is_counted_once_and_those_that_are_stored_never(
    gaps: list[list[int]], settled: int
) -> None:
    losses = Losses()
    losses.settle(settled)
    counted: set[int] = set()
    for begin, end in gaps:
        new = set(range(max(begin, settled), end)) - counted
        assert losses.count(begin, end) == len(new)
        counted |= new
        assert losses.frames == len(counted)
    again = Losses.from_row(losses.as_row())
    assert again == losses
    for begin, end in gaps:
        assert again.count(begin, end) == 0


@given(GAPS, NUMBERS)
def test_what_is_stored_now_is_forgotten_but_stays_counted(
    gaps: list[list[int]], settled: int
) -> None:
    losses = Losses()
    for begin, end in gaps:
        losses.count(begin, end)
    total = losses.frames
    losses.settle(settled)
    assert losses.frames == total
    assert all(end > settled for _, end in losses.gaps)
    assert losses.count(0, 60) + total == 60 - sum(
        number < settled and not any(begin <= number < end for begin, end in gaps)
        for number in range(60)
    )


def test_of_very_many_gaps_those_that_lie_closest_become_one() -> None:
    losses = Losses()
    for number in range(1000):
        assert losses.count(10 * number, 10 * number + 1) == 1
    losses.count(10_001, 10_002)
    assert losses.frames == 1001
    assert len(losses.gaps) <= 64
    assert losses.gaps[-1][1] == 10_002
    # All of them are in it, so that the next process counts none of them again.
    for number in range(1000):
        assert losses.count(10 * number, 10 * number + 1) == 0
