"""Event -> the same event with what the line as a whole means: its outcome, and why."""

from typing import Final

from mailingest.postfix.outcome import Outcome, outcome_of
from mailingest.postfix.parser import Event
from mailingest.postfix.reasons import add_reason

# Most lines by far; nothing has to be explained.
_WITHOUT_REASON: Final[frozenset[Outcome]] = frozenset({"received", "sent", "passed_on"})


def interpret(event: Event) -> None:
    """Write `outcome` and `postfix_reason` into the fields of a Postfix line that has them."""
    if not event.instance:
        return
    fields = event.fields
    outcome = outcome_of(event.service, fields)
    if outcome is not None:
        fields["outcome"] = outcome
        if outcome in _WITHOUT_REASON:
            return
    add_reason(fields)
