"""Frame bytes -> Record: the syslog header taken apart, the text decoded.

Read are RFC 5424, RFC 3164 as rsyslog and log files really write it (with or without PRI, one-
and two-digit days), and the same with an RFC 3339 time stamp, the default in files since
Debian 12.  If that does not lead to a program, or leads to one that only passes lines on,
`envelopes` looks again.  No input raises: what has no header becomes a record that says so and
keeps its bytes.
"""

import re
from collections.abc import Sequence
from typing import Final

from mailingest.syslog.envelopes import (
    Peeled,
    is_own_tag,
    is_plain_tag,
    is_queue_id,
    may_have_header,
    peel,
    program_of_unit,
    without_message_id,
)
from mailingest.syslog.levels import is_level
from mailingest.syslog.markers import is_marker
from mailingest.syslog.pasted import without_entities
from mailingest.syslog.records import REPEATED, REPEATS, Record, unwrap
from mailingest.syslog.stamps import Stamp, is_zone, moment_of_stamp
from mailingest.syslog.timestamps import Clock, FileSpan, Moment, moment_of
from mailingest.syslog.usual_lines import HIGHEST_PRI, UsualLines

HEADER_NOMATCH: Final = "_syslog_header_nomatch"
TIME_NOMATCH: Final = "_syslog_time_nomatch"
PROGRAM_NOMATCH: Final = "_syslog_program_nomatch"
CHARSET_MISMATCH: Final = "_charset_mismatch"

_STAMP = r"(?:([A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d)|(\d{4}-\d\d-\d\dT[^ ]{5,40}))"
# A hostname or address; never a tag, which ends with a colon or has a process id in brackets.
_HOST = r"(?:([^ :\[\]]++|(?:[0-9A-Fa-f]*:){2}[0-9A-Fa-f:.]*(?:%[\w.-]+)?)(?: |\Z))?"
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}", re.ASCII)
_RFC3164 = re.compile(
    rf"(?:<(\d{{1,3}})>)?{_STAMP} {_HOST}(?:([^ :\[]++)(?:\[([^\] ]*+)\])?: ?)?(.*)",
    re.DOTALL | re.ASCII,
)
# Section 6.3: quotes, backslashes and brackets are escaped within a parameter's value.
# Atomic groups, since possessive ones are not sound in each Python (see grok/oniguruma.py).
_STRUCTURED_DATA = r'(-|(?>(?:\[(?>(?:[^\]"]++|"(?>(?:[^"\\]++|\\.)*)")*)\])+))'
_RFC5424 = re.compile(
    rf"<(\d{{1,3}})>[1-9]\d? (\S++) (\S++) (\S++) (\S++) (\S++) {_STRUCTURED_DATA}(?: (.*))?",
    re.DOTALL | re.ASCII,
)
# What senders put behind a line, or leave there.
_TRAILING: Final = "\r\n\0 "
# What grep(1), journalctl(1) and others put around words (ECMA-48: SGR, EL).
_COLOURS = re.compile(r"\x1b\[[\d;]{0,16}[mK]")
# What RFC 3164 (section 4.1.3) allows for a tag; rsyslog keeps to it when it forwards.
_CUT_TAG = 32
_BOM = "\ufeff"
_NO_BREAK = "\xa0"
_BOM_AS_LATIN_1 = "\xef\xbb\xbf"


class RecordDecoder:
    """Decodes frames.

    ``charset`` is a Python codec name, or ``auto``: UTF-8 where the bytes are valid UTF-8,
    ISO-8859-1 otherwise, which cannot fail.  It may be set anew between two frames.
    """

    def __init__(self, clock: Clock, *, charset: str = "auto") -> None:
        self._clock = clock
        self.charset = charset
        self._usual = UsualLines(clock)

    def begin_file(self) -> FileSpan:
        """Another file begins; see `Clock.begin_file`."""
        self._usual.forget_time()
        return self._clock.begin_file()

    def decode(self, payload: bytes, *, reference: float, peer: str = "") -> Record:
        """Decode one frame.

        ``reference`` is now when live, the file's modification time in a replay, in
        seconds since 1970; it is also the time of a line that has none of its own.  ``peer``, the
        address that the frame came from, is the hostname of a line that has none.
        """
        if payload.isascii() and b"\x1b" not in payload:
            text, is_lossless = payload.decode("ascii").rstrip(_TRAILING), True
        else:
            text, is_lossless = self._text(payload)
        if "&" in text:
            text = without_entities(text)
        record = self._usual.read(text, reference) if is_lossless else None
        if record is None:
            record = self._look_closely(payload, text, reference, peer, is_lossless=is_lossless)
        return record

    def decode_closely(self, payload: bytes, *, reference: float, peer: str = "") -> Record:
        """The same in the way that all lines can be read, which takes longer."""
        text, is_lossless = self._text(payload)
        text = without_entities(text)
        return self._look_closely(payload, text, reference, peer, is_lossless=is_lossless)

    def _look_closely(
        self, payload: bytes, text: str, reference: float, peer: str, *, is_lossless: bool
    ) -> Record:
        self._usual.forget_time()
        record = self._unusual(text, reference, peer)
        if not is_lossless:
            record.problems += (CHARSET_MISMATCH,)
        if record.problems and record.problems != (REPEATED,):
            record.raw = payload
        return record

    def _unusual(self, text: str, reference: float, peer: str) -> Record:
        """The record of any other line; what stands in the header's place may be another one."""
        match = _RFC3164.match(text)
        record = None if match is None else self._rfc3164(match, reference, peer)
        record = record or self._rfc5424(text, reference, peer)
        is_plain = record is not None and not is_level(record.hostname)
        if record is not None and is_plain and record.program and not _is_wrapper(record):
            return record
        found = peel(text)
        if found is None and _NO_BREAK in text and (record is None or not record.program):
            # Web pages keep blanks together.
            found = peel(text.replace(_NO_BREAK, " "))
        if found is not None:
            if record is not None and is_plain and _is_same(record, found):
                record.program = found.program
                return record
            return self._unwrapped(found, reference, peer)
        if record is None:
            record = Record(moment_of(reference), peer, "", "", text, text)
            record.problems = () if is_marker(text) else (HEADER_NOMATCH,)
        elif not _has_program(record) and REPEATED not in record.problems:
            record.problems += (PROGRAM_NOMATCH,)
        return record

    def _unwrapped(self, found: Peeled, reference: float, peer: str) -> Record:
        msg = without_entities(found.msg)
        hosts = found.hosts or (peer,)
        host = hosts[-1]
        moment = self._innermost(found.stamps, host, reference)
        record = Record(
            moment or moment_of(reference),
            host,
            found.program,
            found.procid,
            msg,
            msg,
            found.pri,
            found.msgid,
            found.structured_data,
            problems=() if moment else (TIME_NOMATCH,),
            relay=next((one for one in reversed(hosts) if one != host), ""),
        )
        if REPEATS in msg:
            unwrap(record)
        return record

    def _innermost(self, stamps: Sequence[Stamp], host: str, reference: float) -> Moment | None:
        """The time of the innermost header that has one; a full one around it tells its year."""
        moment = None
        for stamp in stamps:
            known = moment_of_stamp(
                stamp, self._clock, host, moment.seconds if moment else reference
            )
            moment = known or moment
        return moment

    def _text(self, payload: bytes) -> tuple[str, bool]:
        """The text of a frame, and whether it has all that the bytes say."""
        charset = self.charset
        try:
            text = payload.decode("utf-8" if charset == "auto" else charset)
            is_lossless = True
        except UnicodeDecodeError:
            # Not lossy for `auto`: every byte is a character of ISO-8859-1.
            text = payload.decode("iso-8859-1")
            is_lossless = charset == "auto"
        # Postfix has no control characters in its lines: who showed them has added colours.
        if "\x1b" in text:
            text = _COLOURS.sub("", text)
        return text.rstrip(_TRAILING), is_lossless

    def _rfc3164(self, match: re.Match[str], reference: float, peer: str) -> Record | None:
        pri_text, legacy, iso, hostname, program, procid, msg = match.groups()
        pri = int(pri_text) if pri_text else None
        if pri is not None and pri > HIGHEST_PRI:
            return None
        host = hostname or peer
        if legacy:
            moment = self._clock.read_legacy(legacy, host, reference)
        else:
            moment = self._clock.read_iso(iso, host)
        if moment is None:
            return None
        if program is None:
            program, msg = _cut_tag(msg)
        elif procid is None and is_queue_id(program):
            program, msg = "", f"{program}: {msg}"
        # A blank, a message id of Solaris, or nothing.
        if msg[:1] in " [":
            msg = without_message_id(msg.lstrip(" "))
        record = Record(moment, host, program or "", procid or "", msg, msg, pri)
        if REPEATS in msg:
            unwrap(record)
        return record

    def _rfc5424(self, text: str, reference: float, peer: str) -> Record | None:
        match = _RFC5424.fullmatch(text)
        if match is None:
            return None
        pri_text, stamp, hostname, app_name, procid, msgid, structured_data, msg = match.groups()
        pri = int(pri_text)
        if pri > HIGHEST_PRI:
            return None
        host = peer if hostname == "-" else hostname
        moment = None if stamp == "-" else self._clock.read_iso(stamp, host)
        problems = () if moment or stamp == "-" else (TIME_NOMATCH,)
        # rsyslog's %msg% begins with the blank that follows the tag in RFC 3164.
        msg = without_message_id(_without_bom((msg or "").lstrip(" ")))
        record = Record(
            moment or moment_of(reference),
            host,
            "" if app_name == "-" else app_name,
            "" if procid == "-" else procid,
            msg,
            msg,
            pri,
            "" if msgid == "-" else msgid,
            "" if structured_data == "-" else structured_data,
            problems=problems,
        )
        if REPEATS in msg:
            unwrap(record)
        return record


def missing_part(problems: Sequence[str]) -> str:
    """The tag of a line without a program, "" of one that stands for others.

    sysklogd repeats lines without naming one.
    """
    return next((tag for tag in (HEADER_NOMATCH, PROGRAM_NOMATCH) if tag in problems), "")


def _is_wrapper(record: Record) -> bool:
    """Whether a tag may be that of what only passes the line on."""
    tag, msg = record.program, record.msg
    if not is_plain_tag(tag):
        return True
    return not is_own_tag(tag) and (msg.startswith(":") or may_have_header(msg))


def _has_program(record: Record) -> bool:
    """Whether what stands in the place of the tag may be one."""
    tag = record.program
    return bool(tag) and not is_zone(tag) and _ADDRESS.fullmatch(tag) is None


def _is_same(record: Record, found: Peeled) -> bool:
    """Whether there was nothing to peel."""
    return record.msg == found.msg and program_of_unit(record.program) == found.program


def _cut_tag(msg: str) -> tuple[str, str]:
    """Program and text of a line whose tag rsyslog's forward format has cut (%syslogtag:1:32%)."""
    tag, _, text = msg.partition(" ")
    if len(tag) != _CUT_TAG:
        return "", msg
    program, bracket, _ = tag.partition("[")
    # Without a bracket the name itself may be cut, as smtp of smtpd: only the instance is sure.
    return (program if bracket else program.partition("/")[0]), text


def _without_bom(msg: str) -> str:
    """Section 6.4: a message that begins with a byte order mark is UTF-8, whatever else is set."""
    if msg.startswith(_BOM_AS_LATIN_1):
        try:
            msg = msg.encode("iso-8859-1").decode("utf-8")
        except UnicodeError:
            return msg[len(_BOM_AS_LATIN_1) :]
    return msg.removeprefix(_BOM)
