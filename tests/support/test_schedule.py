"""The order in which several workers take the modules of the tests."""

from pathlib import Path

import pytest

from tests.support.schedule import LONGEST_FIRST, TOGETHER, next_unit, unit_of
from tests.support.servers import ELASTICSEARCH

TESTS = Path(__file__).parents[1]


def test_every_module_that_is_named_is_there_once() -> None:
    shared = [module for unit in TOGETHER for module in unit]
    for names in (shared, LONGEST_FIRST):
        assert len(set(names)) == len(names)
        assert [name for name in names if not (TESTS / name).is_file()] == []


def test_an_order_is_one_of_units() -> None:
    modules = [f"tests/{name}" for name in LONGEST_FIRST]
    assert [unit_of(f"{module}::test") for module in modules] == modules


QUEUE = {
    "lines": ["test_a"],
    "days": ["test_b", f"test_c[{ELASTICSEARCH}-plain]"],
    "pages": ["test_d"],
}


@pytest.mark.parametrize(
    ("has_servers", "may_start", "left", "taken"),
    [
        pytest.param(False, True, QUEUE, "lines", id="none has servers"),
        pytest.param(False, True, ("days", "pages"), "days", id="it starts some"),
        pytest.param(False, False, ("days", "pages"), "pages", id="enough workers have servers"),
        pytest.param(False, False, ("days",), "days", id="nothing else is left"),
        pytest.param(True, False, QUEUE, "days", id="it has servers"),
        pytest.param(True, True, QUEUE, "days", id="it has servers, and more may start some"),
        pytest.param(True, False, ("lines", "pages"), "lines", id="nothing asks its servers"),
    ],
)
def test_modules_that_ask_servers_are_for_workers_that_have_them(
    has_servers: bool, may_start: bool, left: tuple[str, ...], taken: str
) -> None:
    queue = {unit: QUEUE[unit] for unit in left}
    assert next_unit(queue, has_servers=has_servers, may_start=may_start) == taken
