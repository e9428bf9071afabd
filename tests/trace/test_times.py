"""Points in time as people type them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailingest.errors import UsageError
from mailingest.trace.times import read_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-24T15:30:00+00:00"),
        ("30m", "2026-11-24T15:00:00+00:00"),
        ("12h", "2026-11-24T03:30:00+00:00"),
        ("7d ago", "2026-11-17T15:30:00+00:00"),
        ("2 weeks", "2026-11-10T15:30:00+00:00"),
        ("today", "2026-11-24T00:00:00+01:00"),
        ("yesterday", "2026-11-23T00:00:00+01:00"),
        ("15:40", "2026-11-24T15:40:00+01:00"),
        ("2026-07-01", "2026-07-01T00:00:00+02:00"),
        ("2026-11-24T15:40", "2026-11-24T15:40:00+01:00"),
        ("2026-11-24 15:40:10", "2026-11-24T15:40:10+01:00"),
        ("2026-11-24T15:40:00Z", "2026-11-24T15:40:00+00:00"),
        ("15:40:10", "2026-11-24T15:40:10+01:00"),
        ("yesterday 15:40", "2026-11-23T15:40:00+01:00"),
        ("jetzt", "2026-11-24T15:30:00+00:00"),
        ("heute", "2026-11-24T00:00:00+01:00"),
        ("Gestern", "2026-11-23T00:00:00+01:00"),
        ("gestern 9:05", "2026-11-23T09:05:00+01:00"),
        ("gestern um 9:05 Uhr", "2026-11-23T09:05:00+01:00"),
        ("vorgestern", "2026-11-22T00:00:00+01:00"),
        ("vor 3 Tagen", "2026-11-21T15:30:00+00:00"),
        ("vor 2 Stunden", "2026-11-24T13:30:00+00:00"),
        ("2 Wochen", "2026-11-10T15:30:00+00:00"),
        ("24.11.2026", "2026-11-24T00:00:00+01:00"),
        ("24.11.2026 15:40", "2026-11-24T15:40:00+01:00"),
        ("1.7.2026, 8:00 Uhr", "2026-07-01T08:00:00+02:00"),
        ("24.11.", "2026-11-24T00:00:00+01:00"),
        ("25.11.", "2025-11-25T00:00:00+01:00"),
        ("29.2. 12:00", "2024-02-29T12:00:00+01:00"),
    ],
)
def test_a_time_is_read(text: str, expected: str) -> None:
    assert read_time(text, now=NOW, zone=BERLIN) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "24.11", "31.11.2026", "24.11.2026 25:00", "2026-13-01", "30.2."),
        *("-5d", "9999999999d", "2 months", "3 Monate", "vor", "vor gestern", "gestern früh"),
    ],
)
def test_what_is_not_a_valid_time_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match="is not a valid time: write it as one of 30m"):
        read_time(text, now=NOW, zone=BERLIN)


@pytest.mark.parametrize("text", ["999999w", "999999d ago"])
def test_a_time_before_the_year_1_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"'{text}' is before the year 1"):
        read_time(text, now=NOW, zone=BERLIN)
