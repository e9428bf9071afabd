"""What one of several workers sees of relays, accounts and unknown lines, for the one that watches.

Whether a relay takes nothing, or how much an account sends, none of them can tell by its share.
"""

from typing import Any, Final

from mailingest.postfix import names
from mailingest.postfix.event import Event
from mailingest.postfix.outcome import Outcome
from mailingest.watching.relays import FIELDS
from mailingest.watching.watch import Watch

# Of half a second; a share of them says as much.
_MOST_SIGHTS: Final = 5000

Sight = list[Any]
"""What was seen, as JSON can have it: the part of a `Watch`, and what it is fed with."""


class PassingWatch(Watch):
    """Tells nothing itself: `take` gives what another process is to be shown."""

    def __init__(self) -> None:
        super().__init__()
        self.sights_dropped = 0
        self._sights: list[Sight] = []

    @property
    def not_watched(self) -> int:
        return self.sights_dropped

    def outcome(self, event: Event, outcome: Outcome) -> None:
        fields = event.fields
        if names.RELAY in fields:
            told = {name: fields[name] for name in FIELDS if name in fields}
            self._see("relays", event.hostname, event.queue_id, outcome, told, event.seconds)

    def submitted(self, user: str, recipients: int, seconds: int) -> None:
        self._see("accounts", user, recipients, seconds)

    def line_unmatched(self, event: Event, now: float) -> None:
        if event.instance:
            self._see("unmatched", event.service or "postfix", event.fields["message"][:1000], now)

    def look(self, now: float, _others: object = ()) -> None:
        self.advance(now)

    def take(self) -> list[Sight]:
        """What was seen since the last call."""
        sights, self._sights = self._sights, []
        return sights

    def _see(self, *sight: object) -> None:
        if len(self._sights) < _MOST_SIGHTS:
            self._sights.append([*sight])
        else:
            self.sights_dropped += 1


def show(watch: Watch, sights: list[Sight]) -> None:
    """Have a watch see what others have seen."""
    parts: dict[str, Any] = {
        "relays": watch.relays,
        "accounts": watch.accounts,
        "unmatched": watch.unmatched,
    }
    for part, *seen in sights:
        parts[part].feed(*seen)
