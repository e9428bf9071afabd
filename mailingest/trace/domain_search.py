"""What is asked of a source for a user of some domains: whether anything is found, and how much of
it there is to look at, depends on their own lines only.  Pure but for the source it is handed.

Else a question for a word that only the lines of others have would be answered: by "there may be
more", or by "lines that no pattern matches may be about it".
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from mailingest.postfix.completion import completed
from mailingest.postfix.mail_domains import MailDomains
from mailingest.stores.breakdown import Breakdown
from mailingest.stores.counts import Counts, TimeBuckets
from mailingest.stores.criteria import Criteria, Term, terms_of
from mailingest.stores.events import newest_first, time_of
from mailingest.stores.gaps import Gap, merged
from mailingest.stores.protocol import Found, Reader
from mailingest.trace.visibility import Visibility

_ADDRESSES: Final = ("recipient", "sender", "sasl_user")

_DOUBTFUL: Final = Gap(
    "not_understood", "lines that no pattern matches name the domains that may be seen"
)
_TOO_MANY: Final = Gap(
    "too_many_lines", "there are too many lines to count all of them: ask for less time"
)


async def find_own(source: Reader, criteria: Criteria, limit: int, domains: MailDomains) -> Found:
    """Events that may belong to an answer of these domains; see `Reader.find`."""
    found = [await source.find(one, limit) for one in own_questions(criteria, domains)]
    # What is older than the last event of one that is cut is not known of that one.
    horizon = max(
        (time_of(one.events[-1]) for one in found if one.is_cut and one.events), default=None
    )
    every = {event["_id"]: event for one in found for event in one.events}
    events = [one for one in every.values() if horizon is None or time_of(one) >= horizon]
    return Found(
        newest_first(events)[:limit],
        any(one.is_cut for one in found) or len(events) > limit,
        merged(*(one.gaps for one in found)),
    )


async def unmatched_of(
    source: Reader, criteria: Criteria, limit: int, domains: MailDomains
) -> Found:
    """Whether there are lines of the time that no pattern matched, and that name the domains.

    What else was asked for makes no difference, and the lines are not given.
    """
    gaps: list[Gap] = []
    for ending in domains.endings():
        question = Criteria(
            text=Term(ending, "contains"), since=criteria.since, until=criteria.until
        )
        found = await source.unmatched(question, limit)
        gaps = merged(gaps, found.gaps, [_DOUBTFUL] if found.events or found.is_cut else [])
    return Found([], is_cut=False, gaps=gaps)


async def activity_of(
    source: Reader, buckets: TimeBuckets, visibility: Visibility, most_events: int
) -> tuple[Counts, Breakdown]:
    """How much of the domains happened when, and why; counted from at most so many lines."""
    counts, breakdown = Counts(buckets), Breakdown()
    criteria = Criteria(since=buckets.since, until=buckets.until)
    found = await find_own(source, criteria, most_events, visibility.domains)
    for event in map(completed, found.events):
        line = visibility.line(event)
        if line is not None:
            counts.add(line)
            breakdown.add(line)
    counts.gaps = merged(found.gaps, [_TOO_MANY] if found.is_cut else [])
    return counts, breakdown


def own_questions(criteria: Criteria, domains: MailDomains) -> Iterator[Criteria]:
    """The questions that lead to all mails of the domains which may meet the criteria.

    What is met by their lines only, or by those of one mail, is asked for as it is.
    """
    every = Criteria(since=criteria.since, until=criteria.until)
    if criteria.queue_id is not None:
        yield replace(every, queue_id=criteria.queue_id)
        return
    if criteria.message_id is not None:
        yield replace(every, message_id=criteria.message_id)
        return
    asked = terms_of(criteria)
    for name in _ADDRESSES:
        if name in asked and _implies(asked[name], domains):
            yield _with_term(every, name, asked[name])
            return
    for name in _ADDRESSES:
        for ending in domains.endings():
            yield _with_term(every, name, Term(ending, "ends"))


def _with_term(criteria: Criteria, name: str, term: Term) -> Criteria:
    changes: dict[str, Any] = {name: term}
    return replace(criteria, **changes)


def _implies(term: Term, domains: MailDomains) -> bool:
    """Whether whatever meets a term is of the domains."""
    return term.comparison in ("equals", "ends") and domains.covers(term.text)
