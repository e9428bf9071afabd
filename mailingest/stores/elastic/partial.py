"""Answers of a server that are not whole -> gaps; pure.

What servers do, as found on Elasticsearch 7.10 and OpenSearch 2.19: a search among several indices
answers although shards failed, or the time was over, and only says so beside the hits.  A shard
that is nowhere (an unassigned primary) counts neither as successful nor as failed.  If all shards
failed, it is an error of the type `search_phase_execution_exception`.  A closed index is left out
in silence, unless the request forbids closed ones; a read block is an error in any case.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from elasticsearch import ApiError

from mailingest.stores.elastic.errors import error_object
from mailingest.stores.elastic.refusals import REASON_LENGTH, causes_of
from mailingest.stores.gaps import Gap, GapCode

Answer = Mapping[str, Any]

CLOSED: Final = "it is closed: open the index"
"""Why a closed index cannot be read."""

_BLOCKED: Final = re.compile(r"index \[([^\]]+)\] blocked by: \[([^\]]*)\]")
_WINDOW: Final = re.compile(r"Result window is too large.{1,80}?less than or equal to: \[(\d+)\]")
_LIMITS: Final = re.compile(r"maxClauseCount|too_many_(?:nested_)?clauses|\[index\.max_\w+\]")
_LATE: Final = Gap(
    "timed_out", "the server ended the search at its time limit (search.default_search_timeout)"
)
_ENDED_EARLY: Final = Gap("server_limit", "the server ended the search early (terminated_early)")


def unreadable(error: ApiError) -> dict[str, str]:
    """The indices for which a search was refused, each with the reason; none for other errors."""
    match error_object(error):
        case {"type": "index_closed_exception", "index": str(name)}:
            return {name: CLOSED}
        case {"type": "cluster_block_exception", "reason": str(said)}:
            return {name: f"it is blocked ({block})" for name, block in _BLOCKED.findall(said)}
    return {}


def failed_answer(error: ApiError) -> Answer | None:
    """The answer without hits that an error means if all shards failed; None for other errors."""
    match error_object(error):
        case {"type": "search_phase_execution_exception", "failed_shards": list(failures)}:
            total = max(1, len(failures))
            shards = {"total": total, "successful": 0, "failed": len(failures)}
            return {
                "hits": {"hits": [], "total": {"value": 0}},
                "_shards": {**shards, "failures": failures},
            }
    return None


def gaps_of(answer: Answer, is_asked: Callable[[str], bool]) -> list[Gap]:
    """What an answer says that it lacks, but for shards that are nowhere.

    ``is_asked`` says whether an index may have what was asked for.
    """
    gaps = []
    if answer.get("timed_out"):
        gaps.append(_LATE)
    if answer.get("terminated_early"):
        gaps.append(_ENDED_EARLY)
    for failure in answer["_shards"].get("failures", ()):
        name = failure.get("index")
        if name is None or is_asked(name):
            gaps.append(_failed(name, failure.get("reason")))
    return list(dict.fromkeys(gaps))


def missing_shards(answer: Answer) -> int:
    """How many shards are nowhere."""
    shards = answer["_shards"]
    missing: int = shards["total"] - shards["successful"] - shards["failed"]
    return missing


def window_of(answer: Answer) -> int | None:
    """The most rows that an index gives at a time (`index.max_result_window`), if it says so."""
    said = (str(failure.get("reason")) for failure in answer["_shards"].get("failures", ()))
    windows = [int(found[1]) for one in said if (found := _WINDOW.search(one)) is not None]
    return min(windows, default=None)


def _failed(name: str | None, error: object) -> Gap:
    said = " ".join(causes_of(error).split())[:REASON_LENGTH] or "no reason given"
    code: GapCode = "server_limit" if _LIMITS.search(said) else "shards_failed"
    return Gap(code, f"shards of {name or 'an index'} failed: {said}")
