"""Lumberjack version 2 in: bytes of a connection -> frames, and their acknowledgements.

It is how Filebeat and the other Beats send to Logstash (the reference is Elastic's own
github.com/elastic/go-lumber).  Each frame begins with the version, ``2``, and a letter; numbers are
32 bits, big-endian::

    W  window      how many events follow before the sender waits
    J  JSON        number of the event, length, event
    C  compressed  length, and frames in zlib's format (RFC 1950)
    A  ack         number of the last event that was accepted; only from the server

Events are numbered from 1 in each window.  An acknowledgement of less than the window is welcome,
and one of 0 says that the server is at work.  What a sender has no acknowledgement for when the
connection breaks, it sends again.
"""

import struct
import zlib
from typing import Final

from mailingest.syslog.beats_events import kept_of_event
from mailingest.syslog.framing import MAX_FRAME_OCTETS, FrameCounters

MAX_EVENT_BYTES: Final = 256 * 1024
"""Of an event with more bytes, its beginning is kept."""

_NUMBER: Final = struct.Struct(">I")
_EVENT: Final = struct.Struct(">II")
_ACK: Final = struct.Struct(">2sI")
_HEAD_BYTES: Final = 2
_SHOWN_BYTES: Final = 40
# What comes out of compressed frames at a time, and so about what a connection has in memory.
_INFLATED_BYTES: Final = 128 * 1024


class LumberjackReader:
    """One connection's Lumberjack; counts events into `counters`.

    ``violation`` says what a sender did that is not Lumberjack.  A compressed frame is taken as it
    comes, and only a bounded part of what is in it at a time: ``has_more`` says that there is more.
    """

    acknowledges = True
    is_at_end = False

    def __init__(self, counters: FrameCounters) -> None:
        self.violation = ""
        self._counters = counters
        self._raw = bytearray()  # what has come and is not looked at
        self._events = _Events(counters)
        self._inflating: zlib._Decompress | None = None
        self._compressed = 0  # bytes of the compressed frame that have not come
        self._input = b""  # bytes of it that are not inflated yet
        self._output_is_full = False

    @property
    def has_more(self) -> bool:
        """Whether `receive_data` of nothing goes on with what was taken."""
        return bool(self._input or self._output_is_full) and not self.violation

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what the connection gave; returns frames of events that are whole now."""
        self._raw += data
        frames: list[bytes] = []
        while not self.violation:
            if self._inflating is not None:
                self._inflate(self._inflating, frames)
                if self._inflating is not None:
                    break
            else:
                used = self._events.read(self._raw, frames)
                del self._raw[:used]
                self.violation = self._events.violation
                if not self._begin_compressed():
                    break
            if self.has_more:
                break
        return frames

    def answer(self) -> bytes:
        """The acknowledgements of what was received."""
        return self._events.answer()

    def keep_alive(self) -> bytes:
        """Says that the server is at work."""
        return _ACK.pack(b"2A", 0)

    def close(self) -> list[bytes]:
        """The connection is at its end: the sender still has what was not whole."""
        self._raw.clear()
        self._input = b""
        self._output_is_full = False
        return []

    def _begin_compressed(self) -> bool:
        """Whether the next frame is a compressed one, and its length is there."""
        if self.violation or len(self._raw) < _HEAD_BYTES + _NUMBER.size:
            return False
        if self._raw[:_HEAD_BYTES] != b"2C":
            return False
        (self._compressed,) = _NUMBER.unpack_from(self._raw, _HEAD_BYTES)
        del self._raw[: _HEAD_BYTES + _NUMBER.size]
        self._inflating = zlib.decompressobj()
        return True

    def _inflate(self, inflating: "zlib._Decompress", frames: list[bytes]) -> None:
        """Go on with a compressed frame; at its end there is none under way."""
        if not self._input and self._compressed:
            self._input = bytes(self._raw[: self._compressed])
            del self._raw[: len(self._input)]
            self._compressed -= len(self._input)
        try:
            output = inflating.decompress(self._input, _INFLATED_BYTES)
        except zlib.error as error:
            self._violate(f"a compressed frame that cannot be read: {error}")
            return
        self._output_is_full = len(output) == _INFLATED_BYTES
        self._input = inflating.unconsumed_tail
        self._events.read_inflated(output, frames)
        if self._events.violation:
            self._violate(self._events.violation)
        elif inflating.unused_data:
            self._violate("bytes behind the end of compressed data")
        elif not self._input and not self._output_is_full and not self._compressed:
            self._inflating = None
            if not inflating.eof or self._events.is_within_frame:
                self._violate("a compressed frame without its end")

    def _violate(self, what: str) -> None:
        self.violation = what
        self._inflating = None


class _Events:
    """Reads the frames that are not compressed, of a connection or of what was inflated."""

    def __init__(self, counters: FrameCounters) -> None:
        self.violation = ""
        self._counters = counters
        self._inflated = bytearray()  # the beginning of a frame in compressed ones
        self._skip = 0  # the rest of an event that was too long
        self._window = 0  # events that are still to come
        self._number = 0  # of the last event
        self._is_unanswered = False
        self._answers: list[bytes] = []

    @property
    def is_within_frame(self) -> bool:
        """Whether what was inflated ends within a frame."""
        return bool(self._inflated or self._skip)

    def read_inflated(self, data: bytes, frames: list[bytes]) -> None:
        """The same as `read` for the next piece of a compressed frame."""
        self._inflated += data
        del self._inflated[: self.read(self._inflated, frames)]
        if self._inflated[:_HEAD_BYTES] == b"2C":
            self._violate(self._inflated)

    def read(self, data: bytearray, frames: list[bytes]) -> int:
        """Take the whole frames that stand at the beginning; returns where they end.

        A compressed one is left.
        """
        at, size = 0, len(data)
        while not self.violation:
            if self._skip:
                skipped = min(self._skip, size - at)
                self._skip -= skipped
                at += skipped
                if self._skip:
                    return at
            begin = at + _HEAD_BYTES
            head = bytes(data[at:begin])
            if head == b"2J":
                end = self._event(data, begin, frames)
                if end < 0:
                    return at
                at = end
            elif head == b"2W":
                if size < begin + _NUMBER.size:
                    return at
                self._acknowledge()
                (self._window,) = _NUMBER.unpack_from(data, begin)
                at = begin + _NUMBER.size
            elif head in (b"", b"2", b"2C"):
                return at
            else:
                self._violate(data[at:])
        return at

    def answer(self) -> bytes:
        """The acknowledgements up to the last event."""
        self._acknowledge()
        answers, self._answers = self._answers, []
        return b"".join(answers)

    def _event(self, data: bytearray, begin: int, frames: list[bytes]) -> int:
        """Take an event; returns where it ends, or -1 if it is not whole."""
        first = begin + _EVENT.size
        if len(data) < first:
            return -1
        number: int
        length: int
        number, length = _EVENT.unpack_from(data, begin)
        end = first + min(length, MAX_EVENT_BYTES)
        if len(data) < end:
            return -1
        if length > MAX_EVENT_BYTES:
            frames.append(bytes(data[first : first + MAX_FRAME_OCTETS]))
            self._counters.oversized += 1
            self._skip = length - MAX_EVENT_BYTES
        else:
            frame, is_cut = kept_of_event(bytes(data[first:end]))
            self._counters.oversized += is_cut
            if frame:
                frames.append(frame)
        if length:
            self._counters.received += 1
        else:
            self._counters.empty += 1
        self._number = number
        self._is_unanswered = True
        self._window -= 1
        if self._window == 0:
            self._acknowledge()
        return end

    def _acknowledge(self) -> None:
        if self._is_unanswered:
            self._answers.append(_ACK.pack(b"2A", self._number))
            self._is_unanswered = False

    def _violate(self, data: bytes | bytearray) -> None:
        kind = "version 1 of Lumberjack" if data[:1] == b"1" else "not Lumberjack"
        self.violation = f"{kind}: {bytes(data[:_SHOWN_BYTES])!r}"
