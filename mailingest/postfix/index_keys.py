"""Fields of an event -> what it is looked up by, beside the fields that a user asks for.

Stores index it, and a trace follows it from mail to mail.
"""

from collections.abc import Mapping
from typing import Any, Final

LINKS: Final = (
    "postfix_remote_queueid",
    "postfix_forwarded_queueid",
    "postfix_bounce_queueid",
    "postfix_orig_queueid",
    "postfix_orig_id",
    "filter_id",
)
"""Fields with another queue ID of the same mail, or that of its notification, or what a filter
calls the mail."""

ABOUT_A_MAIL: Final = (
    "postfix_queueid",
    "filter_id",
    "postfix_proxy_result",
    "postfix_refusal",
)
"""Fields of which a line about a mail, or the refusal of one, has at least one."""

DECIDING_FIELDS: Final = frozenset(
    {
        "filter_action",
        "filter_actions",
        "postfix_postsuper_action",
        "postfix_refusal",
    }
)
"""Fields that few lines have, and that may decide on a mail: stores can look them up."""

CORRUPT: Final = 'to queue "corrupt"'
"""The end of the warning that a queue file is damaged and kept aside (global/mark_corrupt.c)."""

DECIDING_ENDINGS: Final = (
    ("postfix_action", "hold"),
    ("postfix_milter_result", "hold"),
    ("postfix_message", CORRUPT),
)
"""Ends of values that few lines have, of fields that many have: stores can look them up."""

_ABOUT_A_MAIL: Final = frozenset(ABOUT_A_MAIL)
_LINKS: Final = frozenset(LINKS)
_EDGES: Final = ("connect from ", "disconnect from ")
# What smtpd logs of a mail to come, before it has a queue ID.
_IN_ADVANCE: Final = frozenset({"hold", "discard", "milter-hold", "milter-discard", "filter"})


def is_about_a_mail(fields: Mapping[str, Any]) -> bool:
    """Whether a line is about a mail, or one that was refused, with or without a queue ID."""
    return not _ABOUT_A_MAIL.isdisjoint(fields)


def queue_ids_of(fields: Mapping[str, Any]) -> list[str]:
    """The queue ID that a line is about, and then the others that it names.

    A line of Postfix names one other at most.  Filters may name the mail that they took, what they
    call it themselves and under which queue ID they gave it back.
    """
    own = fields.get("postfix_queueid")
    if _LINKS.isdisjoint(fields):
        return [own] if own is not None else []
    names = dict.fromkeys(str(fields[name]) for name in LINKS if name in fields)
    return list(names if own is None else dict.fromkeys((own, *names)))


UNMATCHED: Final = "nomatch"
"""The key of lines that no pattern matched.  It is no queue ID: those have no small vowels."""


def is_unmatched(fields: Mapping[str, Any]) -> bool:
    """Whether nothing is known of a line but its text: it may be about any mail that it names."""
    tags = fields.get("tags", ())
    return any(tag.endswith("_nomatch") for tag in tags) and not any(
        tag.endswith("_success") or tag == "_correlation_nomatch" for tag in tags
    )


def linked_queue_id(fields: Mapping[str, Any]) -> str | None:
    """The other queue ID that a line names beside its own; of several, the first."""
    if _LINKS.isdisjoint(fields):
        return None
    return next(str(fields[name]) for name in LINKS if name in fields)


def is_of_session(fields: Mapping[str, Any]) -> bool:
    """Whether a line without queue ID may decide on the mail that an SMTP session is about.

    The end of a session takes along a mail that is not complete, and so does the beginning of the
    next one if the line about the end was lost.
    """
    if "postfix_client_hostname" not in fields:
        return False
    queue_id = fields.get("postfix_queueid")
    if queue_id is not None:
        is_early = fields.get("postfix_action") in _IN_ADVANCE
        is_lost = "postfix_smtpd_lostconn_data" in fields
        return bool(queue_id == "NOQUEUE" and (is_early or is_lost))
    return "postfix_smtpd_lostconn_data" in fields or str(fields.get("message", "")).startswith(
        _EDGES
    )
