import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog.framing import MAX_FRAME_OCTETS, FrameCounters
from mailingest.syslog.relp import RelpReader

OPEN = b"1 open 50 relp_version=0\nrelp_software=test\ncommands=syslog\n\n"
OPENED = b"1 rsp 62 200 OK\nrelp_version=0\nrelp_software=mailingest\ncommands=syslog\n"


def syslog(number: int, data: bytes) -> bytes:
    return b"%d syslog %d %s\n" % (number, len(data), data)


def reader(session: bytes = OPEN) -> RelpReader:
    """One that is at a place in its session, and has answered all of it."""
    made = RelpReader(FrameCounters())
    made.receive_data(session)
    made.answer()
    return made


def test_a_session_opens_takes_messages_and_closes() -> None:
    relp = RelpReader(FrameCounters())
    assert relp.receive_data(OPEN) == []
    assert relp.answer() == OPENED
    length = int(OPENED.split()[2])
    assert len(OPENED.split(b" ", 3)[3]) == length + 1
    assert relp.receive_data(syslog(2, b"<22>a") + syslog(3, b"<22>b c\nd\n")) == [
        b"<22>a",
        b"<22>b c\nd",
    ]
    assert relp.answer() == b"2 rsp 6 200 OK\n3 rsp 6 200 OK\n"
    assert relp.answer() == b""
    relp.receive_data(b"4 close 0\n")
    assert relp.is_at_end
    assert relp.answer() == b"4 rsp 0\n0 serverclose 0\n"


@pytest.mark.parametrize(
    ("session", "data"),
    [
        pytest.param(b"", b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[1]: x\n", id="plain syslog"),
        pytest.param(b"", b"\x16\x03\x01\x02\x00", id="TLS"),
        pytest.param(b"", b"GET / HTTP/1.1\r\n", id="HTTP"),
        pytest.param(b"", syslog(1, b"<22>a"), id="a message before the session is open"),
        pytest.param(b"", syslog(1, bytes(100_000)), id="and a long one"),
        pytest.param(OPEN, OPEN, id="opened twice"),
        pytest.param(OPEN, b"2 starttls 0\n", id="a command that is not offered"),
        pytest.param(OPEN, b"2 syslog 5 <22>ab\n", id="longer than it says"),
        pytest.param(OPEN, b"2 syslog 5\n<22>a\n", id="no blank before the data"),
        pytest.param(OPEN, b"1234567890 syslog 1 a\n", id="too high a number"),
        pytest.param(OPEN, b"2 syslog 1234567890 a", id="too long a length"),
        pytest.param(OPEN, b"2 " + b"x" * 33, id="too long a command"),
        pytest.param(b"", b"1 open 5000 " + bytes(5000), id="offers without end"),
    ],
)
def test_what_is_not_relp_ends_the_session(session: bytes, data: bytes) -> None:
    for size in (1, 7, len(data)):
        relp = reader(session)
        for at in range(0, len(data), size):
            assert relp.receive_data(data[at : at + size]) == []
        assert relp.violation
        assert b"200 OK" not in relp.answer()
        assert relp.receive_data(syslog(9, b"<22>a")) == []


def test_what_was_whole_before_is_taken_and_answered() -> None:
    relp = reader()
    assert relp.receive_data(syslog(2, b"<22>a") + b"rubbish") == [b"<22>a"]
    assert relp.answer() == b"2 rsp 6 200 OK\n"
    assert "not RELP: b'rubbish'" in relp.violation


def test_a_message_that_is_too_long_is_cut_and_answered_at_its_end() -> None:
    relp = reader()
    long = syslog(2, b"x" * (MAX_FRAME_OCTETS + 5))
    assert relp.receive_data(long[:-3]) == [b"x" * MAX_FRAME_OCTETS]
    assert relp.answer() == b""
    assert relp.receive_data(long[-3:] + syslog(3, b"<22>a")) == [b"<22>a"]
    assert relp.answer() == b"2 rsp 6 200 OK\n3 rsp 6 200 OK\n"


def test_an_empty_message_is_answered_and_is_no_frame() -> None:
    counters = FrameCounters()
    relp = RelpReader(counters)
    relp.receive_data(OPEN)
    relp.answer()
    assert relp.receive_data(b"2 syslog 0\n" + syslog(3, b"\n")) == []
    assert relp.answer() == b"2 rsp 6 200 OK\n3 rsp 6 200 OK\n"
    assert (counters.received, counters.empty) == (0, 2)


def test_a_message_that_was_not_whole_is_neither_a_frame_nor_answered() -> None:
    relp = reader()
    assert relp.receive_data(b"2 syslog 5 <22>") == []
    assert relp.close() == []
    assert relp.answer() == b""


def test_a_message_byte_by_byte_is_not_copied_each_time() -> None:
    relp = reader()
    for byte in syslog(2, b"x" * 60_000):
        relp.receive_data(bytes([byte]))
    assert relp.answer() == b"2 rsp 6 200 OK\n"


MESSAGES = st.lists(st.binary(max_size=40) | st.just(b"x" * (MAX_FRAME_OCTETS + 9)), max_size=6)


@given(MESSAGES, st.binary(max_size=20), st.lists(st.integers(0, 2000)))
def test_however_it_is_cut_the_same_comes_out(
    messages: list[bytes], tail: bytes, cuts: list[int]
) -> None:
    stream = OPEN + b"".join(syslog(n, data) for n, data in enumerate(messages, 2)) + tail
    whole, cut = RelpReader(FrameCounters()), RelpReader(FrameCounters())
    frames, answers = whole.receive_data(stream), whole.answer()
    places = sorted({0, len(stream), *(place for place in cuts if place < len(stream))})
    got: list[bytes] = []
    answered = b""
    for begin, end in pairwise(places):
        got += cut.receive_data(stream[begin:end])
        answered += cut.answer()
    assert got == frames
    assert answered == answers
    assert bool(cut.violation) == bool(whole.violation)
    assert cut.is_at_end == whole.is_at_end
    # One answer for each command, in order.
    numbers = [int(number) for number in re.findall(rb"^(\d+) rsp", answers, re.M)]
    assert numbers[: len(messages) + 1] == [*range(1, len(messages) + 2)]
