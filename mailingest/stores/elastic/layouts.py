"""Which indices have the fields of this version's template, and how the others are asked.

In one ``PREFIX-*`` there may be days of earlier versions and days that Logstash made: their fields
have the same names and other types.  `_field_caps` says which index has what.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from mailingest.postfix.names import SIZE
from mailingest.stores.elastic.schema import MARK

Query = dict[str, Any]

_FIELDS: Final = (MARK, SIZE)
_NUMBERS: Final = ("long", "integer", "short", "double", "float")


@dataclass(frozen=True, slots=True)
class Layouts:
    """The indices by what their mappings have.

    ``current`` are those of this version's template, ``others`` the rest; ``with_sizes`` have the
    sizes of mails as numbers.
    """

    current: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    with_sizes: frozenset[str] = frozenset()

    def choose(self, now: Query, before: Query) -> Query:
        """``now`` for the indices of this version's template, ``before`` for all others.

        A server leaves clauses about other indices out before it looks at any line.
        """
        if not self.others:
            return now
        if not self.current:
            return before
        is_current = {"terms": {"_index": sorted(self.current)}}
        return {
            "bool": {
                "should": [
                    {"bool": {"filter": [is_current, now]}},
                    {"bool": {"filter": [before], "must_not": [is_current]}},
                ],
                "minimum_should_match": 1,
            }
        }


def path(indices: str) -> str:
    """What to ask for; the client would put the fields into the body, which 7.10 does not read."""
    options = {
        "fields": ",".join(_FIELDS),
        "include_unmapped": "true",
        "ignore_unavailable": "true",
        "allow_no_indices": "true",
    }
    return f"/{quote(indices, safe=',*')}/_field_caps?{urlencode(options)}"


def layouts_of(answer: Mapping[str, Any]) -> Layouts:
    """Read the answer to what `path` asks for."""
    every = frozenset(answer.get("indices", ()))

    def having(field: str, *types: str) -> frozenset[str]:
        # Where all are alike, none is named.
        found = answer["fields"].get(field, {})
        named = (found[kind].get("indices") or every for kind in types if kind in found)
        return frozenset(index for indices in named for index in indices)

    current = having(MARK, "keyword")
    return Layouts(current, every - current, having(SIZE, *_NUMBERS))
