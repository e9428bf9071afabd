"""Relays that took mail and now defer everything.

A relay is the next host of a mail host's deliveries, as it is named there, or all of them together:
that shows when nothing goes out any more, for want of DNS perhaps.  It has to matter: in the last
days it took 50 mails and a twentieth of all that the host delivered.  So a destination that is dead
among many, or that never was, is none.  It is odd that ten mails or more were deferred (of all
deliveries together: mails to ten domains), the last ten minutes or more after the first, and none
was taken meanwhile.  Times are those of the lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

import orjson

from mailingest.postfix import names
from mailingest.watching.notices import LONGEST_HOST, LONGEST_SUBJECT, Notice

_DAY: Final = 86_400
# What a day's mail counts a day later: half is left after three days.
_FADING: Final = 0.8
_FEWEST_TAKEN: Final = 50
_SHARE: Final = 0.05
_FEWEST_DEFERRED: Final = 10
_SHORTEST_SECONDS: Final = 600
# Names come from DNS, which others write: some 500 bytes each.
MOST_RELAYS: Final = 4096
_SNAPSHOT_ROWS: Final = 500

EVERYTHING: Final = "all deliveries"
_NONE: Final = "none"
_TRIED: Final = "connect to "
# What qmgr has the error or retry service say of a destination that it takes for dead.
_SUSPENDED: Final = "delivery temporarily suspended: "
_RESPONSES: Final = (names.SMTP_RESPONSE, names.ERROR_RESPONSE)
FIELDS: Final = (names.RELAY_HOSTNAME, names.RELAY_SERVICE, names.RECIPIENT, *_RESPONSES)
"""The fields of a line that are looked at."""


@dataclass(slots=True)
class _Relay:
    """``taken`` fades; ``deferred`` are numbers of the mails that were since one was taken, or of
    their domains.
    """

    taken: float = 0.0
    deferred_since: int = 0
    deferred_until: int = 0
    attempts: int = 0
    deferred: set[int] = field(default_factory=set)
    is_odd: bool = False


class Relays:
    """What became of deliveries, by the host that logged them and the next host."""

    def __init__(self) -> None:
        self.not_watched = 0
        """How many deliveries went to relays for which there was no room."""
        self._relays: dict[tuple[str, str], _Relay] = {}
        self._day = 0

    def __len__(self) -> int:
        return len(self._relays)

    def feed(
        self, host: str, queue_id: str | None, outcome: str, fields: Mapping[str, Any], seconds: int
    ) -> None:
        """A delivery was tried at a time, in seconds since 1970."""
        name = _name(fields)
        if outcome == "deferred":
            self._defer(host, name, queue_id or "", seconds)
            self._defer(host, EVERYTHING, _domain(fields), seconds)
        elif outcome in ("sent", "passed_on") and name:
            for relay in (name, EVERYTHING):
                self._take(host, relay)

    def advance(self, now: float) -> None:
        """Let time pass; ``now`` is in seconds since 1970."""
        day = int(now) // _DAY
        if self._day and day > self._day:
            fading = _FADING ** (day - self._day)
            for key, relay in list(self._relays.items()):
                relay.taken *= fading
                if relay.taken < 1 and not relay.is_odd:
                    del self._relays[key]
        self._day = max(day, self._day)

    def notices(self, now: float) -> Iterator[Notice]:
        """The relays that defer everything; of a host with several, all its deliveries."""
        odd: dict[str, list[str]] = {}
        for host, name in self._odd(now):
            odd.setdefault(host, []).append(name)
        for host, relays in odd.items():
            if EVERYTHING in relays:
                # Where there is one relay, that it is the one says more.
                relays = [EVERYTHING] if len(relays) != 2 else [min(relays, key=_is_everything)]
            for name in relays:
                relay = self._relays[host, name]
                yield Notice(
                    "relay_defers",
                    f"{name} from {host}"[:LONGEST_SUBJECT],
                    float(relay.deferred_since),
                    f"{relay.attempts:,} attempts deferred, none taken",
                )

    def _odd(self, now: float) -> Iterator[tuple[str, str]]:
        for (host, name), relay in self._relays.items():
            if len(relay.deferred) >= _FEWEST_DEFERRED and not relay.is_odd:
                relay.is_odd = self._matters(host, relay) and (
                    relay.deferred_until - relay.deferred_since >= _SHORTEST_SECONDS
                )
            if relay.is_odd and now - relay.deferred_until > _DAY:
                _start_anew(relay)  # nothing goes there any more
            if relay.is_odd:
                yield host, name

    def snapshot(self) -> Iterator[bytes]:
        """All that is known, as lines of bytes, for `restore`."""
        yield orjson.dumps(self._day)
        rows = [
            [
                *key,
                one.taken,
                one.deferred_since,
                one.deferred_until,
                one.attempts,
                list(one.deferred),
                one.is_odd,
            ]
            for key, one in self._relays.items()
        ]
        for start in range(0, len(rows), _SNAPSHOT_ROWS):
            yield orjson.dumps(rows[start : start + _SNAPSHOT_ROWS])

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take what a snapshot has."""
        day, *rest = map(orjson.loads, lines)
        self._day = int(day)
        for rows in rest:
            for host, name, taken, since, until, attempts, deferred, is_odd in rows:
                self._relays[host, name] = _Relay(
                    taken, since, until, attempts, set(deferred), is_odd
                )

    def _matters(self, host: str, relay: _Relay) -> bool:
        every = self._relays.get((host, EVERYTHING))
        of_all = every.taken if every is not None else 0.0
        return relay.taken >= _FEWEST_TAKEN and relay.taken >= _SHARE * of_all

    def _take(self, host: str, name: str) -> None:
        relay = self._relays.get((host, name)) or self._add(host, name)
        if relay is not None:
            relay.taken += 1
            if relay.attempts:
                _start_anew(relay)

    def _defer(self, host: str, name: str, what: str, seconds: int) -> None:
        relay = self._relays.get((host, name))
        if relay is None:
            return  # it never took anything
        if not relay.attempts:
            relay.deferred_since = seconds
        relay.attempts += 1
        relay.deferred_until = max(relay.deferred_until, seconds)
        if len(relay.deferred) < _FEWEST_DEFERRED:
            relay.deferred.add(crc32(what.encode("utf-8", "replace")))

    def _add(self, host: str, name: str) -> _Relay | None:
        if len(self._relays) >= MOST_RELAYS:
            self._make_room()
        if len(self._relays) >= MOST_RELAYS or len(host) > LONGEST_HOST:
            self.not_watched += 1
            return None
        relay = self._relays[host, name] = _Relay()
        return relay

    def _make_room(self) -> None:
        """Forget the half that took least: destinations of a mail or two."""
        order = sorted(self._relays, key=lambda key: self._relays[key].taken)
        for key in order[: MOST_RELAYS // 2]:
            if not self._relays[key].is_odd:
                del self._relays[key]


def _is_everything(name: str) -> bool:
    return name == EVERYTHING


def _start_anew(relay: _Relay) -> None:
    relay.attempts = relay.deferred_since = relay.deferred_until = 0
    relay.deferred = set()
    relay.is_odd = False


def _domain(fields: Mapping[str, Any]) -> str:
    return str(fields.get(names.RECIPIENT, "")).rpartition("@")[2].lower()


def _name(fields: Mapping[str, Any]) -> str:
    """The next host; "" if the line names none.

    Of one that cannot be reached, the response has the name.
    """
    name = fields.get(names.RELAY_HOSTNAME) or fields.get(names.RELAY_SERVICE) or ""
    if name == _NONE:
        found = next((fields[one] for one in _RESPONSES if one in fields), "")
        response = str(found).removeprefix(_SUSPENDED)
        name = response[len(_TRIED) :].partition("[")[0] if response.startswith(_TRIED) else ""
    return str(name)[:LONGEST_SUBJECT].lower()
