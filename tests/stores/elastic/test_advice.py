"""Advice about shards and replicas, for clusters of many shapes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.stores.elastic.advice import GB, Figures, Layout, advise, best_replicas

GIB = 2**30
SMALL = Figures(data_nodes=2, heap_bytes=8 * GIB, max_shards_per_node=1000)
LAYOUT = Layout(shards=1, replicas=1, days=30)


def test_a_cluster_that_fits_needs_no_advice() -> None:
    figures = replace(SMALL, shards=70, day_shards=60, day_bytes=[3 * GB] * 7)
    assert advise(figures, LAYOUT) == []


@pytest.mark.parametrize(
    ("nodes", "layout", "line"),
    [
        pytest.param(
            1,
            LAYOUT,
            "1 data node and 1 replica: indices stay yellow; set replicas = 0",
            id="a replica that has nowhere to go",
        ),
        pytest.param(
            3,
            replace(LAYOUT, replicas=5),
            "3 data nodes and 5 replicas: indices stay yellow; set replicas = 2",
            id="more copies than nodes",
        ),
        pytest.param(
            2,
            replace(LAYOUT, replicas=0),
            "2 data nodes and no replica: days are gone while their node is down; set replicas = 1",
            id="a node may not fail",
        ),
        pytest.param(
            9,
            replace(LAYOUT, days=3),
            "9 data nodes and 1 replica: some nodes have nothing to search; set replicas = 2",
            id="fewer shards than nodes",
        ),
    ],
)
def test_replicas_that_do_not_suit_the_nodes(nodes: int, layout: Layout, line: str) -> None:
    assert advise(replace(SMALL, data_nodes=nodes, heap_bytes=None), layout) == [line]


@pytest.mark.parametrize(
    ("nodes", "layout"),
    [
        pytest.param(1, replace(LAYOUT, replicas=0), id="one node"),
        pytest.param(2, LAYOUT, id="two nodes"),
        pytest.param(40, LAYOUT, id="fewer days than nodes, and 29 of them busy"),
        pytest.param(40, replace(LAYOUT, days=None), id="days that are kept for ever"),
        pytest.param(5, replace(LAYOUT, replicas=3), id="more than it takes, as somebody wants it"),
        pytest.param(1, replace(LAYOUT, replicas=None), id="as many as there are nodes"),
        pytest.param(0, LAYOUT, id="nothing is known of the nodes"),
    ],
)
def test_replicas_that_suit_the_nodes(nodes: int, layout: Layout) -> None:
    assert advise(replace(SMALL, data_nodes=nodes, heap_bytes=None), layout) == []


@given(st.integers(1, 100), st.none() | st.integers(1, 1000), st.integers(0, 5))
def test_each_copy_has_a_node_and_each_node_has_a_shard(
    nodes: int, primaries: int | None, max_failures: int
) -> None:
    best = best_replicas(nodes, primaries, max_failures)
    assert best <= nodes - 1
    assert best >= min(max_failures, nodes - 1)
    if primaries is not None:
        assert primaries * (1 + best) >= nodes
    # Advice that is taken is not given again.
    days = primaries
    layout = Layout(shards=1, replicas=best_replicas(nodes, primaries), days=days)
    figures = replace(SMALL, data_nodes=nodes, heap_bytes=None)
    assert not [line for line in advise(figures, layout) if "replicas =" in line]


@pytest.mark.parametrize(
    ("sizes", "shards", "line"),
    [
        pytest.param([3, 2, 1], 1, None, id="small days in one shard"),
        pytest.param([50], 1, None, id="just as large as is good"),
        pytest.param(
            [40, 62.3, 41],
            1,
            "the last 3 days have up to 62 GB in 1 shard, and 10 to 50 GB a shard are good: "
            "set shards = 2",
            id="a shard that is too large",
        ),
        pytest.param(
            [320],
            2,
            "the last day has 320 GB in 2 shards, and 10 to 50 GB a shard are good: set shards = 7",
            id="two that are too large",
        ),
        pytest.param([62.3], 2, None, id="two that are good"),
        pytest.param([62.3], 5, None, id="more than it takes, and all large enough"),
        pytest.param(
            [3.24] * 7,
            5,
            "the last 7 days have up to 3.2 GB in 5 shards, and 10 to 50 GB a shard are good: "
            "set shards = 1",
            id="many that are too small",
        ),
        pytest.param(
            [90],
            30,
            "the last day has 90 GB in 30 shards, and 10 to 50 GB a shard are good: set shards = 2",
            id="far too many",
        ),
        pytest.param([], 5, None, id="no day yet"),
        pytest.param(
            [0],
            2,
            "the last day has 0.0 GB in 2 shards, and 10 to 50 GB a shard are good: set shards = 1",
            id="an empty day",
        ),
    ],
)
def test_shards_of_a_day(sizes: list[float], shards: int, line: str | None) -> None:
    figures = replace(SMALL, heap_bytes=None, day_bytes=[int(size * GB) for size in sizes])
    assert advise(figures, replace(LAYOUT, shards=shards)) == ([line] if line else [])


@given(st.lists(st.integers(0, 10_000 * GB), min_size=1, max_size=7), st.integers(1, 100))
def test_advice_about_shards_is_not_given_again_when_it_is_taken(
    sizes: list[int], shards: int
) -> None:
    figures = replace(SMALL, heap_bytes=None, max_shards_per_node=10**9, day_bytes=sizes)
    for line in advise(figures, replace(LAYOUT, shards=shards)):
        better = int(line.rpartition("set shards = ")[2])
        assert better != shards
        assert advise(figures, replace(LAYOUT, shards=better)) == []


@pytest.mark.parametrize(
    ("figures", "layout", "line"),
    [
        pytest.param(
            replace(SMALL, heap_bytes=2 * GIB, shards=1400, day_shards=1380),
            replace(LAYOUT, days=None),
            "1,400 shards: 2.0 GB of heap on 2 data nodes are enough for 40 (20 a GB); "
            "keep at most 10 days (retention.days), or add memory or nodes",
            id="too many now",
        ),
        pytest.param(
            replace(SMALL, heap_bytes=4 * GIB, shards=30, day_shards=10),
            replace(LAYOUT, days=90),
            "30 shards now, and 200 when all days of retention.days are there: 4.0 GB of heap on 2 "
            "data nodes are enough for 80 (20 a GB); keep at most 30 days (retention.days), or add "
            "memory or nodes",
            id="too many when all days are there",
        ),
        pytest.param(
            replace(SMALL, heap_bytes=4 * GIB, shards=300, day_shards=10),
            LAYOUT,
            "300 shards now, and 350 when all days of retention.days are there: 4.0 GB of heap on "
            "2 data nodes are enough for 80 (20 a GB); delete or shrink other indices, or add "
            "memory or nodes",
            id="too many of others",
        ),
        pytest.param(
            replace(SMALL, heap_bytes=4 * GIB, shards=100, day_shards=100),
            LAYOUT,
            "100 shards: 4.0 GB of heap on 2 data nodes are enough for 80 (20 a GB); "
            "delete days older than retention.days (`mailingest retention`), or shrink indices",
            id="too many that should have gone",
        ),
        pytest.param(
            replace(SMALL, heap_bytes=None, shards=1999, day_shards=100),
            replace(LAYOUT, days=None),
            "1,999 shards: the server makes no new index above 2,000 "
            "(cluster.max_shards_per_node); keep at most 50 days (retention.days), or add memory "
            "or nodes",
            id="no room for the next day",
        ),
        pytest.param(
            replace(SMALL, heap_bytes=None, max_shards_per_node=50, shards=10),
            replace(LAYOUT, days=50),
            "10 shards now, and 110 when all days of retention.days are there: the server makes no "
            "new index above 100 (cluster.max_shards_per_node); keep at most 45 days "
            "(retention.days), or add memory or nodes",
            id="no room for all days",
        ),
    ],
)
def test_more_shards_than_there_is_room_for(figures: Figures, layout: Layout, line: str) -> None:
    assert advise(figures, layout) == [line]
