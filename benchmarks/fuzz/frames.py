"""Syslog over TCP: however a stream is cut, its frames are the same, and little is kept of it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Final
from unittest.mock import patch

from benchmarks.fuzz.choices import Choices
from mailingest.syslog import framing
from mailingest.syslog.framing import FrameReader

# Small, for inputs to be.
_MAX_FRAME_OCTETS: Final = 60
# Digits and the space of a frame that is counted.
_COUNT_OCTETS: Final = 8
_COUNT: Final = re.compile(rb"([1-9][0-9]{0,6}) (?=<)")
_TRAILER: Final = re.compile(rb"[\n\0]|\Z")


def check(data: bytes) -> Iterable[str]:
    choices = Choices(data)
    sizes = [1 + choices.byte() for _ in range(1 + choices.byte() % 4)]
    stream = choices.rest()
    with patch.object(framing, "MAX_FRAME_OCTETS", _MAX_FRAME_OCTETS):
        found, counters = _read([stream])
        assert found == [*_expected(stream)]
        assert _read(stream[at : at + 1] for at in range(len(stream))) == (found, counters)
        assert _read(_cut(stream, sizes)) == (found, counters)
    assert counters["received"] == len(found)
    return [f"{name} {min(count, 3)}" for name, count in counters.items() if count]


def seeds() -> Iterator[bytes]:
    begin = bytes([1, 6, 40])
    counted = b"17 <22>mx1 smtpd: a\n"
    yield begin + b"<22>Nov 24 15:41:13 mx1 smtpd: a\r\n<22>b\0\n<22>half"
    yield begin + counted * 3 + b"9 <22>a\nb\0c\n<22>text\n" + counted + b"100 <22>half"
    yield begin + b"12 monkeys\n5\n7 \n0 <22>a\n08 <22>a\n12345678 <a\n100 "
    yield begin + b"<22>" + b"x" * 100 + b"\n" + b"200 <22>" + b"y" * 196 + counted
    yield begin + b"\n\r\n\0<22>a\r\r\n9999999 <"


def _expected(stream: bytes) -> Iterator[bytes]:
    """What RFC 6587 says of a whole stream."""
    at = 0
    while at < len(stream):
        if count := _COUNT.match(stream, at):
            begin, octets = count.end(), int(count[1])
            at = begin + octets
            frame = stream[begin:at]
            # Of a whole one the trailer is no part, though it is counted.
            if len(frame) == octets <= _MAX_FRAME_OCTETS:
                frame = re.sub(rb"(\r?\n|\0)\Z", b"", frame)
            yield frame[:_MAX_FRAME_OCTETS]
        else:
            trailer = _TRAILER.search(stream, at)
            assert trailer
            if frame := stream[at : trailer.start()][:_MAX_FRAME_OCTETS].removesuffix(b"\r"):
                yield frame
            at = trailer.end()


def _read(chunks: Iterable[bytes]) -> tuple[list[bytes], dict[str, int]]:
    reader = FrameReader()
    found = []
    for chunk in chunks:
        found += reader.receive_data(chunk)
        assert len(reader._pending) <= _MAX_FRAME_OCTETS + _COUNT_OCTETS
    found += reader.close()
    return found, asdict(reader.counters)


def _cut(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    at, number = 0, 0
    while at < len(stream):
        size = sizes[number % len(sizes)]
        yield stream[at : at + size]
        at, number = at + size, number + 1
