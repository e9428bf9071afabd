"""What the dashboards of Kibana and of Grafana are both held to."""

from collections.abc import Iterable, Mapping
from typing import Any

from mailingest.stores.elastic.schema import index_template

PROPERTIES: dict[str, Any] = index_template(replicas=0)["mappings"]["properties"]


def mapping_of(field: str) -> dict[str, Any] | None:
    """The mapping of a field or sub-field; a field's own name may not hold a dot."""
    name, _, sub = field.partition(".")
    found: dict[str, Any] | None = PROPERTIES.get(name)
    return found if not sub or found is None else found.get("fields", {}).get(sub)


def assert_panels_fit(grids: Iterable[Mapping[str, int]], columns: int) -> None:
    """No panel overlaps another, and none is wider than the grid."""
    taken: set[tuple[int, int]] = set()
    for grid in grids:
        assert grid["x"] + grid["w"] <= columns
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells
