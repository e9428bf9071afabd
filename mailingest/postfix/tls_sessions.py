"""Event -> the same event: how the connection of an SMTP delivery was encrypted is added to it.

smtp(8) and lmtp(8) log a TLS connection by a line without queue ID, before the first delivery over
it (tls/tls_misc.c, tls_log_summary()).  Both lines are of one process and name the same relay.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from mailingest.postfix.event import Event

_FACTS: Final = ("postfix_tls_trustlevel", "postfix_tls_version", "postfix_tls_cipher")
_RELAY: Final = ("postfix_relay_ip", "postfix_relay_port")
TLS_AGENTS: Final = frozenset({"smtp", "lmtp"})
"""The services whose events a `TlsSessions` has to see."""
# Postfix keeps a connection for at most 300 s (smtp_connection_reuse_time_limit).
_SECONDS: Final = 300
# A host runs 100 delivery agents (default_process_limit); 100 of them are a large site.
_CAPACITY: Final = 10_000


class TlsSessions:
    """The TLS session that each delivery agent set up last."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, tuple[int, list[Any], list[Any]]] = OrderedDict()

    def feed(self, event: Event) -> None:
        """Learn from a line about TLS, or write what is known into a delivery event."""
        fields = event.fields
        if event.service not in TLS_AGENTS:
            return
        if "postfix_tls_version" in fields:
            key = self._key(event)
            self._latest[key] = (
                event.seconds,
                [fields.get(name) for name in _RELAY],
                [fields.get(name) for name in _FACTS],
            )
            self._latest.move_to_end(key)
            if len(self._latest) > _CAPACITY:
                self._latest.popitem(last=False)
        elif "postfix_relay_ip" in fields and "postfix_status" in fields:
            known = self._latest.get(self._key(event))
            if known is None:
                return
            seconds, relay, facts = known
            is_same = relay == [fields.get(name) for name in _RELAY]
            if is_same and abs(event.seconds - seconds) <= _SECONDS:
                for name, value in zip(_FACTS, facts, strict=True):
                    if value is not None:
                        fields.setdefault(name, value)

    def snapshot(self) -> Iterator[bytes]:
        """What is known as lines of bytes, for `restore`; events may be fed in between."""
        return (orjson.dumps([key, *known]) for key, known in list(self._latest.items()))

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take a snapshot; raises ValueError if another version made it."""
        for key, seconds, relay, facts in map(orjson.loads, lines):
            if len(relay) != len(_RELAY) or len(facts) != len(_FACTS):
                raise ValueError("a snapshot of another version")
            self._latest[key] = (seconds, relay, facts)

    @staticmethod
    def _key(event: Event) -> str:
        fields = event.fields
        return f"{event.hostname} {fields['program']} {fields.get('pid', '')}"
