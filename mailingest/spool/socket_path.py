"""The path of a socket in the state directory, however long that of the directory is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def socket_path(directory: Path, name: str) -> Iterator[Path]:
    """A path of at most 107 bytes (unix(7)), as long as the context lasts; raises OSError."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}") / name
    finally:
        os.close(descriptor)
