"""What shares a server goes to one worker, and what takes long is given out first."""

from collections import Counter

import pytest

from tests.support.distribution import group_of, order_of

PATH = "tests/stores/test_x.py"


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        pytest.param(f"{PATH}::test_a[bob]", PATH, id="a module"),
        pytest.param(f"{PATH}::test_a[x@search_servers.example]", PATH, id="an address"),
        pytest.param(f"{PATH}::test_a[a@b]@search_servers", "search_servers", id="a server"),
        pytest.param(f"{PATH}::test_a@corpus", "corpus", id="a recorded log"),
    ],
)
def test_a_group_is_what_a_test_shares_or_its_module(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group


def test_what_is_shared_comes_first_then_what_takes_long_then_what_has_many_tests() -> None:
    ids = [f"{PATH}::test_a", "few.py::test_a", "x.py::test_a[é]@lab", "system.py::test_a"]
    counts = Counter({PATH: 9, "few.py": 1, "lab": 2, "system.py": 3})

    def order(nodeid: str) -> tuple[object, ...]:
        return order_of(nodeid, counts, is_long=nodeid.startswith("system"))

    assert sorted(ids, key=order) == [ids[2], ids[3], ids[0], ids[1]]
