"""SQLite files as a store."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from mailingest.errors import StoreUnavailable
from mailingest.stores.opening import opened
from mailingest.stores.protocol import NO_SET_UP, Expired, Progress, Show, no_progress
from mailingest.stores.sqlite.background import Packer
from mailingest.stores.sqlite.bounds import Bounds
from mailingest.stores.sqlite.compaction import Compacted, Step, compact, is_worth_while
from mailingest.stores.sqlite.contents import exported
from mailingest.stores.sqlite.files import (
    damaged_files,
    day_files,
    explained,
    files_before,
    other_types,
)
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.retention import delete_files
from mailingest.stores.sqlite.stats import DayStats, day_stats
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.stores.threads import in_thread


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """Files ``TYPE-YYYY.MM.dd.sqlite`` in a directory."""

    directory: Path
    types: Sequence[str]

    # All work is done in one thread.
    in_flight: ClassVar[int] = 1
    # A path that is wrong stays wrong until the settings are changed.
    keep_trying: ClassVar[bool] = False
    day_units: ClassVar[str] = "files"

    def writer(self) -> SqliteWriter:
        return SqliteWriter(self.directory, self.types)

    def reader(self, progress: Progress = no_progress) -> SqliteReader:
        return SqliteReader(self.directory, *self.types, progress=progress)

    async def check(self, warn: Callable[[str], None]) -> str:
        async with opened(self.writer()):
            if others := other_types(self.directory, self.types):
                warn(
                    f"{self.directory} has days of types that are not set: {', '.join(others)}: "
                    "name them in [types] for traces and retention to know them"
                )
            return f"{self.directory} is writable"

    def stats(self) -> Iterator[DayStats]:
        """What each day holds, the oldest first; raises UsageError or StoreUnavailable."""
        for path in reversed(day_files(self.directory, self.types)):
            with explained(path):
                if (stats := day_stats(path)) is not None:
                    yield stats

    def compact(
        self, until: date, step: Step, *, without: str | None = None
    ) -> Iterator[Compacted]:
        """Compact the days before ``until``, the oldest first, if they would get much smaller.

        With ``without``, each is packed again, and documents with that text are left out.  Raises
        UsageError or StoreUnavailable.
        """
        for path in files_before(self.directory, self.types, until):
            with explained(path):
                if without is not None or is_worth_while(path):
                    yield compact(path, step, without)

    def export(self, since: datetime | None, until: datetime | None) -> Iterator[bytes]:
        """The JSON of all documents of a time span, day by day, in the order of their time.

        Raises UsageError or StoreUnavailable.
        """
        bounds = Bounds(since, until)
        for path in reversed(day_files(self.directory, self.types, since, until)):
            with explained(path):
                yield from exported(path, bounds)
        for path in damaged_files(self.directory, self.types, since, until):
            raise StoreUnavailable(
                f"all but {path}, which was damaged: replay the logs of that day, then remove it"
            )

    async def delete_old(
        self,
        days: Mapping[str, int],
        *,
        today: date,
        dry_run: bool,
        report: Callable[[Expired], None],
    ) -> None:
        for name, kept in days.items():
            delete_files(self.directory, name, kept, today=today, dry_run=dry_run, report=report)

    async def keep_house(self) -> None:
        packer = Packer(self.directory, self.types)
        today = datetime.now(UTC).date()
        await in_thread(partial(packer.run, today, time.time()), packer.interrupt)

    async def set_up(
        self,
        days: Mapping[str, int | None],
        show: Show | None,
        report: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        report(NO_SET_UP)
