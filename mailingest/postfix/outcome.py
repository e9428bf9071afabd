"""Fields of a Postfix line -> its outcome: what it says became of a mail, client or recipient.

The one rule.  It is applied when a line is parsed, and stored with the document (`outcome`): a
trace, the overview, reports and every store read it there.  One line decides, so what is counted
are lines: a mail to two recipients is delivered by two, and one that is tried again is deferred by
each try.  The outcomes:

* ``received``: a mail came in: smtpd's or qmqpd's line that begins a queue ID, or pickup's.  It is
  none if a filter gave the mail back: that line names the queue ID before (XFORWARD), or is about
  a client on this machine that did not log in.  Such a client may also be a program that sends
  mail of its own; its mail is not told apart, and not counted here.  A mail that postsuper
  requeued is no new one.
* ``sent``: a delivery that left this machine or was the last.  ``passed_on``: one to a filter or
  another queue on this machine.  ``discarded``: a mail that was thrown away.
* ``deferred``, ``bounced``, ``expired``: as Postfix calls it.
* ``rejected``: smtpd, postscreen, cleanup, a milter or a before-queue filter refused a client, a
  recipient or a mail.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from mailingest.postfix.event import POSTFIX_SUCCESS
from mailingest.postfix.lifecycle import OF_A_SESSION
from mailingest.postfix.names import NOQUEUE
from mailingest.postfix.reasons import DEFERRING, REJECTS

Outcome = Literal[
    "received", "sent", "passed_on", "deferred", "bounced", "expired", "discarded", "rejected"
]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

BUCKET_SECONDS: Final = 600
"""Stores may count in buckets of this many seconds since 1970, and no finer."""

_THIS_HOST: Final = frozenset({"127.0.0.1", "::1"})
# The values of `postfix_disposition` of a mail that is gone.
_THROWN_AWAY: Final = frozenset({"discarded", "blocked", "quarantined"})
# The values of `postfix_action` that throw a mail away.
_DISCARDS: Final = frozenset({"discard", "milter-discard"})
# What a line about a client and a queue ID does not have if it begins a mail's way here.
_NOT_OF_AN_ARRIVAL: Final = OF_A_SESSION | {"postfix_orig_queueid"}
# What tells that a client on this machine does not give back what was counted before.  The second
# is what a before-queue filter says of a mail that had no queue ID yet.
_KNOWN_CLIENT: Final = ("postfix_sasl_username", "postfix_orig_client_hostname")


def outcome_of(service: str, fields: Mapping[str, Any]) -> Outcome | None:
    """What a line of a Postfix daemon says became of something; None for all that is not decided.

    Addresses that were only probed (address verification) have no outcome.
    """
    if "postfix_status" in fields:
        return _of_delivery(service, fields)
    if "postfix_queueid" in fields or "postfix_proxy_result" in fields:
        return _of_arrival(fields)
    return None


def _is_hop(service: str, fields: Mapping[str, Any]) -> bool:
    """Whether a delivery went to this machine, so that a 2xx reply says nothing about the end."""
    if service == "lmtp" and "postfix_remote_queueid" not in fields:
        return False  # a mail store: it has no queue
    relay = fields.get("postfix_relay_ip")
    return relay in _THIS_HOST or (relay is None and "postfix_remote_queueid" in fields)


def _of_delivery(service: str, fields: Mapping[str, Any]) -> Outcome | None:
    status = fields["postfix_status"]
    if status == "sent":
        disposition = fields.get("postfix_disposition")
        if disposition is not None:
            return "discarded" if disposition in _THROWN_AWAY else "bounced"
        goes_on = "postfix_forwarded_queueid" in fields or _is_hop(service, fields)
        return "passed_on" if goes_on else "sent"
    if status in DEFERRING:
        return "deferred"
    if status == "bounced":
        return "bounced"
    # Anything else is about an address that was only probed.
    return "expired" if status.endswith("expired") else None


def _of_arrival(fields: Mapping[str, Any]) -> Outcome | None:
    if "postfix_action" in fields:
        action = fields["postfix_action"]
        if action in REJECTS:
            return "rejected"
        return "discarded" if action in _DISCARDS else None
    if "postfix_uid" in fields:
        return "received" if "postfix_orig_id" not in fields else None
    result = fields.get("postfix_milter_result") or fields.get("postfix_proxy_result")
    if result is not None:
        if result.endswith("reject"):
            return "rejected"
        return "discarded" if result.endswith("discard") else None
    is_arrival = "postfix_client_hostname" in fields and _begins(fields)
    return "received" if is_arrival else None


def _begins(fields: Mapping[str, Any]) -> bool:
    """Whether a line with a client and a queue ID is the first one of a mail that came in here."""
    if not _NOT_OF_AN_ARRIVAL.isdisjoint(fields) or POSTFIX_SUCCESS not in fields["tags"]:
        return False
    if fields["postfix_queueid"] == NOQUEUE:
        return False  # it gets a queue ID behind the before-queue filter
    return fields.get("postfix_client_ip") not in _THIS_HOST or any(
        name in fields for name in _KNOWN_CLIENT
    )
