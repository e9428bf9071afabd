"""Accept-Language -> the language of a page (RFC 9110, 12.5.4; RFC 4647, 3.4); pure."""

import re
from collections.abc import Sequence

# A range and its weight, between 0 and 1 (RFC 9110, 12.4.2).
_RANGE = re.compile(
    r"[ \t]*(?P<tag>\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)[ \t]*"
    r"(?:;[ \t]*q=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?",
    re.IGNORECASE | re.ASCII,
)


def preferred_language(header: str, available: Sequence[str]) -> str:
    """The best of the ``available`` languages, which are primary tags such as ``en``.

    ``de-AT`` also asks for ``de``, ``*`` for any language that is not named, and what has the
    weight 0 is not wanted.  If nothing that is asked for is there, it is the first one that is
    not refused, or else the first one.
    """
    weights = _weights(header)
    refused = {tag for tag, weight in weights.items() if weight == 0}
    # Of equal weights, the one that comes first.
    wanted = sorted((tag for tag in weights if tag not in refused), key=lambda tag: -weights[tag])
    named = {tag.partition("-")[0] for tag in weights}
    for tag in wanted:
        for language in available:
            if language in refused:
                continue
            is_match = language not in named if tag == "*" else language == tag.partition("-")[0]
            if is_match:
                return language
    return next((one for one in available if one not in refused), available[0])


def _weights(header: str) -> dict[str, float]:
    """The weight of each range, in lower case and the header's order; invalid ones are left out."""
    matches = filter(None, map(_RANGE.fullmatch, header.split(",")))
    return {match["tag"].lower(): float(match["weight"] or 1) for match in matches}
