"""An expression -> the ASCII characters that a match can begin with, without compiling it.

What stands at its beginning is read up to the first part that takes a character.  Lookbehinds and
negative lookaheads are taken to allow anything: one character too many costs an attempt, one too
few would lose a match.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from mailingest.grok.matcher import ASCII
from mailingest.grok.oniguruma import FLAGS

_TOKEN = re.compile(
    r"""
    (?P<ends> [$^] | \\[AbBZ] )
    | (?P<atom> \\(?:U[0-9a-f]{8}|x[0-9a-f]{2}|.) | \[\^?\]?(?:[^\]\\]|\\.)*\] )
    | (?P<ahead> \(\?= )
    | (?P<lookaround> \(\?(?:!|<[=!]) )
    | (?P<group> \((?:\?(?:P?<[^>]*>|(?P<on>[a-z]*)(?P<off>-[a-z]*)?:|>))? )
    | (?P<close> \) )
    | (?P<or> \| )
    | (?P<repeat> (?:(?P<optional>[*?]|\{0?,[0-9]*\}|\{0\})|\+|\{[0-9]+(?:,[0-9]*)?\})[?+]? )
    | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)


_ALL: Final = frozenset(ASCII)


class _Part(NamedTuple):
    """What a part of an expression can begin with; whether it may take no character at all.

    ``ahead`` is what a lookahead in it allows to follow where it has taken none.
    """

    first: frozenset[str] = frozenset()
    is_optional: bool = True
    ahead: frozenset[str] = _ALL


_NOTHING: Final = _Part()


def first_characters(expression: str) -> frozenset[str]:
    """The ASCII characters that a match can begin with.

    The expression is a translated one, and has no alternatives at its top level.
    """
    return _sequence(_TOKEN.finditer(expression), ignores_case=False, is_inner=False).first


def _sequence(tokens: Iterator[re.Match[str]], *, ignores_case: bool, is_inner: bool) -> _Part:
    """Alternatives up to the parenthesis that closes them, or to the end."""
    ended: list[_Part] = []
    whole = last = _NOTHING
    for token in tokens:
        kind = token.lastgroup
        if kind == "close":
            break
        if kind == "repeat":
            if token["optional"] is not None:
                last = _Part(last.first)
            continue
        whole, last = _followed(whole, last), _NOTHING
        if not (whole.is_optional or is_inner):
            return whole
        if kind == "or":
            ended.append(whole)
            whole = _NOTHING
        elif kind in ("group", "ahead", "lookaround"):
            inner = _sequence(tokens, ignores_case=_case(token, ignores_case), is_inner=True)
            if kind == "group":
                last = inner
            elif kind == "ahead" and not inner.is_optional:
                last = _Part(ahead=inner.first)
        elif kind != "ends":
            last = _Part(_characters(token[0], ignores_case), is_optional=False)
    return _any_of([*ended, _followed(whole, last)])


def _followed(part: _Part, following: _Part) -> _Part:
    if not part.is_optional:
        return part
    return _Part(
        part.first | (following.first & part.ahead),
        following.is_optional,
        part.ahead & following.ahead,
    )


def _any_of(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    optional = [one.ahead for one in parts if one.is_optional]
    first = frozenset[str]().union(*(one.first for one in parts))
    return _Part(first, bool(optional), frozenset[str]().union(*optional))


def _case(group: re.Match[str], ignores_case: bool) -> bool:
    if "i" in (group["on"] or ""):
        return True
    return ignores_case and "i" not in (group["off"] or "")


@lru_cache(maxsize=1024)
def _characters(atom: str, ignores_case: bool) -> frozenset[str]:
    """Those that a character, an escape or a set stands for."""
    try:
        matches = re.compile(atom, FLAGS | re.IGNORECASE if ignores_case else FLAGS).fullmatch
    except re.error:
        return _ALL  # whoever compiles the whole says what is wrong
    return frozenset(filter(matches, ASCII))
