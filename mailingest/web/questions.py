"""What was typed into a form of the pages -> criteria; pure."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from mailingest.errors import QuestionError
from mailingest.stores.criteria import Criteria
from mailingest.trace.questions import Question, read_criteria
from mailingest.web.texts import Texts

# Longest line of RFC 5321, which an address or a reply cannot exceed.
LONGEST_VALUE: Final = 1000

FIELDS: Final = (
    "to",
    "from",
    "since",
    "until",
    "queue_id",
    "message_id",
    "client",
    "sasl_user",
    "relay",
    "text",
    "status",
    "type",
)
"""The fields of the search form."""


def invalid(reason: str, **values: object) -> QuestionError:
    """The error of a question that only the pages refuse; ``reason`` is a key of `Texts`."""
    return QuestionError(Texts("en")(reason, **values), reason, **values)


def form_values(query: Mapping[str, str]) -> dict[str, str]:
    """What is in each field of the search form; empty ones ask for nothing."""
    return {name: query.get(name, "").strip() for name in FIELDS}


def read_question(form: Mapping[str, str], *, now: datetime, zone: tzinfo) -> Criteria:
    """The criteria of a search form; raises QuestionError."""
    if any(len(value) > LONGEST_VALUE for value in form.values()):
        raise invalid("too_long", most=LONGEST_VALUE)
    question = Question(
        sender=form["from"] or None,
        recipient=form["to"] or None,
        queue_id=form["queue_id"] or None,
        message_id=form["message_id"] or None,
        client=form["client"] or None,
        sasl_user=form["sasl_user"] or None,
        relay=form["relay"] or None,
        text=form["text"] or None,
        since=form["since"] or None,
        until=form["until"] or None,
        status=[form["status"]],
    )
    return read_criteria(question, now=now, zone=zone)
