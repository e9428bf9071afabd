"""Conditions -> the lines for which they hold, as far as the syslog tag and the type tell."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailingest.grok.oniguruma import NotTranslatable, compile_plain, translate
from mailingest.logstash.tree import (
    Array,
    Chain,
    Comparison,
    Condition,
    Exists,
    Not,
    Operand,
    Regexp,
    Selector,
    Text,
)
from mailingest.logstash.values import comparisons, text_of
from mailingest.postfix.programs import COMPANIONS, PROGRAMS, postfix_program

PROGRAM_FIELDS: Final = frozenset(
    {
        *("program", "syslog_program", "programname", "appname", "app_name", "syslogprog"),
        *("syslog_identifier", "process.name", "process.program", "syslog.program", "ident"),
        *("system.syslog.program", "log.syslog.appname", "postfix.program", "syslogtag"),
    }
)
"""Fields that hold the syslog tag, by the names that pipelines and Filebeat give them."""

_PLAIN_REGEXP = re.compile(r"\^?([\w/.-]*[\w/-])(?:\.\*)?\$?", re.ASCII)
_ORDERS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
}
POSTFIX_TAGS: Final = tuple(f"postfix/{service}" for service in PROGRAMS if service)
# What an equality on "postfix/smtp" does not know.
_INSTANCE: Final = "postfix-out/"


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a line; a type of None is not known."""

    tag: str
    type: str | None


@dataclass(frozen=True, slots=True)
class Reach:
    """The lines that come to a plugin.

    ``postfix`` are the tags of Postfix that may, ``programs`` those of other programs that surely
    do: for which a condition names them.
    """

    postfix: frozenset[str]
    programs: frozenset[str]
    others: int
    """How many tags of other programs may come there."""

    @property
    def is_mail(self) -> bool:
        return bool(self.postfix or self.programs)


class Lines:
    """All lines that a pipeline tells apart."""

    def __init__(self, found: Iterable[Comparison], types: Iterable[str]) -> None:
        found = list(found)
        named = {tag for one in found for tag in _tags_named(one)}
        self._others = sorted(
            {tag for tag in {*COMPANIONS, *named, "cron"} if postfix_program(tag) is None}
        )
        self._types: Sequence[str | None] = _mail_types(found, types)

    def reach(self, guards: Sequence[Condition]) -> Reach:
        """Who comes where all of the conditions hold."""
        postfix = frozenset(tag for tag in POSTFIX_TAGS if self._holds(guards, tag) is not False)
        held = {tag: self._holds(guards, tag) for tag in self._others}
        names = any(_is_about_program(guard) for guard in guards)
        sure = frozenset(
            tag for tag, holds in held.items() if names and holds is not False and tag != "cron"
        )
        if held.get("cron") is not False:
            # It is for whoever comes, not for the programs that it names.
            sure = frozenset()
        return Reach(postfix, sure, sum(holds is not False for holds in held.values()))

    def _holds(self, guards: Sequence[Condition], tag: str) -> bool | None:
        """False only if no type makes it hold."""
        # The innermost condition says no most often.
        found = [
            _all(evaluate(guard, Line(tag, type_)) for guard in reversed(guards))
            for type_ in self._types
        ]
        return next((one for one in (True, None) if one in found), False)


def evaluate(condition: Condition, line: Line) -> bool | None:
    """Whether it holds for a line; None if that cannot be told."""
    match condition:
        case Not(inner):
            found = evaluate(inner, line)
            return None if found is None else not found
        case Exists(operand):
            return True if _value(operand, line) else None
        case Comparison(left, sign, right):
            return _compare(left, sign, right, line)
        case Chain(terms, operators):
            result = evaluate(terms[0], line)
            for word, term in zip(operators, terms[1:], strict=True):
                result = _connected(word, result, evaluate(term, line))
            return result


def misses_instances(condition: Condition) -> bool:
    """Whether it takes a daemon of Postfix, and not the same one of another instance."""
    return any(
        evaluate(one, Line(f"postfix/{service}", None))
        != evaluate(one, Line(f"{_INSTANCE}{service}", None))
        for one in comparisons(condition)
        for service in PROGRAMS
        if service
    )


def _is_about_program(condition: Condition) -> bool:
    return any(_is_program(one.left) or _is_program(one.right) for one in comparisons(condition))


def _is_program(operand: Operand) -> bool:
    return isinstance(operand, Selector) and ".".join(operand.parts) in PROGRAM_FIELDS


def _value(operand: Operand, line: Line) -> str | None:
    if isinstance(operand, Selector):
        if operand.parts == ("type",):
            return line.type
        return line.tag if _is_program(operand) else None
    return text_of(operand) if not isinstance(operand, Regexp) else None


def _compare(left: Operand, sign: str, right: Operand, line: Line) -> bool | None:
    value = _value(left, line)
    if value is None:
        return None
    if sign in ("=~", "!~"):
        raw = right.raw if isinstance(right, Regexp | Text) else None
        pattern = None if raw is None else _compiled(raw)
        if pattern is None:
            return None
        return (pattern.search(value) is not None) == (sign == "=~")
    if sign in ("in", "not in"):
        if not isinstance(right, Array):
            return None
        return (value in [text_of(one) for one in right.items]) == (sign == "in")
    other = _value(right, line)
    order = _ORDERS.get(sign)
    return None if other is None or order is None else order(value, other)


@lru_cache(maxsize=256)
def _compiled(raw: str) -> re.Pattern[str] | None:
    try:
        return compile_plain(translate(raw))
    except NotTranslatable:
        return None


def _connected(word: str, left: bool | None, right: bool | None) -> bool | None:
    if word in ("and", "nand"):
        found = _all([left, right])
        return found if word == "and" or found is None else not found
    if word == "or":
        return next((one for one in (True, None) if one in (left, right)), False)
    return None if left is None or right is None else left != right


def _all(found: Iterable[bool | None]) -> bool | None:
    result: bool | None = True
    for one in found:
        if one is False:
            return False
        if one is None:
            result = None
    return result


def _tags_named(comparison: Comparison) -> list[str]:
    """The tags that a comparison with the program names, plainly or as a simple expression."""
    if not _is_program(comparison.left):
        return []
    right = comparison.right
    if isinstance(right, Array):
        return [text for one in right.items if (text := text_of(one))]
    if isinstance(right, Regexp) or comparison.operator in ("=~", "!~"):
        raw = right.raw if isinstance(right, Regexp | Text) else ""
        plain = _PLAIN_REGEXP.fullmatch(raw.replace("\\/", "/"))
        return [plain[1]] if plain else []
    text = text_of(right)
    return [text] if text else []


def _mail_types(found: Iterable[Comparison], types: Iterable[str]) -> Sequence[str | None]:
    """The types that lines of mail may have: those that are named so, or else all of the inputs."""
    types = set(types)
    named = {
        text
        for one in found
        if isinstance(one.left, Selector) and one.left.parts == ("type",)
        if (text := text_of(one.right)) is not None
    } | types
    mail = {one for one in named if ("postfix" in one or "mail" in one) and "exim" not in one}
    return sorted(mail) or sorted(types) or [None]
