"""VictoriaLogs as a store: its parts, as the settings say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Final

from mailingest.config import VictoriaLogs, read_secret
from mailingest.stores.protocol import Expired, Progress, Show, no_progress
from mailingest.stores.victorialogs.connection import Connection, Login
from mailingest.stores.victorialogs.reader import VictoriaLogsReader
from mailingest.stores.victorialogs.retention import delete_days
from mailingest.stores.victorialogs.server import Limits
from mailingest.stores.victorialogs.writer import VictoriaLogsWriter

_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class VictoriaLogsStore:
    """Events of some types on a server, which deletes them itself when they are old.

    ``days`` are those that the settings want to be kept, by type.

    Its methods raise UsageError if a secret or a certificate cannot be read.
    """

    settings: VictoriaLogs
    types: Sequence[str]
    days: Mapping[str, int | None] = field(default_factory=dict)

    # One batch is written while another one, or a sync, waits for the server's disk.
    in_flight: ClassVar[int] = 2
    # A server may be set right while lines wait in the spool.
    keep_trying: ClassVar[bool] = True
    day_units: ClassVar[str] = "days"

    def writer(self) -> VictoriaLogsWriter:
        return VictoriaLogsWriter(self.connection())

    def reader(self, progress: Progress = no_progress) -> VictoriaLogsReader:
        """A reader; ``progress`` hears nothing, since the server says nothing."""
        return VictoriaLogsReader(self.connection(), self.types)

    async def check(self, warn: Callable[[str], None]) -> str:
        """Only reads there."""
        connection = self.connection()
        try:
            await connection.table("_time:1s | stats count() n")
            limits = await connection.limits()
        finally:
            await connection.close()
        for line in _warnings(limits, self.days):
            warn(line)
        return f"{_kept(self.settings.url, limits)}, and answers"

    async def delete_old(
        self,
        days: Mapping[str, int],
        *,
        today: date,
        dry_run: bool,
        report: Callable[[Expired], None],
    ) -> None:
        connection = self.connection()
        try:
            for name, kept in days.items():
                await delete_days(
                    connection, name, kept, today=today, dry_run=dry_run, report=report
                )
        finally:
            await connection.close()

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
        connection = self.connection()
        try:
            limits = await connection.limits()
        finally:
            await connection.close()
        report(f"nothing to set up: {_kept(self.settings.url, limits)}")
        for line in _warnings(limits, days):
            report(line)

    def connection(self) -> Connection:
        """A connection that is not open yet."""
        settings = self.settings
        return Connection(
            str(settings.url),
            login=lambda: _login(settings),
            ca_certs=settings.ca_certs,
            verify=settings.verify_certs,
            tenant=(settings.account_id, settings.project_id),
            timeout=settings.timeout,
        )


def _kept(url: str | None, limits: Limits) -> str:
    if not limits.is_known:
        return f"{url} does not say how long it keeps events (GET /flags)"
    return f"{url} keeps events for {limits.retention_text} (-retentionPeriod)"


def _warnings(limits: Limits, days: Mapping[str, int | None]) -> list[str]:
    """What the settings want, and the server does otherwise."""
    if not limits.is_known:
        return []
    lines = []
    for name, kept in days.items():
        if kept is None:
            continue
        if kept * _DAY_SECONDS > limits.retention:
            lines.append(
                f"{name}: {kept} days are to be kept, and the server deletes events after "
                f"{limits.retention_text}: start it with -retentionPeriod={kept}d"
            )
        elif kept * _DAY_SECONDS < limits.retention and not limits.can_delete:
            lines.append(
                f"{name}: {kept} days are to be kept, and the server keeps "
                f"{limits.retention_text}: start it with -retentionPeriod={kept}d, or with "
                "-delete.enable for `mailingest retention` to delete them"
            )
    return lines


def _login(settings: VictoriaLogs) -> Login:
    def secret(name: str) -> str | None:
        value, file = getattr(settings, name), getattr(settings, f"{name}_file")
        return read_secret(value, file, f"victorialogs.{name}_file")

    return Login(settings.username, secret("password"), secret("bearer_token"))
