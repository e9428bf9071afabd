"""A mail with many recipients, in every way that one can end: lines of a log.

Ten domains, each with a relay and a backup that answers for all others; smtp(8) tries fifty
recipients at a time.  Of each ten, six are sent at once, one is deferred and sent later, one is
deferred to the end, one bounces, and one is forwarded here under a queue ID of its own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

_START: Final = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
_DOMAINS: Final = 10
# default_destination_recipient_limit
_AT_A_TIME: Final = 50
_RETRIES: Final = 4
_ID: Final = "4fXbpG2Zh0z9q2P"


def mail_of(recipients: int) -> list[bytes]:
    """The lines of the mail, in the order of time, with time stamps in ISO 8601."""
    lines = [
        (0.0, "smtpd[100]", f"{_ID}: client=list.example.org[192.0.2.7]"),
        (0.1, "cleanup[101]", f"{_ID}: message-id=<news@example.org>"),
    ]
    for number in range(0, recipients, 97):
        reply = f"550 5.1.1 <gone{number}@example.org>: Recipient address rejected: User unknown"
        lines.append(
            (
                0.05,
                "smtpd[100]",
                f"{_ID}: reject: RCPT from list.example.org[192.0.2.7]: {reply}; "
                f"from=<news@example.org> to=<gone{number}@example.org> proto=ESMTP helo=<list>",
            )
        )
    for attempt in range(_RETRIES + 1):
        lines += _round(recipients, attempt)
    lines.append((5.1, "bounce[103]", f"{_ID}: sender non-delivery notification: 4fXbpG9Zh0z9q2P"))
    lines.sort(key=lambda line: line[0])
    return [
        f"{(_START + timedelta(seconds=at)).isoformat(timespec='microseconds')} mx1 postfix/{tag}: "
        f"{text}".encode()
        for at, tag, text in lines
    ]


def _round(recipients: int, attempt: int) -> Iterator[tuple[float, str, str]]:
    """A visit of the queue manager."""
    begin = attempt * 1200.0 + 0.2
    yield (
        begin,
        "qmgr[102]",
        f"{_ID}: from=<news@example.org>, size=4000, nrcpt={recipients} (queue active)",
    )
    for domain in range(_DOMAINS):
        due = [one for one in range(domain, recipients, _DOMAINS) if attempt in _rounds(one)]
        for first in range(0, len(due), _AT_A_TIME):
            at = begin + first / _AT_A_TIME
            for place, one in enumerate(due[first : first + _AT_A_TIME]):
                yield from _try(one, domain, attempt, at + place / 1000)


def _kind(one: int) -> int:
    return one // _DOMAINS % 10


def _rounds(one: int) -> range:
    """The visits at which a recipient is tried."""
    return range({6: 3, 7: _RETRIES + 1}.get(_kind(one), 1))


def _try(one: int, domain: int, attempt: int, at: float) -> Iterator[tuple[float, str, str]]:
    to = f"user{one}@d{domain}.example.net"
    tag = f"smtp[{200 + domain}]"
    relay = f"mx.d{domain}.example.net[198.51.100.{domain}]"
    delays = f"delay={at + 0.5:.1f}, delays={at:.1f}/0/0.2/0.3"
    kind = _kind(one)
    if kind == 9:
        child = f"{0xAB0000000 + one:09X}"
        yield at, "cleanup[101]", f"{child}: message-id=<news@example.org>"
        yield (
            at,
            "qmgr[102]",
            f"{child}: from=<news@example.org>, size=4100, nrcpt=1 (queue active)",
        )
        yield (
            at,
            "local[104]",
            (
                f"{_ID}: to=<{to}>, relay=local, {delays}, dsn=2.0.0, "
                f"status=sent (forwarded as {child})"
            ),
        )
        yield (
            at + 0.6,
            tag,
            (
                f"{child}: to=<home{one}@example.com>, orig_to=<{to}>, relay={relay}:25, "
                f"{delays}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4X{one}Z)"
            ),
        )
        yield at + 0.7, "qmgr[102]", f"{child}: removed"
        return
    if kind in (6, 7) and attempt < 2:
        yield (
            at,
            tag,
            (
                f"{_ID}: host {relay} said: 450 4.2.0 <{to}>: Recipient address rejected: "
                "Greylisted (in reply to RCPT TO command)"
            ),
        )
    if kind in (7,) and attempt >= 2 and one % 50 < _DOMAINS:
        yield at, tag, f"{_ID}: lost connection with {relay} while sending RCPT TO"
    status = {6: "sent" if attempt == 2 else "deferred", 7: "deferred", 8: "bounced"}.get(
        kind, "sent"
    )
    dsn, reply = {
        "sent": ("2.0.0", f"250 2.0.0 Ok: queued as 4Y{one}Z"),
        "deferred": (
            "4.2.0",
            f"host {relay} said: 450 4.2.0 <{to}>: Greylisted (in reply to RCPT TO command)",
        ),
        "bounced": (
            "5.1.1",
            f"host {relay} said: 550 5.1.1 <{to}>: User unknown (in reply to RCPT TO command)",
        ),
    }[status]
    yield (
        at + 0.5,
        tag,
        f"{_ID}: to=<{to}>, relay={relay}:25, {delays}, dsn={dsn}, status={status} ({reply})",
    )
