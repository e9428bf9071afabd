"""Years of files whose time stamps have none: by --year, by when they were written, or in doubt."""

import gzip
import io
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from mailingest.commands.parse import parse
from mailingest.config import Settings
from mailingest.inputs.files import LogFile
from mailingest.inputs.years import doubt
from mailingest.stores.criteria import Criteria
from mailingest.syslog.timestamps import FileSpan
from mailingest.trace.engine import trace
from mailingest.wiring import build_reader

SETTINGS = Settings.model_validate({"syslog": {"timezone": "Europe/Berlin"}})
LINE = "{} 10:00:00 mx1 postfix/qmgr[9]: AAAAAA1: removed\n"


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def log(path: Path, days: Sequence[str], written: str) -> Path:
    text = "".join(LINE.format(day) for day in days).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    os.utime(path, (seconds(written), seconds(written)))
    return path


def dates(path: Path, year: int | None = None) -> tuple[list[str], list[str]]:
    """The days of the lines, and what was said about them."""
    out = io.BytesIO()
    with capture_logs() as said:
        parse(SETTINGS, [str(path)], out, year=year)
    events = map(orjson.loads, out.getvalue().splitlines())
    return [event["@timestamp"][:10] for event in events], [one["reason"] for one in said]


@pytest.mark.parametrize("name", ["mail.log", "mail.log.gz"])
@pytest.mark.parametrize(
    ("days", "year", "expected"),
    [
        (["Feb  5"], 2015, ["2015-02-05"]),
        (["Dec 31"], 2015, ["2015-12-31"]),
        (["Jan  1"], 2015, ["2015-01-01"]),
        # The year is that of the last line.
        (["Nov 30", "Dec 31", "Jan  2"], 2015, ["2014-11-30", "2014-12-31", "2015-01-02"]),
        (["Feb 29", "Mar  1"], 2016, ["2016-02-29", "2016-03-01"]),
    ],
)
def test_the_year_is_that_of_the_last_line(
    tmp_path: Path, name: str, days: list[str], year: int, expected: list[str]
) -> None:
    path = log(tmp_path / name, days, "2026-11-25")
    assert dates(path, year) == (expected, [])


def test_a_stamp_with_a_year_keeps_it(tmp_path: Path) -> None:
    path = log(tmp_path / "mail.log", ["2013 Jun 16"], "2026-11-25")
    assert dates(path, 2015) == (["2013-06-16"], [])


@pytest.mark.parametrize(
    ("days", "written", "said"),
    [
        (["Nov 24"], "2026-11-25", None),
        (["Nov 24"], "2026-12-20", None),
        (["Dec 30"], "2027-01-02", None),
        (["Mar  5"], "2026-11-25", "its last line is then of 2026-03-05"),
        # Written before its last line: a touched file.
        (["Nov 24"], "2026-11-20", "its last line is then of 2025-11-24"),
        (["Jan 10", "Jun 10", "Nov 24", "Dec 24", "Jan 10", "Nov 24"], "2026-11-25", "more months"),
    ],
)
def test_a_year_that_cannot_be_known_is_told(
    tmp_path: Path, days: list[str], written: str, said: str | None
) -> None:
    _, reasons = dates(log(tmp_path / "mail.log", days, written))
    assert [said in reason for reason in reasons if said] == ([True] if said else [])
    assert bool(reasons) == bool(said)


def test_two_files_of_a_year_are_no_file_of_two(tmp_path: Path) -> None:
    first = log(tmp_path / "a.log", ["Jan 10", "Nov 24"], "2026-11-25")
    second = log(tmp_path / "b.log", ["Jan 11", "Nov 24"], "2026-11-25")
    out = io.BytesIO()
    with capture_logs() as said:
        parse(SETTINGS, [str(first), str(second)], out)
    assert said == []


async def test_a_trace_says_so_too(tmp_path: Path) -> None:
    path = log(tmp_path / "mail.log", ["Mar  5"], "2026-11-25")
    for year, count in ((None, 1), (2020, 0)):
        reader = build_reader(SETTINGS, [str(path)], year=year)
        with capture_logs() as said:
            result = await trace(reader, Criteria(), limit=0)
            await trace(reader, Criteria(), limit=0)
        assert len(said) == count
        assert result.span is not None
        assert result.span.first.year == (year or 2026)
        await reader.close()


def test_gzip_tells_when_its_file_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mail.log.2.gz"
    path.write_bytes(
        gzip.compress(LINE.format("Dec 30").encode(), mtime=int(seconds("2019-12-31")))
    )
    assert LogFile(path).mtime == seconds("2019-12-31")
    assert dates(path) == (["2019-12-30"], [])


def test_gzip_that_does_not_tell_is_dated_by_its_file(tmp_path: Path) -> None:
    path = log(tmp_path / "mail.log.gz", ["Dec 30"], "2019-12-31")
    assert LogFile(path).mtime == seconds("2019-12-31")


def test_stamps_with_a_year_leave_no_doubt(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text("2019-03-05T10:00:00Z mx1 postfix/qmgr[9]: AAAAAA1: removed\n")
    assert dates(path) == (["2019-03-05"], [])
    assert doubt(LogFile(path), FileSpan()) is None
