import itertools
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog import framing as frames
from mailingest.syslog.framing import MAX_FRAME_OCTETS, FrameCounters, FrameReader

LINE = b"<22>Nov 24 15:41:13 mx1 postfix/qmgr[318]: 4F2A11E0: removed"
NEW_STYLE = (
    b"<22>1 2026-11-24T15:41:13.813636+00:00 mx1 opendkim 32408 - -  OpenDKIM Filter v2.11.0"
)


def read(*chunks: bytes) -> tuple[list[bytes], dict[str, int]]:
    """All frames of a stream that comes in `chunks`, and the counters that are not zero."""
    reader = FrameReader()
    found = [frame for chunk in chunks for frame in reader.receive_data(chunk)]
    found += reader.close()
    counters = asdict(reader.counters)
    assert counters.pop("received") == len(found)
    return found, {name: count for name, count in counters.items() if count}


def counted(payload: bytes) -> bytes:
    return b"%d %b" % (len(payload), payload)


LONG = b"<22>" + b"x" * MAX_FRAME_OCTETS

STREAMS = [
    pytest.param(b"", [], {}, id="nothing at all"),
    pytest.param(LINE + b"\n", [LINE], {}, id="a line that ends with LF"),
    pytest.param(LINE + b"\r\n", [LINE], {}, id="a line that ends with CR LF"),
    pytest.param(LINE + b"\0", [LINE], {}, id="a line that ends with NUL"),
    pytest.param(
        LINE + b"\0" + NEW_STYLE + b"\n" + LINE + b"\r\n",
        [LINE, NEW_STYLE, LINE],
        {},
        id="all three trailers in one stream",
    ),
    pytest.param(b"<22>a\rb\n", [b"<22>a\rb"], {}, id="a CR inside a line stays"),
    pytest.param(
        counted(NEW_STYLE) + counted(LINE),
        [NEW_STYLE, LINE],
        {},
        id="octet counting, nothing between",
    ),
    pytest.param(
        counted(NEW_STYLE + b"\n") + counted(LINE + b"\n"),
        [NEW_STYLE, LINE],
        {},
        id="octet counting as rsyslog does it, with the LF counted",
    ),
    pytest.param(
        counted(b"<22>a\nb\0c\n"),
        [b"<22>a\nb\0c"],
        {},
        id="trailers inside a counted frame are data",
    ),
    pytest.param(
        counted(LINE) + b"\n" + counted(LINE) + b"\n",
        [LINE, LINE],
        {"empty": 2},
        id="counted frames with an uncounted LF between them",
    ),
    pytest.param(
        LINE + b"\n" + counted(LINE) + NEW_STYLE + b"\0" + counted(b"<22>z") + LINE + b"\n",
        [LINE, LINE, NEW_STYLE, b"<22>z", LINE],
        {},
        id="a sender that changes the framing",
    ),
    pytest.param(
        b"12 monkeys\n5\n7 \n0 <22>a\n08 <22>a\n",
        [b"12 monkeys", b"5", b"7 ", b"0 <22>a", b"08 <22>a"],
        {},
        id="texts that begin with digits",
    ),
    pytest.param(
        b"20261124154113 <22>a\n12345678 <a\n",
        [b"20261124154113 <22>a", b"12345678 <a"],
        {},
        id="a number too long for a count",
    ),
    pytest.param(b"\n\r\n\0<22>a\n\n", [b"<22>a"], {"empty": 4}, id="empty frames are counted"),
    pytest.param(
        LINE + b"\n<22>half", [LINE, b"<22>half"], {"unterminated": 1}, id="half a line at the end"
    ),
    pytest.param(
        b"<22>a\r\n<22>b\r",
        [b"<22>a", b"<22>b"],
        {"unterminated": 1},
        id="an end between CR and LF",
    ),
    pytest.param(b"\r", [], {"empty": 1}, id="nothing but half a trailer"),
    pytest.param(b"100 <22>half", [b"<22>half"], {"truncated": 1}, id="half a counted frame"),
    pytest.param(b"100 ", [b"100 "], {"unterminated": 1}, id="an end before anything is decided"),
    pytest.param(
        LONG[:MAX_FRAME_OCTETS] + b"\n" + LINE + b"\n",
        [LONG[:MAX_FRAME_OCTETS], LINE],
        {},
        id="a line of the maximal length",
    ),
    pytest.param(
        LONG + b"\n" + LINE + b"\n",
        [LONG[:MAX_FRAME_OCTETS], LINE],
        {"oversized": 1},
        id="an over-long line is cut and the next one is read",
    ),
    pytest.param(
        LINE + b"\r\n" + LONG[: MAX_FRAME_OCTETS - 1] + b"\ryyy\0\n" + LINE + b"\n",
        [LINE, LONG[: MAX_FRAME_OCTETS - 1], LINE],
        {"oversized": 1, "empty": 1},
        id="an over-long line that is cut behind a CR",
    ),
    pytest.param(
        LONG * 3, [LONG[:MAX_FRAME_OCTETS]], {"oversized": 1}, id="an over-long line without end"
    ),
    pytest.param(
        counted(LONG) + counted(LINE),
        [LONG[:MAX_FRAME_OCTETS], LINE],
        {"oversized": 1},
        id="an over-long counted frame is cut and the next one is read",
    ),
    pytest.param(
        b"9999999 " + LONG,
        [LONG[:MAX_FRAME_OCTETS]],
        {"oversized": 1},
        id="an over-long counted frame that never ends",
    ),
]


@pytest.mark.parametrize(("stream", "expected", "counters"), STREAMS)
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(1 << 20, id="at once"),
        pytest.param(1, id="byte by byte"),
        pytest.param(7, id="seven bytes at a time"),
    ],
)
def test_frames_of_a_stream(
    stream: bytes, expected: list[bytes], counters: dict[str, int], size: int
) -> None:
    chunks = (stream[at : at + size] for at in range(0, len(stream), size))
    assert read(*chunks) == (expected, counters)


def test_frames_are_returned_as_soon_as_they_are_whole() -> None:
    reader = FrameReader()
    assert reader.receive_data(b"5 <22>") == []
    assert reader.receive_data(b"a<22>b") == [b"<22>a"]
    assert reader.receive_data(b"\n<22>c\n<2") == [b"<22>b", b"<22>c"]
    assert reader.close() == [b"<2"]


payloads = st.builds(
    lambda pri, text: b"<%d>" % pri + text,
    st.integers(0, 191),
    st.binary(max_size=40),
)
texts = payloads.map(
    lambda payload: payload.replace(b"\n", b"#012").replace(b"\0", b"#000").rstrip(b"\r")
)
framed = st.one_of(
    st.tuples(texts, st.sampled_from([b"\n", b"\r\n", b"\0"])).map(
        lambda pair: (pair[0] + pair[1], pair[0])
    ),
    texts.map(lambda text: (counted(text), text)),
    texts.map(lambda text: (counted(text + b"\n"), text)),
)


@given(st.lists(framed))
def test_whatever_framing_a_sender_chooses_its_messages_come_back(
    messages: list[tuple[bytes, bytes]],
) -> None:
    stream = b"".join(data for data, _ in messages)
    assert read(stream) == ([message for _, message in messages], {})


# Pieces that make every decision of the reader happen, many of them broken.
pieces = st.sampled_from(
    [b"\n", b"\r", b"\0", b"<22>", b"<22>a", b"3 <1", b"7 ", b"1", b"0", b" ", b"90 <", b"a" * 30]
)
streams = st.lists(pieces | st.binary(max_size=5), max_size=40).map(b"".join)


@given(streams, st.data())
def test_any_cut_of_a_stream_gives_the_same_frames_and_counters(
    stream: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[a:b] for a, b in itertools.pairwise([0, *cuts, len(stream)])]
    with pytest.MonkeyPatch.context() as patch:
        # A small bound, so that over-long frames are not rare.
        patch.setattr(frames, "MAX_FRAME_OCTETS", 25)
        whole = read(stream)
        assert read(*chunks) == whole
        assert read(*(bytes([byte]) for byte in stream)) == whole
        assert all(0 < len(frame) <= 25 for frame in whole[0])


@given(st.binary(max_size=300))
def test_no_byte_is_lost_but_framing(stream: bytes) -> None:
    """Without counts, the frames are the stream without its trailers."""
    text = bytes(byte for byte in stream if byte not in b"<\r")
    found, counters = read(text)
    assert b"".join(found) == text.replace(b"\n", b"").replace(b"\0", b"")
    assert counters.get("empty", 0) == text.count(b"\n") + text.count(b"\0") - len(found) + (
        counters.get("unterminated", 0)
    )


def test_the_readers_of_many_connections_count_into_one_place() -> None:
    counters = FrameCounters()
    for stream in (LINE + b"\n", b"<22>half", b"9 <22>"):
        reader = FrameReader(counters)
        reader.receive_data(stream)
        reader.close()
    assert counters == FrameCounters(received=3, unterminated=1, truncated=1)


class CountingBytearray(bytearray):
    """Adds up what was copied out of the pending bytes."""

    copied = 0

    def __bytes__(self) -> bytes:
        CountingBytearray.copied += len(self)
        return bytes(memoryview(self))


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"1" * 2 * MAX_FRAME_OCTETS, id="digits without end"),
        pytest.param(LONG * 2, id="a line without end"),
        pytest.param(b"65000 " + LONG[:65000], id="a counted frame"),
        pytest.param(b"\n3 <1>a\0" * 8000, id="small frames of both kinds"),
    ],
)
def test_bytes_that_come_one_by_one_are_not_copied_again_and_again(stream: bytes) -> None:
    reader = FrameReader()
    reader._pending = CountingBytearray()
    CountingBytearray.copied = 0
    for byte in stream:
        reader.receive_data(bytes([byte]))
    assert 0 < CountingBytearray.copied <= 8 * len(stream)
