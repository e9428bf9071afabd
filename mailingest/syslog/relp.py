"""RELP in: bytes of a connection -> frames, and the responses that acknowledge them.

The Reliable Event Logging Protocol is that of rsyslog's librelp (its doc/relp.html; version 0).
Either side sends ``TXNR SP COMMAND SP DATALEN [SP DATA] LF``.  A session begins with ``open`` and
what each side offers, goes on with ``syslog``, and ends with ``close``, to which the server says
``serverclose``.  Each command has a response, ``rsp``, of the same number: ``200 OK``, or a code
and a reason.

A client keeps each message until it has the response.  After a broken connection it sends all that
it has kept, in order and over a new one, with new numbers.  So a message is acknowledged when it is
in the spool, and may come again.
"""

import re
from typing import Final

from mailingest.syslog.framing import MAX_FRAME_OCTETS, TRAILERS, FrameCounters

# 3.1: numbers are 1 to 999,999,999, a command has 32 letters at most.
_HEADER = re.compile(rb"([0-9]{1,9}) ([A-Za-z]{1,32}) ([0-9]{1,9})(?: |(?=\n))")
_MAYBE_HEADER = re.compile(rb"[0-9]{1,9}(?: (?:[A-Za-z]{1,32}(?: (?:[0-9]{1,9})?)?)?)?\Z")
# What a client offers: librelp's has some 90 bytes.
_MAX_OFFERS: Final = 4096
# librelp's own words; it looks for the version, and for the command.
_OFFERS: Final = b"relp_version=0\nrelp_software=mailingest\ncommands=syslog"
_SHOWN_BYTES: Final = 40


class RelpReader:
    """One connection's RELP; counts messages into `counters`.

    ``violation`` says what a client did that ends the session, ``is_at_end`` that it has closed it.
    """

    acknowledges = True
    has_more = False

    def __init__(self, counters: FrameCounters) -> None:
        self.violation = ""
        self.is_at_end = False
        self._counters = counters
        self._is_open = False
        self._pending = bytearray()  # the beginning of a command that is not whole yet
        self._wanted = 0  # bytes that it needs before a look is worth while
        self._skip = 0  # the rest of a message that was too long
        self._skipped_number = b""  # its number
        self._answers: list[bytes] = []

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what the connection gave; returns the messages that are whole now."""
        if self.violation or self.is_at_end:
            return []
        pending = self._pending
        pending += data
        # No copy of what is pending: the time is linear in the bytes, even one by one.
        if len(pending) < self._wanted:
            return []
        stream = bytes(pending)
        frames: list[bytes] = []
        end = self._read(stream, frames)
        del pending[:end]
        return frames

    def answer(self) -> bytes:
        """The responses to what was received."""
        answers, self._answers = self._answers, []
        return b"".join(answers)

    def keep_alive(self) -> bytes:
        """Nothing: a client waits for its response, for 90 seconds by default."""
        return b""

    def close(self) -> list[bytes]:
        """The connection is at its end: the client still has what was not whole."""
        self._pending.clear()
        return []

    def _read(self, stream: bytes, frames: list[bytes]) -> int:
        """Take the whole commands of `stream`; returns where they end."""
        at = 0
        self._wanted = 0
        while at < len(stream) and not self.violation and not self.is_at_end:
            if self._skip:
                at = self._skip_data(stream, at)
                continue
            header = _HEADER.match(stream, at)
            if header is None:
                if not _MAYBE_HEADER.match(stream, at):
                    self._violate(stream[at:], "not RELP")
                return at
            begin, length = header.end(), int(header[3])
            if header[2] != b"syslog" and length > _MAX_OFFERS:
                self._violate(stream[at:], "too much data of a command")
                return at
            if length and stream[begin - 1] != 0x20:
                self._violate(stream[at:], "no data behind their length")
                return at
            if length > MAX_FRAME_OCTETS:
                if len(stream) - begin < MAX_FRAME_OCTETS:
                    self._wanted = begin - at + MAX_FRAME_OCTETS
                    return at
                self._cut(header[1], length, stream[begin : begin + MAX_FRAME_OCTETS], frames)
                at = begin + MAX_FRAME_OCTETS
                continue
            end = begin + length
            if end >= len(stream):
                self._wanted = end + 1 - at
                return at
            if stream[end] != 0x0A:
                self._violate(stream[at:], "no line feed behind the data")
                return at
            self._take(header[1], header[2], stream[begin:end], frames)
            at = end + 1
        return at

    def _take(self, number: bytes, command: bytes, data: bytes, frames: list[bytes]) -> None:
        if command == b"syslog" and self._is_open:
            # A message may end with the line feed of its template.
            frame = data.rstrip(TRAILERS)
            if frame:
                self._counters.received += 1
                frames.append(frame)
            else:
                self._counters.empty += 1
            self._answers.append(b"%s rsp 6 200 OK\n" % number)
        elif command == b"open" and not self._is_open:
            self._is_open = True
            self._respond(number, b"200 OK\n" + _OFFERS)
        elif command == b"close":
            self.is_at_end = True
            self._answers.append(b"%s rsp 0\n0 serverclose 0\n" % number)
        else:
            self._respond(number, b"500 this command is not served here")
            self._violate(command, "no command of this session")

    def _cut(self, number: bytes, length: int, data: bytes, frames: list[bytes]) -> None:
        """Take the beginning of a message that is too long."""
        if not self._is_open:
            self._violate(data, "a message before the session is open")
            return
        self._counters.received += 1
        self._counters.oversized += 1
        frames.append(data)
        self._skip = length - len(data) + 1
        self._skipped_number = number

    def _skip_data(self, stream: bytes, at: int) -> int:
        skipped = min(self._skip, len(stream) - at)
        self._skip -= skipped
        at += skipped
        if not self._skip:
            if stream[at - 1] != 0x0A:
                self._violate(stream[at - 1 :], "no line feed behind the data")
            else:
                self._answers.append(b"%s rsp 6 200 OK\n" % self._skipped_number)
        return at

    def _respond(self, number: bytes, data: bytes) -> None:
        self._answers.append(b"%s rsp %d %s\n" % (number, len(data), data))

    def _violate(self, data: bytes, what: str) -> None:
        self.violation = f"{what}: {data[:_SHOWN_BYTES]!r}"
