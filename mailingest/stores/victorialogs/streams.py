"""Which documents are told apart as streams: those of hosts and programs that are not too many.

The server keeps the lines of a stream together, by ``host`` and ``program``, which makes them
small.  It keeps a register of streams, which whoever sends lines could fill with names.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from mailingest.documents import Document

T = TypeVar("T")

MOST_STREAMS: Final = 5000
"""Of a day; the lines of others are in one stream of their type."""

OF_HOST: Final = "event_type,host,program"
OF_TYPE: Final = "event_type"


class Streams:
    """The streams of the day that was written to last."""

    def __init__(self) -> None:
        self._day = ""
        self._known: set[tuple[object, object]] = set()

    def sorted(
        self, several: Iterable[T], document_of: Callable[[T], Document]
    ) -> Iterator[tuple[list[T], str]]:
        """Documents in their order, and the fields that tell their streams apart."""
        own: list[T] = []
        others: list[T] = []
        for one in several:
            (own if self._has_own(document_of(one)) else others).append(one)
        for part, fields in ((own, OF_HOST), (others, OF_TYPE)):
            if part:
                yield part, fields

    def _has_own(self, document: Document) -> bool:
        day = document.index[-len("YYYY.MM.dd") :]
        if day > self._day:
            self._day = day
            self._known.clear()
        stream = (document.fields.get("host"), document.fields.get("program"))
        if stream in self._known:
            return True
        if len(self._known) >= MOST_STREAMS:
            return False
        self._known.add(stream)
        return True
