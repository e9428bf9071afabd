"""The summary table of the embedded store -> counts."""

import sqlite3

from mailingest.postfix.outcome import BUCKET_SECONDS
from mailingest.stores.counts import Counts
from mailingest.stores.sqlite.summary import UNCOUNTED, has_summary


def add_day(counts: Counts, connection: sqlite3.Connection) -> None:
    """Add what a day's file has within the time buckets; raises what sqlite3 raises."""
    if not has_summary(connection):
        counts.is_partial = True
        return
    buckets = counts.buckets
    within = [buckets.start // BUCKET_SECONDS, buckets.end // BUCKET_SECONDS]
    for outcome, bucket, count, size in connection.execute(
        "SELECT outcome, (bucket - ?1) / ?3, sum(count), sum(bytes) FROM summary"
        " WHERE bucket >= ?1 AND bucket < ?2 GROUP BY 1, 2",
        [*within, buckets.seconds // BUCKET_SECONDS],
    ):
        if outcome in counts.volume:
            counts.volume[outcome][bucket] += count
            counts.sent_bytes += size
        counts.is_partial |= outcome == UNCOUNTED
    for outcome, reason, count in connection.execute(
        "SELECT outcome, reason, sum(count) FROM summary"
        " WHERE bucket >= ? AND bucket < ? AND reason != '' GROUP BY 1, 2",
        within,
    ):
        if outcome in counts.reasons:
            counts.reasons[outcome][reason] += count
