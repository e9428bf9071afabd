"""What readers get to see who are not to learn who writes to whom; pure.

Of a local part its first letter is shown.  Domains, times, servers and replies stay.
"""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from mailingest.postfix.names import (
    ORIGINAL_RECIPIENT,
    RECIPIENT,
    SASL_SENDER,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.criteria import Criteria, Term
from mailingest.stores.events import StoredEvent
from mailingest.trace.answer import story_to_json
from mailingest.trace.story import Story

_ADDRESSES: Final = (
    *("recipient", "original_recipient", "sender"),
    *("sasl_username", "sasl_sender"),
)
# Free text, in which names stand without a domain, too.
_TEXTS: Final = ("reply", "note", "evidence", "proof", "refused_before")
_NAMES: Final = (
    RECIPIENT,
    ORIGINAL_RECIPIENT,
    SENDER,
    SASL_USERNAME,
    SASL_SENDER,
)
# Each alternative takes time in proportion to the text: the first can begin at any quote and is
# bounded, the second ends at the next bracket, the third only begins where a word does.
_LOCAL_PART = re.compile(
    r"""
      "(?P<quoted>(?>(?:[^"\\]|\\.){0,128}))"@
    | <(?P<bracketed>[^<>]*)@(?=[^<>@\s]*>)
    | (?<![^\s<>"(),;\[\]])(?>(?P<key>(?:sasl_username|sasl_sender|orig_to|to|from|user)=|mailto:)?)
      (?P<bare>[^\s<>"(),;\[\]]+)@
    | \b(?P<of>(?:orig_to|to|from|user)=<)(?P<name>[^<>@]+)(?=>)
    | \b(?P<by>sasl_(?:username|sender)=)(?P<login>[^\s,@]+)(?=[\s,]|\Z)
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"""[^\s<>"'(),;:\[\]=/@]+""")
_ENDS: Final = ".!?"


def mask(text: str) -> str:
    """Text with each local part of an address reduced to its first letter."""
    return _LOCAL_PART.sub(_masked, text)


def story_to_masked_json(story: Story) -> dict[str, Any]:
    """What `mailingest.trace.answer.story_to_json` makes of a story, with the local parts masked.

    Those of the mail are also masked where they stand alone, as in replies and paths.
    """
    values = story_to_json(story)
    names = _names(story.proof)

    def masked_text(text: str) -> str:
        return _WORD.sub(lambda word: _masked_word(word[0], names), mask(text))

    changes: dict[str, Callable[[str], str]] = {
        **dict.fromkeys(_ADDRESSES, _masked_address),
        **dict.fromkeys(_TEXTS, masked_text),
    }
    return {key: _changed(value, changes.get(key, mask)) for key, value in values.items()}


def is_about_parts(criteria: Criteria) -> bool:
    """Whether anything is asked for that has to be shown; see `is_shown`."""
    return any(map(_is_part, _asked(criteria)))


def is_shown(criteria: Criteria, story: Story) -> bool:
    """Whether one who sees masked answers may learn that a story meets the criteria.

    Whole addresses, local parts and domains are asked for as ever, by who knows them.  But a part
    of an address, or a text, has to stand in what is shown: a name cannot be guessed letter by
    letter.
    """
    if not is_about_parts(criteria):
        return True
    shown = story_to_masked_json(story)
    return (
        _stands_in(criteria.sender, [shown["sender"]])
        and _stands_in(criteria.sasl_user, [shown["sasl_username"]])
        and _stands_in(criteria.recipient, [shown["recipient"], shown["original_recipient"]])
        and _stands_in(criteria.text, shown["proof"])
    )


def _asked(criteria: Criteria) -> tuple[Term | None, ...]:
    return criteria.sender, criteria.sasl_user, criteria.recipient, criteria.text


def _is_part(term: Term | None) -> bool:
    return term is not None and term.comparison == "contains"


def _stands_in(term: Term | None, values: Iterable[object]) -> bool:
    return term is None or not _is_part(term) or any(map(term.matches, values))


def _masked(match: re.Match[str]) -> str:
    found = match.groupdict("")
    begin = (
        found["key"]
        or found["of"]
        or found["by"]
        or ("<" if match.lastgroup == "bracketed" else "")
    )
    end = "" if found["of"] or found["by"] else "@"
    local = match[match.lastgroup or 0]
    return f"{begin}{_first_letter(local)}{end}"


def _masked_address(address: str) -> str:
    """An address that is known to be one, also without a domain; the empty one stays."""
    if not address:
        return ""
    local, at, domain = address.rpartition("@")
    return f"{_first_letter(local)}@{domain}" if at else _first_letter(domain)


def _masked_word(word: str, names: Collection[str]) -> str:
    bare = word.rstrip(_ENDS)
    return f"{_first_letter(bare)}{word[len(bare) :]}" if bare.lower() in names else word


def _first_letter(local: str) -> str:
    first = next((character for character in local if character.isalnum()), "")
    return f"{first}***"


def _names(events: Collection[StoredEvent]) -> set[str]:
    """The local parts in lines, in lower case, and what stands before an extension."""
    addresses = {str(event[name]) for event in events for name in _NAMES if event.get(name)}
    locals_ = {address.rpartition("@")[0] or address for address in addresses}
    names = {local.strip('"').lower() for local in locals_}
    names |= {name.partition("+")[0] for name in names}
    # Of a single letter all is shown anyway.
    return {name for name in names if len(name) > 1}


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    if isinstance(value, dict):
        return {key: _changed(one, change) for key, one in value.items()}
    return value
