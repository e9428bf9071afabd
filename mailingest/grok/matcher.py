"""Matching compiled patterns: text in, captured values out, with as few attempts as possible.

What is deferred is compiled when a text could match it, or all at once by `Matcher.compile`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

Value = str | int | float

Converter = Callable[[str], Value]

ASCII: Final = tuple(map(chr, range(128)))
_ASCII_CHARACTERS: Final = frozenset(ASCII)
_ALL_FIT: Final[Sequence[str]] = ()
QUEUE_ID_END: Final = ": "
"""Stands behind the queue ID that a line begins with."""

# What is remembered is bounded: 2 MB of the tails of an alternative, and 2 MB of queue IDs.
_MOST_TAILS: Final = 1024
_LONGEST_TAIL: Final = 256
_MOST_QUEUE_IDS: Final = 8192
_LONGEST_QUEUE_ID: Final = 40


class Branch(Protocol):
    """A branch of an alternation: one alternative, or several behind one queue ID.

    ``first`` are the ASCII characters that a match can begin with.
    """

    first: frozenset[str]

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None: ...


class Alternative:
    """One alternative, matched from a position to the end of the text.

    ``names`` are the fields of the pattern's groups; ``first`` are the ASCII characters that a
    match can begin with.
    """

    __slots__ = ("_converters", "_fullmatch", "first", "names")

    def __init__(
        self,
        pattern: re.Pattern[str],
        names: Sequence[str],
        converters: Mapping[str, Converter],
        first: frozenset[str],
    ) -> None:
        self.first = first
        self.names = tuple(names)
        self._fullmatch = pattern.fullmatch
        # One for each group, None for text that stays as it is; empty if it is all text.
        typed = tuple(map(converters.get, names))
        self._converters = typed if any(typed) else ()

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        """Add the captured values to ``fields``; see `Matcher.match`."""
        match = self._fullmatch(text, position)
        return None if match is None else self.take(match, fields)

    def take(self, match: re.Match[str], fields: dict[str, Value]) -> Sequence[str]:
        """Add the values of a match to ``fields``; what is returned are those that do not fit.

        Of a match that has more groups, the last ones are left.
        """
        # Nothing is said of lengths: the keyword would cost as much as a short loop.
        if not self._converters:
            for name, value in zip(self.names, match.groups()):  # noqa: B905
                if value is not None:
                    fields[name] = value
            return _ALL_FIT
        try:
            for name, convert, value in zip(  # noqa: B905
                self.names, self._converters, match.groups()
            ):
                if value is not None:
                    fields[name] = value if convert is None else convert(value)
        except ValueError:
            return self._take_what_fits(match, fields)
        return _ALL_FIT

    def _take_what_fits(self, match: re.Match[str], fields: dict[str, Value]) -> Sequence[str]:
        """The same where a value does not fit; what was taken before is taken again."""
        unfit = []
        for name, convert, value in zip(self.names, self._converters, match.groups(), strict=False):
            if value is not None:
                try:
                    fields[name] = value if convert is None else convert(value)
                except ValueError:
                    unfit.append(f"{name}={value}")
        return tuple(unfit)


class KnownTail:
    """An alternative whose texts end in the same words again and again, such as counters.

    What the last group holds is looked up by its text.  That gives what matching it again would
    give: it reaches to the end of the text, so that nothing behind it can matter.
    """

    __slots__ = ("_fullmatch", "_head", "_known", "_tail", "_whole", "_within", "first")

    def __init__(
        self, whole: Alternative, pattern: re.Pattern[str], converters: Mapping[str, Converter]
    ) -> None:
        """``pattern`` is that of ``whole``, but that nothing within its last group, the tail, is
        captured.  No field is captured both before the tail and within it.
        """
        self.first = whole.first
        self._whole = whole
        self._fullmatch = pattern.fullmatch
        self._tail = pattern.groups
        names = whole.names[: self._tail - 1]
        self._head = Alternative(pattern, names, converters, whole.first)
        self._within = frozenset(whole.names[self._tail - 1 :])
        self._known: dict[str, dict[str, Value]] = {}

    def match(self, text: str, position: int, fields: dict[str, Value]) -> Sequence[str] | None:
        """Add the captured values to ``fields``; see `Matcher.match`."""
        match = self._fullmatch(text, position)
        if match is None:
            return None
        tail: str | None = match[self._tail]
        if tail is None or len(tail) > _LONGEST_TAIL or match.end(self._tail) != len(text):
            return self._whole.match(text, position, fields)
        known = self._known.get(tail)
        if known is None:
            return self._learn(tail, text, position, fields)
        unfit = self._head.take(match, fields)
        fields.update(known)
        return unfit

    def _learn(
        self, tail: str, text: str, position: int, fields: dict[str, Value]
    ) -> Sequence[str] | None:
        captured: dict[str, Value] = {}
        unfit = self._whole.match(text, position, captured)
        fields.update(captured)
        if not unfit:
            if len(self._known) >= _MOST_TAILS:
                self._known.clear()
            self._known[tail] = {
                name: value for name, value in captured.items() if name in self._within
            }
        return unfit


class Deferred:
    """An alternative that is built, which compiles its pattern, when it is wanted."""

    __slots__ = ("_branch", "_build", "first")

    def __init__(self, first: frozenset[str], build: Callable[[], Branch]) -> None:
        self.first = first
        self._build: Callable[[], Branch] | None = build
        self._branch: Branch

    def built(self) -> Branch:
        """The alternative, always the same one."""
        if self._build is not None:
            self._branch, self._build = self._build(), None
        return self._branch


class _Branches:
    """Branches in their order; ``by_first`` has those that can match, by a text's first character.

    They are asked for with the first text, and chosen with the first one of each character.
    """

    __slots__ = ("_all", "_ask", "by_first")

    def __init__(self, ask: Callable[[], Sequence[Branch | Deferred]]) -> None:
        self.by_first: dict[str, Sequence[Branch]] = {}
        self._ask: Callable[[], Sequence[Branch | Deferred]] | None = ask
        self._all: Sequence[Branch | Deferred] = ()

    def all(self) -> Sequence[Branch | Deferred]:
        if self._ask is not None:
            self._all = tuple(self._ask())
            self._ask = None
        return self._all

    def beginning_with(self, character: str) -> Sequence[Branch]:
        """Those for a character that is not in ``by_first`` yet; "" is that of an empty text."""
        if character not in _ASCII_CHARACTERS:
            return [_built(one) for one in self.all()]
        found = tuple(_built(one) for one in self.all() if character in one.first)
        self.by_first[character] = found
        return found

    def compile(self) -> None:
        """Build and choose all."""
        for one in self.all():
            branch = _built(one)
            if isinstance(branch, QueueIdPrefix):
                branch.compile()
        for character in ASCII:
            self.beginning_with(character)


def _built(branch: Branch | Deferred) -> Branch:
    return branch.built() if isinstance(branch, Deferred) else branch


class QueueIds:
    """The queue IDs that texts begin with.

    Each is in several lines, so the last ones are remembered, and all lines have the same object.
    """

    __slots__ = ("_match", "first", "known")

    def __init__(self, pattern: re.Pattern[str], first: frozenset[str]) -> None:
        """``pattern`` captures the queue ID, which `QUEUE_ID_END` follows, and nothing else."""
        self.first = first
        self.known: dict[str, str] = {}
        """What stands before the first `QUEUE_ID_END`: the queue ID."""
        self._match = pattern.match

    def match(self, text: str, head: str) -> tuple[str, int] | None:
        """Match one that is not known, and tell where it ends; ``head`` is its place in `known`."""
        match = self._match(text)
        if match is None:
            return None
        queue_id, end = match[1], match.end()
        if end == len(head) + len(QUEUE_ID_END) and end <= _LONGEST_QUEUE_ID:
            if len(self.known) >= _MOST_QUEUE_IDS:
                self.known.clear()
            self.known[head] = queue_id
        return queue_id, end


class QueueIdPrefix:
    """A queue ID at the beginning, matched once for all alternatives that may follow it."""

    __slots__ = ("_by_first", "_following", "_queue_ids", "first")

    def __init__(self, queue_ids: QueueIds, following: Sequence[Branch | Deferred]) -> None:
        self.first = queue_ids.first
        self._queue_ids = queue_ids
        self._following = _Branches(lambda: following)
        self._by_first = self._following.by_first

    def compile(self) -> None:
        """Compile all that may follow."""
        self._following.compile()

    def match(self, text: str, _: int, fields: dict[str, Value]) -> Sequence[str] | None:
        """Add the captured values to ``fields``; see `Matcher.match`."""
        head, _end, _rest = text.partition(QUEUE_ID_END)
        queue_id = self._queue_ids.known.get(head)
        if queue_id is not None:
            end = len(head) + 2
        else:
            found = self._queue_ids.match(text, head)
            if found is None:
                return None
            queue_id, end = found
        branches = self._by_first.get(text[end : end + 1])
        if branches is None:
            branches = self._following.beginning_with(text[end : end + 1])
        for one in branches:
            unfit = one.match(text, end, fields)
            if unfit is not None:
                fields["postfix_queueid"] = queue_id
                return unfit
        return None


class Matcher:
    """Matches whole texts against one pattern, whose branches are asked for with the first text."""

    __slots__ = ("_branches", "_by_first")

    def __init__(self, branches: Callable[[], Sequence[Branch | Deferred]]) -> None:
        self._branches = _Branches(branches)
        self._by_first = self._branches.by_first

    def build(self) -> None:
        """Ask for the branches now."""
        self._branches.all()

    def compile(self) -> None:
        """Compile all that has not been compiled yet: no text waits for it then."""
        self._branches.compile()

    def match(self, text: str, fields: dict[str, Value]) -> Sequence[str] | None:
        """Add the captured values to ``fields``; None if the text does not match.

        What is returned otherwise are the values that did not fit their type, as ``name=value``;
        nearly always there are none.
        """
        branches = self._by_first.get(text[:1])
        if branches is None:
            branches = self._branches.beginning_with(text[:1])
        for branch in branches:
            unfit = branch.match(text, 0, fields)
            if unfit is not None:
                return unfit
        return None


class GrokSearch:
    """Searches for a pattern anywhere in a text, as Logstash's grok filter does."""

    __slots__ = ("_names", "_search")

    def __init__(self, pattern: re.Pattern[str], names: Sequence[str]) -> None:
        self._search = pattern.search
        self._names = tuple(names)

    def search(self, text: str) -> dict[str, str] | None:
        """The captured texts by field, as they stand there; None if the text does not match."""
        match = self._search(text)
        if match is None:
            return None
        captured = zip(self._names, match.groups(), strict=True)
        return {name: value for name, value in captured if value is not None}
