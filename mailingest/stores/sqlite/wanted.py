"""What is looked for among the documents of a time span, where no index has it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from mailingest.postfix.completion import completed
from mailingest.postfix.names import MESSAGE, OUTCOME, PROGRAM_KIND
from mailingest.stores.criteria import Evidence, Term, meets_term
from mailingest.stores.events import StoredEvent
from mailingest.stores.sqlite.prefilter import Substring, substring_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """Documents that have ``substring`` in their text, if they are ASCII, and that ``fits``.

    ``evidence`` says the same of those of earlier versions, of which not all say what they are.
    """

    substring: Substring
    fits: Callable[[StoredEvent], bool]
    evidence: Evidence | None = None

    def condition(self) -> tuple[str, Sequence[object]]:
        """What holds for the text of each, in SQL, and the values that are bound to it."""
        if self.evidence is None:
            return "instr(lower(body), ?)", [self.substring.text.decode()]
        return _of_evidence(self.evidence)


_ANY: Final = substring_of("", is_folded=False)
EVERY: Final = Wanted(_ANY, lambda event: True)
"""Lets all documents through."""


def of_term(name: str, term: Term) -> Wanted:
    """Those that meet a term; ``name`` is as in `mailingest.stores.criteria.FIELDS_OF`."""
    substring = substring_of(term.text, is_folded=True)
    return Wanted(substring, partial(meets_term, name=name, term=term))


def of_evidence(evidence: Evidence) -> Wanted:
    """Those that may decide; one of an earlier version does not say what it counts as."""
    return Wanted(_ANY, lambda event: evidence.is_in(completed(event)), evidence)


def _of_evidence(evidence: Evidence) -> tuple[str, Sequence[object]]:
    texts = [f'"{OUTCOME}":"{outcome}"' for outcome in sorted(evidence.outcomes)]
    texts += [f'"{field}":' for field in sorted(evidence.fields)]
    texts += [f'"{MESSAGE}":"{message}"' for message in sorted(evidence.messages)]
    conditions = ["instr(body, ?)" for _ in texts] + ["NOT instr(body, ?)"]
    values: list[object] = [*texts, f'"{PROGRAM_KIND}":']
    if evidence.since is not None:
        conditions.append("time >= ?")
        values.append(int(evidence.since.timestamp()))
    return f"({' OR '.join(conditions)})", values
