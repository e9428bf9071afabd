"""What earlier versions did not store with a document -> computed when it is read."""

from collections.abc import Mapping
from typing import Any

from mailingest.postfix.names import INSTANCE, OUTCOME, PROGRAM_KIND, SERVICE
from mailingest.postfix.outcome import Outcome, outcome_of
from mailingest.postfix.programs import COMPANIONS, postfix_program


def completed(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a document, with kind of program, instance, service and outcome.

    Documents of this version come back as they are.  Of an earlier one, only the tag tells the
    service, so that one that was guessed from the text (RFC 5424, tag cut) is not known.
    """
    if PROGRAM_KIND in fields:
        return fields
    tag = str(fields.get("program", ""))
    if tag in COMPANIONS:
        return {**fields, PROGRAM_KIND: COMPANIONS[tag].kind}
    program = postfix_program(tag)
    if program is None:
        return fields
    whole = {**fields, PROGRAM_KIND: "postfix", INSTANCE: program.instance}
    if program.service:
        whole[SERVICE] = program.service
    if (outcome := outcome_of(program.service, fields)) is not None:
        whole[OUTCOME] = outcome
    return whole


def stored_outcome(fields: Mapping[str, Any]) -> Outcome | None:
    """The outcome of a document, also of one that an earlier version made."""
    outcome: Outcome | None = completed(fields).get(OUTCOME)
    return outcome
