"""Which events the store needs if it is for tracing mail only (`events = "deliveries"`).

The rule: an event is needed if

1. it names a mail: by its queue ID, or as one that was refused before it had one (NOQUEUE), by its
   Message-ID, or by the LMTP session that it was stored in.  From Postfix these are: accepted,
   Message-ID, active, delivered, deferred, bounced, expired, held, discarded, milter, notification,
   removed, an operator's action, and warnings that name a queue ID; from filters and mail stores,
   what they did with a mail; or
2. smtpd lost its client after a recipient was taken: that tells why a mail was not accepted; or
3. its header could not be read or names no program, or no pattern matches its text, so that nobody
   knows which mail it is about.

Not needed are connect and disconnect, connections that were lost earlier, TLS, anvil, dnsblog and
postscreen, warnings about no mail in particular, logins, and other programs.  All of them are
parsed and correlated before they are left out.
"""

from typing import Final

from mailingest.postfix.event import Event

_NAMES_OF_A_MAIL: Final = frozenset(
    {
        "postfix_queueid",
        "postfix_message-id",
        "postfix_lmtp_session",
        "filter_id",
        # What was refused has no queue ID then.
        "postfix_proxy_result",
        "postfix_refusal",
    }
)
# SMTP commands that come when a mail has its queue ID (smtpd(8): after the first recipient).
_STAGES_OF_A_MAIL: Final = frozenset({"RCPT", "DATA", "DATA content", "BDAT", "END-OF-MESSAGE"})


def is_of_a_mail(event: Event) -> bool:
    """Whether tracing a mail needs the event."""
    fields = event.fields
    if not _NAMES_OF_A_MAIL.isdisjoint(fields):
        return True
    if "postfix_smtpd_lostconn_data" in fields:
        return fields.get("postfix_smtp_stage") in _STAGES_OF_A_MAIL
    return bool(event.nomatch)
