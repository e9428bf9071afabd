"""Documents -> JSON lines in a file or on standard output, for jq, Filebeat and other programs."""

import os
import stat
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.spool.files import sync_directory
from mailingest.stores.appending import append_whole, open_for_append
from mailingest.stores.protocol import WriteResult
from mailingest.stores.threads import in_thread


class NdjsonWriter:
    """Appends the body of each document as one line, as it is.

    ``path`` is a file, or None for standard output.  The file is not looked into, so nobody
    knows what it has: a batch that is written twice is there twice, and no duplicates are
    counted.  Each batch is handed to the kernel before it counts as stored: it survives the
    death of the process, and a power failure after the next `sync`.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor = -1
        # One thread: a slow disk or pipe must not stop the event loop, and a write and a
        # change of the file must not cross.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ndjson-writer")

    async def open(self) -> None:
        """Open or create the file; raises UsageError (place unusable) or StoreUnavailable."""
        await in_thread(self._follow, executor=self._executor)

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Append a batch, whole or not at all; raises StoreUnavailable.

        Raises BrokenPipeError when whoever read standard output has gone: nothing can be
        delivered there any more, so the program should end, without a message.
        """
        return await in_thread(lambda: self._write(batch), executor=self._executor)

    async def sync(self) -> None:
        """Wait until the file is on the disk; raises StoreUnavailable.

        What goes to standard output is in the hands of whoever reads it.
        """
        await in_thread(self._sync, executor=self._executor)

    async def reopen(self) -> None:
        """Leave a file that was renamed or removed, for log rotation: nothing more goes to it.

        Each write looks for such a change too, but this makes sure that it has happened.
        """
        await in_thread(self._follow, executor=self._executor)

    async def close(self) -> None:
        """Close the file; standard output stays open."""
        await in_thread(self._leave, executor=self._executor)
        self._executor.shutdown(wait=False)

    def _write(self, batch: Sequence[Document]) -> WriteResult:
        self._follow()
        try:
            append_whole(self._descriptor, b"".join([d.body + b"\n" for d in batch]))
        except BrokenPipeError:
            raise
        except OSError as error:
            place = self._path or "standard output"
            raise StoreUnavailable(f"{place}: {error.strerror}") from error
        return WriteResult(stored=len(batch))

    def _follow(self) -> None:
        if self._path is None:
            self._descriptor = sys.stdout.fileno()
        elif self._descriptor < 0 or not _is_at(self._descriptor, self._path):
            self._leave()
            try:
                self._descriptor = open_for_append(self._path)
            except (
                FileNotFoundError,
                NotADirectoryError,
                IsADirectoryError,
                PermissionError,
            ) as error:
                raise UsageError(
                    f"{self._path}: {error.strerror}: ndjson.path has to be a file in a directory "
                    f"that exists, and writable for this user"
                ) from error
            except OSError as error:
                raise StoreUnavailable(f"{self._path}: {error.strerror}") from error

    def _sync(self) -> None:
        if self._path is None or self._descriptor < 0:
            return
        try:
            # There is no disk behind a device or a pipe.
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                os.fsync(self._descriptor)
                sync_directory(self._path.parent)
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error.strerror}") from error

    def _leave(self) -> None:
        """Close the file; what log rotation has renamed is synced, as nobody will do it later."""
        if self._path is not None and self._descriptor >= 0:
            try:
                self._sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False  # opening it anew shows what is wrong
