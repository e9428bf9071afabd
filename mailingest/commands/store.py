"""Looks after the embedded store: what it holds, days packed again, addresses forgotten."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Final

import orjson
from rich.filesize import decimal

from mailingest.commands.progress import progress_bar
from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.wiring import embedded_store

_NICE: Final = 19
# Shorter texts stand in lines of everybody.
_SHORTEST: Final = 4


def stats(settings: Settings, *, as_json: bool) -> None:
    """Print what each day holds, and how many bytes an event takes.

    Raises UsageError or StoreUnavailable.
    """
    documents = size = 0
    for day in embedded_store(settings).stats():
        documents, size = documents + day.documents, size + day.size
        if as_json:
            print(orjson.dumps(asdict(day)).decode())
            continue
        loose = f", {day.loose:,} to be packed" if day.loose else ""
        print(
            f"{day.type} {day.day}  {day.documents:>12,} events  {decimal(day.size):>9}"
            f"  {_each(day.size, day.documents)}{loose}"
        )
        if parts := _parts(day.parts, day.documents):
            print(f"    {parts}")
    if not as_json:
        print(f"{documents:,} events, {decimal(size)}, {_each(size, documents)}")


def compact(settings: Settings, *, until: date | None = None) -> None:
    """Pack the days that are over, or those before ``until``, and print what came of each.

    Raises UsageError or StoreUnavailable.
    """
    _at_low_priority()
    count = saved = 0
    store = embedded_store(settings)
    with progress_bar(is_transient=True) as bar:
        bar.add_task("packing", total=None)
        for one in store.compact(until or datetime.now(UTC).date(), _nothing):
            count, saved = count + 1, saved + one.before - one.after
            print(f"{one.path.name}: {decimal(one.before)} became {decimal(one.after)}", flush=True)
    print(f"{count} days packed, {decimal(max(0, saved))} given back")


def forget(settings: Settings, text: str, *, until: date | None = None) -> None:
    """Delete all events of days that are over with a text, and print how many.

    Raises UsageError or StoreUnavailable.
    """
    if len(text) < _SHORTEST:
        raise UsageError(f"{text}: too short, it would delete what others wrote: give an address")
    count = 0
    store = embedded_store(settings)
    for one in store.compact(until or datetime.now(UTC).date(), _nothing, without=text):
        count += one.left_out
        print(f"{one.path.name}: {one.left_out:,} events deleted", flush=True)
    print(f"{count:,} events deleted; today's are kept: do it again tomorrow")


def _parts(parts: Mapping[str, int], documents: int) -> str:
    each = {name: size / documents for name, size in parts.items()} if documents else {}
    return ", ".join(f"{name} {size:.1f}" for name, size in each.items() if size >= 0.05)


def _each(size: int, documents: int) -> str:
    return f"{size / documents:.0f} bytes each" if documents else "no events"


def _at_low_priority() -> None:
    """Leave the processor to whoever else wants it."""
    os.nice(_NICE)


def _nothing() -> None:
    """Nobody interrupts it but a signal."""
