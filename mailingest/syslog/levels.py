"""Facilities and severities as words, which some syslog daemons write before a tag.

`INFO`, `mail.info`, `mail:info`, `mail info`, `<mail.info>`, `(mail.info)`, `[mail.info]`, `<2.6>`.
"""

import re
from typing import Final

# RFC 5424 section 6.2.1; numbers above 11 are named differently by each system.
_FACILITIES: Final = {
    **{"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7},
    **{"uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11},
    **{f"local{number}": 16 + number for number in range(8)},
}
_SEVERITIES: Final = {
    **{"emerg": 0, "panic": 0, "emergency": 0, "alert": 1, "crit": 2, "critical": 2, "err": 3},
    **{"error": 3, "warning": 4, "warn": 4, "notice": 5, "info": 6, "informational": 6, "debug": 7},
}
_HIGHEST_PRI: Final = 191
_FACILITY = "|".join(_FACILITIES)
_SEVERITY = "|".join(sorted(_SEVERITIES, key=len, reverse=True))

LEVEL: Final = re.compile(
    rf"(?P<open>[<(\[{{|])?(?:(?P<facility>{_FACILITY})(?:[.:|/,]| (?=(?:{_SEVERITY}) )))?"
    rf"(?P<severity>{_SEVERITY})(?![\w.-])"
    r"(?(open)[>)\]}|])(?P<colon>:?)|"
    r"<(?P<numbers>\d{1,2}\.\d|\d{1,3})>",
    re.ASCII | re.IGNORECASE,
)
"""A level at the beginning of a text."""


def is_marked(level: re.Match[str]) -> bool:
    """Whether it can be nothing else than a level; `info` alone may be the name of a host."""
    return bool(level["open"] or level["facility"] or level["numbers"] or level["colon"])


def is_level(word: str) -> bool:
    """Whether a word in the place of the host is a level, or the year."""
    level = LEVEL.fullmatch(word)
    if level is None:
        return len(word) == len("2026") and word.isdecimal()
    return is_marked(level) or word.isupper()


def is_level_name(word: str) -> bool:
    """Whether a word is the name of a facility or a severity."""
    return word.lower() in _FACILITIES or word.lower() in _SEVERITIES


def pri_of(level: re.Match[str], pri: int | None) -> int | None:
    """The PRI of a level, or the one that is known if it does not say both parts."""
    if level["numbers"]:
        facility, _, severity = level["numbers"].partition(".")
        found = int(facility) * 8 + int(severity) if severity else int(facility)
        return found if found <= _HIGHEST_PRI else pri
    if level["facility"] is None:
        return pri
    return _FACILITIES[level["facility"].lower()] * 8 + _SEVERITIES[level["severity"].lower()]
