"""Nearly all lines -> Records, without a regular expression for the whole of their header.

A process writes many lines, and most come within a second of another one.  So a header is read in
two parts, each of which is nearly always known from a line before: the front (PRI and time), and
the origin (host, tag and process id).  Whatever is not that plain is left to `header`, which
reads a plain line the same way.
"""

import re
from typing import Final

from mailingest.syslog.envelopes import is_own_tag, is_plain_tag, may_have_header
from mailingest.syslog.levels import is_level
from mailingest.syslog.records import REPEATS, Record
from mailingest.syslog.timestamps import Clock, Moment

HIGHEST_PRI: Final = 191
"""23 facilities times 8 plus 7 (RFC 5424 section 6.2.1)."""

# Hostname, program and process id, and whether the tag is Postfix's own.
_Origin = tuple[str, str, str, bool]

_LEGACY = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d", re.ASCII)
_LEGACY_LENGTH: Final = len("Nov 24 15:41:13")
# No stamp is shorter than the one above, and none is longer than `header` allows.
_LONGEST_STAMP: Final = len("2026-11-24T") + 40
_PRIS: Final[dict[str, int | None]] = {
    "": None,
    **{f"<{pri}>": pri for pri in range(HIGHEST_PRI + 1)},
}
_NO_PRI: Final = -1
_LONGEST_PRI: Final = len("<191>1 ")
# Without what nobody sends: a message id, and structured data.
_RFC5424_BEGINS: Final = ">1 "
_RFC5424_NIL: Final = " - - "
_RFC5424_NO_PROCID: Final = f" -{_RFC5424_NIL}"
_RFC5424_ORIGIN = re.compile(r" (\S+) (\S+) (\S+)", re.ASCII)
_ORIGIN = re.compile(r" ([^ :\[\]]+) ([^ :\[]+)(?:\[([^\] ]*)\])?")
# What stands in the host's place may be a level or a year.
_NO_HOST = re.compile(
    r"\d{4}\Z|[A-Z]+\Z|[<(]|\w+\.(?:emerg|alert|crit|err|warn|notice|info|debug)", re.ASCII
)
# A text that begins with a blank or a bracket may have a Solaris message id, and one that begins
# with an l or an m may stand for others.
_ODD_BEGINNINGS: Final = " [lm"
# Or with a byte order mark, in UTF-8 or in ISO-8859-1.
_ODD_BEGINNINGS_OF_RFC5424: Final = f"{_ODD_BEGINNINGS}\ufeff\xef"
# Made-up tags must not fill the memory: some 3 MB with usual lengths.
_MOST_ORIGINS: Final = 8192
_LONGEST_ORIGIN: Final = 128


class UsualLines:
    """Reads lines by parts, and keeps the latest of these."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # By their text, `` mx1 postfix/qmgr[318]`` or, in RFC 5424, `` mx1 postfix/qmgr 318``.
        self._origins: dict[str, _Origin] = {}
        # The front of the line before, "" if it may say something else of the next one.
        self._front = ""
        self._reference = 0.0
        self._moment = Moment(0, "")
        self._pri: int | None = None

    def __len__(self) -> int:
        """How many origins are kept."""
        return len(self._origins)

    def forget_time(self) -> None:
        """The clock reads other lines now: it has to see the time of the next one."""
        self._front = ""

    def read(self, text: str, reference: float) -> Record | None:
        """The record of a line without anything behind it; None if it needs a closer look.

        ``reference`` is as in `mailingest.syslog.header.RecordDecoder.decode`.
        """
        if text[:1] == "<" and (pri_end := text.find(_RFC5424_BEGINS, 2, _LONGEST_PRI)) > 0:
            return self._read_rfc5424(text, pri_end)
        head, _, msg = text.partition(": ")
        end = head.find(" ", _LEGACY_LENGTH)
        origin = self._origins.get(head[end:]) or self._read_origin(head[end:])
        if origin is None or (msg[:1] in _ODD_BEGINNINGS and not _is_plain(msg)):
            return None
        hostname, program, procid, is_own = origin
        if not is_own and may_have_header(msg):
            return None
        front = head[:end]
        is_known = front == self._front and reference == self._reference
        if not is_known and not self._read_front(front, hostname, reference):
            return None
        return Record(self._moment, hostname, program, procid, msg, msg, self._pri)

    def _read_rfc5424(self, text: str, pri_end: int) -> Record | None:
        stamp_at = pri_end + len(_RFC5424_BEGINS)
        stamp_end = text.find(" ", stamp_at)
        end = text.find(_RFC5424_NIL, stamp_end)
        if end < 0:
            return None
        if text.startswith(_RFC5424_NO_PROCID, end):
            end += len(" -")
        of = text[stamp_end:end]
        origin = self._origins.get(of) or self._read_rfc5424_origin(of)
        # rsyslog's %msg% begins with the blank that follows the tag in RFC 3164.
        msg = text[end + len(_RFC5424_NIL) :].lstrip(" ")
        if origin is None or (msg[:1] in _ODD_BEGINNINGS_OF_RFC5424 and not _is_plain(msg)):
            return None
        hostname, program, procid, is_own = origin
        pri = _PRIS.get(text[: pri_end + 1])
        if pri is None or (not is_own and may_have_header(msg)):
            return None
        moment = self._clock.read_iso(text[stamp_at:stamp_end], hostname)
        return moment and Record(moment, hostname, program, procid, msg, msg, pri)

    def _read_rfc5424_origin(self, text: str) -> _Origin | None:
        match = _RFC5424_ORIGIN.fullmatch(text) if len(text) <= _LONGEST_ORIGIN else None
        if match is None:
            return None
        hostname, program, procid = match.groups()
        is_own = is_own_tag(program)
        if hostname == "-" or is_level(hostname) or not is_plain_tag(program):
            return None
        return self._keep(text, (hostname, program, "" if procid == "-" else procid, is_own))

    def _read_origin(self, text: str) -> _Origin | None:
        """Read host and tag; None if one of them may be something else."""
        match = _ORIGIN.fullmatch(text) if len(text) <= _LONGEST_ORIGIN else None
        if match is None:
            return None
        hostname, program, procid = match.groups("")
        is_own = is_own_tag(program)
        if _NO_HOST.match(hostname) or not is_plain_tag(program):
            return None
        return self._keep(text, (hostname, program, procid, is_own))

    def _keep(self, text: str, origin: _Origin) -> _Origin:
        if len(self._origins) >= _MOST_ORIGINS:
            self._origins.clear()
        self._origins[text] = origin
        return origin

    def _read_front(self, front: str, hostname: str, reference: float) -> bool:
        """Read PRI and time of a line of a host; False if one of them is not valid."""
        self._front = ""
        at = front.find(">") + 1
        stamp = front[at:]
        pri = _PRIS.get(front[:at], _NO_PRI)
        if pri == _NO_PRI or len(stamp) > _LONGEST_STAMP:
            return False
        if len(stamp) != _LEGACY_LENGTH:
            moment = self._clock.read_iso(stamp, hostname)
        elif _LEGACY.fullmatch(stamp) is None:
            return False
        else:
            moment = self._clock.read_legacy(stamp, hostname, reference)
            if self._clock.is_settled(stamp, reference):
                self._front, self._reference = front, reference
        if moment is None:
            return False
        self._moment, self._pri = moment, pri
        return True


def _is_plain(msg: str) -> bool:
    """Whether a text stands for itself, though it begins as others that do not."""
    return msg[:1] in "lm" and msg != "" and REPEATS not in msg
