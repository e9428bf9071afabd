"""The journal's forms over several lines, cut anywhere."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog.framing import MAX_FRAME_OCTETS
from mailingest.syslog.journal_entries import reader_of

MESSAGES = ["8B1C5A4B9D1: removed", "Gr\xfc\xdfe, and\ntwo lines"]
EXPORT = b"".join(
    b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795534882123456\n_BOOT_ID=x\nMESSAGE%s\n"
    b"SYSLOG_IDENTIFIER=postfix/smtp\nSYSLOG_PID=551\n_HOSTNAME=mx1\n\n" % message
    for message in (
        b"=8B1C5A4B9D1: removed",
        b"\n%s%s" % (len(MESSAGES[1].encode()).to_bytes(8, "little"), MESSAGES[1].encode()),
    )
)
VERBOSE = "".join(
    f"Tue 2026-11-24 15:41:22.123456 UTC [s=1f;i={number};b=1]\n    _HOSTNAME=mx1\n    _UID=0\n"
    f"    SYSLOG_IDENTIFIER=postfix/smtp\n    SYSLOG_PID=551\n    MESSAGE={message}\n"
    for number, message in enumerate(["8B1C5A4B9D1: removed", "another"])
).encode()
PRETTY = "".join(
    json.dumps({"MESSAGE": message, "_HOSTNAME": "mx1"}, indent="\t") + "\n" for message in MESSAGES
).encode()
FORMS = {
    "export": (EXPORT, MESSAGES),
    "verbose": (VERBOSE, ["8B1C5A4B9D1: removed", "another"]),
    "pretty": (PRETTY, MESSAGES),
}


@pytest.mark.parametrize("form", FORMS)
@given(cuts=st.lists(st.integers(0, 700)))
def test_entries_are_lines_however_they_are_cut(form: str, cuts: list[int]) -> None:
    data, messages = FORMS[form]
    reader = reader_of(data)
    assert reader is not None
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[a:b] for a, b in pairwise(places)]
    lines = b"".join([*map(reader.receive_data, parts), reader.close()])
    entries = [json.loads(line) for line in lines.splitlines()]
    assert [entry["MESSAGE"] for entry in entries] == messages
    assert all(entry["_HOSTNAME"] == "mx1" for entry in entries)
    assert all("_UID" not in entry and "_BOOT_ID" not in entry for entry in entries)


def test_an_entry_that_is_not_whole_is_given_at_the_end() -> None:
    reader = reader_of(EXPORT)
    assert reader is not None
    lines = reader.receive_data(EXPORT[:-1]) + reader.close()
    assert len(lines.splitlines()) == 2


@pytest.mark.parametrize("form", FORMS)
def test_memory_is_bounded(form: str) -> None:
    data, _ = FORMS[form]
    reader = reader_of(data)
    assert reader is not None
    reader.receive_data(data.splitlines(keepends=True)[0])
    given_out = sum(len(reader.receive_data(b"x" * 50_000)) for _ in range(40))
    assert given_out + len(reader.close()) <= 2 * MAX_FRAME_OCTETS
    assert len(reader._pending) <= MAX_FRAME_OCTETS + 50_000  # type: ignore[attr-defined]


def test_a_value_that_is_too_long_is_left_out() -> None:
    size = MAX_FRAME_OCTETS * 3
    begin = b"__CURSOR=1\nMESSAGE\n" + size.to_bytes(8, "little")
    reader = reader_of(begin)
    assert reader is not None
    lines = reader.receive_data(begin)
    for _ in range(3):
        lines += reader.receive_data(b"y" * MAX_FRAME_OCTETS)
    lines += reader.receive_data(b"\n_HOSTNAME=mx1\n\n")
    assert json.loads(lines) == {"_HOSTNAME": "mx1"}


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"Nov 24 15:41:22 mx1 a: b",
        b'{"MESSAGE": "x"}',
        b"Tue 2026-11-24 15:41:22 UTC mx1 a: [s=1",
    ],
)
def test_lines_that_stand_for_themselves_need_no_reader(beginning: bytes) -> None:
    assert reader_of(beginning) is None
