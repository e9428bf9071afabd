"""Lines of Postfix that no pattern matches, of a shape that there was not before.

After an upgrade a daemon words its lines in another way.  A shape is a message template, which has
placeholders for all that varies.  New is one that came ten times, on the second day of mailingest
or later, until it has been there for a week, or did not come for a day.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import orjson

from mailingest.grok.message_templates import message_template
from mailingest.watching.notices import LONGEST_SUBJECT, Notice

_DAY: Final = 86_400
_WEEK: Final = 7 * _DAY
_FEWEST: Final = 10
# A template takes as long as matching a line: a flood of lines must not double its cost.
_MOST_A_SECOND: Final = 50
MOST_KNOWN: Final = 8192
MOST_NEW: Final = 256
_SNAPSHOT_ROWS: Final = 2000
_KEY_BYTES: Final = 6
_LONGEST_SERVICE: Final = 64


@dataclass(slots=True)
class _Shape:
    """A template of a daemon's lines, how often it came, and when first and last."""

    service: str
    template: str
    first: float
    last: float
    count: int = 0


class Unmatched:
    """Which shapes there are; times are arrivals, in seconds since 1970."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._known: dict[int, None] = {}
        self._new: dict[int, _Shape] = {}
        self._second = 0
        self._in_second = 0

    def __len__(self) -> int:
        return len(self._known) + len(self._new)

    def feed(self, service: str, text: str, now: float) -> None:
        """A line of a Postfix daemon was not matched."""
        second = int(now)
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > _MOST_A_SECOND:
            return
        service, template = service[:_LONGEST_SERVICE], message_template(text)[:LONGEST_SUBJECT]
        key = _key(service, template)
        if key in self._known:
            return
        if self._began is None:
            self._began = now
        if now - self._began < _DAY:
            self._learn(key)
            return
        shape = self._new.get(key)
        if shape is None:
            if len(self._new) >= MOST_NEW:
                del self._new[next(iter(self._new))]
            shape = self._new[key] = _Shape(service, template, now, now)
        shape.count += 1
        shape.last = now

    def advance(self, now: float) -> None:
        """Let time pass; the first day begins with the first call."""
        if self._began is None:
            self._began = now
        for key, shape in list(self._new.items()):
            if now - shape.first > _WEEK:
                del self._new[key]
                self._learn(key)

    def notices(self, now: float) -> Iterator[Notice]:
        """The daemons that write lines of a new shape."""
        by_service: dict[str, list[_Shape]] = {}
        for shape in self._new.values():
            if shape.count >= _FEWEST and now - shape.last <= _DAY:
                by_service.setdefault(shape.service, []).append(shape)
        for service, shapes in by_service.items():
            most = max(shapes, key=lambda one: one.count)
            yield Notice(
                "unmatched_new",
                f"postfix/{service}",
                min(one.first for one in shapes),
                f"{sum(one.count for one in shapes):,} lines of {len(shapes)} new shapes, most of "
                f"them: {most.template}",
            )

    def snapshot(self) -> Iterator[bytes]:
        """All that is known, as lines of bytes, for `restore`."""
        new = [
            [key, one.service, one.template, one.first, one.last, one.count]
            for key, one in self._new.items()
        ]
        yield orjson.dumps([self._began, new])
        known = list(self._known)
        for start in range(0, len(known), _SNAPSHOT_ROWS):
            yield orjson.dumps(known[start : start + _SNAPSHOT_ROWS])

    def restore(self, lines: Iterable[bytes]) -> None:
        """Take what a snapshot has."""
        (began, new), *rest = map(orjson.loads, lines)
        self._began = began
        for key, *shape in new:
            self._new[key] = _Shape(*shape)
        for known in rest:
            self._known.update(dict.fromkeys(known))

    def _learn(self, key: int) -> None:
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = None


def _key(service: str, template: str) -> int:
    text = f"{service}\n{template}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=_KEY_BYTES).digest())
