"""A document -> the keys that it is looked up by, and a question -> what those have to be.

Addresses and Message-IDs are case-folded, queue IDs are not: long queue IDs differ by case
(postconf(5), enable_long_queue_ids).  What else a line says of a mail, an index has as evidence:
its outcome, its text if that is all it has, and the few fields that may decide on a mail.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

from mailingest.postfix.completion import stored_outcome
from mailingest.postfix.index_keys import (
    DECIDING_ENDINGS,
    DECIDING_FIELDS,
    UNMATCHED,
    is_about_a_mail,
    is_of_session,
    is_unmatched,
    linked_queue_id,
    queue_ids_of,
)
from mailingest.postfix.names import (
    MESSAGE,
    MESSAGE_ID,
    NOQUEUE,
    ORIGINAL_RECIPIENT,
    QUEUE_ID,
    RECIPIENT,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.criteria import Comparison, Evidence, Term
from mailingest.stores.sqlite.prefilter import Substring, substring_of

LINKED: Final = "linked"
"""What only a trace asks for: the other queue ID that a line names, the process id of a line about
a session, or a mark for lines that no pattern matched."""

KINDS: Final[Mapping[str, int]] = {
    QUEUE_ID: 0,
    LINKED: 1,
    MESSAGE_ID: 2,
    RECIPIENT: 3,
    ORIGINAL_RECIPIENT: 4,
    SENDER: 5,
    SASL_USERNAME: 6,
    "evidence": 7,
}
"""The kinds of keys, with their numbers in the files; none is ever used for another."""

_EVIDENCE: Final = KINDS["evidence"]
_FOLDED: Final = tuple(
    (name, KINDS[name]) for name in (MESSAGE_ID, RECIPIENT, ORIGINAL_RECIPIENT, SENDER)
)
_AS_WRITTEN: Final = frozenset({KINDS[QUEUE_ID], KINDS[LINKED]})  # the others are case-folded
# What can be compared without making all keys of a document.
_QUICK: Final = _AS_WRITTEN | {kind for _, kind in _FOLDED}
# Keys that stand for what a document does not have.
_MADE_UP: Final = frozenset({NOQUEUE, UNMATCHED})
IN_PARTS: Final = frozenset(
    KINDS[name] for name in (RECIPIENT, ORIGINAL_RECIPIENT, SENDER, SASL_USERNAME)
)
"""Kinds of which a part may be asked for: their texts are kept as well."""

# SQLite keeps an integer of 31 bits in 4 bytes.
_HASH_MASK: Final = 0x7FFFFFFF

Key = tuple[int, str]
"""The number of a kind, and a text."""


def hash_of(key: Key) -> int:
    """What stands for a key in an index.

    Different keys may have the same: whatever is found by one is compared with what was asked for.
    """
    kind, text = key
    return crc32(text.encode("utf-8", "replace"), kind) & _HASH_MASK


def substring_of_key(key: Key) -> Substring:
    """What the JSON of each document has that has the key."""
    kind, text = key
    if kind == _EVIDENCE or text in _MADE_UP:
        text = ""
    return substring_of(text, is_folded=kind not in _AS_WRITTEN)


def keys_of(fields: Mapping[str, Any]) -> list[Key]:
    """All keys of a document."""
    queue_id, linked = queue_ids(fields)
    keys: list[Key] = []
    if queue_id is not None:
        keys.append((0, queue_id))
        # A login is also named where one failed: that is about no mail.
        if (login := fields.get(SASL_USERNAME)) is not None:
            keys.append((KINDS[SASL_USERNAME], str(login).casefold()))
    if linked is not None:
        keys.append((1, linked))
    for name, kind in _FOLDED:
        if (value := fields.get(name)) is not None:
            keys.append((kind, str(value).casefold()))
    if queue_id is not None:
        keys += ((_EVIDENCE, text) for text in _evidence_of(fields))
    return keys


def meeting(lookups: Sequence["Lookup"]) -> Callable[[Mapping[str, Any]], bool]:
    """A test whether a document has a key that meets any of the look-ups."""
    by_kind: dict[int, list[Lookup]] = {}
    for one in lookups:
        by_kind.setdefault(one.kind, []).append(one)
    tests = {kind: _test(several) for kind, several in by_kind.items()}
    if tests.keys() - _QUICK:
        return lambda fields: any(
            kind in tests and tests[kind](text) for kind, text in keys_of(fields)
        )
    folded = [(name, tests[kind]) for name, kind in _FOLDED if kind in tests]
    of_queue, of_linked = (tests.get(KINDS[name], _no_text) for name in (QUEUE_ID, LINKED))
    has_queues = not tests.keys().isdisjoint(_AS_WRITTEN)

    def meets(fields: Mapping[str, Any]) -> bool:
        for name, test in folded:
            value = fields.get(name)
            if value is not None and test(str(value).casefold()):
                return True
        if not has_queues:
            return False
        # The quick one first.
        if (named := fields.get(QUEUE_ID)) is not None and of_queue(named):
            return True
        queue_id, linked = queue_ids(fields)
        if named is None and queue_id is not None and of_queue(queue_id):
            return True
        return linked is not None and of_linked(linked)

    return meets


def _test(lookups: Sequence["Lookup"]) -> Callable[[str], bool]:
    """A test whether a text, of the kind of these look-ups, meets any of them."""
    if all(one.comparison == "equals" for one in lookups):
        return frozenset[str]().union(*(one.texts for one in lookups)).__contains__
    return lambda text: any(one.meets(text) for one in lookups)


def _no_text(text: str) -> bool:
    return False


def queue_ids(fields: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The queue ID that a line is looked up by, and the other name, or the process of a session.

    What is about a mail, and names no queue ID, has NOQUEUE in its place.
    """
    queue_id = fields.get(QUEUE_ID)
    if is_of_session(fields):
        return queue_id, fields.get("pid")
    linked = linked_queue_id(fields)
    if queue_id is None and is_about_a_mail(fields):
        # Of a filter's line, its own ID for the mail stands last.
        names = queue_ids_of(fields)
        return (names[0] if len(names) > 1 else NOQUEUE), (names[-1] if names else None)
    if linked is None and is_unmatched(fields):
        linked = UNMATCHED
    return queue_id, linked


def is_about_some_mail(fields: Mapping[str, Any]) -> bool:
    """Whether a line has a queue ID to be looked up by, see `queue_ids`."""
    return QUEUE_ID in fields or (is_about_a_mail(fields) and not is_of_session(fields))


def _evidence_of(fields: Mapping[str, Any]) -> Iterator[str]:
    if (outcome := stored_outcome(fields)) is not None:
        yield f"outcome {outcome}"
    if not DECIDING_FIELDS.isdisjoint(fields):
        yield from (f"field {name}" for name in DECIDING_FIELDS if name in fields)
    if (message := fields.get(MESSAGE)) is not None:
        yield f"message {message}"
    for name, ending in DECIDING_ENDINGS:
        if name in fields and str(fields[name]).endswith(ending):
            yield _ending(name, ending)


def _ending(name: str, ending: str) -> str:
    return f"ending {name} {ending}"


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a key of a document has to be: of a column, and with one of the texts, compared so."""

    column: str
    comparison: Comparison
    texts: frozenset[str]

    @property
    def kind(self) -> int:
        """The number of the kind of keys."""
        return KINDS[self.column]

    def meets(self, text: str) -> bool:
        """Whether a text of that kind is one that is looked for."""
        if self.comparison == "equals":
            return text in self.texts
        return any(Term(one, self.comparison).matches(text) for one in self.texts)


def by_term(column: str, term: Term) -> Lookup:
    """Documents whose column meets the term; the first two comparisons are quick."""
    return Lookup(column, term.comparison, frozenset([encodable(term.text.casefold())]))


def by_values(column: str, values: Collection[str]) -> Lookup:
    """Documents whose column has one of the values."""
    return Lookup(column, "equals", frozenset(map(encodable, values)))


def by_evidence(evidence: Evidence, *, has_endings: bool) -> Lookup | None:
    """Documents that may decide, but for new ones; None if not all of it is in the index.

    ``has_endings`` says whether the index has the ends of values.
    """
    texts = [f"outcome {one}" for one in evidence.outcomes]
    texts += [f"message {one}" for one in evidence.messages]
    for name in evidence.fields:
        endings = [(name, ending) for ending in evidence.endings_of(name)]
        if endings and has_endings and not set(endings) - set(DECIDING_ENDINGS):
            texts += [_ending(*one) for one in endings]
        elif name in DECIDING_FIELDS:
            texts.append(f"field {name}")
        else:
            return None
    return Lookup("evidence", "equals", frozenset(texts))


def encodable(text: str) -> str:
    """Text that a database takes: what the command line could not decode is not in there."""
    return text.encode("utf-8", "replace").decode("utf-8")
