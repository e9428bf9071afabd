"""What a line does to the life of its queue ID, and when it begins another one: the one rule.

It is asked live, when lines are enriched, and by a trace, which has all lines of a queue ID in the
order of time.  Sources: Postfix's smtpd/smtpd.c, pickup/pickup.c, cleanup/cleanup_message.c,
qmgr/qmgr_active.c, postsuper/postsuper.c.

A queue ID is used again by Postfix: short ones (5 hexadecimal digits of the microsecond and the
inode number) repeat within days, and even long ones stay the same when only a line was lost.  So a
key (host, instance, queue ID) may stand for several mails, one after the other.  The rules:

* A mail begins with smtpd's ``client=``, pickup's ``uid=``, cleanup's ``message-id=`` or qmgr's
  ``queue active``, whichever comes first: UDP and several workers of rsyslog reorder lines.
* It ends with ``removed``, a reject or discard by cleanup, or an operator's postsuper.
* A line begins another mail if it contradicts what is known: another client or user, another
  sender, another Message-ID; or if it repeats a beginning after the mail's end or a gap.  Within
  `REORDERED_SECONDS`, the order of lines proves nothing.  A second end after that is another's.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

from mailingest.postfix.index_keys import CORRUPT
from mailingest.postfix.names import NOQUEUE

Step = Literal[
    "accepted",
    "submitted",
    "identified",
    "activated",
    "delivery",
    "expired",
    "held",
    "released",
    "corrupt",
    "untold",
    "removed",
    "canceled",
    "rejected",
    "discarded",
    "deleted",
    "requeued",
]
"""What a line says of the life of its queue ID.

``accepted`` by smtpd or qmqpd, ``submitted`` by sendmail(1), ``identified`` by its Message-ID,
``activated`` by the queue manager; ``delivery`` is an attempt for one recipient.  ``canceled`` is a
mail whose client went away, ``deleted`` and ``requeued`` are what an operator did.  ``corrupt`` is
a queue file that Postfix cannot read and keeps, ``untold`` a mail that stays in the queue since
its sender could not be told.
"""

REORDERED_SECONDS: Final = 5.0
"""Lines this far apart may have been written in another order than they came in.

rsyslog and the network reorder by milliseconds, RFC 3164 has whole seconds, and a relay that stamps
lines when it gets them may be two seconds off either way.
"""

BEGINNINGS: Final[frozenset[Step]] = frozenset({"accepted", "submitted", "identified", "activated"})
ENDS: Final[frozenset[Step]] = frozenset(
    {"removed", "canceled", "rejected", "discarded", "deleted", "requeued"}
)

_QUEUE_MANAGERS: Final = frozenset({"qmgr", "oqmgr", "nqmgr"})
# A milter's result may have `header-` or `body-` before it.
_CLEANUP: Final[Mapping[str, Step]] = {"reject": "rejected", "discard": "discarded", "hold": "held"}
# The wordings of several versions (cleanup/cleanup_api.c).
_CLEANUP_REMOVALS: Final[Mapping[str, Step]] = {
    "removed (canceled)": "canceled",
    "canceled": "canceled",
    "removed (discarded)": "discarded",
    "discarded": "discarded",
}
_POSTSUPER: Final[Mapping[str, Step]] = {
    "removed": "deleted",
    "requeued": "requeued",
    "placed on hold": "held",
    "released from hold": "released",
}
OF_A_SESSION: Final = frozenset(
    {"postfix_smtp_stage", "postfix_message", "postfix_smtpd_lostconn_data"}
)
"""What a line about a client and a queue ID has if it does not begin a mail."""


class Known(Protocol):
    """What is known of a mail; None is what no line has said."""

    @property
    def client_hostname(self) -> str | None: ...
    @property
    def client_ip(self) -> str | None: ...
    @property
    def uid(self) -> int | None: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def active_sender(self) -> str | None:
        """The sender as the queue manager has it: pickup's may be a bare login name."""


def step_of(service: str, fields: Mapping[str, Any]) -> Step | None:
    """What a Postfix line says of the life of its queue ID; None for anything else."""
    if "postfix_status" in fields:
        if "postfix_to" in fields:
            return "delivery"
        if fields["postfix_status"] == "deferred":
            return "untold"
        return "expired" if fields["postfix_status"].endswith("expired") else None
    # Whichever program finds it.
    if fields.get("postfix_message", "").endswith(CORRUPT):
        return "corrupt"
    if service in _QUEUE_MANAGERS:
        if "postfix_size" in fields:
            return "activated"
        return "removed" if fields.get("postfix_message") == "removed" else None
    if service == "cleanup":
        return _step_of_cleanup(fields)
    if "postfix_uid" in fields:
        return "submitted"
    if "postfix_client_hostname" in fields:
        return "accepted" if _is_accepted(fields) else None
    if "postfix_postsuper_action" in fields:
        return _POSTSUPER.get(fields["postfix_postsuper_action"])
    return None


def _step_of_cleanup(fields: Mapping[str, Any]) -> Step | None:
    action = fields.get("postfix_action") or fields.get("postfix_milter_result")
    if action is not None:
        return _CLEANUP.get(action.rpartition("-")[2])
    if "postfix_message-id" in fields:
        return "identified"
    return _CLEANUP_REMOVALS.get(fields.get("postfix_message", ""))


def _is_accepted(fields: Mapping[str, Any]) -> bool:
    # Any other line is about something that happened later in the session.
    return OF_A_SESSION.isdisjoint(fields) and fields.get("postfix_queueid", NOQUEUE) != NOQUEUE


def begins_another(
    step: Step, fields: Mapping[str, Any], known: Known, *, gap: float, is_over: bool
) -> bool:
    """Whether a line cannot be of the mail that is known, and so begins the next one.

    ``step`` is one of `BEGINNINGS`.  ``gap`` are the seconds since the last line that began or
    ended the known mail, which ``is_over`` if it has ended.
    """
    is_late = gap < REORDERED_SECONDS
    if is_over and not is_late:
        return True
    if step == "activated":
        return known.active_sender is not None and fields.get("postfix_from") != known.active_sender
    if step == "identified":
        message_id = fields["postfix_message-id"]
        if known.message_id is not None:
            # A mail may have several Message-ID headers: their lines come together.
            return known.message_id != message_id and (is_over or not is_late)
        return known.active_sender is not None and not is_late
    is_known = known.client_hostname is not None or known.uid is not None
    return not is_late or (is_known and not _is_same_beginning(fields, known))


def _is_same_beginning(fields: Mapping[str, Any], known: Known) -> bool:
    """Whether a line comes twice."""
    return (
        fields.get("postfix_uid") == known.uid
        and fields.get("postfix_client_hostname") == known.client_hostname
        and fields.get("postfix_client_ip") == known.client_ip
    )
