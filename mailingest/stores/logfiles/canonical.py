"""Lines with any header -> lines with the usual one, so that searches know where to look.

Nearly all lines have it, and a block of these costs one look.  The others go through the decoder:
what other systems put around a line is taken off, and what cannot be read is counted.
"""

import re
from collections.abc import Iterator
from typing import Final

from mailingest.syslog.header import HEADER_NOMATCH, PROGRAM_NOMATCH, RecordDecoder
from mailingest.syslog.records import Record

_STAMP = rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,]{8,26}[Z\d:+-]{0,7})"
# A level or a year is no host; in doubt the decoder is asked.
_LEVEL = rb"(?:\w{1,8}[.:])?(?:info|notice|warn|err|debug|crit|alert|emerg|panic)"
_HOST = rb"(?!\d{4} |[A-Z]+ |\w{1,8}\." + _LEVEL + rb"|" + _LEVEL + rb")[^ :\[\]<>(\n]++ "
# Behind a tag that is not Postfix's may stand another header.
_NO_HEADER = (
    rb"(?![ {<\[@#\x1b\x1e\xef\n]|\d{4}[-/. ]|\d{10}|\d{1,2}[. ]|[\w.-]{1,64}/[\w./-]{1,64}\[|"
    rb"\S{2,12} [ \d]\d |(?i:" + _LEVEL + rb")\S* [^ \n]{1,128}\[)"
)
_USUAL = (
    rb"(?:<\d{1,3}>)?(?:"
    + _STAMP
    + rb" (?:"
    + _HOST
    + rb")(?:postfix[^ :\[/\n]*+/[^ :\[\n]++(?:\[\d++\])?: (?!\[)|[^ :\[\n]++(?:\[\d*+\])?: "
    + _NO_HEADER
    + rb")|(?<=>)1 "
    + _STAMP
    + rb" [^ \n]++ (?:postfix[^ /\n]*+/[^ \n]++ [^ \n]++ [^ \n]++ -  ?(?!\[)"
    + rb"|[^ \n-][^ \n]*+ [^ \n]++ [^ \n]++ -  ?"
    + _NO_HEADER
    + rb"))"
)
# Most lines of most logs, known with fewer steps.
_FREQUENT = (
    rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [a-z][^ :\[\]<>(\n]*+ "
    rb"postfix[^ :\[/\n]*+/[a-z/-]++\[\d++\]: [^\[\n]"
)
_LINE: Final = re.compile(_USUAL)
_UNUSUAL: Final = re.compile(rb"\n(?!" + _FREQUENT + rb"|" + _USUAL + rb")(?=[^\n])")
_UNREAD: Final = frozenset({HEADER_NOMATCH, PROGRAM_NOMATCH})
# What the usual header has no room for.
_NO_TAG = re.compile(r"[\s:\[]|\A\Z")
_NO_HOST = re.compile(r"[\s\[\]]")
_NO_PROCID = re.compile(r"[\s\]]")


class CanonicalLines:
    """Reads one file once, block after block.

    ``lines`` are those that are not empty, ``unread`` those of them that have no header that is
    known, or one without a program; ``is_usual`` is whether all have the usual one.  ``reference``
    is when the file was written last.
    """

    def __init__(self, decoder: RecordDecoder, charset: str, reference: float) -> None:
        self.lines = 0
        self.unread = 0
        self.is_usual = True
        self._decoder = decoder
        self._codec = "utf-8" if charset == "auto" else charset
        self._reference = reference

    def block(self, block: bytes) -> bytes:
        """A block of lines, each with its line feed, with usual headers where there are others."""
        if _UNUSUAL.search(b"\n" + block) is None:
            self.lines += sum(map(bool, block.split(b"\n")))
            return block
        self.is_usual = False
        return b"".join(self._each(block))

    def _each(self, block: bytes) -> Iterator[bytes]:
        for line in block.split(b"\n")[:-1]:
            if _LINE.match(line) is None and line and not line.isspace():
                yield self._decoded(line)
            else:
                self.lines += bool(line)
                yield line
            yield b"\n"

    def _decoded(self, line: bytes) -> bytes:
        self.lines += 1
        record = self._decoder.decode(line, reference=self._reference)
        if not _UNREAD.isdisjoint(record.problems):
            self.unread += 1
            return line
        usual = _line_of(record)
        return line if usual is None else usual.encode(self._codec, "replace")


def _line_of(record: Record) -> str | None:
    """The record with a usual header; None if that has no room for it."""
    if _NO_TAG.search(record.program) or _NO_HOST.search(record.hostname):
        return None
    if _NO_PROCID.search(record.procid):
        return None
    pri = "" if record.pri is None else f"<{record.pri}>"
    host = record.hostname and f"{record.hostname} "
    procid = record.procid and f"[{record.procid}]"
    msg = record.msg.replace("\n", "#012").replace("\0", "#000")
    return f"{pri}{record.moment.text} {host}{record.program}{procid}: {msg}"
