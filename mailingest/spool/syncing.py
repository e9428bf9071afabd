"""Group commit: what was appended to the journal is put on the disk, for all who wait at once.

What is appended is in the kernel's hands and survives the death of the process; only what is synced
survives that of the machine.  A sync takes as long for a thousand records as for one, so while one
is under way those who come share the next.
"""

import asyncio
import os
from pathlib import Path

from mailingest.errors import MailingestError
from mailingest.spool.files import sync_directory
from mailingest.spool.journal import Journal
from mailingest.spool.records import Position


class GroupCommit:
    """Syncs a journal; ``synced`` is the place before which all survives a power failure.

    For one event loop; the waiting for the disk is done in a thread.
    """

    def __init__(self, journal: Journal) -> None:
        # What an earlier process left may not be on the disk either.
        self.synced = Position()
        self._journal = journal
        self._turn = asyncio.Lock()

    async def sync(self) -> None:
        """Wait until all that is in the journal now is on the disk.

        Raises MailingestError if the disk cannot do it.  Linux then takes what it could not write
        for written, so that trying again would prove nothing (fsync(2)): nobody may go on as if it
        were there.
        """
        wanted = self._journal.end.bytes
        async with self._turn:
            if self.synced.bytes >= wanted:
                return
            end = self._journal.end
            segments = self._journal.segments_from(self.synced.bytes)
            has_new = any(segment.begin >= self.synced.bytes for segment in segments)
            directory = segments[-1].path.parent if segments and has_new else None
            try:
                await asyncio.to_thread(_sync, [one.path for one in segments], directory)
            except OSError as error:
                raise MailingestError(
                    f"{self._journal.directory}: the disk cannot sync the spool "
                    f"({error.strerror}): look after the disk (dmesg, smartctl), then start again"
                ) from error
            self.synced = end


def _sync(paths: list[Path], directory: Path | None) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # all that it had was stored meanwhile
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    if directory is not None:
        sync_directory(directory)
