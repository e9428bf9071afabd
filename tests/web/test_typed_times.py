"""Times that links fill into the form are those that are read there."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.trace.times import read_time
from mailingest.web.questions import typed_time

FORMS = ("%Y-%m-%d", "%d.%m.%Y")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York")]
NOW = datetime(2026, 11, 24, tzinfo=UTC)
# The strategy adds the zone itself.
_FIRST, _LAST = datetime(1990, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001


@given(
    st.datetimes(_FIRST, _LAST, timezones=st.just(UTC)),
    st.sampled_from(ZONES),
    st.sampled_from(FORMS),
)
def test_a_typed_time_is_read_as_the_same_second(time: datetime, zone: tzinfo, date: str) -> None:
    typed = typed_time(time, zone, date)
    read = read_time(typed, now=NOW, zone=zone)
    assert read.astimezone(UTC) == time.replace(microsecond=0)


@pytest.mark.parametrize(
    ("time", "date", "typed"),
    [
        pytest.param("2026-03-02T09:00:00", "%d.%m.%Y", "02.03.2026 10:00", id="German"),
        pytest.param("2026-03-02T09:00:30", "%Y-%m-%d", "2026-03-02 10:00:30", id="seconds"),
        pytest.param("2026-10-25T00:30:00", "%d.%m.%Y", "25.10.2026 02:30", id="the first 2:30"),
        pytest.param(
            "2026-10-25T01:30:00", "%d.%m.%Y", "2026-10-25T02:30:00+01:00", id="the second 2:30"
        ),
    ],
)
def test_it_is_what_a_reader_would_type(time: str, date: str, typed: str) -> None:
    when = datetime.fromisoformat(time).replace(tzinfo=UTC)
    assert typed_time(when, ZoneInfo("Europe/Berlin"), date) == typed
