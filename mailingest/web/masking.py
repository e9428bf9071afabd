"""What readers get to see who are not to learn who writes to whom; pure.

Of a local part its first letter is shown.  Domains, times, servers and replies stay.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from mailingest.postfix.names import (
    ORIGINAL_RECIPIENT,
    RECIPIENT,
    SASL_SENDER,
    SASL_USERNAME,
    SENDER,
)
from mailingest.stores.criteria import Criteria, Term
from mailingest.trace.answer import story_to_json
from mailingest.trace.mails import Mail, mail_to_json
from mailingest.trace.origin import values_in
from mailingest.trace.story import Story
from mailingest.web.known_names import KnownNames, first_letter

_ADDRESSES: Final = (
    *("recipient", "original_recipient", "sender"),
    *("sasl_username", "sasl_sender"),
)
# Nobody outside writes these.
_PLAIN: Final = (
    *("verdict", "host", "instance", "queue_id", "chain", "notification", "sasl_method"),
    *("received_at", "decided_at", "relay_ip", "dsn", "types"),
    *("queues", "status", "first_at", "last_at"),
)
_NAMES: Final = (
    RECIPIENT,
    ORIGINAL_RECIPIENT,
    SENDER,
    SASL_USERNAME,
    SASL_SENDER,
)
# Recipients of a mail have the same names in their lines.
_MOST_MAILS: Final = 8
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


def mask(text: str) -> str:
    """Text with each local part of an address reduced to its first letter."""
    return _LOCAL_PART.sub(_masked, text)


def story_to_masked_json(story: Story) -> dict[str, Any]:
    """What `mailingest.trace.answer.story_to_json` makes of a story, with the local parts masked.

    Those of the mail are masked in whatever form they stand, in replies, paths and the names of
    hosts.
    """
    values = story_to_json(story)
    return _masked_object(values, _addresses(story, values))


def mail_to_masked_json(mail: Mail, shown: Sequence[Story] | None = None) -> dict[str, Any]:
    """The same of what `mailingest.trace.mails.mail_to_json` makes of a mail."""
    values = mail_to_json(mail, shown)
    stories = mail.stories if shown is None else shown
    found = _addresses(mail.stories[0], {**dict.fromkeys(_ADDRESSES), **values})
    for story, recipient in zip(stories, values["recipients"], strict=True):
        found |= _addresses(story, {**values, **recipient})
    return _masked_object(values, found)


def is_about_parts(criteria: Criteria) -> bool:
    """Whether anything is asked for that has to be shown; see `is_shown`."""
    hosts = (criteria.client, criteria.relay)
    return any(map(_is_part, (*_asked(criteria), *hosts)))


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
        and _stands_in(criteria.client, [shown["client"], *shown["proof"]])
        and _stands_in(criteria.relay, [shown["relay"], *shown["proof"]])
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
    return f"{begin}{first_letter(local)}{end}"


def masked_address(address: str) -> str:
    """An address that is known to be one, also without a domain; the empty one stays."""
    if not address:
        return ""
    local, at, domain = address.rpartition("@")
    return f"{first_letter(local)}@{domain}" if at else first_letter(domain)


_CHANGES: Final[Mapping[str, Callable[[str], str]]] = {
    **dict.fromkeys(_ADDRESSES, masked_address),
    **dict.fromkeys(_PLAIN, str),
}


def _addresses(story: Story, values: Mapping[str, Any]) -> set[str]:
    """All addresses and logins that the lines of the mail name, also of other recipients."""
    events = [refusal.event for refusal in story.refused_before]
    if story.evidence is not None:
        events.append(story.evidence)
    found = {str(event[name]) for event in events for name in _NAMES if event.get(name)}
    found |= {str(value) for value in values_in(story, *_NAMES) if value}
    return found | {values[key] for key in _ADDRESSES if values[key]}


@lru_cache(maxsize=_MOST_MAILS)
def _known_names(addresses: frozenset[str]) -> KnownNames:
    return KnownNames(addresses)


def _masked_object(values: Mapping[str, Any], addresses: Iterable[str]) -> dict[str, Any]:
    """An object for scripts with these addresses masked, and all that looks like one."""
    names = _known_names(frozenset(addresses))

    def masked(text: str) -> str:
        return mask(names.masked(text))

    def changed(value: Any, change: Callable[[str], str]) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, list):
            return [changed(one, change) for one in value]
        if isinstance(value, dict):
            return {key: changed(one, _CHANGES.get(key, change)) for key, one in value.items()}
        return value

    return {key: changed(one, _CHANGES.get(key, masked)) for key, one in values.items()}
