"""What an operator does with a store: try it, set it up, and delete what is old."""

from datetime import date

import pytest

from mailingest.errors import UsageError
from mailingest.stores.protocol import Expired
from tests.support.documents import document
from tests.support.stores import StoreCase, fill

TODAY = date(2026, 11, 24)


async def test_a_store_that_can_be_written_to_says_so_in_a_line(case: StoreCase) -> None:
    warnings: list[str] = []
    said = await case.store.check(warnings.append)
    assert warnings == []
    assert said.endswith((" is writable", " answers"))
    assert "\n" not in said


async def test_a_set_up_that_is_repeated_changes_nothing(case: StoreCase) -> None:
    lines: list[list[str]] = []
    for _ in range(3):
        lines.append([])
        await case.store.set_up({case.prefix: None}, None, lines[-1].append)
    assert lines[1] == lines[2]
    assert lines[1][0].startswith(
        ("nothing to set up", f"component template {case.prefix}@mailingest: unchanged")
    )


async def test_a_set_up_that_is_shown_is_not_made(case: StoreCase) -> None:
    shown: list[list[str]] = []
    for show in ("diff", "requests", "diff"):
        shown.append([])
        await case.store.set_up({case.prefix: None}, show, shown[-1].append)
    assert shown[0] == shown[2]
    assert "unchanged" not in "".join(map("".join, shown))


DAYS = ["2026.11.24", "2026.11.23", "2026.11.22", "2026.11.21", "2025.12.31"]


async def test_days_that_are_over_are_deleted_oldest_first(searched_case: StoreCase) -> None:
    store, prefix = searched_case.store, searched_case.prefix
    await fill(store, [document(n, day=day, prefix=prefix) for n, day in enumerate(DAYS)])
    deleted: list[Expired] = []
    for dry_run, left in ((True, 5), (False, 3), (False, 3)):
        await store.delete_old({prefix: 3}, today=TODAY, dry_run=dry_run, report=deleted.append)
        assert len(await searched_case.bodies()) == left
    # SQLite's own files beside a database go with it.
    gone = [one for one in deleted if not one.name.endswith(("-wal", "-shm"))]
    names = [one.name.removesuffix(".sqlite") for one in gone]
    assert names == [f"{prefix}-{day}" for day in ("2025.12.31", "2026.11.21")] * 2
    assert all(one.size for one in gone)


async def test_lines_of_json_are_left_to_logrotate(case: StoreCase) -> None:
    if case.settings.ndjson.path is not None:
        with pytest.raises(UsageError, match="logrotate"):
            await case.store.delete_old({"mail": 3}, today=TODAY, dry_run=False, report=print)
