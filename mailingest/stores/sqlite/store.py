"""SQLite files as a store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar

from mailingest.stores.opening import opened
from mailingest.stores.protocol import NO_SET_UP, Expired, Progress, Show, no_progress
from mailingest.stores.sqlite.files import other_types
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.retention import delete_files
from mailingest.stores.sqlite.writer import SqliteWriter


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

    async def set_up(
        self,
        days: Mapping[str, int | None],
        show: Show | None,
        report: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        report(NO_SET_UP)
