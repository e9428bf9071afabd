"""Lines between log lines that say nothing: of syslog daemons, and of what shows logs.

syslogd writes ``-- MARK --`` to show that it is alive (RFC 3164 has no word about it, and it has no
tag); journalctl(1) where a boot begins, tail(1) which file is next, and grep(1) ``--`` between what
it found.  They are read, though there is nothing to be known from them.
"""

import re
from typing import Final

# journalctl -x also explains some messages, in lines that begin as its others do.
# rsyslog's RSYSLOG_DebugFormat has a line of a message in its ``rawmsg``, and what it knows of it
# in the lines around.  Behind a language or nothing, ``` begins and ends code in Markdown.
_MARKER: Final = re.compile(
    r"(?:--|░░)(?: .*)?|==> .* <==|`{3}\w{0,16}"
    r"|Debug line with all properties:|(?:FROMHOST: |syslogtag |TIMESTAMP: |(?:escaped )?msg: )'.*"
    r"|\$[!./]: ?.*",
    re.DOTALL,
)
_MARK: Final = re.compile(r"-{2,3} MARK -{2,3}")


def is_mark(text: str) -> bool:
    """Whether the text behind time and host is a syslog daemon's sign of life.

    >>> is_mark("-- MARK --")
    True
    """
    return _MARK.fullmatch(text) is not None


def is_marker(line: str) -> bool:
    """Whether a whole line, without any header, only stands between others.

    >>> is_marker("-- Logs begin at Mon 2026-11-23 10:00:00 CET, end at Tue 2026-11-24. --")
    True
    >>> is_marker("==> /var/log/mail.log <==")
    True
    >>> is_marker("Nov 24 15:41:22 mx1 -- MARK --")
    False
    """
    return _MARKER.fullmatch(line) is not None
