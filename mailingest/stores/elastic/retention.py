"""Deletes the indices of days that are over.

Only names that are exactly of one of mailingest's days are looked at (mailingest.stores.days), and
each is deleted by its whole name.  What is gone already is no error, so that a timer may repeat a
run.
"""

from collections.abc import Callable
from datetime import date
from typing import Final, cast

from mailingest.stores.days import days_over
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.protocol import Expired

_PRIVILEGES: Final = (
    "monitor on the cluster, and monitor, view_index_metadata and delete_index on the indices "
    "(OpenSearch: cluster_monitor, and indices_monitor and indices:admin/delete)"
)


async def delete_indices(
    connection: ElasticConnection,
    prefix: str,
    days: int,
    *,
    today: date,
    dry_run: bool,
    report: Callable[[Expired], None],
) -> None:
    """Delete them, and report each; raises UsageError or StoreUnavailable."""
    async with connection.opened(_PRIVILEGES) as client:
        # Names of indices only, whatever aliases there are; closed ones have no size.
        rows = await client.cat.indices(
            index=f"{prefix}-*",
            format="json",
            h=["index", "store.size"],
            bytes="b",
            expand_wildcards=["open", "closed"],
        )
        found = cast(list[dict[str, str | None]], rows.body)
        sizes = {str(row["index"]): row.get("store.size") for row in found}
        for _, name in days_over(sizes, prefix, days, today=today):
            if not dry_run:
                await client.options(ignore_status=404).indices.delete(index=name)
            size = sizes[name]
            report(Expired(name, None if size is None else int(size)))
