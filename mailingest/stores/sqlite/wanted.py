"""What is looked for among the documents of a time span, where no index has it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from mailingest.postfix.completion import completed
from mailingest.postfix.names import MESSAGE, OUTCOME, PROGRAM_KIND
from mailingest.stores.criteria import Evidence, Term, meets_term
from mailingest.stores.events import StoredEvent
from mailingest.stores.sqlite.prefilter import ANYTHING, Sought, Substring, substring_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """Documents that have in their JSON what is ``sought``, and that ``fits``.

    ``evidence`` says the same of those of earlier versions, of which not all say what they are.
    """

    sought: Sought
    fits: Callable[[StoredEvent], bool]
    evidence: Evidence | None = None

    def condition(self) -> tuple[str, Sequence[object]]:
        """What holds for the text of each, in SQL, and the values that are bound to it."""
        if self.evidence is None:
            [substring] = self.sought.substrings
            return "instr(lower(body), ?)", [substring.text.decode()]
        return _of_evidence(self.evidence)


EVERY: Final = Wanted(ANYTHING, lambda event: True)
"""Lets all documents through."""


def of_term(name: str, term: Term) -> Wanted:
    """Those that meet a term; ``name`` is as in `mailingest.stores.criteria.FIELDS_OF`."""
    substring = substring_of(term.text, is_folded=True)
    return Wanted(Sought([substring]), partial(meets_term, name=name, term=term))


def of_evidence(evidence: Evidence) -> Wanted:
    """Those that may decide; one of an earlier version does not say what it counts as."""
    sought = Sought(
        [Substring(text.encode(), is_folded=False) for text in _texts_of(evidence)],
        unless=_KIND.encode(),
    )
    return Wanted(sought, lambda event: evidence.is_in(completed(event)), evidence)


_KIND: Final = f'"{PROGRAM_KIND}":'


def _texts_of(evidence: Evidence) -> list[str]:
    """What stands in the JSON of a document that may decide, if it says what it is."""
    texts = [f'"{OUTCOME}":{_json(outcome)}' for outcome in evidence.outcomes]
    texts += [f'"{MESSAGE}":{_json(message)}' for message in evidence.messages]
    for field in evidence.fields:
        endings = evidence.endings_of(field)
        texts += [_json(ending)[1:] for ending in endings] or [f'"{field}":']
    return sorted(set(texts))


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


def _of_evidence(evidence: Evidence) -> tuple[str, Sequence[object]]:
    texts = _texts_of(evidence)
    conditions = ["instr(body, ?)" for _ in texts] + ["NOT instr(body, ?)"]
    values: list[object] = [*texts, _KIND]
    if evidence.since is not None:
        conditions.append("time >= ?")
        values.append(int(evidence.since.timestamp()))
    return f"({' OR '.join(conditions)})", values
