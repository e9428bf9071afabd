import json
import struct
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog.framing import MAX_FRAME_OCTETS, FrameCounters
from mailingest.syslog.lumberjack import MAX_EVENT_BYTES, LumberjackReader

Event = dict[str, Any]


def window(events: int) -> bytes:
    return struct.pack(">2sI", b"2W", events)


def event(number: int, content: Event | bytes) -> bytes:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack(">2sII", b"2J", number, len(data)) + data


def compressed(frames: bytes) -> bytes:
    data = zlib.compress(frames)
    return struct.pack(">2sI", b"2C", len(data)) + data


def ack(number: int) -> bytes:
    return struct.pack(">2sI", b"2A", number)


def events(first: int, last: int) -> bytes:
    return b"".join(event(n, {"message": f"line {n}"}) for n in range(first, last + 1))


def messages(frames: list[bytes]) -> list[str]:
    return [json.loads(frame)["message"] for frame in frames]


def all_frames(reader: LumberjackReader, data: bytes) -> list[bytes]:
    """What comes out of the data, and of what the reader has held back of them."""
    frames = reader.receive_data(data)
    while reader.has_more:
        frames += reader.receive_data(b"")
    return frames


def reader() -> LumberjackReader:
    return LumberjackReader(FrameCounters())


def test_a_window_is_acknowledged_by_the_number_of_its_last_event() -> None:
    lumberjack = reader()
    assert messages(lumberjack.receive_data(window(3) + events(1, 3))) == [
        *("line 1", "line 2", "line 3")
    ]
    assert lumberjack.answer() == ack(3)
    assert lumberjack.answer() == b""


def test_what_there_is_of_a_window_is_acknowledged_before_its_end() -> None:
    lumberjack = reader()
    lumberjack.receive_data(window(3) + events(1, 2))
    assert lumberjack.answer() == ack(2)
    lumberjack.receive_data(events(3, 3))
    assert lumberjack.answer() == ack(3)


def test_each_window_that_came_at_once_has_its_own_acknowledgement() -> None:
    lumberjack = reader()
    lumberjack.receive_data(window(2) + compressed(events(1, 2)) + window(5) + events(1, 4))
    assert lumberjack.answer() == ack(2) + ack(4)


def test_a_window_that_was_left_unfinished_is_acknowledged_as_far_as_it_came() -> None:
    lumberjack = reader()
    lumberjack.receive_data(window(9) + events(1, 4) + window(2) + events(1, 2))
    assert lumberjack.answer() == ack(4) + ack(2)


def test_kept_is_the_line_and_what_it_may_lack() -> None:
    lumberjack = reader()
    (frame,) = lumberjack.receive_data(
        event(
            1,
            {
                "@timestamp": "2026-11-24T14:41:13.123Z",
                "@metadata": {"beat": "filebeat"},
                "agent": {"name": "mx1", "version": "8.15.0"},
                "host": {"name": "mx1", "ip": ["192.0.2.1"], "os": {"family": "debian"}},
                "log": {"offset": 4711, "file": {"path": "/var/log/mail.log"}, "level": "x"},
                "message": "Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0: removed",
            },
        )
    )
    assert json.loads(frame) == {
        "@timestamp": "2026-11-24T14:41:13.123Z",
        "message": "Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0: removed",
        "host": {"name": "mx1"},
        "log": {"offset": 4711, "file": {"path": "/var/log/mail.log"}},
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"not JSON", id="no JSON"),
        pytest.param(b"[1, 2]", id="no object"),
        pytest.param(b'{"metric": 1}', id="no text"),
        pytest.param(b'{"message": 7}', id="a number for a text"),
        pytest.param(b"[" * 10_000, id="nested too deep"),
        pytest.param(b'{"message": ""}', id="an empty text"),
    ],
)
def test_what_is_no_event_of_a_log_is_kept_as_it_is(content: bytes) -> None:
    lumberjack = reader()
    assert lumberjack.receive_data(window(1) + event(1, content)) == [content]
    assert lumberjack.answer() == ack(1)


def test_an_event_that_is_too_long_is_cut_counted_and_acknowledged() -> None:
    counters = FrameCounters()
    lumberjack = LumberjackReader(counters)
    huge = b'{"message": "' + b"x" * MAX_EVENT_BYTES + b'"}'
    long = {"message": "y" * 100_000}
    frames = all_frames(
        lumberjack, window(3) + event(1, huge) + event(2, long) + event(3, {"message": "z"})
    )
    assert frames[0] == huge[:MAX_FRAME_OCTETS]
    assert set(messages(frames[1:])[0]) == {"y"}
    assert messages(frames[2:]) == ["z"]
    assert all(len(frame) <= MAX_FRAME_OCTETS for frame in frames)
    assert (counters.received, counters.oversized) == (3, 2)
    assert lumberjack.answer() == ack(3)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x16\x03\x01\x02\x00", id="TLS"),
        pytest.param(b"<22>Nov 24 15:41:13 mx1 x: y\n", id="syslog"),
        pytest.param(struct.pack(">2sII", b"1D", 1, 1), id="version 1"),
        pytest.param(b"2X", id="no such frame"),
        pytest.param(ack(1), id="an acknowledgement"),
        pytest.param(struct.pack(">2sI", b"2C", 9) + b"x" * 9, id="compressed by nobody"),
        pytest.param(compressed(compressed(events(1, 1))), id="compressed twice"),
        pytest.param(compressed(events(1, 1)[:-1]), id="half an event in compressed frames"),
        pytest.param(compressed(b"2X"), id="no such frame, compressed"),
        pytest.param(
            struct.pack(">2sI", b"2C", len(zlib.compress(b"")) - 2) + zlib.compress(b"")[:-2],
            id="the end of compressed data is missing",
        ),
        pytest.param(
            struct.pack(">2sI", b"2C", len(zlib.compress(b"")) + 2) + zlib.compress(b"") + b"xx",
            id="more behind the end of compressed data",
        ),
    ],
)
def test_what_is_not_lumberjack_ends_the_connection(data: bytes) -> None:
    for size in (1, len(data)):
        lumberjack = reader()
        for at in range(0, len(data), size):
            all_frames(lumberjack, data[at : at + size])
        assert lumberjack.violation
        assert not lumberjack.has_more


def test_what_unfolds_comes_in_bounded_pieces() -> None:
    """100 MB of events in 100 KB: what is taken at a time, and kept, has a bound."""
    one = event(1, {"message": "x" * 1000})
    squeezing = zlib.compressobj(9)
    data = b"".join(squeezing.compress(one * 1000) for _ in range(100)) + squeezing.flush()
    assert len(data) < 300_000
    lumberjack = reader()
    frames = lumberjack.receive_data(struct.pack(">2sI", b"2C", len(data)) + data)
    total = 0
    while True:
        assert sum(map(len, frames)) < 512 * 1024
        total += len(frames)
        if not lumberjack.has_more:
            break
        frames = lumberjack.receive_data(b"")
    assert total == 100_000
    assert not lumberjack.violation


def test_a_bomb_of_nothing_is_no_lumberjack() -> None:
    lumberjack = reader()
    assert lumberjack.receive_data(compressed(bytes(50_000_000))) == []
    assert lumberjack.violation


def test_an_announced_length_takes_no_memory() -> None:
    lumberjack = reader()
    assert lumberjack.receive_data(window(0xFFFFFFFF)) == []
    assert lumberjack.receive_data(struct.pack(">2sII", b"2J", 1, 0xFFFFFFFF) + b"x") == []
    assert not lumberjack.violation


def test_a_sign_of_life_acknowledges_nothing() -> None:
    assert reader().keep_alive() == ack(0)


PIECES = st.lists(
    st.one_of(
        st.integers(0, 5).map(window),
        st.binary(max_size=30).map(lambda data: event(1, data)),
        st.text(max_size=30).map(lambda text: event(2, {"message": text})),
        st.integers(1, 300).map(lambda last: compressed(events(1, last))),
        st.binary(max_size=6),
    ),
    max_size=6,
)


@given(PIECES, st.lists(st.integers(0, 4000)))
def test_however_it_is_cut_the_same_comes_out(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    one, other = FrameCounters(), FrameCounters()
    whole, cut = LumberjackReader(one), LumberjackReader(other)
    frames = all_frames(whole, stream)
    places = sorted({0, len(stream), *(place for place in cuts if place < len(stream))})
    got: list[bytes] = []
    for begin, end in pairwise(places):
        got += all_frames(cut, stream[begin:end])
    assert got == frames
    assert bool(cut.violation) == bool(whole.violation)
    assert one == other
