"""Texts to find -> the lines of a block of a log that have one of them, whatever their case.

Whole blocks are searched, not lines, since most lines have none of the texts.  What is found may be
more than is meant, but never less: only a part of a text is searched for, if there are characters
in it whose case or charset is not certain.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

# Looking for one text after the other takes as long for this many as cutting a block into words.
_FEW: Final = 16
_PLAIN: Final = re.compile(r"[ -~]+")
_WORD: Final = re.compile(rb"[0-9a-z]+")
_ANY_WORD: Final = re.compile(r"[0-9A-Za-z]+")
_WORD_BYTES: Final = b"0123456789abcdefghijklmnopqrstuvwxyz"
_TO_WORDS: Final = bytes(byte if byte in _WORD_BYTES else 0x20 for byte in range(256))

Line = tuple[int, int]
"""Where a line begins in a block, and where its line feed is."""


def plain_part(text: str) -> bytes:
    """The longest part of a text that is the same in each charset, in lower case."""
    return max(_PLAIN.findall(text.lower()), key=len, default="").encode("ascii")


def words(line: bytes) -> set[str]:
    """The words of a line, made of letters and digits."""
    return set(_ANY_WORD.findall(line.decode("iso-8859-1")))


class SubstringPrefilter:
    """Finds lines that have any of the substrings; an empty one is in every line."""

    def __init__(self, substrings: Iterable[bytes]) -> None:
        self._each: list[bytes] = []
        self._by_word: dict[bytes, list[bytes]] = {}
        wanted = dict.fromkeys(substrings)
        for one in wanted:
            word = max(_WORD.findall(one), key=len, default=b"")
            if word and len(wanted) > _FEW:
                self._by_word.setdefault(word, []).append(one)
            else:
                self._each.append(one)

    def lines(self, lowered: bytes) -> list[Line]:
        """The lines of a block in lower case, which ends with a line feed; in their order."""
        found: set[Line] = set()
        for one in self._each:
            found.update(_lines_with(one, lowered))
        if self._by_word:
            words = lowered.translate(_TO_WORDS).split()
            for word in self._by_word.keys() & words:
                for one in self._by_word[word]:
                    found.update(_lines_with(one, lowered))
        return sorted(found)


def line_at(block: bytes, at: int) -> Line:
    """The line that a byte of a block stands in."""
    return block.rfind(b"\n", 0, at) + 1, block.find(b"\n", at)


def _lines_with(substring: bytes, lowered: bytes) -> Iterator[Line]:
    at = lowered.find(substring)
    while 0 <= at < len(lowered):
        line = line_at(lowered, at)
        yield line
        at = lowered.find(substring, line[1] + 1)
