"""Story -> the object that scripts read: one for each mail and recipient.

The keys are a contract; times are ISO 8601 in UTC, and what is not known is null.
"""

from datetime import UTC, datetime
from typing import Any

from mailingest.postfix.names import ENHANCED_STATUS_CODE
from mailingest.stores.events import StoredEvent
from mailingest.trace.facts import Attempt, refusal_reply
from mailingest.trace.origin import client_of, login_of, sender_of
from mailingest.trace.story import Story

KEYS = (
    "verdict",
    "temporary",
    "recipient",
    "original_recipient",
    "sender",
    "message_id",
    "host",
    "instance",
    "queue_id",
    "chain",
    "client",
    "sasl_username",
    "sasl_method",
    "sasl_sender",
    "received_at",
    "decided_at",
    "relay",
    "relay_ip",
    "relay_port",
    "tls",
    "remote_queue_id",
    "dsn",
    "reply",
    "attempts",
    "refused_before",
    "delays",
    "size",
    "notification",
    "note",
    "evidence",
    "proof",
    "types",
    "not_shown",
)


def story_to_json(story: Story) -> dict[str, Any]:
    """The object of a story, with the keys of `KEYS` in their order."""
    first = story.first
    refusal, attempt, login = story.refusal, story.attempt, login_of(story)
    proof = story.proof
    values: dict[str, Any] = {
        "verdict": story.verdict,
        "temporary": story.temporary,
        "recipient": story.recipient,
        "original_recipient": story.original_recipient,
        "sender": sender_of(story),
        "message_id": next((queue.message_id for queue in story.queues if queue.message_id), None),
        "host": _first(first and first.key.host, refusal and refusal.host),
        "instance": _first(first and first.key.instance, refusal and refusal.instance),
        "queue_id": first.key.queue_id if first else None,
        "chain": [queue.key._asdict() for queue in story.queues],
        "client": str(client) if (client := client_of(story)) is not None else None,
        "sasl_username": login and login.username,
        "sasl_method": login and login.method,
        "sasl_sender": login and login.sender,
        "received_at": iso(story.received_at),
        "decided_at": iso(story.decided_at),
        "relay": attempt and attempt.relay,
        "relay_ip": attempt and attempt.relay_ip,
        "relay_port": attempt and attempt.relay_port,
        "tls": (" ".join(attempt.tls) or None) if attempt else None,
        "remote_queue_id": attempt and attempt.remote_queue_id,
        "dsn": _first(attempt and attempt.dsn, (story.evidence or {}).get(ENHANCED_STATUS_CODE)),
        "reply": _reply(story),
        "attempts": story.attempts,
        "refused_before": [line_of(refusal.event) for refusal in story.refused_before],
        "delays": _delays(attempt),
        "size": first.size if first else None,
        "notification": story.notification,
        "note": story.note.in_words(utc) if story.note is not None else None,
        "evidence": line_of(story.evidence) if story.evidence is not None else None,
        "proof": [line_of(event) for event in proof],
        "types": list(dict.fromkeys(event["type"] for event in proof if event.get("type"))),
        "not_shown": story.not_shown,
    }
    return {key: values[key] for key in KEYS}


def line_of(event: StoredEvent) -> str:
    """The log line of an event; its time is in UTC, whatever it was written in."""
    pid = f"[{event['pid']}]" if event.get("pid") else ""
    return f"{event['@timestamp']} {event['host']} {event['program']}{pid}: {event['message']}"


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC to the millisecond, None for no time."""
    return utc(time) if time is not None else None


def utc(time: datetime) -> str:
    """ISO 8601 in UTC to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _reply(story: Story) -> str | None:
    if story.attempt is not None:
        return story.attempt.reply
    return refusal_reply(story.evidence or {})


def _delays(attempt: Attempt | None) -> dict[str, float | None] | None:
    """Seconds: in all, before the queue manager, in it, setting up the connection, sending."""
    if attempt is None or attempt.delay is None:
        return None
    return {"total": attempt.delay, **attempt.delays}
