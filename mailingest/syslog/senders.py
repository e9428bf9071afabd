"""What is wrong with how hosts send, told once for each, so that their operator can set it right.

An rsyslog that forwards RFC 5424 cuts the tag ``postfix/smtp`` at its slash; the daemon then has to
be guessed.  A clock, or a zone that is not the set one, gives lines that are hours ahead of their
arrival or behind it.
"""

from dataclasses import dataclass
from typing import Final, Literal

from mailingest.syslog.records import Record

NEAR_SECONDS: Final = 900.0
"""Nobody wonders about a line that is dated this close to its arrival."""

# A queue that is sent late is behind as well, but it catches up, and a clock does not.
_BEHIND_SECONDS: Final = 2700.0
_STEADY_SECONDS: Final = 120.0
_LINES_AHEAD: Final = 3
_LINES_BEHIND: Final = 20
_WATCHED_SECONDS: Final = 300.0
_RIGHT_SECONDS: Final = 3600.0
# Made-up hosts must not fill the memory.
_MOST_HOSTS: Final = 4096


@dataclass(frozen=True, slots=True)
class Notice:
    """What to tell of a host; ``offset`` is by how many seconds its lines are dated ahead.

    ``peer`` is the address of one that sends for the host and did not before.
    """

    host: str
    kind: Literal["tags_cut", "clock_off", "peer_unknown"]
    offset: float = 0.0
    peer: str = ""


@dataclass(slots=True)
class ClockOff:
    """A host whose lines are dated far off: by how many seconds ahead, since when, until when."""

    offset: float
    since: float
    until: float


@dataclass(slots=True)
class _Offset:
    """Lines of a host that are equally far off; times are in seconds since 1970."""

    seconds: float
    since: float
    lines: int = 0


class Senders:
    """Watches the lines of a service.

    ``cut`` and ``off`` are the hosts that something was told of.  One that sent for an hour, and no
    line that is far off, is ``off`` no more.
    """

    def __init__(self) -> None:
        self.cut: set[str] = set()
        self.off: dict[str, ClockOff] = {}
        self._offsets: dict[str, _Offset] = {}
        self._notices: list[Notice] = []

    def feed(self, record: Record, received_at: float) -> None:
        """Look at a line; ``received_at`` is in seconds since 1970."""
        host = record.hostname
        program = record.program
        if "/" not in program and (program == "postfix" or program.startswith("postfix-")):
            self._tell_of_tags(host)
        offset = record.moment.seconds - received_at
        if offset > NEAR_SECONDS or offset < -_BEHIND_SECONDS:
            known = self.off.get(host)
            if known is None:
                self._watch(host, offset, received_at)
            else:
                known.until = received_at

    def forget(self, now: float) -> None:
        """Let time pass: clocks may have been set right."""
        for host, one in list(self.off.items()):
            if now - one.until > _RIGHT_SECONDS:
                del self.off[host]

    def take(self) -> list[Notice]:
        """The notices since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def _watch(self, host: str, offset: float, now: float) -> None:
        known = self._offsets.get(host)
        if known is None or abs(known.seconds - offset) > _STEADY_SECONDS:
            if len(self._offsets) >= _MOST_HOSTS:
                self._offsets.clear()
            known = self._offsets[host] = _Offset(offset, now)
        known.lines += 1
        if (
            known.lines >= _LINES_AHEAD
            if offset > 0
            else known.lines >= _LINES_BEHIND and now - known.since >= _WATCHED_SECONDS
        ):
            del self._offsets[host]
            if len(self.off) < _MOST_HOSTS:
                self.off[host] = ClockOff(offset, known.since, now)
                self._notices.append(Notice(host, "clock_off", offset))

    def _tell_of_tags(self, host: str) -> None:
        if host not in self.cut and len(self.cut) < _MOST_HOSTS:
            self.cut.add(host)
            self._notices.append(Notice(host, "tags_cut"))
