"""Text in the log, and what it says when it is decoded: readings with the way back; pure.

A name may stand in a text in many forms.  So the text is decoded, in each way by itself, and the
name is looked for in what comes of it; each character there knows where it came from.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Final

# Mail stores, forms and people put one of these for another (Cyrus: ^ for a dot).
_SEPARATORS: Final = str.maketrans(
    dict.fromkeys("_-^+ ", ".") | dict.fromkeys("\u2018\u2019\u02bc`\xb4", "'")
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as it reads, folded: ``places`` has where each character began, and the end.

    Without ``places`` each character is where it was.
    """

    text: str
    places: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the reading stands in the text."""
        return (start, end) if self.places is None else (self.places[start], self.places[end])


def fold(text: str) -> str:
    """Text without case, accents, and the differences of what separates words."""
    return _folded(text, None).text


def readings(text: str) -> Iterator[Reading]:
    """The ways to read a text: as it stands, decoded in each way by itself, and in all of them."""
    plain = _Text(text, range(len(text) + 1))
    yield _folded(text, None)
    if _MARKS.isdisjoint(text):
        return
    for code in _CODES:
        for decoded in _repeatedly(plain, [code]):
            yield _folded(decoded.text, decoded.places)
    for decoded in _repeatedly(plain, _TOGETHER):
        yield _folded(decoded.text, decoded.places)


# A URL in a URL in a URL.
_MOST_TIMES: Final = 3
# Without one of these there is nothing to decode.
_MARKS: Final = frozenset("%+=\\#'\"&")

_Pieces = Iterator[tuple[str, int]]
"""Characters, each with the length of what they were decoded from."""


def _octets(code: str) -> _Pieces:
    """Hexadecimal octets, each with a mark before it; as UTF-8 if they are."""
    octets = bytes.fromhex(re.sub(r"[^0-9A-Fa-f]", "", code))
    try:
        characters, charset = octets.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        characters, charset = octets.decode("latin-1"), "latin-1"
    for one in characters:
        yield one, 3 * len(one.encode(charset))


def _hexadecimal(code: str) -> _Pieces:
    yield _character(int(code.lstrip("\\xuU"), 16)), len(code)


def _octal(code: str) -> _Pieces:
    yield _character(int(code[1:], 8)), len(code)


def _character(value: int) -> str:
    return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"


def _second(code: str) -> _Pieces:
    yield code[-1], len(code)


def _entity(code: str) -> _Pieces:
    plain = unescape(code)
    for number, one in enumerate(plain):
        yield one, 0 if number else len(code)


@dataclass(frozen=True, slots=True)
class _Code:
    """What stands for something else, and for what."""

    pattern: re.Pattern[str]
    decode: Callable[[str], _Pieces]


_URL: Final = _Code(re.compile(r"(?:%[0-9A-Fa-f]{2})+"), _octets)  # RFC 3986, 2.1
_XTEXT: Final = _Code(re.compile(r"(?:\+[0-9A-Fa-f]{2})+"), _octets)  # RFC 3461, 4
_QUOTED_PRINTABLE: Final = _Code(re.compile(r"(?:=[0-9A-Fa-f]{2})+"), _octets)  # RFC 2045, 6.7
# C, Python and JSON.
_ESCAPE: Final = _Code(
    re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"), _hexadecimal
)
_OCTAL: Final = _Code(re.compile(r"[\\#][0-7]{3}"), _octal)  # the first is C's, # is rsyslog's
# A quoted-pair of RFC 5321, and the doubled quote of SQL.
_PAIR: Final = _Code(re.compile(r"\\[^\w\s]|\\[ \\\\]|''|\"\"", re.ASCII), _second)
_HTML: Final = _Code(re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"), _entity)
_CODES: Final = (_URL, _XTEXT, _QUOTED_PRINTABLE, _ESCAPE, _OCTAL, _PAIR, _HTML)
# + and = mostly stand for themselves.
_TOGETHER: Final = (_URL, _HTML, _ESCAPE, _OCTAL, _PAIR)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text that may be decoded; ``places`` as in `Reading`, of each character."""

    text: str
    places: Sequence[int]


def _repeatedly(text: _Text, codes: Sequence[_Code]) -> Iterator[_Text]:
    """The text with all codes decoded, and again for as long as there are some."""
    for _ in range(_MOST_TIMES):
        before = text
        for code in codes:
            text = _decoded(text, code)
        if text is before:
            return
        yield text


def _decoded(text: _Text, code: _Code) -> _Text:
    """The text with a code decoded; itself if it has none."""
    pieces: list[str] = []
    places: list[int] = []
    end = 0
    for match in code.pattern.finditer(text.text):
        pieces.append(text.text[end : match.start()])
        places.extend(text.places[end : match.start()])
        place = match.start()
        for characters, length in code.decode(match[0]):
            pieces.append(characters)
            places.append(text.places[place])
            place += length
        end = match.end()
    if not end:
        return text
    pieces.append(text.text[end:])
    places.extend(text.places[end:])
    return _Text("".join(pieces), places)


def _folded(text: str, places: Sequence[int] | None) -> Reading:
    if text.isascii():
        return Reading(text.lower().translate(_SEPARATORS), places)
    before = places if places is not None else range(len(text) + 1)
    pieces = list(map(_fold_character, text))
    found = [before[place] for place, piece in enumerate(pieces) for _ in piece]
    return Reading("".join(pieces).translate(_SEPARATORS), [*found, before[len(text)]])


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character)
    return "".join(one for one in plain if not unicodedata.combining(one)).casefold()
