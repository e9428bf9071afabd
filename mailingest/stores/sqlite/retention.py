"""Deletes the files of days that are over.

Only names that are exactly of one of mailingest's days are looked at (mailingest.stores.days), and
each is deleted by its whole name.  What is gone already is no error, so that a timer may repeat a
run.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final

from mailingest.errors import StoreUnavailable
from mailingest.stores.days import day_of, days_over
from mailingest.stores.protocol import Expired
from mailingest.stores.sqlite.files import COMPANIONS, DAMAGED, SUFFIX, entries

# SQLite's own files beside a database go first: a log that is left alone would be taken for that
# of the next database of its name.
_SUFFIXES: Final = (*(f"{SUFFIX}{companion}" for companion in COMPANIONS), SUFFIX)


def delete_files(
    directory: Path,
    name: str,
    days: int,
    *,
    today: date,
    dry_run: bool,
    report: Callable[[Expired], None],
) -> None:
    """Delete those of a type, and report each; raises UsageError or StoreUnavailable."""
    paths = [path for path in entries(directory) if path.is_file()]
    for path in _over(paths, name, days, today):
        try:
            size = path.stat().st_size
            if not dry_run:
                path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error.strerror}") from error
        report(Expired(path.name, size))
    for path in paths:
        stem, is_damaged, _ = path.name.partition(f"{SUFFIX}{DAMAGED}")
        if is_damaged and day_of(stem, name) is not None:
            reason = "it was set aside as damaged; delete it by hand"
            report(Expired(path.name, kept_because=reason))


def _over(paths: list[Path], name: str, days: int, today: date) -> list[Path]:
    """The files to delete, by day, and within a day in the order of the suffixes."""
    over: list[tuple[date, Path]] = []
    for suffix in _SUFFIXES:
        stems = {
            path.name.removesuffix(suffix): path for path in paths if path.name.endswith(suffix)
        }
        over += [(day, stems[stem]) for day, stem in days_over(stems, name, days, today=today)]
    return [path for _, path in sorted(over, key=lambda one: one[0])]
