"""Values of options, as Logstash takes them: escapes, environment, options given twice."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from mailingest.logstash.tree import (
    Arm,
    Array,
    Bareword,
    Branch,
    Call,
    Chain,
    Comparison,
    Condition,
    Exists,
    Hash,
    Not,
    Number,
    Operand,
    Plugin,
    Regexp,
    Selector,
    Statement,
    Text,
    Value,
)

# With config.support_escapes in logstash.yml; without, a backslash is a backslash.
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "/": "/"}


class Environment(NamedTuple):
    """A reference to the environment: `${NAME:default}`."""

    name: str
    default: str | None


def text_of(value: Value | Operand, *, escapes: bool = False) -> str | None:
    """A scalar as text, None for anything else."""
    match value:
        case Text():
            return _unescaped(value.raw) if escapes else value.raw
        case Bareword():
            return value.word
        case Number():
            return value.digits
    return None


def texts_of(value: Value, *, escapes: bool = False) -> list[str]:
    """A scalar, or the scalars of a list."""
    items = value.items if isinstance(value, Array) else (value,)
    return [text for one in items if (text := text_of(one, escapes=escapes)) is not None]


def pairs_of(value: Value, *, escapes: bool = False) -> list[tuple[str, Value]]:
    """The entries of a hash, or of a list that takes turns between key and value."""
    if isinstance(value, Hash):
        return [(text_of(key, escapes=escapes) or "", one) for key, one in value.entries]
    if isinstance(value, Array):
        keys = [text_of(one, escapes=escapes) or "" for one in value.items[::2]]
        return list(zip(keys, value.items[1::2], strict=False))
    return []


def merged(values: Iterable[Value]) -> Value | None:
    """What Logstash makes of an option that is given several times; None if it is given never.

    Lists and hashes are joined; of others the last one counts.
    """
    found: Value | None = None
    for value in values:
        if isinstance(found, Array) and isinstance(value, Array):
            found = Array((*found.items, *value.items), place=found.place)
        elif isinstance(found, Hash) and isinstance(value, Hash):
            found = Hash((*found.entries, *value.entries), place=found.place)
        else:
            found = value
    return found


def environment_of(text: str) -> Iterator[Environment]:
    """The references to the environment in a text."""
    for part in text.split("${")[1:]:
        inside, brace, _ = part.partition("}")
        name, colon, default = inside.partition(":")
        if brace:
            yield Environment(name, default if colon else None)


def with_defaults(text: str) -> str | None:
    """The text with the defaults of the environment; None if one has no default."""
    for name, default in environment_of(text):
        if default is None:
            return None
        text = text.replace(f"${{{name}:{default}}}", default)
    return text


def field_name(reference: str) -> str:
    """`[client][ip]` as mailingest writes it: `client.ip`; a plain name as it is."""
    if reference.startswith("[") and reference.endswith("]"):
        return reference[1:-1].replace("][", ".")
    return reference


def strings_of(body: Iterable[Statement]) -> Iterator[str]:
    """All texts, regular expressions and names of fields, also those of conditions."""
    for statement in body:
        if isinstance(statement, Plugin):
            yield from _strings(statement)
        else:
            for arm in statement.arms:
                if arm.condition is not None:
                    yield from _strings_of_condition(arm.condition)
                yield from strings_of(arm.body)


def comparisons_of(body: Iterable[Statement]) -> Iterator[Comparison]:
    """All comparisons in the conditions of a body."""
    for statement in body:
        for arm in statement.arms if isinstance(statement, Branch) else ():
            yield from comparisons(arm.condition)
            yield from comparisons_of(arm.body)


def comparisons(condition: Condition | None) -> Iterator[Comparison]:
    """The comparisons of a condition."""
    match condition:
        case Comparison():
            yield condition
        case Not(inner):
            yield from comparisons(inner)
        case Chain(terms):
            for term in terms:
                yield from comparisons(term)


def arms_of(body: Iterable[Statement]) -> Iterator[Arm]:
    """All arms of all branches."""
    for statement in body:
        for arm in statement.arms if isinstance(statement, Branch) else ():
            yield arm
            yield from arms_of(arm.body)


def _strings_of_condition(condition: Condition) -> Iterator[str]:
    match condition:
        case Comparison(left, _, right):
            yield from _strings(left)
            yield from _strings(right)
        case Exists(operand):
            yield from _strings(operand)
        case Not(inner):
            yield from _strings_of_condition(inner)
        case Chain(terms):
            for term in terms:
                yield from _strings_of_condition(term)


def _strings(value: Value | Operand) -> Iterator[str]:
    match value:
        case Text(raw) | Regexp(raw):
            yield raw
        case Bareword(word):
            yield word
        case Selector(parts):
            yield from parts
        case Array(items) | Call(_, items):
            for item in items:
                yield from _strings(item)
        case Hash(entries):
            for key, one in entries:
                yield from _strings(key)
                yield from _strings(one)
        case Plugin(_, attributes):
            for attribute in attributes:
                yield from _strings(attribute.value)


def _unescaped(raw: str) -> str:
    parts = []
    characters = iter(raw)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            parts.append(_ESCAPES.get(following, "\\" + following))
        else:
            parts.append(character)
    return "".join(parts)
