"""What a report has, whatever it is written as; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from mailingest.stores.breakdown import Breakdown, Dimension, Figures
from mailingest.stores.counts import Counts
from mailingest.stores.gaps import Gap, merged

TOP: Final = 10
"""Names of each kind that are told."""
FEWEST: Final = 20
"""Of fewer deliveries or attempts, a share or a percentile says nothing."""
PERCENTILES: Final = (50, 90, 95)


@dataclass(frozen=True, slots=True)
class Report:
    """Counts of a time, for people in a time zone; ``source`` is where they are from."""

    counts: Counts
    breakdown: Breakdown
    zone: tzinfo
    source: str

    @property
    def why(self) -> Sequence[Gap]:
        """Why the report is not whole; nothing if it is."""
        return merged(self.counts.why, self.breakdown.gaps)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not (any(map(any, self.counts.volume.values())) or self.breakdown.warnings)

    @property
    def received_bytes(self) -> int | None:
        """The size of what was received; None if the lines do not tell it."""
        is_known = self.breakdown.received or not self.counts.total("received")
        return self.breakdown.received_bytes if is_known else None

    @property
    def filtered(self) -> int:
        """Deliveries to a filter or another queue on the machine, but for those forwarded."""
        return max(0, self.counts.total("passed_on") - self.breakdown.forwarded)

    def top(self, dimension: Dimension) -> list[tuple[str, Figures]]:
        """The names of a kind that are told."""
        return self.breakdown.top(dimension, TOP)

    def slowest(self, dimension: Dimension) -> list[tuple[str, Figures]]:
        """The names with the longest delays, where there are enough deliveries."""
        return slowest(self.breakdown, dimension)


def slowest(breakdown: Breakdown, dimension: Dimension) -> list[tuple[str, Figures]]:
    """The names with the longest delays, where there are enough deliveries."""
    found = [one for one in breakdown.names[dimension].items() if sum(one[1].delays) >= FEWEST]
    found.sort(key=lambda one: (*(-(one[1].percentile(p) or 0) for p in (95, 90, 50)), one[0]))
    return found[:TOP]
