"""Texts of log lines -> message templates: the fixed words, with placeholders for the variables.

Lines of one template were most likely written by the same place in a program, so one pattern is
enough for them.  A template is for people, and for counting; nothing else depends on it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

# Characters; what comes later in a line is variable anyway.
_LONGEST: Final = 1000
# Untrusted lines must not fill the memory: each template is kept with one example.
MOST_TEMPLATES: Final = 4096

# Every part is taken possessively and up to a fixed end, so that the time is linear.
_PART = re.compile(
    r"""
    (?P<angle> <[^<>]*+> )
    | (?P<quoted> "[^"]*+" )
    | (?P<apostrophes> (?<!\w)'[^']*+'(?!\w) )
    | (?P<square> \[[^\[\]]*+\] )
    | (?P<round> \([^()]*+\) )
    | (?P<path> (?<![\w/])/[\w.+@%/-]++ )
    | (?P<colons>
        (?<![\w:])[0-9A-Fa-f]{0,4}(?>(?::[0-9A-Fa-f.]{0,15}){2,8})(?>(?:%\w{1,16})?)(?![\w:]) )
    | (?P<word> [\w.+@%/-]++ )
    """,
    re.VERBOSE,
)
_PLACEHOLDERS: Final = {
    "angle": "<...>",
    "quoted": '"..."',
    "apostrophes": "'...'",
    "square": "[...]",
    "round": "(...)",
    "path": "PATH",
}
# Short and long ones without a digit (global/mail_queue.h); what has a digit is an ID anyway.
_QUEUE_ID = re.compile(r"[A-F]{6,}|[B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{12,}")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,/%-][0-9]*)*")
_HOSTNAME = re.compile(r"[\w-]+(?:\.[\w-]+)+")
# Equal placeholders one after another are a list of any length.
_LIST = re.compile(r"(\b[A-Z]{2,7}\b|<\.{3}>|\[\.{3}\])(?:,? \1)+")


def message_template(text: str) -> str:
    """The template of a line's text: numbers, IDs, names and the like are placeholders."""
    rest = "" if len(text) <= _LONGEST else " ..."
    return _LIST.sub(r"\1 ...", _PART.sub(_placeholder, text[:_LONGEST])) + rest


def _placeholder(part: re.Match[str]) -> str:
    kind = part.lastgroup or ""
    if kind in _PLACEHOLDERS:
        return _PLACEHOLDERS[kind]
    text = part[0]
    # What ends a sentence does not belong to its last word; two colons may end an address.
    word = text.rstrip(".")
    if word.endswith(":") and not word.endswith("::"):
        word = word[:-1]
    return _word(word) + text[len(word) :]


def _word(word: str) -> str:
    if "@" in word:
        return "ADDRESS"
    if ":" in word or _NUMBER.fullmatch(word):
        return "IP" if _is_ip(word) else "NUMBER"
    if _HOSTNAME.fullmatch(word):
        return "HOST"
    if any("0" <= character <= "9" for character in word) or _QUEUE_ID.fullmatch(word):
        return "ID"
    return word


def _is_ip(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class TemplateCount:
    """How many lines of a program have a template; ``example`` is the text of the first."""

    program: str
    template: str
    count: int
    example: str


class TemplateCounter:
    """Counts lines by program and message template, in bounded memory.

    ``other`` counts the lines of further templates, once there are too many.
    """

    def __init__(self, most: int = MOST_TEMPLATES) -> None:
        self.other = 0
        self._most = most
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], str] = {}

    def add(self, program: str, text: str) -> None:
        """Count a line."""
        key = (program, message_template(text))
        if key not in self._examples:
            if len(self._examples) >= self._most:
                self.other += 1
                return
            self._examples[key] = text[:_LONGEST]
        self._counts[key] += 1

    def counts(self) -> Iterator[TemplateCount]:
        """The most frequent first, then in the order in which they came."""
        for (program, template), count in self._counts.most_common():
            yield TemplateCount(program, template, count, self._examples[program, template])
