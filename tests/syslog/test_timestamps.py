"""Time stamps without year and zone, read right: the examples and the laws."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailingest.syslog.timestamps import Clock, Moment, moment_of

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
# Half an hour of DST, the shortest repeated time there is.
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
ZONES = [
    ZoneInfo("UTC"),
    BERLIN,
    NEW_YORK,
    LORD_HOWE,
    ZoneInfo("Asia/Kolkata"),
    ZoneInfo("Pacific/Kiritimati"),
    ZoneInfo("Pacific/Pago_Pago"),
]
DAY = 86_400


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def legacy(moment: int, zone: ZoneInfo) -> str:
    """A moment as RFC 3164 has it: the day padded with a blank, no year, no zone."""
    local = datetime.fromtimestamp(moment, zone)
    return f"{local:%b} {local.day:2} {local:%H:%M:%S}"


def readings(moment: int, zone: ZoneInfo) -> set[int]:
    """The moments with the same local time: two in an hour that DST repeats."""
    local = datetime.fromtimestamp(moment, zone)
    return {int(local.replace(fold=fold).timestamp()) for fold in (0, 1)}


def read(stamp: str, zone: ZoneInfo, reference: str, *, in_order: bool = False) -> str | None:
    moment = Clock(zone, in_order=in_order).read_legacy(stamp, "mx1", seconds(reference))
    return moment and moment.text


@pytest.mark.parametrize(
    ("stamp", "zone", "reference", "expected"),
    [
        pytest.param(
            "Nov 24 15:41:13",
            BERLIN,
            "2026-11-24T14:41:20Z",
            "2026-11-24T14:41:13.000Z",
            id="winter time",
        ),
        pytest.param(
            "Jul 24 15:41:13",
            BERLIN,
            "2026-11-24T14:41:20Z",
            "2026-07-24T13:41:13.000Z",
            id="summer time, read in winter",
        ),
        pytest.param(
            "Nov  4 15:41:13",
            NEW_YORK,
            "2026-11-24T14:41:20Z",
            "2026-11-04T20:41:13.000Z",
            id="a one-digit day after two blanks",
        ),
        pytest.param(
            "Nov 4 15:41:13",
            NEW_YORK,
            "2026-11-24T14:41:20Z",
            "2026-11-04T20:41:13.000Z",
            id="a one-digit day after one blank",
        ),
        pytest.param(
            "Nov 04 15:41:13",
            NEW_YORK,
            "2026-11-24T14:41:20Z",
            "2026-11-04T20:41:13.000Z",
            id="a one-digit day with a zero",
        ),
        pytest.param(
            "Dec 31 23:59:59",
            BERLIN,
            "2027-01-01T00:00:05Z",
            "2026-12-31T22:59:59.000Z",
            id="the old year, read in the new one",
        ),
        pytest.param(
            "Jan  1 00:00:02",
            BERLIN,
            "2026-12-31T23:00:03Z",
            "2026-12-31T23:00:02.000Z",
            id="the new year has begun here, not yet in UTC",
        ),
        pytest.param(
            "Jan  1 00:00:10",
            ZoneInfo("UTC"),
            "2026-12-31T23:59:50Z",
            "2027-01-01T00:00:10.000Z",
            id="a sender that is seconds ahead across New Year",
        ),
        pytest.param(
            "Nov 25 14:00:00",
            ZoneInfo("UTC"),
            "2026-11-24T14:41:20Z",
            "2026-11-25T14:00:00.000Z",
            id="a sender that is nearly a day ahead",
        ),
        pytest.param(
            "Nov 26 14:00:00",
            ZoneInfo("UTC"),
            "2026-11-24T14:41:20Z",
            "2025-11-26T14:00:00.000Z",
            id="more than a day ahead is last year",
        ),
        pytest.param(
            "Feb 29 12:00:00",
            ZoneInfo("UTC"),
            "2028-02-29T12:00:01Z",
            "2028-02-29T12:00:00.000Z",
            id="29 February on the day",
        ),
        pytest.param(
            "Feb 29 12:00:00",
            ZoneInfo("UTC"),
            "2027-03-01T00:00:00Z",
            "2024-02-29T12:00:00.000Z",
            id="29 February read in another year",
        ),
        pytest.param(
            "Feb 29 12:00:00",
            ZoneInfo("UTC"),
            "2104-02-01T00:00:00Z",
            "2096-02-29T12:00:00.000Z",
            id="29 February across 2100, which is no leap year",
        ),
        pytest.param(
            "Mar  1 00:00:00",
            ZoneInfo("UTC"),
            "2028-02-29T23:59:59Z",
            "2028-03-01T00:00:00.000Z",
            id="a second after 29 February",
        ),
        pytest.param(
            "Dec 31 23:59:60",
            ZoneInfo("UTC"),
            "2027-01-01T00:00:05Z",
            "2026-12-31T23:59:59.000Z",
            id="a leap second counts as the one before",
        ),
        pytest.param(
            "Mar 29 02:30:00",
            BERLIN,
            "2026-03-29T01:30:01Z",
            "2026-03-29T01:30:00.000Z",
            id="a clock that ignores DST, in the hour that is left out",
        ),
        pytest.param("Feb 30 12:00:00", BERLIN, "2026-11-24T00:00:00Z", None, id="no such day"),
        pytest.param("Foo 24 12:00:00", BERLIN, "2026-11-24T00:00:00Z", None, id="no such month"),
        pytest.param("Nov 24 24:00:00", BERLIN, "2026-11-24T00:00:00Z", None, id="no such hour"),
        pytest.param("Nov 24 12:60:00", BERLIN, "2026-11-24T00:00:00Z", None, id="no such minute"),
        pytest.param("Nov 24 12:00:61", BERLIN, "2026-11-24T00:00:00Z", None, id="no such second"),
        pytest.param("Nov  0 12:00:00", BERLIN, "2026-11-24T00:00:00Z", None, id="no day at all"),
    ],
)
@pytest.mark.parametrize("in_order", [False, True], ids=["live", "in order"])
def test_a_stamp_without_year_and_zone(
    stamp: str, zone: ZoneInfo, reference: str, expected: str | None, in_order: bool
) -> None:
    assert read(stamp, zone, reference, in_order=in_order) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        pytest.param("2026-10-25T00:30:05Z", "2026-10-25T00:30:00.000Z", id="first time"),
        pytest.param("2026-10-25T01:30:05Z", "2026-10-25T01:30:00.000Z", id="second time"),
        pytest.param("2026-10-25T01:27:00Z", "2026-10-25T01:30:00.000Z", id="a clock ahead"),
        pytest.param("2026-10-26T00:00:00Z", "2026-10-25T01:30:00.000Z", id="a day later"),
    ],
)
def test_live_the_present_tells_which_of_the_repeated_hours_it_is(
    reference: str, expected: str
) -> None:
    assert read("Oct 25 02:30:00", BERLIN, reference) == expected


def test_in_a_file_the_line_before_tells_which_of_the_repeated_hours_it_is() -> None:
    clock = Clock(BERLIN, in_order=True)
    modified = float(seconds("2026-10-26T00:00:00Z"))
    stamps = ["01:59:59", "02:10:00", "02:58:00", "02:57:59", "02:10:00", "02:50:00", "03:00:00"]

    moments = [clock.read_legacy(f"Oct 25 {stamp}", "mx1", modified) for stamp in stamps]

    assert [moment and moment.text[11:16] for moment in moments] == [
        *("23:59", "00:10", "00:58"),
        "00:57",  # two processes write a second apart: this is not the second hour yet
        *("01:10", "01:50", "02:00"),
    ]


def test_a_host_may_have_a_zone_of_its_own() -> None:
    clock = Clock(BERLIN, {"mx2": NEW_YORK}, in_order=False)
    reference = float(seconds("2026-11-24T22:00:00Z"))

    here = clock.read_legacy("Nov 24 15:41:13", "mx1", reference)
    there = clock.read_legacy("Nov 24 15:41:13", "mx2", reference)

    assert here == Moment(seconds("2026-11-24T14:41:13Z"), "2026-11-24T14:41:13.000Z")
    assert there == Moment(seconds("2026-11-24T20:41:13Z"), "2026-11-24T20:41:13.000Z")


def test_the_memo_does_not_outlive_its_year() -> None:
    clock = Clock(BERLIN, in_order=False)
    stamp = "Nov 24 15:41:13"

    first = clock.read_legacy(stamp, "mx1", float(seconds("2025-12-01T00:00:00Z")))
    second = clock.read_legacy(stamp, "mx1", float(seconds("2026-12-01T00:00:00Z")))

    assert first is not None
    assert second is not None
    assert (first.text[:4], second.text[:4]) == ("2025", "2026")


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        pytest.param("2026-11-24T15:41:13Z", "2026-11-24T15:41:13.000Z", id="no fraction"),
        pytest.param("2026-11-24T15:41:13.5Z", "2026-11-24T15:41:13.500Z", id="tenths"),
        pytest.param(
            "2026-11-24T15:41:13.813636+00:00", "2026-11-24T15:41:13.813636Z", id="as rsyslog does"
        ),
        pytest.param(
            "2026-11-24T15:41:13.123456789123+01:00",
            "2026-11-24T14:41:13.123456789Z",
            id="more digits than any clock has",
        ),
        pytest.param("2026-11-24T15:41:13,25Z", "2026-11-24T15:41:13.250Z", id="decimal comma"),
        pytest.param("2026-11-24T15:41:13+05:30", "2026-11-24T10:11:13.000Z", id="half an hour"),
        pytest.param("2026-11-24T15:41:13-0930", "2026-11-25T01:11:13.000Z", id="no colon"),
        pytest.param("2026-12-31T23:59:60Z", "2026-12-31T23:59:59.000Z", id="a leap second"),
        pytest.param("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z", id="New Year"),
        pytest.param("2026-07-24T15:41:13", "2026-07-24T13:41:13.000Z", id="in the set zone"),
        pytest.param("2026-02-30T15:41:13Z", None, id="no such day"),
        pytest.param("2026-11-24T24:00:00Z", None, id="no such hour"),
        pytest.param("2026-11-24T15:41:61Z", None, id="no such second"),
        pytest.param("2026-11-24T15:41:13+24:00", None, id="an offset of a day"),
        pytest.param("2026-11-24T15:41:13+01:60", None, id="an offset of sixty minutes"),
        pytest.param("0001-01-01T00:00:00+01:00", None, id="before the calendar begins"),
        pytest.param("1969-12-31T23:59:59Z", None, id="before 1970"),
        pytest.param("9999-12-31T23:59:59-01:00", None, id="after the calendar ends"),
        pytest.param("2026-11-24 15:41:13Z", None, id="a blank for the T"),
        pytest.param("2026-11-24T15:41Z", None, id="no seconds"),
        pytest.param("٢٠٢٦-11-24T15:41:13Z", None, id="digits of another script"),
    ],
)
def test_an_rfc_3339_stamp(stamp: str, expected: str | None) -> None:
    moment = Clock(BERLIN, in_order=False).read_iso(stamp, "mx1")

    assert (moment and moment.text) == expected
    if moment is not None:
        assert moment.seconds == seconds(moment.text[:19] + "Z")


def test_a_minute_is_remembered_by_offset_and_by_host() -> None:
    clock = Clock(BERLIN, {"mx2": NEW_YORK}, in_order=False)
    minute = "2026-11-24T15:41:13"

    read = [
        clock.read_iso(minute + "+05:00", "mx1"),
        clock.read_iso(minute, "+05:00"),  # a hostname that looks like an offset
        clock.read_iso(minute, "mx1"),
        clock.read_iso(minute, "mx2"),
    ]

    assert [moment and moment.text[11:13] for moment in read] == ["10", "14", "14", "20"]


def test_many_odd_clocks_do_not_change_what_is_read() -> None:
    clock = Clock(BERLIN, in_order=False)
    now = seconds("2026-11-24T15:41:13Z")
    moments = range(now - 5_000 * 60, now, 60)

    iso = [clock.read_iso(moment_of(moment).text, "mx1") for moment in moments]
    short = [clock.read_legacy(legacy(moment, BERLIN), "mx1", float(now)) for moment in moments]

    assert iso == short == [moment_of(moment) for moment in moments]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        pytest.param(1795534873, Moment(1795534873, "2026-11-24T15:41:13.000Z"), id="whole"),
        pytest.param(
            1795534873.813636, Moment(1795534873, "2026-11-24T15:41:13.813636Z"), id="microseconds"
        ),
        pytest.param(1795534873.25, Moment(1795534873, "2026-11-24T15:41:13.250Z"), id="thousands"),
        pytest.param(
            1795534873.9999998,
            Moment(1795534873, "2026-11-24T15:41:13.999999Z"),
            id="nearly the next second",
        ),
        pytest.param(0.0, Moment(0, "1970-01-01T00:00:00.000Z"), id="the beginning"),
    ],
)
def test_a_moment_of_seconds(time: float, expected: Moment) -> None:
    assert moment_of(time) == expected


references = st.integers(seconds("2001-01-01T00:00:00Z"), seconds("2104-12-31T00:00:00Z"))


@given(
    reference=references,
    age=st.integers(0, 360 * DAY),
    zone=st.sampled_from(ZONES),
    in_order=st.booleans(),
)
def test_a_line_of_the_last_year_is_read_back(
    reference: int, age: int, zone: ZoneInfo, in_order: bool
) -> None:
    moment = reference - age
    found = Clock(zone, in_order=in_order).read_legacy(legacy(moment, zone), "", float(reference))

    assert found is not None
    assert found.seconds in readings(moment, zone)
    assert seconds(found.text) == found.seconds


# Within a repeated half hour, more than this would be nearer to the other reading.
NEAR = 1_200
CHANGES = [
    (BERLIN, seconds("2026-10-25T01:00:00Z")),
    (BERLIN, seconds("2026-03-29T01:00:00Z")),
    (NEW_YORK, seconds("2026-11-01T06:00:00Z")),
    (LORD_HOWE, seconds("2026-04-04T15:00:00Z")),
    (LORD_HOWE, seconds("2026-10-03T15:30:00Z")),
]


@given(
    change=st.sampled_from(CHANGES), offset=st.integers(-7_200, 7_200), delay=st.integers(0, NEAR)
)
def test_live_a_line_that_comes_at_once_is_read_exactly_also_when_the_clocks_change(
    change: tuple[ZoneInfo, int], offset: int, delay: int
) -> None:
    zone, moment = change[0], change[1] + offset
    found = Clock(zone, in_order=False).read_legacy(
        legacy(moment, zone), "mx1", float(moment + delay)
    )

    assert found is not None
    assert found.seconds == moment


@given(
    change=st.sampled_from(CHANGES),
    gaps=st.lists(st.integers(0, NEAR), max_size=20),
    later=st.integers(0, 300 * DAY),
)
def test_lines_in_order_are_read_exactly_also_when_the_clocks_change(
    change: tuple[ZoneInfo, int], gaps: list[int], later: int
) -> None:
    zone, at = change
    moments = list(accumulate(gaps, initial=at - 7_200))
    reference = float(moments[-1] + later)
    clock = Clock(zone, in_order=True)

    found = [clock.read_legacy(legacy(moment, zone), "mx1", reference) for moment in moments]

    assert [moment and moment.seconds for moment in found] == moments


@given(
    stamp=st.from_regex(r"\A[A-Z][a-z]{2} [ 0-9]?[0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}\Z"),
    reference=references,
    zone=st.sampled_from(ZONES),
)
def test_no_stamp_is_more_than_a_day_ahead(stamp: str, reference: int, zone: ZoneInfo) -> None:
    found = Clock(zone, in_order=True).read_legacy(stamp, "mx1", float(reference))

    assert found is None or found.seconds <= reference + DAY


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001
    offset=st.integers(-1439, 1439),
)
def test_an_rfc_3339_stamp_is_read_back(moment: datetime, offset: int) -> None:
    local = moment + timedelta(minutes=offset)
    assume(1969 < local.year <= 9999)
    hours, minutes = divmod(abs(offset), 60)
    stamp = f"{local.isoformat()}{'-' if offset < 0 else '+'}{hours:02}:{minutes:02}"

    found = Clock(BERLIN, in_order=False).read_iso(stamp, "mx1")

    assert found is not None
    assert datetime.fromisoformat(found.text) == moment.replace(tzinfo=UTC)
    assert found.seconds == int(moment.replace(tzinfo=UTC, microsecond=0).timestamp())


@given(stamp=st.text() | st.from_regex(r"\A\d{4}-\d\d-\d\dT[0-9:.,Zz+-]*\Z"), hostname=st.text())
def test_reading_an_rfc_3339_stamp_never_fails(stamp: str, hostname: str) -> None:
    found = Clock(BERLIN, in_order=False).read_iso(stamp, hostname)

    assert found is None or found.text.endswith("Z")
