"""Time stamps in all forms of log files: what is no time of a line is none, whatever it says."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog.header import HEADER_NOMATCH, RecordDecoder
from mailingest.syslog.records import Record
from mailingest.syslog.stamps import epoch_stamp, read_stamp
from mailingest.syslog.timestamps import Clock

NOW = 1_795_000_000.0
TEXT = "mx1 postfix/qmgr[318]: 4F2A11E0ABC: removed"


def decode(line: str) -> Record:
    decoder = RecordDecoder(Clock(UTC, in_order=False))
    return decoder.decode(line.encode(), reference=NOW)


@given(st.integers(0, (1 << 60) - 1), st.integers(0, (1 << 32) - 1))
def test_a_tai64n_label_is_a_time_that_there_is_or_no_stamp(seconds: int, nano: int) -> None:
    stamp = read_stamp(f"@4{seconds:015x}{nano:08x} {TEXT}")
    is_time = 10 <= seconds < 10**11 + 10 and nano < 10**9
    assert (stamp is not None) == is_time
    if stamp is not None:
        assert stamp.moment is not None
        text = stamp.moment.text
        assert datetime.fromisoformat(text).timestamp() // 1 == seconds - 10 == stamp.moment.seconds


@pytest.mark.parametrize(
    "label",
    [
        pytest.param("@4000006a1500a7c0275bca00", id="in the year 16407, found by fuzzing"),
        pytest.param("@400000ffffffffff00000000", id="in the year 36812"),
        pytest.param("@4fffffffffffffff00000000", id="the last one"),
        pytest.param("@400000000000000000000000", id="before 1970"),
        pytest.param("@400000006a15a72cffffffff", id="more than a second's nanoseconds"),
    ],
)
def test_a_line_whose_label_is_no_time_is_kept_under_a_tag(label: str) -> None:
    line = f"{label} {TEXT}"
    record = decode(line)
    assert record.problems == (HEADER_NOMATCH,)
    assert (record.raw, record.moment.seconds) == (line.encode(), NOW)


@given(st.floats() | st.integers(-(1 << 70), 1 << 70))
def test_any_number_is_a_time_or_none(seconds: float) -> None:
    stamp = epoch_stamp(seconds)
    if stamp is not None:
        assert stamp.moment is not None
        assert datetime.fromisoformat(stamp.moment.text).timestamp() // 1 == stamp.moment.seconds


@pytest.mark.parametrize("time", [-1, 0, 1e308, 1 << 63, 99_999_999_999, "9" * 19, 1e-320])
def test_an_object_may_have_any_number_for_a_time(time: object) -> None:
    record = decode(json.dumps({"log": f"Nov 24 15:41:13 {TEXT}", "time": time}))
    assert datetime.fromisoformat(record.moment.text).timestamp() == record.moment.seconds


@pytest.mark.parametrize(
    "stamp",
    [
        "Nov 24 15:41:13.٣٤٥",
        "2026 Nov 24 15:41:13.٣٤٥",
        "Nov 24 2026 15:41:13,٣",
        "24 Nov 2026 15:41:13.३४५",
        "2026-11-24 15:41:13.٣٤٥",
        "Nov ٢٤ 2026 15:41:13",
        "Nov 24 2026 ١٥:٤١:١٣",
        "٢٤ Nov 2026 15:41:13",
        "Nov 24 2026 15:41:13 +٠١:٠٠",
    ],
)
def test_digits_of_other_scripts_do_not_come_into_a_time(stamp: str) -> None:
    record = decode(f"{stamp} {TEXT}")
    assert record.moment.text.isascii()
    assert datetime.fromisoformat(record.moment.text).timestamp() // 1 == record.moment.seconds
    assert record.relay.isascii()
