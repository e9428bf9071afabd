"""A regular expression -> ReDoS payloads: texts whose match is slow if any text's is.

A match backtracks for long (ReDoS) where a repetition can take the same characters in many ways,
and then all of them fail.  So a payload leads the match to a repetition, repeats what that takes,
and ends with a character that does not match.  Whether a payload is slow is for the caller to try.

The expression is read with the parser that `re` itself compiles with, since that knows best what
was written; it is not documented, but has been the same from Python 3.11 to 3.14.
"""

import importlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

_parser: Any = importlib.import_module("re._parser")

_Node = tuple[Any, Any]

_ASCII: Final = frozenset(map(chr, range(128)))
_CATEGORIES: Final = {
    f"CATEGORY_{name}": frozenset(c for c in _ASCII if re.match(escape, c, re.ASCII))
    for name, escape in {
        "DIGIT": r"\d",
        "NOT_DIGIT": r"\D",
        "SPACE": r"\s",
        "NOT_SPACE": r"\S",
        "WORD": r"\w",
        "NOT_WORD": r"\W",
    }.items()
}
# Among the characters that fit, those that fit most patterns come first.
_PREFERRED: Final = (*"a1A .:-", *map(chr, range(33, 127)), "\t", "\n", "\0", *map(chr, range(128)))
# A repetition with a lower bound than this cannot take much time.
_MANY: Final = 16
# Bounds what is made for long lists of alternatives, and for `a{1000000}`.
_MOST_BRANCHES: Final = 3
_LONGEST_SAMPLE: Final = 256
_LONGEST_REPEATED: Final = 32
# Stands in a sample where a repetition is; a noncharacter of Unicode, which no pattern has.
_REPETITION: Final = "\ufdd0"


@dataclass(frozen=True, slots=True)
class Payload:
    """A ReDoS payload of any length: ``repeated`` comes n times between the other two."""

    prefix: str
    repeated: str
    suffix: str

    def text(self, length: int) -> str:
        """The text, in which the repeated part has at least ``length`` characters."""
        return self.prefix + self.repeated * -(-length // len(self.repeated)) + self.suffix

    def __str__(self) -> str:
        parts = [repr(self.prefix)] if self.prefix else []
        parts.append(f"{self.repeated!r} * n")
        parts += [repr(self.suffix)] if self.suffix else []
        return " + ".join(parts)


def payloads(pattern: re.Pattern[str]) -> Iterator[Payload]:
    """ReDoS payloads for a match of the whole text, without duplicates."""
    nodes = list(_parser.parse(pattern.pattern, pattern.flags))
    repetitions = list(_repetitions(nodes, "", ""))
    takers = [_first(body) for _, body, _ in repetitions]
    # What many repetitions take may be taken by several of them.
    popularity = Counter(chain.from_iterable(takers))
    seen: set[Payload] = set()
    for (prefix, body, rest), taken in zip(repetitions, takers, strict=True):
        characters = sorted(taken, key=lambda c: (-popularity[c], _PREFERRED.index(c)))
        whole = [_unmarked(_sample(branch)) for branch in _branches(body)[:_MOST_BRANCHES]]
        # Up to the next repetition is what separates the two.
        separator, *_ = parts = rest.split(_REPETITION)
        following = "".join(parts)[:_LONGEST_REPEATED]
        repeated = dict.fromkeys([*whole, separator, following, *characters[:2], *following[:1]])
        for text in filter(None, repeated):
            for suffix in ("", _mismatch(taken)):
                payload = Payload(prefix, text, suffix)
                if payload not in seen:
                    seen.add(payload)
                    yield payload


def _repetitions(
    nodes: Sequence[_Node], prefix: str, rest: str
) -> Iterator[tuple[str, Sequence[_Node], str]]:
    """Each repetition: what leads to it, what it repeats, and what may follow it."""
    samples = [_sample([node]) for node in nodes]
    for place, node in enumerate(nodes):
        following = "".join(samples[place + 1 :]) + rest
        for body, least, most in _bodies(node):
            if most >= _MANY:
                yield prefix + _times(_unmarked(_sample(body)), least), body, following
            yield from _repetitions(body, prefix, following)
        prefix += _unmarked(samples[place])


def _bodies(node: _Node) -> Iterator[tuple[Sequence[_Node], int, int]]:
    """What a node contains, and how often it may come."""
    name, value = str(node[0]), node[1]
    if name.endswith("_REPEAT"):
        yield list(value[2]), int(value[0]), int(value[1])
    elif name == "BRANCH":
        yield from ((list(branch), 1, 1) for branch in value[1])
    elif name == "SUBPATTERN":
        yield list(value[3]), 1, 1
    elif name == "ATOMIC_GROUP":
        yield list(value), 1, 1
    elif name in ("ASSERT", "ASSERT_NOT"):
        yield list(value[1]), 0, 0


def _branches(nodes: Sequence[_Node]) -> Sequence[Sequence[_Node]]:
    """The ways through a body that consists of alternatives."""
    while len(nodes) == 1 and str(nodes[0][0]) in ("SUBPATTERN", "ATOMIC_GROUP"):
        ((nodes, _, _),) = _bodies(nodes[0])
    if len(nodes) == 1 and str(nodes[0][0]) == "BRANCH":
        return [branch for branch, _, _ in _bodies(nodes[0])]
    return [nodes]


def _sample(nodes: Sequence[_Node]) -> str:
    """A short text that fits, with a mark before each repetition."""
    return "".join(map(_sample_of, nodes))


def _unmarked(sample: str) -> str:
    return sample.replace(_REPETITION, "")


def _sample_of(node: _Node) -> str:
    name = str(node[0])
    if name in ("ASSERT", "ASSERT_NOT", "AT"):
        return ""
    for body, least, most in _bodies(node):
        return (_REPETITION if most >= _MANY else "") + _times(_sample(body), least)
    fitting = _characters(node)
    return next((c for c in _PREFERRED if c in fitting), "") or _beyond_ascii(node)


def _times(text: str, count: int) -> str:
    return (text * min(count, _LONGEST_SAMPLE))[:_LONGEST_SAMPLE]


def _beyond_ascii(node: _Node) -> str:
    return chr(node[1]) if str(node[0]) == "LITERAL" else "é"


def _first(nodes: Sequence[_Node]) -> frozenset[str]:
    """The ASCII characters that a text which fits can begin with."""
    found: frozenset[str] = frozenset()
    for node in nodes:
        bodies = list(_bodies(node))
        if str(node[0]) in ("ASSERT", "ASSERT_NOT", "AT"):
            continue
        for body, _, _ in bodies:
            found |= _first(body)
        if not bodies:
            found |= _characters(node)
        if not bodies or all(least for _, least, _ in bodies):
            break
    return found


def _characters(node: _Node) -> frozenset[str]:
    """The ASCII characters that a node which stands for one character takes."""
    name, value = str(node[0]), node[1]
    match name:
        case "LITERAL":
            return _ASCII & {chr(value)}
        case "NOT_LITERAL":
            return _ASCII - {chr(value)}
        case "ANY":
            return _ASCII
        case "RANGE":
            return frozenset(map(chr, range(value[0], min(value[1], 127) + 1)))
        case "CATEGORY":
            return _CATEGORIES[str(value)]
        case "IN":
            members = [item for item in value if str(item[0]) != "NEGATE"]
            taken = frozenset().union(*map(_characters, members))
            return taken if len(members) == len(value) else _ASCII - taken
    return frozenset()


def _mismatch(taken: frozenset[str]) -> str:
    """A character that a repetition does not take, or else one that hardly any pattern takes."""
    return next((c for c in reversed(_PREFERRED) if c not in taken), "\0")
