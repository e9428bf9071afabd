"""Lines of JSON as a store: written for other programs, and not read here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, NoReturn

from mailingest.errors import UsageError
from mailingest.stores.ndjson.writer import NdjsonWriter
from mailingest.stores.opening import opened
from mailingest.stores.protocol import NO_SET_UP, Expired, Progress, Show, no_progress


@dataclass(frozen=True, slots=True)
class NdjsonStore:
    """A file, or standard output if ``path`` is `-`."""

    path: str

    # All work is done in one thread.
    in_flight: ClassVar[int] = 1
    # A path that is wrong stays wrong until the settings are changed.
    keep_trying: ClassVar[bool] = False
    day_units: ClassVar[str] = "files"

    def writer(self) -> NdjsonWriter:
        return NdjsonWriter(None if self.path == "-" else Path(self.path))

    def reader(self, progress: Progress = no_progress) -> NoReturn:
        raise UsageError(
            "ndjson.path: lines of JSON cannot be searched: name log files with --file, or set "
            "sqlite.directory, elasticsearch.hosts or victorialogs.url"
        )

    async def check(self, warn: Callable[[str], None]) -> str:
        async with opened(self.writer()):
            return f"{self.path} is writable"

    async def delete_old(
        self,
        days: Mapping[str, int],
        *,
        today: date,
        dry_run: bool,
        report: Callable[[Expired], None],
    ) -> None:
        raise UsageError("retention: NDJSON files are for logrotate(8) to delete")

    async def keep_house(self) -> None:
        """Nothing to do."""

    async def set_up(
        self,
        days: Mapping[str, int | None],
        show: Show | None,
        report: Callable[[str], None],
        *,
        force: bool = False,
    ) -> None:
        report(NO_SET_UP)
