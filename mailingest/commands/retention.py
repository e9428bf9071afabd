"""Deletes the days that are over from the store, and prints what is gone."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime

from rich.filesize import decimal

from mailingest.config import Settings
from mailingest.stores.protocol import Expired
from mailingest.wiring import build_store


def run(settings: Settings, *, dry_run: bool, today: date | None = None) -> None:
    """Delete what is older than ``retention.days``, or what its type has, and print each name.

    Raises UsageError or StoreUnavailable.
    """
    days = {name: kept for name, kept in settings.retention_days.items() if kept is not None}
    if not days:
        print("retention.days is not set: nothing is deleted")
        return
    count = 0

    def report(one: Expired) -> None:
        nonlocal count
        count += not one.kept_because
        print(_line(one, dry_run=dry_run))

    store = build_store(settings)
    today = today or datetime.now(UTC).date()
    asyncio.run(store.delete_old(days, today=today, dry_run=dry_run, report=report))
    done = "would be deleted" if dry_run else "deleted"
    print(f"{count} {store.day_units} {done}; {_kept(settings, days)}, today included")


def _kept(settings: Settings, days: Mapping[str, int]) -> str:
    """How long days are kept, by type if that differs."""
    if len({days.get(name) for name in settings.type_names}) == 1:
        return f"{days[settings.type_names[0]]} days are kept"
    by_type = (f"{name} {days.get(name, 'all')}" for name in settings.type_names)
    return f"days that are kept: {', '.join(by_type)}"


def _line(one: Expired, *, dry_run: bool) -> str:
    if one.kept_because:
        return f"kept {one.name}: {one.kept_because}"
    size = "" if one.size is None else f" ({decimal(one.size)})"
    return f"{'would delete' if dry_run else 'deleted'} {one.name}{size}"
