"""All that is watched, in one object, which the pipeline feeds."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from mailingest.postfix import names
from mailingest.postfix.event import Event
from mailingest.postfix.outcome import Outcome
from mailingest.watching.accounts import Accounts
from mailingest.watching.hosts import Hosts
from mailingest.watching.notices import Notice, NoticeBoard
from mailingest.watching.relays import Relays
from mailingest.watching.unmatched import Unmatched

_VERSION: Final = b'"watch 1"'
_END: Final = b"-"
_LOOK_SECONDS: Final = 10.0


class Watch:
    """Watches the lines of a service; times are in seconds since 1970.

    What it knows need not be as exact as what documents are made of: lines of a minute that are
    counted twice after a crash, or not at all, change nothing.

    ``board`` has what there is to tell, as of the last `look`.
    """

    def __init__(self) -> None:
        self.hosts = Hosts()
        self.relays = Relays()
        self.accounts = Accounts()
        self.unmatched = Unmatched()
        self.board = NoticeBoard()
        self._looked = 0.0

    @property
    def not_watched(self) -> int:
        """How many lines were of what there was no room to watch."""
        parts = (self.hosts, self.relays, self.accounts)
        return sum(part.not_watched for part in parts)

    def outcome(self, event: Event, outcome: Outcome) -> None:
        """A line says what became of a mail."""
        if names.RELAY in event.fields:
            self.relays.feed(event.hostname, event.queue_id, outcome, event.fields, event.seconds)

    def submitted(self, user: str, recipients: int, seconds: int) -> None:
        """A user who logged in has sent a mail to so many recipients."""
        self.accounts.feed(user, recipients, seconds)

    def line_unmatched(self, event: Event, now: float) -> None:
        """No pattern matched a line."""
        if event.instance:
            self.unmatched.feed(event.service or "postfix", event.fields["message"], now)

    def advance(self, now: float) -> None:
        """Let time pass, that of the lines' arrival."""
        self.hosts.advance(now)
        self.relays.advance(now)
        self.unmatched.advance(now)

    def look(self, now: float, others: Iterable[Notice] = ()) -> None:
        """See what there is to tell, if it was not just done; for when no line waits.

        ``others`` are notices that come from elsewhere.
        """
        self.advance(now)
        if 0 <= now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        self.board.update(
            chain(
                others,
                self.hosts.notices(),
                self.relays.notices(now),
                self.accounts.notices(now),
                self.unmatched.notices(now),
            )
        )

    def snapshot(self) -> Iterator[bytes]:
        """All that is known at the time of the call, as lines of bytes, for `restore`."""
        rows = [_VERSION]
        for part in (self.hosts, self.relays, self.accounts, self.unmatched):
            rows += part.snapshot()
            rows.append(_END)
        return iter(rows)

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take what a snapshot has; raises ValueError for what is none, with a part taken."""
        version, *rows = lines
        if version != _VERSION:
            raise ValueError("of another version")
        for part in (self.hosts, self.relays, self.accounts, self.unmatched):
            end = rows.index(_END)
            part.restore(rows[:end])
            del rows[: end + 1]
