"""What the store needs before it is written to, shown or put there; and dashboards for it."""

import asyncio
import sys
from pathlib import Path

from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.stores.protocol import Show
from mailingest.wiring import build_store


def run(settings: Settings, show: Show | None = None) -> None:
    """Set the store up, or show what that would do; prints.

    Raises UsageError or StoreUnavailable; a second run changes nothing.
    """
    asyncio.run(build_store(settings).set_up(settings.retention_days, show, print))


def write_saved_objects(settings: Settings, place: str) -> None:
    """Write the dashboards to a file, or to standard output if ``place`` is `-`.

    Raises UsageError if the file cannot be written.
    """
    from mailingest.stores.elastic.saved_objects import saved_objects

    content = b"".join(map(saved_objects, settings.type_names))
    if place == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        Path(place).write_bytes(content)
    except OSError as error:
        raise UsageError(f"--saved-objects: cannot write {place}: {error.strerror}") from None
