"""Writes the events of a time span as NDJSON, a line each, in the order of their time."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mailingest.config import Settings
from mailingest.config.values import load_zone
from mailingest.errors import UsageError
from mailingest.ownership import create_own
from mailingest.trace.times import read_time
from mailingest.wiring import embedded_store


def run(
    settings: Settings, output: str, *, since: str | None, until: str | None, only: str | None
) -> None:
    """Write them to a new file, or to standard output for ``-``.

    Raises UsageError or StoreUnavailable: then what was written is not all.
    """
    if only is not None:
        settings.only_type(only)
    store = embedded_store(settings, only)
    now, zone = datetime.now(UTC), load_zone(settings.syslog.timezone)
    begin, end = (
        None if text is None else read_time(text, now=now, zone=zone) for text in (since, until)
    )
    count = 0
    with _opened(output) as file:
        for line in store.export(begin, end):
            file.write(line)
            file.write(b"\n")
            count += 1
        file.flush()
    print(f"{count:,} events written", file=sys.stderr)


@contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        yield sys.stdout.buffer
        return
    try:
        # Addresses are for nobody else's eyes, and a file that is there is not replaced.
        descriptor = create_own(Path(output), os.O_WRONLY)
    except FileExistsError as error:
        raise UsageError(f"{output} is there already: give another name") from error
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        yield file
