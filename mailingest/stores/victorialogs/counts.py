"""Stats of VictoriaLogs -> counts of outcomes, bucket by bucket."""

from collections import Counter
from datetime import datetime
from typing import Final, get_args

from mailingest.postfix.names import OUTCOME, REASON, SIZE
from mailingest.postfix.outcome import OUTCOMES, Outcome
from mailingest.stores.counts import MOST_REASONS, Counts, TimeBuckets
from mailingest.stores.events import StoredEvent, time_of
from mailingest.stores.victorialogs import logsql
from mailingest.stores.victorialogs.connection import Connection
from mailingest.stores.victorialogs.rows import usual_time

_KNOWN: Final = frozenset(OUTCOMES)
# The server takes numbers in texts for numbers: of those that are equally frequent, it names others
# first than the rest of mailingest, which chooses among these.
_REASONS_ASKED: Final = 10 * MOST_REASONS
_COUNTED: Final = logsql.among(OUTCOME, sorted(OUTCOMES))


async def read(connection: Connection, types: str, buckets: TimeBuckets) -> Counts:
    """The counts, of copies too."""
    counts = Counts(buckets)
    span = " ".join([types, *logsql.within(buckets.since, buckets.until), _COUNTED])
    # The server's offset is taken off: buckets begin so long before whole multiples.
    seconds, offset = buckets.seconds, -buckets.start % buckets.seconds
    for row in await connection.table(
        f"{span} | stats by (_time:{seconds}s offset {offset}s, {OUTCOME}) count() n"
    ):
        second = int(datetime.fromisoformat(usual_time(row["_time"])).timestamp())
        counts.volume[_outcome(row)][buckets.bucket_of(second)] += int(row["n"])
    for row in await connection.table(
        f"{span} {logsql.exists(REASON)} | stats by ({OUTCOME}, {REASON}) count() n "
        f"| sort by (n desc, {REASON}) partition by ({OUTCOME}) limit {_REASONS_ASKED}"
    ):
        counts.reasons[_outcome(row)][row[REASON]] = int(row["n"])
    sent = f"{span} {logsql.equals(OUTCOME, 'sent')}"
    [row] = await connection.table(f"{sent} | stats sum({SIZE}) n")
    counts.sent_bytes = int(float(row["n"])) if row["n"] not in ("", "NaN") else 0
    return counts


def subtract(counts: Counts, copy: StoredEvent) -> None:
    """Take a line out that was counted once too often."""
    outcome = copy.get(OUTCOME)
    if outcome not in _KNOWN:
        return
    place = counts.buckets.bucket_of(int(time_of(copy).timestamp()))
    counts.volume[outcome][place] -= 1
    if outcome == "sent":
        counts.sent_bytes -= copy.get(SIZE, 0)
    reason, reasons = copy.get(REASON), counts.reasons[outcome]
    if reason is not None and reason in reasons:
        reasons[reason] -= 1
        counts.reasons[outcome] = Counter({one: n for one, n in reasons.items() if n > 0})


def _outcome(row: dict[str, str]) -> Outcome:
    found: Outcome = next(one for one in get_args(Outcome) if one == row[OUTCOME])
    return found
