"""Story -> the object that scripts read: one for each mail and recipient.

The keys are a contract; times are ISO 8601 in UTC, and what is not known is null.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mailingest.stores.events import StoredEvent
from mailingest.trace.stories import Story

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
    "delays",
    "size",
    "notification",
    "note",
    "evidence",
    "proof",
)
_DELAYS = ("before_qmgr", "in_qmgr", "conn_setup", "transmission")


def answer(story: Story) -> dict[str, Any]:
    """The object of a story, with the keys of `KEYS` in their order."""
    first = story.first
    refused: StoredEvent = story.refusal.event if story.refusal is not None else {}
    delivery: StoredEvent = story.attempt.event if story.attempt is not None else {}
    values: dict[str, Any] = {
        "verdict": story.verdict,
        "temporary": story.temporary,
        "recipient": story.recipient,
        "original_recipient": story.original_recipient,
        "sender": _first(first.sender if first else None, refused.get("postfix_from")),
        "message_id": next((queue.message_id for queue in story.queues if queue.message_id), None),
        "host": _first(first.key.host if first else None, refused.get("host")),
        "instance": _first(
            first.key.instance if first else None,
            story.refusal.instance if story.refusal is not None else None,
        ),
        "queue_id": first.key.queue_id if first else None,
        "chain": [queue.key._asdict() for queue in story.queues],
        "client": _client(story),
        "received_at": iso(story.received_at),
        "decided_at": iso(story.decided_at),
        "relay": delivery.get("postfix_relay"),
        "relay_ip": delivery.get("postfix_relay_ip"),
        "relay_port": delivery.get("postfix_relay_port"),
        "tls": _tls(delivery),
        "remote_queue_id": delivery.get("postfix_remote_queueid"),
        "dsn": _first(
            delivery.get("postfix_dsn"),
            (story.evidence or {}).get("postfix_status_code_enhanced"),
        ),
        "reply": _reply(story),
        "attempts": story.attempts,
        "delays": _delays(delivery),
        "size": first.size if first else None,
        "notification": story.notification,
        "note": story.note or None,
        "evidence": line_of(story.evidence) if story.evidence is not None else None,
        "proof": [line_of(event) for event in story.proof],
    }
    return {key: values[key] for key in KEYS}


def line_of(event: StoredEvent) -> str:
    """The log line of an event; its time is in UTC, whatever it was written in."""
    pid = f"[{event['pid']}]" if event.get("pid") else ""
    return f"{event['@timestamp']} {event['host']} {event['program']}{pid}: {event['message']}"


def iso(time: datetime | None) -> str | None:
    """ISO 8601 in UTC to the millisecond, None for no time."""
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _client(story: Story) -> str | None:
    events: Sequence[StoredEvent] = [story.refusal.event] if story.refusal is not None else []
    first = story.first
    name = first.client if first else None
    ip = first.client_ip if first else None
    for event in events:
        name = name or event.get("postfix_client_hostname")
        ip = ip or event.get("postfix_client_ip")
    if name is None and ip is None:
        return None
    return f"{name or 'unknown'}[{ip or 'unknown'}]"


def _tls(delivery: StoredEvent) -> str | None:
    """The level of Postfix 3.11's delivery line, else what the line about the connection told."""
    level = delivery.get("postfix_tls_security_level")
    version = delivery.get("postfix_tls_version")
    trust = delivery.get("postfix_tls_trustlevel")
    parts = [part for part in (level, trust, version, delivery.get("postfix_tls_cipher")) if part]
    return " ".join(parts) or None


def _reply(story: Story) -> str | None:
    if story.attempt is not None:
        return story.attempt.reply
    event = story.evidence or {}
    text = _first(event.get("postfix_status_message"), event.get("postfix_milter_message"))
    if text is None:
        return None
    code = event.get("postfix_status_code")
    enhanced = event.get("postfix_status_code_enhanced")
    about = event.get("postfix_status_data")
    if about is not None:
        text = f"<{about}>: {text}"
    return " ".join(str(part) for part in (code, enhanced, text) if part is not None)


def _delays(delivery: StoredEvent) -> dict[str, float] | None:
    """Seconds: in all, before the queue manager, in it, setting up the connection, sending."""
    if "postfix_delay" not in delivery:
        return None
    parts = {name: delivery.get(f"postfix_delay_{name}") for name in _DELAYS}
    return {"total": delivery["postfix_delay"], **parts}
