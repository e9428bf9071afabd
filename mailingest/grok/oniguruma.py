"""Oniguruma translation: regular expressions of Logstash's pattern files -> those of Python's `re`.

Logstash matches with Oniguruma and Ruby's syntax (Onigmo, doc/RE).  What `re` has under another
syntax is translated; what it lacks, or would do differently, is refused with a hint.  Two things
differ on purpose: a dot is any character, since a text is one line, and of a name that is captured
twice the last value is kept.
"""

import re
import sys
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

# \w, \d and \s are ASCII; ^ and $ are the ends of a line.
FLAGS: Final = re.ASCII | re.DOTALL | re.MULTILINE

_ESCAPE = (
    r"\\(?:x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{1,2}|u\{[0-9A-Fa-f]+\}|u[0-9A-Fa-f]{4}|0[0-7]{0,2}"
    r"|[pPkg](?:\{[^{}]*\}|<[^<>]*>|'[^']*')|.)"
)
_TOKEN = re.compile(
    rf"""
    (?P<reference> %\{{[^{{}}]*\}} )
    | (?P<escape> {_ESCAPE} )
    | (?P<set> \[ )
    | (?P<comment> \(\?\#(?:\\.|[^)\\])*\) )
    | (?P<named> \(\?(?:P?<(?![=!])(?P<name>[^>]*)>|'(?P<quoted>[^']*)') )
    | (?P<flags> \(\?(?=[a-z-]+[:)])(?P<on>[a-z]*)(?:-(?P<off>[a-z]*))?(?P<end>[:)]) )
    | (?P<group> \((?:\?(?:[:=!>]|<[=!])|(?!\?)) )
    | (?P<unknown> \(\?.?.? )
    | (?P<close> \) )
    | (?P<repeat> (?:[*+?]|\{{[0-9]+(?:,[0-9]*)?\}}|\{{,[0-9]+\}})[?+]? )
    | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)
_SET_TOKEN = re.compile(
    rf"""
    (?P<bracket> \[:(?P<negated>\^?)(?P<bracket_name>[a-z]+):\] )
    | (?P<both> && )
    | (?P<reference> %\{{\w+[^{{}}]*\}} )
    | (?P<escape> {_ESCAPE} )
    | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)
# A backslash and what it escapes, or a set (a bracket that comes first stands for itself).
ATOM: Final = r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]"
_PLAIN_TOKEN = re.compile(ATOM + r"|\(\?P<g(\d+)>|\(\?|[()|]", re.DOTALL)

_ATOMIC_TOKEN = re.compile(ATOM + r"|(?:[*+?]|\{[0-9,]+\})\+|.", re.DOTALL)
# CPython before 3.11.5 (Debian 12 has 3.11.2) keeps what the failed repetition of a possessive
# group took in (gh-106052).
_IS_POSSESSIVE_SOUND: Final = re.fullmatch("a++(?:,a++)*+,b", "a,b") is not None

_HEX = "0-9A-Fa-f"
_NOT_HEX = r"\x00-/:-@G-`g-\U0010ffff"
_ESCAPES = {
    **{letter: f"\\{letter}" for letter in "AbBdDsSwWtnrfva"},
    "e": r"\x1b",
    "h": f"[{_HEX}]",
    "H": f"[^{_HEX}]",
    "R": r"(?>\r\n|[\n-\r\x85\u2028\u2029])",
    "z": r"\Z",
    "Z": r"(?=\n?\Z)",
}
_CHARACTERS_IN_SETS = {**{letter: f"\\{letter}" for letter in "btnrfva"}, "e": r"\x1b"}
_SETS_IN_SETS = {**{letter: f"\\{letter}" for letter in "dDsSwW"}, "h": _HEX, "H": _NOT_HEX}
_REFUSED = {
    **dict.fromkeys("123456789k", "back references ({}) are not supported: write the text out"),
    "g": "calls of groups ({}) are not supported: make a pattern of it and write %{{NAME}}",
    **dict.fromkeys("pP", "{} is not supported: write [[:alpha:]] and the like, or the characters"),
    **dict.fromkeys("cCM", "{} is not supported: write the character as \\xHH"),
    "G": "{} is not supported: a text is matched once, so write \\A",
    "K": "{} is not supported: write (?<=...) around what comes before",
    "X": "{} is not supported: write the characters out",
}
# Bracket expressions: categories of Unicode, and characters besides.
_LETTERS = ("L", "M", "Nd")
_VISIBLE = ("L", "M", "N", "P", "S", "Cf", "Co")
_BRACKETS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "alnum": (_LETTERS, ""),
    "alpha": (("L", "M"), ""),
    "ascii": ((), "".join(map(chr, range(128)))),
    "blank": (("Zs",), "\t"),
    "cntrl": (("C",), ""),
    "digit": (("Nd",), ""),
    "graph": (_VISIBLE, ""),
    "lower": (("Ll",), ""),
    "print": ((*_VISIBLE, "Zs"), ""),
    "punct": (("P",), "$+<=>^`|~"),
    "space": (("Z",), "\t\n\v\f\r\x85"),
    "upper": (("Lu",), ""),
    "word": ((*_LETTERS, "Pc"), ""),
    "xdigit": ((), "0123456789ABCDEFabcdef"),
}
# Error messages of `re`, with what to do about them.
_HINTS = {
    "look-behind requires fixed-width pattern": "give all its alternatives the same length",
    "nothing to repeat": "write \\*, \\+ or \\? for the character",
}


class NotTranslatable(Exception):
    """Oniguruma syntax without an equivalent in `re`: the reason and a hint."""


def translate(pattern: str) -> str:
    """Translate a pattern, which may contain %{NAME}, for `re`; raises NotTranslatable.

    Named groups come out as ``(?<name>``, whatever the name is.
    """
    parts: list[str] = []
    # For each open group: where it begins, and how many (?i) hold from their place to its end.
    groups = [_Group(0)]
    # Where that begins which a repetition would repeat, and whether it is a repetition itself.
    atom, is_repeated = 0, False
    position = 0
    while token := _TOKEN.match(pattern, position):
        position = token.end()
        text = token[0]
        was_repeated, is_repeated = is_repeated, False
        if token.lastgroup not in ("repeat", "comment"):
            atom = len(parts)
        match token.lastgroup:
            case "escape":
                text = _escape(text)
            case "set":
                text, position = _set(pattern, position)
            case "comment":
                text, is_repeated = "", was_repeated
            case "named":
                text = f"(?<{token['name'] or token['quoted'] or ''}>"
                groups.append(_Group(atom))
            case "flags":
                text = f"(?{_flags(token)}:"
                if token["end"] == ":":
                    groups.append(_Group(atom))
                else:
                    groups[-1].flags += 1
            case "group":
                groups.append(_Group(atom))
            case "close" if len(groups) > 1:
                group = groups.pop()
                atom, text = group.begin, ")" * (group.flags + 1)
            case "unknown":
                raise NotTranslatable(f"groups as {text}...) are not supported")
            case "repeat":
                _refuse_unlike_ruby(text)
                is_repeated = True
                if was_repeated:
                    # Ruby repeats a repetition, and `re` refuses to.
                    parts.insert(atom, "(?:")
                    parts.append(")")
        parts.append(text)
    return "".join(parts) + ")" * groups[0].flags


@dataclass(slots=True)
class _Group:
    begin: int
    flags: int = 0


def split_alternatives(pattern: str) -> list[str]:
    """The alternatives at the top level of a translated pattern."""
    parts: list[str] = []
    depth = begin = 0
    for token in _PLAIN_TOKEN.finditer(pattern):
        if token[0].startswith("("):
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif token[0] == "|" and depth == 0:
            parts.append(pattern[begin : token.start()])
            begin = token.end()
    return [*parts, pattern[begin:]]


def compile_plain(expanded: str, omitted: Collection[str] = ()) -> re.Pattern[str]:
    """Compile with plain groups non-capturing, and each ``(?P<gN>`` under a name of its own.

    The groups N in ``omitted`` do not capture either.  Raises NotTranslatable.
    """
    count = 0

    def rename(token: re.Match[str]) -> str:
        nonlocal count
        text = token[0]
        if token[1] and token[1] not in omitted:
            count += 1
            return f"(?P<g{token[1]}_{count}>"
        if text == "(" or token[1]:
            return "(?:"
        return text

    plain = _PLAIN_TOKEN.sub(rename, expanded)
    try:
        return re.compile(plain if _IS_POSSESSIVE_SOUND else with_atomic_groups(plain), FLAGS)
    except re.error as error:
        raise NotTranslatable(with_hint(error.msg)) from None
    except (OverflowError, RecursionError) as error:
        # `a{99999999999}`, brackets in brackets in brackets ...
        raise NotTranslatable(str(error)) from None


def with_atomic_groups(pattern: str) -> str:
    """The same with ``(?>(...)*)`` in place of each ``(...)*+``."""
    parts: list[str] = []
    begins: list[int] = []
    closed: int | None = None
    for token in _ATOMIC_TOKEN.finditer(pattern):
        text = token[0]
        if text == ")":
            closed = begins.pop() if begins else None
        elif closed is not None and len(text) > 1 and text.endswith("+"):
            parts.insert(closed, "(?>")
            text = f"{text[:-1]})"
            closed = None
        else:
            closed = None
            if text == "(":
                begins.append(len(parts))
        parts.append(text)
    return "".join(parts)


def with_hint(message: str) -> str:
    """The error message of a compiler, with a hint if there is one."""
    return f"{message}: {_HINTS[message]}" if message in _HINTS else message


def _escape(text: str) -> str:
    letter = text[1]
    if letter in "xu0":
        return _by_number(text)
    _refuse_unknown(letter, text, _ESCAPES)
    return _ESCAPES.get(letter, text)


def _refuse_unknown(letter: str, text: str, known: Collection[str]) -> None:
    if letter in _REFUSED:
        raise NotTranslatable(_REFUSED[letter].format(text))
    if letter not in known and letter.isascii() and letter.isalnum():
        raise NotTranslatable(f"{text} is not known: leave the backslash out")


def _by_number(text: str) -> str:
    digits = text[2:].strip("{}")
    number = int(text[1:], 8) if text[1] == "0" else int(digits or "0", 16)
    if number > sys.maxunicode or (text[1] != "0" and not digits):
        raise NotTranslatable(f"{text} is not a character: write \\xHH or \\u{{HHHH}}")
    return f"\\U{number:08x}"


def _flags(token: re.Match[str]) -> str:
    on, off = token["on"], token["off"] or ""
    for flag in on + off:
        if flag not in "im":
            hint = ": write the pattern without blanks and comments" if flag == "x" else ""
            raise NotTranslatable(f"the flag {flag} in {token[0]} is not supported{hint}")
    # What Ruby calls m, a dot that is any character, is s.
    on, off = (flags.replace("m", "s") for flags in (on, off))
    return f"{on}-{off}" if off else on


def _refuse_unlike_ruby(text: str) -> None:
    count, sign = text[:-1], text[-1]
    if count.endswith("}") and (sign == "+" or "," not in count):
        meant = f"(?>a{count})" if sign == "+" else f"a{count}"
        raise NotTranslatable(
            f"a{text} is (?:a{count}){sign} in Ruby, not so elsewhere: write that, or {meant}"
        )


class _Item(NamedTuple):
    """A part of a set: a character, which may begin or end a range, or several characters."""

    text: str
    is_one: bool


def _set(pattern: str, position: int) -> tuple[str, int]:
    """The set behind a bracket at ``position``, for `re`, and where it ends."""
    is_negated = pattern.startswith("^", position)
    items, position = _items(pattern, position + is_negated)
    return f"[{'^' * is_negated}{_joined(items)}]", position


def _items(pattern: str, position: int) -> tuple[list[_Item], int]:
    items: list[_Item] = []
    begin = position
    while token := _SET_TOKEN.match(pattern, position):
        text = token[0]
        position = token.end()
        match token.lastgroup:
            case "bracket":
                name = token["bracket_name"]
                if name not in _BRACKETS:
                    raise NotTranslatable(f"{text} is not known: there are {', '.join(_BRACKETS)}")
                items.append(_Item(_ranges(name, bool(token["negated"])), False))
            case "both":
                raise NotTranslatable("sets that are cut (&&) are not supported: write them out")
            case "reference":
                raise NotTranslatable(f"{text} stands in brackets: a pattern cannot be in a set")
            case "escape":
                items.append(_escape_in_set(text))
            case _ if text == "]" and position > begin + 1:
                return items, position
            case _ if text == "[":
                if pattern.startswith("^", position):
                    raise NotTranslatable("[^...] in a set is not supported: write the set out")
                inner, position = _items(pattern, position)
                items.append(_Item(_joined(inner), False))
            case _:
                # Doubled, some of these are operators in other engines, and `re` warns of them.
                items.append(_Item(f"\\{text}" if text in "]&|~" else text, True))
    raise NotTranslatable("a set has no end: close it with ], or write \\[")


def _escape_in_set(text: str) -> _Item:
    letter = text[1]
    if letter in "xu0":
        return _Item(_by_number(text), True)
    if letter in _SETS_IN_SETS:
        return _Item(_SETS_IN_SETS[letter], False)
    _refuse_unknown(letter, text, _CHARACTERS_IN_SETS)
    return _Item(_CHARACTERS_IN_SETS.get(letter, text), True)


def _joined(items: list[_Item]) -> str:
    """The text of a set; a minus that makes no range is escaped."""
    parts: list[str] = []
    can_begin = False
    rest = iter(enumerate(items, 1))
    for following, item in rest:
        if item.text != "-":
            parts.append(item.text)
            can_begin = item.is_one
        elif can_begin and following < len(items) and items[following].is_one:
            _, end = next(rest)
            parts.append(f"-{end.text}" if end.text != "-" else r"-\-")
            can_begin = False
        else:
            parts.append(r"\-")
            can_begin = True
    return "".join(parts)


@cache
def _ranges(name: str, is_negated: bool) -> str:
    categories, others = _BRACKETS[name]
    ranges: list[str] = []
    begin: int | None = None
    for number in range(sys.maxunicode + 2):
        is_in = number <= sys.maxunicode and is_negated != (
            unicodedata.category(chr(number)).startswith(categories) or chr(number) in others
        )
        if is_in and begin is None:
            begin = number
        elif not is_in and begin is not None:
            ranges.append(f"\\U{begin:08x}-\\U{number - 1:08x}")
            begin = None
    return "".join(ranges)
