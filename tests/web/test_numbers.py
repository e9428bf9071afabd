"""Numbers on the pages."""

import pytest

from mailingest.web.numbers import number, share, size


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (999, "999"), (1234567, "1\u202f234\u202f567"), (2.5, "2.5"), (40.0, "40")],
)
def test_numbers_are_for_people(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0\u202fbytes"), (999, "999\u202fbytes"), (2500, "2.5\u202fkB"), (10**12, "1.0\u202fTB")],
)
def test_sizes_are_in_units_of_1000(count: int, shown: str) -> None:
    assert size(count) == shown


def test_a_share_is_in_percent_and_nothing_has_none() -> None:
    assert (share(1, 3), share(0, 0)) == ("33.3\u202f%", "")
