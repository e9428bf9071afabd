"""Event -> the same event with what the line as a whole means: its outcome, and why."""

from mailingest.postfix.outcome import outcome_of
from mailingest.postfix.parser import Event
from mailingest.postfix.reasons import add_reason


def interpret(event: Event) -> None:
    """Write `outcome` and `postfix_reason` into the fields of a Postfix line that has them."""
    if not event.instance:
        return
    fields = event.fields
    outcome = outcome_of(event.service, fields)
    if outcome is not None:
        fields["outcome"] = outcome
    add_reason(fields)
