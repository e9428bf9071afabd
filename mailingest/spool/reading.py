"""Segments -> the records in them, in order and each once, and what is missing between them."""

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple, Protocol

from mailingest.spool.records import JournalRecord, Position
from mailingest.spool.segments import Segment, read_records


class Unreadable(NamedTuple):
    """Bytes of the journal that cannot be read, in a segment, or in a file that is missing."""

    size: int
    segment: Segment | None


class ReadableJournal(Protocol):
    """What there is to read; it may grow meanwhile, and be trimmed behind whoever reads."""

    @property
    def segments(self) -> Sequence[Segment]:
        """The files that are there, in order."""

    @property
    def end(self) -> Position:
        """The place behind the last record."""


class Damage(Protocol):
    """Hears of what is missing."""

    def missing(self, begin: int, end: int, gaps: Sequence[Unreadable]) -> None:
        """Frames from one number up to another cannot be read, for these gaps in the journal."""

    def finish(self) -> None:
        """All there is now was read."""


def read_journal(
    journal: ReadableJournal, position: Position, damage: Damage
) -> Generator[JournalRecord, None, None]:
    """The records from a place on up to the end, without those that are damaged.

    What is missing between two records is told before the second is given.
    """
    number = position.frames
    gaps: list[Unreadable] = []
    for piece in pieces(journal, position.bytes):
        if isinstance(piece, Unreadable):
            gaps.append(piece)
            continue
        begin = piece.begin.frames
        if begin < number:
            continue  # it was taken before; or it is what a damaged record contains
        if gaps or begin > number:
            damage.missing(number, begin, gaps)
            gaps = []
        number = piece.end.frames
        yield piece
    if gaps or number < journal.end.frames:
        damage.missing(number, journal.end.frames, gaps)
    damage.finish()


def pieces(journal: ReadableJournal, place: int) -> Iterator[JournalRecord | Unreadable]:
    """All that there is from a place on up to the end, which may move on meanwhile."""
    while place < journal.end.bytes:
        segment = next((one for one in journal.segments if one.end > place), None)
        following = journal.end.bytes if segment is None else segment.begin
        if following > place:
            yield Unreadable(following - place, None)
        if segment is None:
            return
        place = max(place, segment.first)
        for record in read_records(segment, place):
            if record.begin.bytes > place:
                yield Unreadable(record.begin.bytes - place, segment)
            place = record.end.bytes
            yield record
        if segment.end > place:
            yield Unreadable(segment.end - place, segment)
            place = segment.end
