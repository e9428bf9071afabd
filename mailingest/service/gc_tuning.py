"""How often Python looks for cycles of garbage, for commands that make an event of each line."""

import gc
from typing import Final

# Events and documents are in no cycle, so looking through each 700 new objects (the default) finds
# nothing, and looking through a large queue-ID map stops everything for a tenth of a second and
# more.  Cycles are rare, such as those of an exception and its frame: some MB until they are found.
_THRESHOLDS: Final = (20_000, 20, 100)


def tune() -> None:
    """Leave out what is there now from all searches, and search less often; see `gc`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
