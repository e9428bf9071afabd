"""Bytes of a TCP stream in, frames (one syslog message each) out: RFC 6587.

A sender may use either framing, and may change it from frame to frame:

* octet counting (3.4.1), ``MSG-LEN SP SYSLOG-MSG``.  A frame is read that way only if
  digits, a space and the ``<`` of a PRI stand at its beginning; a text that merely begins
  with digits is not taken for a count.
* non-transparent framing (3.4.2): the frame ends at a trailer, LF, CR LF or NUL.

Which of the two it is is known after at most nine octets, so nothing is guessed: the same
stream gives the same frames however the network has cut it.
"""

import re
from dataclasses import dataclass

# Postfix cuts its own text at 2,000 characters, rsyslog a message at 8 KiB unless it is set
# otherwise: eight times that is room for every sender.  It bounds the memory of a connection
# whose sender never sends a trailer.
MAX_FRAME_OCTETS = 64 * 1024

# What senders put behind a message: LF, CR LF or NUL.
TRAILERS = b"\r\n\0"

# RFC 6587 3.4.1: MSG-LEN = NONZERO-DIGIT *DIGIT.  No syslog message has 10 MB: longer numbers
# are text (a time stamp, a queue ID).
_COUNT = re.compile(rb"([1-9][0-9]{0,6}) (?=<)")
_MAYBE_COUNT = re.compile(rb"[1-9][0-9]{0,6} ?\Z")
_COUNT_AFTER_LF = re.compile(rb"\n(?=[1-9][0-9]{0,6} <)")
_COUNT_AFTER_TRAILER = re.compile(rb"[\n\0](?=[1-9][0-9]{0,6} <)")


@dataclass(slots=True)
class FrameCounters:
    """What readers met; the readers of many connections may count into the same one.

    ``received`` frames were returned.  Of them ``oversized`` had more than MAX_FRAME_OCTETS:
    their beginning was returned, the rest skipped.  ``unterminated`` and ``truncated`` frames
    were found at the end of a stream: texts without a trailer, and counted frames with fewer
    octets than announced.  ``empty`` frames, without any byte, were not returned.
    """

    received: int = 0
    oversized: int = 0
    unterminated: int = 0
    truncated: int = 0
    empty: int = 0


class FrameReader:
    """Cuts one connection's bytes into frames, and counts into `counters`.

    Any bytes are frames: there is nothing that a peer could violate.
    """

    acknowledges = False
    has_more = False
    is_at_end = False
    violation = ""

    def __init__(self, counters: FrameCounters | None = None) -> None:
        self.counters = counters or FrameCounters()
        self._pending = bytearray()  # the beginning of a frame that is not whole yet
        self._wanted = 0  # octets that a pending counted frame needs
        self._in_text = False  # the pending frame is known to end at a trailer
        self._skip_octets = 0  # rest of an over-long counted frame
        self._skip_text = False  # rest of an over-long text, up to its trailer

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what the connection gave; returns the frames that are whole now."""
        pending = self._pending
        pending += data
        # Nothing to decide: no copy of what is pending, so that the time stays linear in the
        # bytes received even if they come one by one.
        if len(pending) < self._wanted:
            return []
        if self._in_text and len(pending) <= MAX_FRAME_OCTETS and not _has_trailer(data):
            return []
        stream = bytes(pending)
        frames: list[bytes] = []
        end = self._cut(stream, frames)
        del pending[:end]
        return frames

    def answer(self) -> bytes:
        """Nothing: RFC 6587 has no acknowledgement."""
        return b""

    def keep_alive(self) -> bytes:
        """Nothing, either."""
        return b""

    def close(self) -> list[bytes]:
        """The connection is at its end: returns the last frame if it was not whole."""
        rest = bytes(self._pending)
        self._pending.clear()
        if count := _COUNT.match(rest):
            self.counters.received += 1
            self.counters.truncated += 1
            return [rest[count.end() :]]
        return split_unterminated(rest, self.counters)

    def _cut(self, stream: bytes, frames: list[bytes]) -> int:
        """Append the whole frames of `stream` to `frames`; returns where they end."""
        self._wanted = 0
        self._in_text = False
        # Searching for the single LF is several times faster than for LF or NUL.
        next_count = _COUNT_AFTER_TRAILER if b"\0" in stream else _COUNT_AFTER_LF
        at = 0
        while at < len(stream):
            if self._skip_octets:
                skipped = min(self._skip_octets, len(stream) - at)
                self._skip_octets -= skipped
                at += skipped
            elif self._skip_text:
                end = first_trailer(stream, at)
                if end < 0:
                    return len(stream)
                self._skip_text = False
                at = end + 1
            elif count := _COUNT.match(stream, at):
                begin, octets = count.end(), int(count[1])
                end = begin + min(octets, MAX_FRAME_OCTETS)
                if end > len(stream):
                    self._wanted = end - at
                    return at
                self.counters.received += 1
                if octets > MAX_FRAME_OCTETS:
                    self.counters.oversized += 1
                    self._skip_octets = octets - MAX_FRAME_OCTETS
                    frames.append(stream[begin:end])
                else:
                    frames.append(_without_trailer(stream[begin:end]))
                at = end
            elif _MAYBE_COUNT.match(stream, at):
                return at
            else:
                counted = next_count.search(stream, at)
                end = counted.end() if counted else last_trailer(stream, at) + 1
                if end > at:
                    frames += split_text(stream[at:end], self.counters)
                    at = end
                elif len(stream) - at > MAX_FRAME_OCTETS:
                    self.counters.received += 1
                    self.counters.oversized += 1
                    self._skip_text = True
                    frames.append(stream[at : at + MAX_FRAME_OCTETS].removesuffix(b"\r"))
                else:
                    self._in_text = True
                    return at
        return at


def split_text(text: bytes, counters: FrameCounters) -> list[bytes]:
    """The frames of `text`, each of which has its trailer, cut and counted as in a stream."""
    if b"\0" in text:
        text = text.replace(b"\0", b"\n")
    frames = text.split(b"\n")
    frames.pop()
    if len(text) > MAX_FRAME_OCTETS:
        for number, frame in enumerate(frames):
            if len(frame) > MAX_FRAME_OCTETS:
                counters.oversized += 1
                frames[number] = frame[:MAX_FRAME_OCTETS]
    if b"\r" in text:
        frames = [frame.removesuffix(b"\r") for frame in frames]
    if empty := frames.count(b""):
        counters.empty += empty
        frames = [frame for frame in frames if frame]
    counters.received += len(frames)
    return frames


def split_unterminated(rest: bytes, counters: FrameCounters) -> list[bytes]:
    """The frame, or none, that `rest` is: what stands behind the last trailer of a stream."""
    frames = split_text(rest + b"\n", counters) if rest else []
    counters.unterminated += len(frames)
    return frames


def last_trailer(stream: bytes, at: int = 0) -> int:
    """Position of the last LF or NUL in `stream` from `at` on; `at` - 1 if there is none."""
    return max(stream.rfind(b"\n", at), stream.rfind(b"\0", at), at - 1)


def first_trailer(stream: bytes, at: int) -> int:
    """Position of the first LF or NUL in `stream` from `at` on; -1 if there is none."""
    line_feed = stream.find(b"\n", at)
    # A NUL counts only if it comes before: no need to look further than the LF.
    null = stream.find(b"\0", at, line_feed if line_feed >= 0 else len(stream))
    return null if null >= 0 else line_feed


def _has_trailer(data: bytes) -> bool:
    return b"\n" in data or b"\0" in data


def _without_trailer(payload: bytes) -> bytes:
    """rsyslog counts the LF that ends its template as part of the message."""
    if payload.endswith(b"\n"):
        return payload[:-1].removesuffix(b"\r")
    return payload.removesuffix(b"\0")
