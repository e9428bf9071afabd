"""Verdicts that are asked for -> the lines that may prove one, for a store to find few.  Pure.

It follows `mailingest.trace.verdicts`: each story with the verdict has one of these lines at least.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from mailingest.postfix.index_keys import DECIDING_ENDINGS
from mailingest.postfix.names import (
    ACTION,
    FILTER_ACTION,
    FILTER_ACTIONS,
    MESSAGE,
    MILTER_RESULT,
    POSTSUPER_ACTION,
    REFUSAL,
)
from mailingest.stores.criteria import Criteria, Evidence
from mailingest.trace.verdicts import ATTEMPT

# Of the others, no line of their own tells.
_OF_VERDICT: Final[Mapping[str, Evidence]] = {
    "delivered": Evidence(frozenset({"sent"})),
    "handed_over": Evidence(frozenset({"sent"})),
    "bounced": Evidence(frozenset({"bounced"})),
    "expired": Evidence(frozenset({"expired"})),
    # Of some refusals there is only a warning.
    "rejected": Evidence(frozenset({"rejected"}), frozenset({REFUSAL})),
    "discarded": Evidence(
        frozenset({"discarded"}),
        frozenset({FILTER_ACTION, FILTER_ACTIONS}),
        frozenset({"discarded", "removed (discarded)"}),
    ),
    # A damaged queue file is told of by a warning.
    "held": Evidence(
        fields=frozenset({ACTION, MILTER_RESULT, POSTSUPER_ACTION, MESSAGE}),
        endings=frozenset(DECIDING_ENDINGS),
    ),
    "deleted": Evidence(fields=frozenset({POSTSUPER_ACTION})),
    # And what has just been begun, see `with_evidence`.
    "pending": Evidence(frozenset({"deferred", "expired"})),
}
# Each day has many, which are decided when they come.
_FREQUENT: Final = frozenset({"delivered", "handed_over", "rejected"})


def with_evidence(criteria: Criteria, last: datetime, reach: timedelta) -> Criteria:
    """Criteria for the lines that may prove one of the verdicts, where that helps.

    ``last`` is how far the logs reach.  What proves a verdict may have been written after the time
    that is asked for, within ``reach``; where that is more than it saves, all lines are asked for.
    Refusals of the same mail in earlier sessions may then be missing in its history.
    """
    wanted = [_OF_VERDICT.get(verdict) for verdict in criteria.verdicts]
    found = [one for one in wanted if one is not None]
    is_frequent = criteria.until is not None and not _FREQUENT.isdisjoint(criteria.verdicts)
    if not found or len(found) < len(wanted) or is_frequent:
        return criteria
    evidence = Evidence(
        frozenset().union(*(one.outcomes for one in found)),
        frozenset().union(*(one.fields for one in found)),
        frozenset().union(*(one.messages for one in found)),
        # A mail that is being tried for the first time has no such line yet.
        last - ATTEMPT if "pending" in criteria.verdicts else None,
        frozenset().union(*(one.endings for one in found)),
    )
    until = criteria.until + reach if criteria.until is not None else None
    return replace(criteria, evidence=evidence, until=until)
