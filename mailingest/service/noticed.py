"""What the daemon knows of the hosts' habits, kept from one run to the next in a file of its own.

So an earlier version of mailingest can still read the snapshot of the queue IDs, and a fault of
this file takes no more with it than what was learned.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mailingest.logs.logger import log
from mailingest.spool.files import replace_file
from mailingest.watching.watch import Watch

FILE: Final = "noticed"
"""Its name in the state directory."""


def keep(path: Path, rows: Iterable[bytes]) -> None:
    """Write a snapshot of a `Watch`; a failure is logged."""
    try:
        replace_file(path, rows)
    except OSError as error:
        log.warning("what was learned of the hosts is not written", reason=error.strerror)


def recalled(path: Path) -> Watch:
    """What the file has; a new one if there is none, or if it is damaged, which is logged."""
    watch = Watch()
    try:
        watch.restore(path.read_bytes().splitlines())
    except FileNotFoundError:
        return watch
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        log.warning(
            "what was learned of the hosts cannot be read: their rhythms, and what accounts and "
            "relays usually do, are learned anew",
            path=str(path),
            reason=str(error),
        )
        return Watch()
    return watch
