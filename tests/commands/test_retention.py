"""Retention: what is over goes, and nothing else, on real servers and in a directory."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest

from mailingest.commands.retention import run
from mailingest.config import Settings
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.documents import document, public_directory, unprivileged
from tests.support.elastic import asking
from tests.support.servers import SearchServer
from tests.support.sqlite import StoredDocuments

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 11, 24)
# With three days kept: what is over, and what only looks like it.
OVER = ("mail-2025.12.31", "mail-2026.11.21")
KEPT = (
    "mail-2026.11.22",
    "mail-2026.11.24",
    "mail-2026.11.25",
    "mail-archive",
    "mail-archive-2020.01.01",
    "mail-2020.13.01",
    "mail-2020.01.01-copy",
    "mail-2020.1.1",
    "xmail-2020.01.01",
)
LAST = "2 {} deleted; 3 days are kept, today included"


def sqlite_settings(directory: Path, days: int | None = 3) -> Settings:
    return Settings.model_validate(
        {"sqlite": {"directory": directory}, "retention": {"days": days}}
    )


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# ---- SQLite


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in (*OVER, *KEPT):
        (tmp_path / f"{name}.sqlite").write_bytes(b"x" * 2048)
    return tmp_path


def test_files_of_days_that_are_over_are_deleted_and_no_others(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "mail-2026.11.21").mkdir()
    run(sqlite_settings(directory), dry_run=False, today=TODAY)

    assert names(directory) == {*(f"{name}.sqlite" for name in KEPT), "mail-2026.11.21"}
    assert capsys.readouterr().out.splitlines() == [
        *(f"deleted {name}.sqlite (2.0 kB)" for name in OVER),
        LAST.format("files"),
    ]


def test_a_dry_run_deletes_nothing_and_lists_what_a_run_would(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(directory)
    run(sqlite_settings(directory), dry_run=True, today=TODAY)

    assert names(directory) == before
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[:-1]] == [
        f"{name}.sqlite" for name in OVER
    ]


def test_the_log_of_a_day_goes_before_its_database(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"mail-2026.11.21.sqlite{suffix}" for suffix in ("-wal", "-shm", "")]
    for name in (*files[:2], "mail-2026.11.22.sqlite-wal"):
        (directory / name).write_bytes(b"")
    run(sqlite_settings(directory), dry_run=False, today=TODAY)

    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert shown == files
    assert "mail-2026.11.22.sqlite-wal" in names(directory)


def test_a_damaged_file_is_kept_and_reported(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = "mail-2026.01.01.sqlite.damaged-20260101T120000000000Z"
    (directory / damaged).write_bytes(b"")
    run(sqlite_settings(directory), dry_run=False, today=TODAY)

    assert damaged in names(directory)
    assert f"kept {damaged}: it was set aside as damaged; delete it by hand" in (
        capsys.readouterr().out
    )


def test_without_days_nothing_is_deleted_and_that_is_said(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(directory)
    run(sqlite_settings(directory, None), dry_run=False, today=TODAY)

    assert names(directory) == before
    assert capsys.readouterr().out == "retention.days is not set: nothing is deleted\n"


def test_a_second_run_and_a_missing_directory_are_no_errors(directory: Path) -> None:
    for _ in range(2):
        run(sqlite_settings(directory), dry_run=False, today=TODAY)
    run(sqlite_settings(directory / "none"), dry_run=False, today=TODAY)
    assert names(directory) == {f"{name}.sqlite" for name in KEPT}


async def test_a_day_that_is_written_to_meanwhile_begins_anew(tmp_path: Path) -> None:
    old = document(1, day="2026.11.01")
    writer = SqliteWriter(tmp_path)
    await writer.open()
    try:
        await writer.write([old])
        await asyncio.to_thread(run, sqlite_settings(tmp_path), dry_run=False, today=TODAY)
        assert names(tmp_path) == set()
        late = document(2, day="2026.11.01")
        assert (await writer.write([late])).stored == 1
    finally:
        await writer.close()
    assert list(StoredDocuments(tmp_path, "mail").find()) == [late.fields]
    with closing(sqlite3.connect(tmp_path / "mail-2026.11.01.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_cannot_be_deleted_is_an_error() -> None:
    with public_directory() as directory:
        (directory / "mail-2020.01.01.sqlite").write_bytes(b"")
        with (
            unprivileged(),
            pytest.raises(StoreUnavailable, match=r"mail-2020\.01\.01\.sqlite: Permission denied"),
        ):
            run(sqlite_settings(directory), dry_run=False, today=TODAY)


def test_ndjson_is_left_to_logrotate(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"ndjson": {"path": str(tmp_path / "x")}, "retention": {"days": 3}}
    )
    with pytest.raises(UsageError, match="logrotate"):
        run(settings, dry_run=False, today=TODAY)


# ---- real servers


async def test_indices_of_days_that_are_over_are_deleted_and_no_others(
    search_server: SearchServer, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = f"mail-{uuid4().hex[:8]}"
    over, kept = ([name.replace("mail", prefix, 1) for name in names] for names in (OVER, KEPT))
    settings = Settings.model_validate(
        {
            "elasticsearch": {"hosts": [search_server.url]},
            "index": {"prefix": prefix},
            "retention": {"days": 3},
        }
    )
    shards = {"number_of_shards": 1, "number_of_replicas": 0}
    async with asking(search_server) as client:

        async def present() -> set[str]:
            answer = await client.indices.get(
                index=f"*{prefix}-*", expand_wildcards=["open", "closed"]
            )
            return set(answer.body)

        for name in (*over, *kept):
            await client.indices.create(index=name, settings=shards)
        # An alias with the name of a day that is over must not take its index along.
        await client.indices.put_alias(index=kept[0], name=f"{prefix}-2020.02.02")
        await client.indices.close(index=over[0])

        await asyncio.to_thread(run, settings, dry_run=True, today=TODAY)
        assert await present() == {*over, *kept}
        shown = capsys.readouterr().out.splitlines()
        assert [line.split()[2] for line in shown[:-1]] == over

        await asyncio.to_thread(run, settings, dry_run=False, today=TODAY)
        assert await present() == set(kept)
        assert capsys.readouterr().out.splitlines()[-1] == LAST.format("indices")

        await asyncio.to_thread(run, settings, dry_run=False, today=TODAY)
        assert capsys.readouterr().out.startswith("0 indices deleted")
        await client.indices.delete(index=",".join(kept))


# ---- the timers

UNIT = ROOT / "systemd" / "mailingest-retention.service"
REPORT = ROOT / "systemd" / "mailingest-report.service"
"""See docs/report.md."""


@pytest.mark.system
@pytest.mark.parametrize("unit", [UNIT, REPORT], ids=lambda unit: unit.stem)
def test_the_units_are_well_formed(unit: Path, tmp_path: Path) -> None:
    paths = []
    for path in (unit, unit.with_suffix(".timer")):
        text = path.read_text().replace("/usr/local/bin/mailingest", sys.executable)
        paths.append(tmp_path / path.name)
        paths[-1].write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.system
@pytest.mark.parametrize("unit", [UNIT, REPORT], ids=lambda unit: unit.stem)
def test_the_unit_is_as_hardened_as_the_daemon(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    )
    exposure = re.search(rf"exposure level for {unit.name}: ([\d.]+)", done.stdout)
    assert exposure is not None
    assert float(exposure[1]) < 2.0


@pytest.mark.system
@pytest.mark.parametrize(("unit", "hour"), [(UNIT, "00:20:00 UTC"), (REPORT, "00:30:00 ")])
def test_the_timer_comes_once_a_day(unit: Path, hour: str) -> None:
    timer = unit.with_suffix(".timer").read_text()
    [when] = re.findall(r"^OnCalendar=(.*)$", timer, re.MULTILINE)
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=2", when],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count(hour) >= 2
