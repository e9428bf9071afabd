"""Documents for tests of writers, and ways to take space and rights from this process."""

import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from mailingest.documents import Document

# 24 November 2026, 00:00:00 UTC
MIDNIGHT = 1795478400


def document(
    number: int, *, day: str = "2026.11.24", prefix: str = "mail", **fields: Any
) -> Document:
    """A document with an id of its own, ``number`` seconds into the 24th of November 2026."""
    values = {"@timestamp": f"{day.replace('.', '-')}T00:00:00.000Z", "number": number, **fields}
    return Document(
        f"{prefix}-{day}", f"{number:020d}", orjson.dumps(values), MIDNIGHT + number, values
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


@contextmanager
def public_directory() -> Iterator[Path]:
    """A directory that every user may enter; pytest's own are below one that is private."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's right to everything, which modes of files do not bind."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@contextmanager
def acting_as(user: int, group: int) -> Iterator[None]:
    """As another user, who is in one group only; this one has to be root."""
    if os.geteuid() != 0:
        raise RuntimeError("needs root: run the tests with sudo")
    groups = os.getgroups()
    os.setgroups([group])
    os.setegid(group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
