"""The bytes of a text file -> UTF-8 with a log line in each line, whatever form the file has.

Files from Windows are UTF-16; some of the journal's output takes several lines for an entry.
"""

import codecs
from collections.abc import Callable
from typing import Final

from mailingest.inputs.compressed import ByteStream
from mailingest.syslog.journal_entries import EntryReader, reader_of

# As much as tells the form: the first line of `journalctl -o verbose`.
SNIFFED_BYTES: Final = 256
# Three characters of UTF-16, where there is no byte order mark.
_FEWEST_BYTES: Final = 6


class _Rereadable:
    """A stream of which a beginning was read already."""

    def __init__(self, beginning: bytes, stream: ByteStream) -> None:
        self._beginning = beginning
        self._stream = stream

    def read1(self, size: int, /) -> bytes:
        if self._beginning:
            data, self._beginning = self._beginning[:size], self._beginning[size:]
            return data
        return self._stream.read1(size)


class _Utf16:
    """UTF-16 as UTF-8; what is no character becomes U+FFFD."""

    def __init__(self, stream: ByteStream, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def read1(self, size: int, /) -> bytes:
        while data := self._stream.read1(size):
            if text := self._decoder.decode(data):
                return text.encode()
        return self._decoder.decode(b"", final=True).encode()


class _Entries:
    """The lines that a reader makes of a stream."""

    def __init__(self, stream: ByteStream, reader: EntryReader) -> None:
        self._stream = stream
        self._reader = reader
        self._is_closed = False

    def read1(self, size: int, /) -> bytes:
        while data := self._stream.read1(size):
            if lines := self._reader.receive_data(data):
                return lines
        if self._is_closed:
            return b""
        self._is_closed = True
        return self._reader.close()


def form_of(beginning: bytes) -> Callable[[ByteStream], ByteStream] | None:
    """What makes lines of a stream that begins like this; None if it has them already."""
    encoding = _utf16(beginning)
    if encoding is not None:
        return lambda stream: transcoded(_Utf16(stream, encoding))
    reader = reader_of(beginning.removeprefix(codecs.BOM_UTF8))
    if reader is not None:
        return lambda stream: _Entries(stream, reader)
    return None


def transcoded(stream: ByteStream) -> ByteStream:
    """A stream of lines, of a stream of any form."""
    beginning = stream.read1(SNIFFED_BYTES)
    form = form_of(beginning)
    again = _Rereadable(beginning, stream)
    return again if form is None else form(again)


def _utf16(beginning: bytes) -> str | None:
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # A log line begins with characters of ISO-8859-1, whatever comes later.
    high, low = beginning[0:_FEWEST_BYTES:2], beginning[1:_FEWEST_BYTES:2]
    if len(beginning) >= _FEWEST_BYTES:
        if not any(low) and all(high):
            return "utf-16-le"
        if not any(high) and all(low):
            return "utf-16-be"
    return None
