"""What an earlier process left: where the journal ends, and where reading goes on.

With the control file and the snapshot both ends are known, and little is read.  Where they are
missing, or do not agree with the segments, the numbers of the frames decide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mailingest.spool.records import JournalRecord, Position
from mailingest.spool.segments import Segment, read_records

_BEGINNING: Final = Position()


@dataclass(frozen=True, slots=True)
class JournalEnd:
    """Where a journal ends: ``position`` is behind the last record, read or known to be missing.

    ``torn_bytes`` of the last segment come behind it: a write that the end of the process
    interrupted.  ``unknown_bytes`` come before it: that, or damaged records; nobody knows of how
    many frames.
    """

    position: Position
    torn_bytes: int = 0
    unknown_bytes: int = 0


def find_end(segments: Sequence[Segment], mark: Position | None, start: Position) -> JournalEnd:
    """Where the journal ends.

    ``mark`` is what the control file says, None if it does not say anything; ``start`` is where
    reading is to go on.
    """
    end = _last_end(segments, start) if mark is None else _end_behind(segments, mark)
    if start.frames >= end.frames:
        # After a power failure the snapshot, which is synced, may be newer than all else.
        end = Position(max(start.bytes, end.bytes), start.frames)
    if not segments or segments[-1].end <= end.bytes:
        return JournalEnd(end)
    last = segments[-1]
    if mark is not None and last.first <= end.bytes:
        return JournalEnd(end, torn_bytes=last.end - end.bytes)
    headers = sum(
        min(one.first - one.begin, one.size) for one in segments if one.begin >= end.bytes
    )
    return JournalEnd(Position(last.end, end.frames), unknown_bytes=last.end - end.bytes - headers)


def _end_behind(segments: Sequence[Segment], mark: Position) -> Position:
    """The end of the last record; all up to a mark are known."""
    end = mark
    for segment in segments:
        if segment.end > mark.bytes:
            end = _end_of(read_records(segment, max(mark.bytes, segment.begin)), end)
    return end


def _last_end(segments: Sequence[Segment], start: Position) -> Position:
    """The end of the last record that is whole, found from a place on if it is a good one."""
    for segment in reversed(segments):
        begin = start.bytes if _has_record(segment, start) else segment.begin
        records = read_records(segment, begin)
        first = next(records, None)
        if first is not None:
            return _end_of(records, first.end)
    return start


def _end_of(records: Iterable[JournalRecord], end: Position) -> Position:
    """The end of the last of these records that goes on from an end.

    Numbers only grow: a lower one is that of a record that was written long before, and that damage
    has brought there.
    """
    for record in records:
        if record.begin.frames >= end.frames:
            end = record.end
    return end


def find_start(segments: Sequence[Segment], position: Position) -> Position:
    """Where to read from, for all frames from a position's number on to be found."""
    if any(_has_record(segment, position) for segment in segments):
        return position
    begin = position.bytes
    for segment in reversed(segments):
        begin = segment.begin
        first = first_record([segment])
        if first is not None and first.begin.frames <= position.frames:
            break
    return Position(begin, position.frames)


def first_record(
    segments: Sequence[Segment], position: Position = _BEGINNING
) -> JournalRecord | None:
    """The first record that is whole, from a position on."""
    for segment in segments:
        if segment.end > position.bytes:
            for record in read_records(segment, max(position.bytes, segment.begin)):
                if record.begin.frames >= position.frames:
                    return record
    return None


def _has_record(segment: Segment, position: Position) -> bool:
    """Whether a record begins at a position, with that number."""
    if not segment.begin <= position.bytes < segment.end:
        return False
    begin = Position(max(position.bytes, segment.first), position.frames)
    record = next(read_records(segment, begin.bytes), None)
    return record is not None and record.begin == begin
