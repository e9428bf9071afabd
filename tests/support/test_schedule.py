"""The order in which several workers take the modules of the tests."""

from pathlib import Path

from tests.support.schedule import LONGEST_FIRST, TOGETHER, unit_of

TESTS = Path(__file__).parents[1]


def test_every_module_that_is_named_is_there_once() -> None:
    shared = [module for unit in TOGETHER for module in unit]
    for names in (shared, LONGEST_FIRST):
        assert len(set(names)) == len(names)
        assert [name for name in names if not (TESTS / name).is_file()] == []


def test_an_order_is_one_of_units() -> None:
    modules = [f"tests/{name}" for name in LONGEST_FIRST]
    assert [unit_of(f"{module}::test") for module in modules] == modules
