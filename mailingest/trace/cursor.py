"""Where a page of a list begins: a place between two stories, as a text for links.  Pure.

The text is opaque to whoever passes it on, and has no address in it: links are in histories and
logs.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from mailingest.errors import QuestionError

_VERSION: Final = 1
LONGEST_CURSOR: Final = 1000
"""The longest text; queue IDs and host names are short."""


class Place(NamedTuple):
    """A place in the order of a list: a time, and what orders the stories of one moment.

    Without ``rest`` it is the place before all stories of that moment.
    """

    time: datetime
    rest: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins, and what of the question has to stay as it was on the first page.

    ``newer``: the page has the stories after the place in the order of time, else those before it.
    ``lead`` is what lines are found by (`mailingest.trace.paging`), ``as_of`` how far the logs
    reached, ``since`` and ``until`` the time that was asked for.  ``skipped`` stories of the list
    come before the place.
    """

    place: Place
    newer: bool
    lead: str
    as_of: datetime
    since: datetime | None = None
    until: datetime | None = None
    skipped: int = 0

    def text(self) -> str:
        """The cursor for a link; `read_cursor` reads it."""
        values = [
            _VERSION,
            [_stamp(self.place.time), *self.place.rest],
            self.newer,
            self.lead,
            *map(_stamp, (self.as_of, self.since, self.until)),
            self.skipped,
        ]
        return urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


def read_cursor(text: str) -> Cursor:
    """What `Cursor.text` wrote; raises QuestionError."""
    try:
        if len(text) > LONGEST_CURSOR:
            raise ValueError
        values = orjson.loads(urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        version, (stamp, *rest), newer, lead, as_of, since, until, skipped = values
        is_valid = (
            version == _VERSION
            and all(isinstance(one, str | int) for one in rest)
            and isinstance(newer, bool)
            and isinstance(lead, str)
            and isinstance(skipped, int)
        )
        if not is_valid:
            raise ValueError
        return Cursor(
            Place(_time(stamp), _ordered(rest)),
            newer,
            lead,
            _time(as_of),
            _time(since) if since is not None else None,
            _time(until) if until is not None else None,
            max(0, skipped),
        )
    except (ValueError, TypeError, OverflowError):
        raise QuestionError(
            "this is not a cursor: take one from the last answer, or ask without one",
            "invalid_cursor",
        ) from None


# Three texts come first (when it came in, where, and under what name), and numbers after them.
_TEXTS: Final = 3


def _ordered(rest: list[Any]) -> tuple[str | int, ...]:
    """The part of a place that can be compared with others."""
    if rest and not (
        len(rest) > _TEXTS
        and all(isinstance(one, str) for one in rest[:_TEXTS])
        and all(isinstance(one, int) for one in rest[_TEXTS:])
    ):
        raise ValueError
    return tuple(rest)


def _stamp(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat() if time is not None else None


def _time(stamp: str) -> datetime:
    time = datetime.fromisoformat(stamp)
    if time.tzinfo is None:
        raise ValueError
    return time
