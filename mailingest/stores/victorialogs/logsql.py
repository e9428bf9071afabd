"""LogsQL: the one place where a name or a value becomes a part of a query.

Whatever a text has in it, it stands in a query as one quoted string, which the server reads by the
rules of Go (`strconv.Unquote`): so it can neither end the string nor be taken for a filter, a pipe
or a wildcard.

Source: https://docs.victoriametrics.com/victorialogs/logsql/ and `lib/logstorage/parser.go`.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

ALL: Final = "*"
NOTHING: Final = "!*"

# What stands for bytes that are no text.  v1.52 does not find a word that stands beside it (the
# check of neighbours in `filter_phrase.go`), so those are left out of what is asked for.
_UNKNOWN: Final = "\ufffd"
# The server keeps a column of such texts as numbers, and gives 0.3 back as 0.30000000000000004, and
# 2.10 as 2.1 (`values_encoder.go`).
_LIKE_A_NUMBER: Final = re.compile(r"-?\d+\.\d+", re.ASCII)
_SPECIAL: Final = re.compile(r'["\\\x00-\x1f\x7f]')
_OF_REGEX: Final = re.compile(r"[^0-9A-Za-z_\x80-\U0010ffff]")


def quoted(text: str) -> str:
    r"""A text as a string of LogsQL; it has to be encodable.

    >>> print(quoted('a"b\\c\n* | {}'))
    "a\"b\\c\u000a* | {}"
    """
    return f'"{_SPECIAL.sub(_escaped, text)}"'


def kept(text: str) -> str:
    """A text as it is kept: in quotes if it looks like a number, for the server to leave it alone.

    >>> kept("2.10"), kept("2.1.0")
    ('"2.10"', '2.1.0')
    """
    return text if _LIKE_A_NUMBER.fullmatch(text) is None else f'"{text}"'


def encodable(text: str) -> str:
    """Text that a request takes: what the command line could not decode is not in any line."""
    return text.encode("utf-8", "replace").decode("utf-8")


def equals(field: str, text: str) -> str:
    """Lines whose field is the text; of an empty one, lines without the field."""
    if _UNKNOWN in text:
        return among(field, [text])
    return f"{quoted(field)}:={quoted(kept(text))}"


def among(field: str, texts: Collection[str]) -> str:
    """Lines whose field is one of the texts."""
    if not texts:
        return NOTHING
    return f"{quoted(field)}:in({','.join(quoted(kept(text)) for text in texts)})"


def starts(field: str, text: str) -> str:
    """Lines whose field begins with the text, and maybe others if a character of it is unknown."""
    if _UNKNOWN in text:
        return contains(field, text)
    return f"{quoted(field)}:={quoted(text)}*"


def contains(field: str, text: str) -> str:
    """Lines whose field has the text anywhere; likewise."""
    if _UNKNOWN in text:
        known = [part for part in text.split(_UNKNOWN) if part]
        return all_of([contains(field, part) for part in known] or [exists(field)])
    return f"{quoted(field)}:*{quoted(text)}*"


def ends(field: str, text: str) -> str:
    """Lines whose field ends with the text; likewise."""
    if _UNKNOWN in text:
        return contains(field, text)
    # To look for the text takes a tenth of the time of the expression.
    return all_of([contains(field, text), _matches(field, f"{_literal(text)}$")])


def contains_in_any_case(field: str, text: str) -> str:
    """Lines whose field has the text anywhere, in any case of letters; likewise."""
    if _UNKNOWN in text:
        known = [part for part in text.split(_UNKNOWN) if part]
        return all_of([contains_in_any_case(field, one) for one in known] or [exists(field)])
    return _matches(field, f"(?i){_literal(text)}")


def exists(field: str) -> str:
    """Lines that have the field."""
    return f"{quoted(field)}:*"


def within(since: datetime | None, until: datetime | None) -> list[str]:
    """The time span as a filter, none if it has no bounds; ``since`` is included."""
    filters = []
    if since is not None:
        filters.append(f"_time:>={stamp(since)}")
    if until is not None:
        filters.append(f"_time:<{stamp(until)}")
    return filters


def stamp(time: datetime) -> str:
    """A time of a query, to the nanosecond: a shorter one would stand for a longer moment."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def any_of(filters: Collection[str]) -> str:
    """Lines that meet one of the filters."""
    return f"({' or '.join(filters)})" if filters else NOTHING


def all_of(filters: Collection[str]) -> str:
    """Lines that meet all of the filters."""
    return f"({' '.join(filters)})" if filters else ALL


def none_of(filters: Collection[str]) -> str:
    """Lines that meet none of the filters."""
    return f"!{any_of(filters)}" if filters else ALL


def in_parts(texts: Iterable[str], most: int) -> Iterator[list[str]]:
    """The texts in lists of which each takes ``most`` bytes of a query, or is of one text."""
    part: list[str] = []
    size = 0
    for text in texts:
        needed = len(quoted(text).encode()) + 1
        if part and size + needed > most:
            yield part
            part, size = [], 0
        part.append(text)
        size += needed
    if part:
        yield part


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"


def _matches(field: str, expression: str) -> str:
    return f"{quoted(field)}:~{quoted(expression)}"


def _literal(text: str) -> str:
    """A regular expression (RE2) for just this text."""
    return _OF_REGEX.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
