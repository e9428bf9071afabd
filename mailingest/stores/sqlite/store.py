"""SQLite files as a store."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar

from mailingest.stores.opening import opened
from mailingest.stores.protocol import NO_SET_UP, Expired, Progress, Show, no_progress
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.retention import delete_files
from mailingest.stores.sqlite.writer import SqliteWriter


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """Files ``PREFIX-YYYY.MM.dd.sqlite`` in a directory."""

    directory: Path
    prefix: str

    # All work is done in one thread.
    in_flight: ClassVar[int] = 1
    # A path that is wrong stays wrong until the settings are changed.
    keep_trying: ClassVar[bool] = False
    day_units: ClassVar[str] = "files"

    def writer(self) -> SqliteWriter:
        return SqliteWriter(self.directory)

    def reader(self, progress: Progress = no_progress) -> SqliteReader:
        return SqliteReader(self.directory, self.prefix, progress)

    async def check(self, warn: Callable[[str], None]) -> str:
        async with opened(self.writer()):
            return f"{self.directory} is writable"

    async def delete_old(
        self, days: int, *, today: date, dry_run: bool, report: Callable[[Expired], None]
    ) -> None:
        delete_files(self.directory, self.prefix, days, today=today, dry_run=dry_run, report=report)

    async def set_up(
        self,
        days: int | None,
        show: Show | None,
        report: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        report(NO_SET_UP)
