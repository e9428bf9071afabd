"""Deletes the days that are over, from the cluster or from the directory of SQLite files.

Only names that are exactly of a day of ours are looked at (mailingest.stores.days), and each is
deleted by its whole name.  What is gone already is no error, so that a timer may repeat a run.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

from elasticsearch import ApiError, TransportError

from mailingest.config import Settings
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.days import day_of, is_over
from mailingest.stores.elastic.writer import explain
from mailingest.wiring import build_elasticsearch

# SQLite's own files beside a database.  They go first: a log that is left alone would be taken for
# that of the next database of its name.
_SUFFIXES = (".sqlite-wal", ".sqlite-shm", ".sqlite")
_DAMAGED = ".sqlite.damaged-"
_PRIVILEGES = (
    "monitor on the cluster, and monitor, view_index_metadata and delete_index on the indices "
    "(OpenSearch: cluster_monitor, and indices_monitor and indices:admin/delete)"
)
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Old:
    """An index or file that is over, with its size in bytes if that is known."""

    day: date
    name: str
    size: int | None


def run(settings: Settings, *, dry_run: bool, today: date | None = None) -> None:
    """Delete what is older than ``retention.days``, and print each name.

    Raises UsageError or StoreUnavailable.
    """
    days = settings.retention.days
    if days is None:
        print("retention.days is not set: nothing is deleted")
        return
    today = today or datetime.now(UTC).date()
    if settings.elasticsearch.hosts:
        count = asyncio.run(_indices(settings, days, today, dry_run=dry_run))
        what = "indices"
    elif settings.ndjson.path is not None:
        raise UsageError("retention: NDJSON files are for logrotate(8) to delete")
    else:
        count = _files(settings.sqlite_directory, settings.index.prefix, days, today, dry_run)
        what = "files"
    print(
        f"{count} {what} {'would be deleted' if dry_run else 'deleted'}; {days} days are kept, "
        "today included"
    )


async def _indices(settings: Settings, days: int, today: date, *, dry_run: bool) -> int:
    prefix = settings.index.prefix
    output = build_elasticsearch(settings, None)
    try:
        await output.open()
        # Names of indices only, whatever aliases there are; closed ones have no size.
        rows = await output.client.cat.indices(
            index=f"{prefix}-*",
            format="json",
            h=["index", "store.size"],
            bytes="b",
            expand_wildcards=["open", "closed"],
        )
        found = cast(list[dict[str, str | None]], rows.body)
        old = _over(
            ((str(row["index"]), str(row["index"]), row.get("store.size")) for row in found),
            prefix,
            days,
            today,
        )
        for one in old:
            if not dry_run:
                await output.client.options(ignore_status=404).indices.delete(index=one.name)
            _tell(one, dry_run=dry_run)
    except (ApiError, TransportError) as error:
        raise explain(error, _PRIVILEGES) from error
    finally:
        await output.close()
    return len(old)


def _files(directory: Path, prefix: str, days: int, today: date, dry_run: bool) -> int:
    try:
        paths = sorted(path for path in directory.iterdir() if path.is_file())
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise UsageError(f"sqlite directory {directory}: {error.strerror}") from error
    old: list[Old] = []
    for suffix in _SUFFIXES:
        named = [path for path in paths if path.name.endswith(suffix)]
        old += _over(
            ((path.name, path.name.removesuffix(suffix), path.stat().st_size) for path in named),
            prefix,
            days,
            today,
        )
    # By day, and within a day still in the order of the suffixes.
    old.sort(key=lambda one: one.day)
    for one in old:
        if not dry_run:
            try:
                (directory / one.name).unlink(missing_ok=True)
            except OSError as error:
                raise StoreUnavailable(f"{directory / one.name}: {error.strerror}") from error
        _tell(one, dry_run=dry_run)
    for path in paths:
        stem, is_damaged, _ = path.name.partition(_DAMAGED)
        if is_damaged and day_of(stem, prefix) is not None:
            print(f"kept {path.name}: it was set aside as damaged; delete it by hand")
    return len(old)


def _over(
    named: Iterable[tuple[str, str, str | int | None]], prefix: str, days: int, today: date
) -> list[Old]:
    """Those that are over, of full name, name without suffix, and size."""
    old = [
        Old(day, name, None if size is None else int(size))
        for name, stem, size in named
        if (day := day_of(stem, prefix)) is not None and is_over(day, today=today, days=days)
    ]
    return sorted(old, key=lambda one: one.day)


def _tell(one: Old, *, dry_run: bool) -> None:
    size = "" if one.size is None else f" ({_readable(one.size)})"
    print(f"{'would delete' if dry_run else 'deleted'} {one.name}{size}")


def _readable(size: float) -> str:
    for unit in _UNITS[:-1]:
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"
