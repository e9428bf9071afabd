"""Accounts (SASL user names) that send to far more recipients in an hour than they ever did.

Hours are those of the lines' own times, so that a day's lines that come all at once, after an
outage, are a day all the same.  An hour is odd with more than five times the recipients of the
account's highest hour of the last five weeks, which takes in what goes out once a month; and with
more than a hundred, or five hundred for an account that is known for less than a week.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson

from mailingest.watching.notices import LONGEST_SUBJECT, Notice

_HOUR: Final = 3600
_DAY: Final = 86_400
_WEEK: Final = 7 * _DAY
_WEEKS: Final = 5

_FACTOR: Final = 5
_FEWEST: Final = 100
_FEWEST_AT_FIRST: Final = 500
# Lines of several hosts come with their hours mixed.
_HOURS_OPEN: Final = 4
# Names come from whoever logs in: some 700 bytes each.
MOST_ACCOUNTS: Final = 20_000
_SNAPSHOT_ROWS: Final = 500


@dataclass(slots=True)
class _Account:
    """What one sends.

    ``hours`` has the recipients of the last hours, ``highest`` the most of an hour by week.
    ``odd_since`` and ``odd_until`` are the begin of the first and last odd hour, ``odd`` what the
    highest of them had and ``usual`` what there was before.
    """

    first_hour: int
    hours: dict[int, int] = field(default_factory=dict)
    highest: dict[int, int] = field(default_factory=dict)
    odd_since: int | None = None
    odd_until: int = 0
    odd: int = 0
    usual: int = 0


class Accounts:
    """What accounts send."""

    def __init__(self) -> None:
        self.not_watched = 0
        """How many mails came from accounts for which there was no room."""
        self._accounts: dict[str, _Account] = {}
        self._room_made = 0

    def __len__(self) -> int:
        return len(self._accounts)

    def feed(self, user: str, recipients: int, seconds: int) -> None:
        """An account sent a mail at a time, in seconds since 1970."""
        user, hour = user[:LONGEST_SUBJECT], seconds // _HOUR
        account = self._accounts.get(user)
        if account is None:
            if len(self._accounts) >= MOST_ACCOUNTS and hour > self._room_made:
                self._room_made = hour  # it takes long: not for each mail
                self._make_room(hour)
            if len(self._accounts) >= MOST_ACCOUNTS:
                self.not_watched += 1
                return
            account = self._accounts[user] = _Account(hour)
        hours = account.hours
        if hour not in hours and hours and hour < min(hours) and len(hours) >= _HOURS_OPEN:
            return  # it is too late to say how many there were
        hours[hour] = hours.get(hour, 0) + recipients
        while len(hours) > _HOURS_OPEN:
            first = min(hours)
            _close(account, first, hours.pop(first))
        self._judge(account, hour)

    def notices(self, now: float) -> Iterator[Notice]:
        """The accounts of which an hour of the last day was odd."""
        for user, account in self._accounts.items():
            if account.odd_since is None:
                continue
            if now - account.odd_until * _HOUR > _DAY + _HOUR:
                # Nobody has stopped it: it is what the account sends now and then.
                _learn(account, account.odd_until, account.odd)
                account.odd_since = None
                continue
            yield Notice(
                "account_jump",
                user,
                float(account.odd_since * _HOUR),
                f"{account.odd:,} recipients in an hour, {account.usual:,} at most before",
            )

    def snapshot(self) -> Iterator[bytes]:
        """All that is known, as lines of bytes, for `restore`."""
        rows = [
            [
                user,
                one.first_hour,
                list(one.hours.items()),
                list(one.highest.items()),
                [one.odd_since, one.odd_until, one.odd, one.usual],
            ]
            for user, one in self._accounts.items()
        ]
        for start in range(0, len(rows), _SNAPSHOT_ROWS):
            yield orjson.dumps(rows[start : start + _SNAPSHOT_ROWS])

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take what a snapshot has."""
        for rows in map(orjson.loads, lines):
            for user, first, hours, highest, odd in rows:
                self._accounts[user] = _Account(first, dict(hours), dict(highest), *odd)

    def _judge(self, account: _Account, hour: int) -> None:
        count = account.hours[hour]
        if count <= _FEWEST:
            return
        week = hour * _HOUR // _WEEK
        usual = max(
            (most for number, most in account.highest.items() if week - number < _WEEKS), default=0
        )
        others = (most for one, most in account.hours.items() if one != hour)
        if account.odd_since is None:
            usual = max(usual, *others, 0)
        is_new = (hour - account.first_hour) * _HOUR < _WEEK
        if count > max(_FEWEST_AT_FIRST if is_new else _FEWEST, _FACTOR * usual):
            if account.odd_since is None:
                account.odd_since, account.odd, account.usual = hour, 0, usual
            account.odd_until = max(account.odd_until, hour)
            account.odd = max(account.odd, count)

    def _make_room(self, hour: int) -> None:
        """Forget the accounts that sent nothing for as long as anything is known."""
        oldest = hour - _WEEKS * _WEEK // _HOUR
        for user, account in list(self._accounts.items()):
            if max(account.hours) < oldest:
                del self._accounts[user]


def _close(account: _Account, hour: int, count: int) -> None:
    """An hour is over, and one of those that later ones are held against if it was not odd."""
    if account.odd_since is None or not account.odd_since <= hour <= account.odd_until:
        _learn(account, hour, count)


def _learn(account: _Account, hour: int, count: int) -> None:
    week, highest = hour * _HOUR // _WEEK, account.highest
    highest[week] = max(highest.get(week, 0), count)
    while len(highest) > _WEEKS:
        del highest[min(highest)]
