"""The head of a line that `log show` or `log stream` of macOS has written.  Pure.

In its forms ``default``, ``compact`` and ``syslog`` it names the process in place of the tag, so
that Postfix's daemons have no ``postfix/`` before their names.
"""

import re
from typing import Final, NamedTuple

POSTFIX_PATH: Final = "/usr/libexec/postfix/"
"""Where macOS has these daemons; in its JSON, the process is a path."""

_DAEMONS: Final = frozenset(
    (
        *("anvil", "bounce", "cleanup", "discard", "dnsblog", "error", "flush", "lmtp", "local"),
        *("master", "pickup", "pipe", "postscreen", "proxymap", "qmgr", "qmqpd", "scache", "showq"),
        *("smtp", "smtpd", "spawn", "tlsmgr", "tlsproxy", "trivial-rewrite", "verify", "virtual"),
    )
)
_NAME = r"[\w.@-]{1,64}"
_HEAD = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3,6}(?:[+-]\d{4})?) +(?:"
    rf"0x[0-9a-f]{{1,16}} +[A-Z][a-z]{{3,9}} +0x[0-9a-f]{{1,16}} +(?P<pid>\d{{1,10}}) +"
    rf"(?:\d{{1,10}} +)?(?P<name>{_NAME}):"
    rf"|[A-Z][a-z]? +(?P<short>{_NAME})\[(?P<short_pid>\d{{1,10}}):[0-9a-f]{{1,16}}\]"
    rf"|localhost (?P<syslog>{_NAME})\[(?P<syslog_pid>\d{{1,10}})\]:"
    # The library that wrote it, and its subsystem and category.
    r") ?(?:\([\w.+-]{1,64}\) )?(?:\[[\w.+-]{1,128}:[\w.+ -]{0,64}\] )?",
    re.ASCII,
)


class AppleHead(NamedTuple):
    """The time as it is written, the tag and process id, and where the text begins."""

    stamp: str
    tag: str
    procid: str
    end: int


def read_apple_head(line: str) -> AppleHead | None:
    """The head of a line; None if it is another one.

    >>> read_apple_head("2026-11-24 15:41:22.123456+0100 0x1a2b  Info  0x0  551  0  smtp: text")
    AppleHead(stamp='2026-11-24 15:41:22.123456+0100', tag='postfix/smtp', procid='551', end=65)
    """
    match = _HEAD.match(line)
    if match is None:
        return None
    name = match["name"] or match["short"] or match["syslog"]
    if match["syslog"] and name not in _DAEMONS:
        # That is what other syslog daemons write as well.
        return None
    tag = f"postfix/{name}" if name in _DAEMONS else name
    procid = match["pid"] or match["short_pid"] or match["syslog_pid"]
    return AppleHead(match["stamp"], tag, procid, match.end())
