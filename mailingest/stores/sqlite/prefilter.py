"""What is looked for in a block -> the lines that may have it, so that no other one is parsed.

A field that is a key stands in the JSON of its document as it is, but for characters that JSON
escapes, and for case: of what is not ASCII only the parsed text tells how it folds.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

# What stands in the JSON text of a document as it stood in the log.
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]+")


class Substring(NamedTuple):
    """Bytes that a line has to have, in lower case if ``is_folded``; any line has none."""

    text: bytes
    is_folded: bool


def substring_of(text: str, *, is_folded: bool) -> Substring:
    """What each line has that has the text in a field; if it is folded, in any case."""
    return Substring(max(_PLAIN.findall(text), key=len, default="").encode(), is_folded)


class Sought(NamedTuple):
    """What a line has to have: any of the substrings; or it lacks ``unless``, if that is set."""

    substrings: Collection[Substring]
    unless: bytes = b""


ANYTHING: Final = Sought([Substring(b"", is_folded=False)])
"""What all lines have."""


def lines_with(text: bytes, sought: Sought) -> Iterable[tuple[int, bytes]]:
    """The lines that may have what is sought, each with its place; in their order.

    >>> any_of_two = Sought([Substring(b"three", True), Substring(b"T", False)])
    >>> list(lines_with(b"one\\ntwo\\nThree", any_of_two))
    [(2, b'Three')]
    """
    if any(not one.text for one in sought.substrings):
        return enumerate(text.split(b"\n"))
    starts = set(_starts(text, sought.substrings))
    if sought.unless and text.count(sought.unless) <= text.count(b"\n"):
        starts.update(_where(text, lambda line: sought.unless not in line))
    return _lines_at(text, sorted(starts))


def _lines_at(text: bytes, starts: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    place = counted = 0
    for start in starts:
        place += text.count(b"\n", counted, start)
        counted = start
        end = text.find(b"\n", start)
        yield place, text[start : end if end >= 0 else len(text)]


def _starts(text: bytes, substrings: Iterable[Substring]) -> Iterator[int]:
    """Where the lines begin."""
    folded = b""
    for one in substrings:
        if one.is_folded and not folded:
            folded = text.lower()
            if not text.isascii():
                yield from _where(text, lambda line: not line.isascii())
        within = folded if one.is_folded else text
        found = within.find(one.text)
        while found >= 0:
            yield text.rfind(b"\n", 0, found) + 1
            end = text.find(b"\n", found)
            found = within.find(one.text, end) if end >= 0 else -1


def _where(text: bytes, fits: Callable[[bytes], bool]) -> Iterator[int]:
    start = 0
    for line in text.split(b"\n"):
        if fits(line):
            yield start
        start += len(line) + 1
