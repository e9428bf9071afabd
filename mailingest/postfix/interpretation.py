"""Event -> the same event with what the line as a whole means: its outcome, and why."""

from typing import Final

from mailingest.postfix.event import Event
from mailingest.postfix.outcome import Outcome, outcome_of
from mailingest.postfix.reasons import add_reason

# What has happened to mail and has a reason.
WITH_REASON: Final[frozenset[Outcome]] = frozenset({"deferred", "bounced", "expired", "rejected"})


def interpret(event: Event) -> Outcome | None:
    """Write `outcome` and `postfix_reason` into the fields of a Postfix line that has them.

    Returns the outcome.
    """
    if not event.instance:
        return None
    fields = event.fields
    outcome = outcome_of(event.service, fields)
    if outcome is None:
        # A client that was refused before there was any mail.
        if "postfix_action" in fields:
            add_reason(fields)
        return None
    fields["outcome"] = outcome
    if outcome in WITH_REASON:
        add_reason(fields)
    return outcome
