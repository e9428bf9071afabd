"""The commands that look after the embedded store, and export."""

import io
import os
import sys
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest

from mailingest.commands import export, store
from mailingest.config import Settings
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.opening import opened
from mailingest.wiring import build_store
from tests.support.documents import document

DAYS = ("2026.11.24", "2026.11.25")
TOMORROW = date(2026, 11, 26)


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """Settings of a store with 300 events in two days."""
    settings = Settings.model_validate({"sqlite": {"directory": str(tmp_path / "mail")}})
    async with opened(build_store(settings).writer()) as writer:
        for number in range(0, 300, 2):
            batch = [mail(number, DAYS[0]), mail(number + 1, DAYS[1])]
            await writer.write(batch)
    return settings


def mail(number: int, day: str) -> Any:
    stamp = f"{day.replace('.', '-')}T00:{number // 60:02d}:{number % 60:02d}.000Z"
    return document(
        number,
        day=day,
        **{"@timestamp": stamp, "postfix_queueid": f"4a{number}"},
        postfix_to=f"user{number % 10}@example.net",
    )


def exported(settings: Settings, place: Path, **span: Any) -> list[int]:
    options = {"since": None, "until": None, "only": None, **span}
    export.run(settings, str(place), **options)
    return [orjson.loads(line)["number"] for line in place.read_bytes().splitlines()]


def test_export_is_in_the_order_of_time(settings: Settings, tmp_path: Path) -> None:
    numbers = exported(settings, tmp_path / "all.ndjson")
    assert numbers == [*range(0, 300, 2), *range(1, 300, 2)]
    assert (tmp_path / "all.ndjson").stat().st_mode & 0o007 == 0


def test_export_takes_a_span_and_a_type(settings: Settings, tmp_path: Path) -> None:
    span = {"since": "2026-11-24T00:01:00Z", "until": "2026-11-24T00:01:10Z"}
    assert exported(settings, tmp_path / "a", **span) == [60, 62, 64, 66, 68]
    with pytest.raises(UsageError, match="no such type"):
        exported(settings, tmp_path / "b", only="none")


def test_export_does_not_replace_a_file(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    with pytest.raises(UsageError, match="is there already"):
        exported(settings, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "kept"


def test_export_says_that_a_day_is_missing(settings: Settings, tmp_path: Path) -> None:
    path = settings.sqlite_directory / "mail-2026.11.24.sqlite"
    path.rename(path.with_name(f"{path.name}.damaged-20261125T000000Z"))
    with pytest.raises(StoreUnavailable, match="which was damaged"):
        exported(settings, tmp_path / "half")
    assert len((tmp_path / "half").read_bytes().splitlines()) == 150


def test_stats_say_what_an_event_takes(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    store.stats(settings, as_json=True)
    days = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["day"], one["documents"], one["loose"]) for one in days] == [
        (day, 150, 150) for day in DAYS
    ]
    assert all(one["parts"]["blocks"] > 0 for one in days if one["parts"])
    store.stats(settings, as_json=False)
    assert "300 events" in capsys.readouterr().out


def test_compact_packs_days_that_are_over(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)
    store.compact(settings, until=date(2026, 11, 25))
    assert capsys.readouterr().out.startswith("mail-2026.11.24.sqlite: ")
    store.stats(settings, as_json=True)
    days = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["loose"] for one in days] == [0, 150]
    store.compact(settings, until=TOMORROW)
    store.compact(settings, until=TOMORROW)
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 days packed")


def test_forget_deletes_what_names_an_address(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.forget(settings, "User3@Example.net", until=TOMORROW)
    assert capsys.readouterr().out.splitlines()[-1].startswith("30 events deleted")
    assert all(number % 10 != 3 for number in exported(settings, tmp_path / "left"))
    with pytest.raises(UsageError, match="too short"):
        store.forget(settings, "a@b")


def test_another_store_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
    settings = Settings.model_validate({"ndjson": {"path": str(tmp_path / "out.ndjson")}})
    with pytest.raises(UsageError, match="only for the embedded store"):
        store.stats(settings, as_json=False)
