"""Under which host names a peer sends, and what is odd about that.

The host name of a line is its sender's word; the peer's address is not (over TCP).  The first peer
that sends under a name has it.  Another one may be a second relay or address of the host, or
somebody who forges its lines: until it has sent under that name for a day, its lines about queue
IDs are tagged.  A relay sends under many names, but not under any number of them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import orjson

from mailingest.syslog.senders import Notice

PEER_UNKNOWN: Final = "_syslog_peer_unknown"
"""Tags a line about a queue ID from a peer that was not known to send for its host."""
HOSTS_EXCEEDED: Final = "_syslog_peer_hosts_exceeded"
"""Tags a line under a new host name from a peer that has too many of them already."""

_PROBATION_SECONDS: Final = 86_400.0
# A name that was not used for one or two of these is forgotten.
_GENERATION_SECONDS: Final = 30 * 86_400.0
# Made-up peers and hosts must not fill the memory: some 200 bytes each.
_MOST_PAIRS: Final = 50_000
_SNAPSHOT_ROWS: Final = 500

Pair = tuple[str, str]


class Peers:
    """Knows which peers send for which hosts; ``most_hosts`` are the names that a peer may use.

    ``usual`` has the pairs of peer and host whose lines are as they should be: most lines need no
    more than a look into it.  All others are for `judge`.  ``lines_unknown`` and ``lines_exceeded``
    count the tagged ones.
    """

    def __init__(self, most_hosts: int) -> None:
        self.usual: set[Pair] = set()
        self.lines_unknown = 0
        self.lines_exceeded = 0
        self.most_hosts = most_hosts
        self._older: set[Pair] = set()
        self._began = 0.0
        self._probation: dict[Pair, float] = {}
        # How many pairs there are in the two sets, and of each host and each peer.
        self._pairs = 0
        self._of_host: Counter[str] = Counter()
        self._of_peer: Counter[str] = Counter()
        self._notices: list[Notice] = []

    def judge(self, peer: str, host: str, now: float, *, has_queue_id: bool) -> str:
        """The tag for a line whose pair is not a usual one, "" if there is nothing odd about it."""
        if now - self._began > _GENERATION_SECONDS:
            self._begin_generation(now)
        pair = (peer, host)
        if pair in self._older:
            self.usual.add(pair)
            return ""
        if host not in self._of_host:
            if self._of_peer[peer] < self.most_hosts and self._has_room:
                self._add(pair)
                return ""
            self.lines_exceeded += 1
            return HOSTS_EXCEEDED
        if self._is_on_probation(pair, now):
            if not has_queue_id:
                return ""
            self.lines_unknown += 1
            return PEER_UNKNOWN
        return ""

    def take(self) -> list[Notice]:
        """The notices since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def snapshot(self) -> Iterator[bytes]:
        """All that is known, as lines of bytes, for `restore`; it is that of the call."""
        rows: list[tuple[str, str, float | None]] = [
            *((peer, host, None) for peer, host in self.usual | self._older),
            *((peer, host, since) for (peer, host), since in self._probation.items()),
        ]
        return self._rows(self._began, rows)

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take what a snapshot has."""
        for first, *rows in map(orjson.loads, lines):
            self._began = float(first)
            for peer, host, since in rows:
                if since is None:
                    self._add((peer, host))
                else:
                    self._probation[peer, host] = float(since)

    @staticmethod
    def _rows(began: float, rows: list[tuple[str, str, float | None]]) -> Iterator[bytes]:
        left = iter(rows)
        while some := list(islice(left, _SNAPSHOT_ROWS)):
            yield orjson.dumps([began, *some])

    @property
    def _has_room(self) -> bool:
        return self._pairs < _MOST_PAIRS

    def _is_on_probation(self, pair: Pair, now: float) -> bool:
        since = self._probation.get(pair)
        if since is None:
            if len(self._probation) >= _MOST_PAIRS:
                self._probation.clear()
            self._probation[pair] = now
            peer, host = pair
            self._notices.append(Notice(host, "peer_unknown", peer=peer))
            return True
        if now - since < _PROBATION_SECONDS or not self._has_room:
            return True
        del self._probation[pair]
        self._add(pair)
        return False

    def _add(self, pair: Pair) -> None:
        self.usual.add(pair)
        self._pairs += 1
        peer, host = pair
        self._of_peer[peer] += 1
        self._of_host[host] += 1

    def _begin_generation(self, now: float) -> None:
        """Forget the pairs that were not seen since the last generation began."""
        self._began = now
        self._older, self.usual = self.usual, set()
        self._pairs = len(self._older)
        self._of_peer = Counter(peer for peer, _ in self._older)
        self._of_host = Counter(host for _, host in self._older)
        oldest = now - _GENERATION_SECONDS
        self._probation = {one: at for one, at in self._probation.items() if at > oldest}
