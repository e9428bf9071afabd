"""The state of so many workers -> that of as many as are set, at the start.

The workers of before store what is in the spool, and have snapshots of its end.  Then the mails
that they know are divided among those that are to come.  Nothing is received meanwhile.
"""

import asyncio
from contextlib import suppress

from mailingest.config import Settings
from mailingest.errors import UsageError, sole_error
from mailingest.logs.logger import log
from mailingest.pipeline import reshared
from mailingest.service.chores import every
from mailingest.service.layouts import clean_up, take_over
from mailingest.service.parts import build_receiving
from mailingest.service.systemd import notify
from mailingest.service.workers import Workers
from mailingest.spool.files import make_directory
from mailingest.spool.layout import snapshot_paths, workers_of
from mailingest.spool.snapshot import position_row, read_position
from mailingest.stores.threads import in_thread

# systemd waits that much longer for the start, each time that it is told.
_EXTEND_SECONDS = 30


class Resharing:
    """Brings the state to the number of workers that is set; ``stop`` ends the service."""

    def __init__(self, settings: Settings, stop: asyncio.Event) -> None:
        self._settings = settings
        self._state = settings.state.directory
        self._stop = stop

    async def done(self) -> bool:
        """Do it, if the number is another one; False if it was stopped.  Raises UsageError."""
        before, workers = workers_of(self._state), self._settings.workers
        if before == workers:
            if workers > 1 or any(self._state.glob("worker-*")):
                clean_up(self._state)
            return True
        make_directory(self._state, "state.directory")
        if self._is_new(before):
            take_over(self._state, [()] * workers)
            return True
        log.info(
            "another number of workers is set: what is in the spool is stored by those of before",
            before=before,
            workers=workers,
        )
        if not await self._all_is_stored(before):
            return False
        await in_thread(lambda: take_over(self._state, self._snapshots(before, workers)))
        return True

    def _is_new(self, before: int) -> bool:
        """Whether nothing was ever received."""
        files = (*snapshot_paths(self._state, before), self._state / "spool" / "control")
        return not any(path.exists() for path in files)

    async def _all_is_stored(self, before: int) -> bool:
        """Have the workers of before end with a snapshot of the end of the spool."""
        receiving = build_receiving(self._settings)
        work = Workers(self._settings, receiving, before)
        work.open()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = await work.begin(group)
                tasks.append(group.create_task(every(lambda: _EXTEND_SECONDS / 3, _extend)))
                finishing = group.create_task(work.finish_all())
                stopping = group.create_task(self._stopped())
                await asyncio.wait([finishing, stopping], return_when=asyncio.FIRST_COMPLETED)
                if not finishing.done():
                    loop = asyncio.get_running_loop()
                    await work.finish(loop.time() + self._settings.shutdown_timeout)
                for task in (*tasks, finishing, stopping):
                    task.cancel()
        except ExceptionGroup as group_of_errors:
            raise sole_error(group_of_errors) from None
        finally:
            await work.close()
            receiving.spool.close()
        if self._stop.is_set():
            return False
        if not work.has_finished:
            raise UsageError(
                f"workers: the {before} of before could not store what is in the spool: see the "
                "lines above, or set that number again"
            )
        return True

    async def _stopped(self) -> None:
        await self._stop.wait()

    def _snapshots(self, before: int, workers: int) -> list[list[bytes]]:
        """Those of so many workers, each with its place; raises UsageError."""
        heads: set[bytes] = set()
        snapshots: list[list[bytes]] = []
        for path in snapshot_paths(self._state, before):
            try:
                head, *rows = path.read_bytes().splitlines()
            except (OSError, ValueError) as error:
                raise UsageError(f"{path}: the snapshot cannot be read: {error}") from None
            heads.add(head)
            snapshots.append(rows)
        if len(heads) != 1:
            raise UsageError(f"workers: the snapshots of the {before} of before do not agree")
        try:
            position = read_position(heads.pop())
            found = reshared(snapshots, workers)
        except (ValueError, TypeError) as error:
            raise UsageError(f"workers: a snapshot of before is damaged: {error}") from None
        return [[position_row(position), *rows] for rows in found]


async def _extend() -> None:
    with suppress(OSError):
        notify(f"EXTEND_TIMEOUT_USEC={_EXTEND_SECONDS * 1_000_000}")
