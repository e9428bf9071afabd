"""What was typed -> criteria; the same for a command line and a form.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import get_args

from mailingest.errors import QuestionError
from mailingest.stores.criteria import Criteria, address_term, id_term, text_term
from mailingest.trace.story import Verdict
from mailingest.trace.times import read_time


@dataclass(frozen=True, slots=True)
class Question:
    """The criteria as they were typed; None asks for nothing."""

    sender: str | None = None
    recipient: str | None = None
    queue_id: str | None = None
    message_id: str | None = None
    client: str | None = None
    sasl_user: str | None = None
    relay: str | None = None
    text: str | None = None
    host: str | None = None
    since: str | None = None
    until: str | None = None
    status: Sequence[str] = ()


def read_criteria(question: Question, *, now: datetime, zone: tzinfo) -> Criteria:
    """Turn typed options into criteria; raises QuestionError."""
    known = get_args(Verdict)
    statuses = ",".join(question.status).lower().replace("-", "_").split(",")
    wanted = {status.strip() for status in statuses} - {""}
    if unknown := wanted - set(known):
        text = ", ".join(sorted(unknown))
        raise QuestionError(
            f"--status {text}: there is no such verdict; there are {', '.join(known)}",
            "unknown_verdict",
            text=text,
        )
    since = read_time(question.since, now=now, zone=zone) if question.since else None
    until = read_time(question.until, now=now, zone=zone) if question.until else None
    if since and until and until <= since:
        raise QuestionError(
            f"--until {question.until} is not after --since {question.since}", "invalid_order"
        )
    return Criteria(
        sender=address_term(question.sender) if question.sender is not None else None,
        recipient=address_term(question.recipient) if question.recipient is not None else None,
        queue_id=question.queue_id.strip() if question.queue_id else None,
        message_id=id_term(question.message_id) if question.message_id else None,
        client=text_term(question.client) if question.client else None,
        sasl_user=address_term(question.sasl_user) if question.sasl_user else None,
        relay=text_term(question.relay) if question.relay else None,
        text=text_term(question.text) if question.text else None,
        host=text_term(question.host) if question.host else None,
        verdicts=frozenset(wanted),
        since=since,
        until=until,
    )
