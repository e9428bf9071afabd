"""Documents for tests of outputs, and a disk that is full on demand."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from mailingest.core.documents import Document

# 24 November 2026, 00:00:00 UTC
MIDNIGHT = 1795478400


def document(number: int, *, day: str = "2026.11.24", **fields: Any) -> Document:
    """A document with an id of its own, ``number`` seconds into the 24th of November 2026."""
    values = {"@timestamp": f"{day.replace('.', '-')}T00:00:00.000Z", "number": number, **fields}
    return Document(
        f"mail-{day}", f"{number:020d}", orjson.dumps(values), MIDNIGHT + number, values
    )


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes (setrlimit(2), RLIMIT_FSIZE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
