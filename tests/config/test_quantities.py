"""Sizes and durations: what is taken, what is refused, and that what is shown is read again."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.config import load
from mailingest.config.quantities import (
    MOST_BYTES,
    MOST_SECONDS,
    duration_text,
    read_days,
    read_seconds,
    read_size,
    read_whole_days,
    size_text,
)

G = 1024**3


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (0, 0),
        (4096, 4096),
        (4e9, 4_000_000_000),
        ("4096", 4096),
        ("4_096", 4096),
        ("4096B", 4096),
        ("4096 bytes", 4096),
        *((form, 4 * G) for form in ("4G", "4g", "4GB", "4gb", "4GiB", "4 GiB", " 4 gib ", "4.0G")),
        ("512 MiB", G // 2),
        ("1.5G", G + G // 2),
        (".5G", G // 2),
        ("0.5K", 512),
        ("0.1K", 102),
        ("1.1G", 1_181_116_006),
        ("2T", 2048 * G),
        (MOST_BYTES, MOST_BYTES),
    ],
)
def test_a_size_is_bytes_with_powers_of_1024(given: Any, size: int) -> None:
    assert read_size(given) == size


@pytest.mark.parametrize(
    "given",
    [
        *(-1, "-1", "-4G", 0.5, "0.5", 1.5, True, False, None, [], {}, ""),
        *(
            " ",
            "G",
            "iB",
            "4X",
            "4 GG",
            "4G4",
            "4G 4M",
            "4,5G",
            "4'096",
            "1__0",
            "_1",
            "1_",
            "0x10",
        ),
        *("1e9", "inf", "nan", math.inf, math.nan, "٤G", "4E", "8388608T", MOST_BYTES + 1),
        *(1e300, 10**400, "9" * 60, "4" + " " * 100 + "G", b"4G"),
    ],
)
def test_what_is_no_size_is_refused_with_the_right_form(given: Any) -> None:
    with pytest.raises(ValueError, match=r'^must be a size .*"4GiB"'):
        read_size(given)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0),
        (5, 5),
        (0.1, 0.1),
        ("5", 5),
        ("0.5", 0.5),
        ("250ms", 0.25),
        *((form, 30) for form in ("30s", "30 s", "30S", "30sec", "30 seconds", "0.5min")),
        *((form, 300) for form in ("5m", "5min", "5 MIN", "5 minutes")),
        *((form, 5400) for form in ("1.5h", "1h30m", "1h 30min", "90min", "1 hour 30 minutes")),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("36500d", MOST_SECONDS),
    ],
)
def test_a_duration_is_seconds(given: Any, seconds: float) -> None:
    assert read_seconds(given) == seconds


@pytest.mark.parametrize(
    "given",
    [
        *(
            -1,
            -0.5,
            "-5s",
            True,
            None,
            [],
            {},
            "",
            " ",
            "s",
            "5 M",
            "5M",
            "1h 30",
            "30 1h",
            "5 mon",
        ),
        *("1d,2h", "1:30", "PT30S", "1e3", "inf", "nan", math.inf, math.nan, "5y", "1__0s", "٥s"),
        *(1e300, 10**400, "36501d", "9" * 60, "soon"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_right_form(given: Any) -> None:
    with pytest.raises(ValueError, match=r'^must be a duration .*[0-9]d"'):
        read_seconds(given)


@pytest.mark.parametrize(
    ("given", "days"),
    [(30, 30), ("30", 30), ("30d", 30), (6.0, 6), ("48h", 2), ("2 weeks", 14), ("1440min", 1)],
)
def test_where_a_setting_is_in_days_a_number_is_days(given: Any, days: int) -> None:
    assert read_whole_days(given) == read_days(given) == days


def test_days_may_be_parts_where_that_means_something() -> None:
    assert (read_days("36h"), read_days(0.1), read_days("0.5")) == (1.5, 0.1, 0.5)
    for part in ("36h", 0.5, "0.5d"):
        with pytest.raises(ValueError, match=r'^must be whole days, such as "30d"'):
            read_whole_days(part)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (1025, "1025B"), (4 * G, "4GiB"), (G // 2, "512MiB"), (16384, "16KiB")],
)
def test_a_size_is_shown_in_the_largest_unit_that_divides_it(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1, "100ms"), (1.0, "1s"), (1.5, "1.5s"), (300, "5min"), (90, "90s"), (86_400, "1d")],
)
def test_a_duration_is_shown_likewise(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.integers(0, MOST_BYTES))
def test_a_size_that_is_shown_is_read_again(size: int) -> None:
    assert read_size(size_text(size)) == size


@given(st.integers(0, MOST_SECONDS * 1000))
def test_a_duration_that_is_shown_is_read_again(milliseconds: int) -> None:
    assert read_seconds(duration_text(milliseconds / 1000)) == milliseconds / 1000


@given(st.text(max_size=50) | st.binary() | st.floats() | st.integers() | st.none())
def test_whatever_is_given_is_read_or_refused_with_the_right_form(given: Any) -> None:
    for read in (read_size, read_seconds, read_days, read_whole_days):
        try:
            number = read(given)
        except ValueError as error:
            assert str(error).startswith("must be ")  # noqa: PT017  it may be read as well
        else:
            assert number >= 0


def test_units_are_taken_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILINGEST_SPOOL__MAX_BYTES", "1.5 GiB")
    monkeypatch.setenv("MAILINGEST_BATCH", '{"max_age": "500ms"}')
    monkeypatch.setenv("MAILINGEST_INPUTS__TCP", '[{"idle_timeout": "1h"}]')
    monkeypatch.setenv("MAILINGEST_RETENTION__DAYS", "2w")
    settings = load(None)
    assert settings.spool.max_bytes == G + G // 2
    assert settings.batch.max_age == 0.5
    assert settings.inputs.tcp[0].idle_timeout == 3600
    assert settings.retention.days == 14
