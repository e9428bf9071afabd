"""Shards and replicas: what suits a cluster, from its figures.

Sources, all of the Elasticsearch reference: "Size your shards" (10 to 50 GB a shard; before 8.3,
20 shards a GB of heap; `cluster.max_shards_per_node`), and "Tune for search speed", which has the
rule for replicas.  OpenSearch has the same limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

GB: Final = 10**9
SMALLEST_SHARD: Final = 10 * GB
LARGEST_SHARD: Final = 50 * GB
SHARDS_A_GB: Final = 20
"""Shards for each GB (2^30 bytes) of heap."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A cluster as it is.

    ``shards`` are all of the cluster, copies included, and ``day_shards`` those of mailingest's
    days; ``day_bytes`` are the last whole days without copies.  ``heap_bytes`` is the heap of all
    data nodes, None for a server whose shards take none.
    """

    data_nodes: int
    heap_bytes: int | None
    max_shards_per_node: int
    shards: int = 0
    day_shards: int = 0
    day_bytes: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How new days are laid out: ``replicas`` is None where the server chooses.

    ``days`` are kept; None is for ever.
    """

    shards: int
    replicas: int | None
    days: int | None


def best_replicas(data_nodes: int, primaries: int | None, max_failures: int = 1) -> int:
    """The copies that a shard should have beside itself; ``primaries`` are those of all days.

    So many nodes may fail, and each node has a shard to search; a copy needs a node of its own.

    >>> [best_replicas(nodes, 30) for nodes in (1, 2, 3, 40)]
    [0, 1, 1, 1]
    >>> [best_replicas(nodes, 2) for nodes in (1, 2, 3, 5, 8)]
    [0, 1, 1, 2, 3]
    """
    for_searches = 0 if primaries is None else ceil(data_nodes / primaries) - 1
    return max(0, min(data_nodes - 1, max(max_failures, for_searches)))


def advise(figures: Figures, layout: Layout) -> list[str]:
    """What should be set otherwise, and why; a line each."""
    if not figures.data_nodes:
        return []
    return [
        *_about_replicas(figures.data_nodes, layout),
        *_about_sizes(figures.day_bytes, layout.shards),
        *_about_numbers(figures, layout),
    ]


def _about_replicas(nodes: int, layout: Layout) -> list[str]:
    if layout.replicas is None:
        return []
    primaries = None if layout.days is None else layout.days * layout.shards
    best = best_replicas(nodes, primaries)
    there = f"{_number(nodes, 'data node')} and {_number(layout.replicas, 'replica')}"
    if layout.replicas >= nodes:
        return [f"{there}: indices stay yellow; set replicas = {nodes - 1}"]
    if layout.replicas >= best:
        return []
    if layout.replicas == 0:
        return [f"{there}: days are gone while their node is down; set replicas = {best}"]
    return [f"{there}: some nodes have nothing to search; set replicas = {best}"]


def _about_sizes(days: Sequence[int], shards: int) -> list[str]:
    if not days:
        return []
    largest = max(days)
    enough = max(1, ceil(largest / LARGEST_SHARD))
    is_good = SMALLEST_SHARD <= largest / shards <= LARGEST_SHARD
    if shards == enough or (is_good and shards > enough):
        return []
    last = "the last day has" if len(days) == 1 else f"the last {len(days)} days have up to"
    return [
        f"{last} {_gigabytes(largest)} in {_number(shards, 'shard')}, and 10 to 50 GB a shard are "
        f"good: set shards = {enough}"
    ]


def _about_numbers(figures: Figures, layout: Layout) -> list[str]:
    a_day = layout.shards * (1 + (layout.replicas or 0))
    others = max(0, figures.shards - figures.day_shards)
    planned = figures.shards if layout.days is None else others + layout.days * a_day
    shards = _number(figures.shards, "shard")
    if planned > figures.shards:
        shards += f" now, and {planned:,} when all days of retention.days are there"
    nodes = _number(figures.data_nodes, "data node")
    lines = []
    if figures.heap_bytes is not None:
        gigabytes = figures.heap_bytes / 2**30
        room = int(SHARDS_A_GB * gigabytes)
        if room < max(planned, figures.shards):
            lines.append(
                f"{shards}: {gigabytes:.1f} GB of heap on {nodes} are enough for {room:,} "
                f"({SHARDS_A_GB} a GB); {_fewer(room, others, a_day, layout)}"
            )
    limit = figures.max_shards_per_node * figures.data_nodes
    if limit < max(planned, figures.shards + a_day):
        lines.append(
            f"{shards}: the server makes no new index above {limit:,} "
            f"(cluster.max_shards_per_node); {_fewer(limit, others, a_day, layout)}"
        )
    return lines


def _fewer(room: int, others: int, a_day: int, layout: Layout) -> str:
    """What to do for mailingest's days to fit in beside the other shards."""
    days = (room - others) // a_day
    if days < 1:
        return "delete or shrink other indices, or add memory or nodes"
    if layout.days is not None and layout.days <= days:
        return "delete days older than retention.days (`mailingest retention`), or shrink indices"
    return f"keep at most {_number(days, 'day')} (retention.days), or add memory or nodes"


def _number(count: int, what: str) -> str:
    """
    >>> _number(1, "shard"), _number(1400, "shard"), _number(0, "replica")
    ('1 shard', '1,400 shards', 'no replica')
    """
    if count == 0:
        return f"no {what}"
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _gigabytes(size: int) -> str:
    """
    >>> _gigabytes(62_300_000_000), _gigabytes(3_240_000_000)
    ('62 GB', '3.2 GB')
    """
    return f"{size / GB:.1f} GB" if size < SMALLEST_SHARD else f"{size / GB:.0f} GB"
