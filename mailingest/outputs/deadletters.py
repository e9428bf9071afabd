"""Rejected documents -> JSON lines in the state directory, for people to look into and retry."""

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
import structlog

from mailingest.errors import OutputUnavailable
from mailingest.outputs import Rejection
from mailingest.outputs.ndjson import append_whole, open_for_append

_log = structlog.get_logger(__name__)

# Some 60,000 documents: enough to see what is wrong with a mapping, too little to fill a disk.
MAX_BYTES = 64 * 1024 * 1024


class DeadLetters:
    """Keeps rejected documents in ``DIRECTORY/dead-letters-YYYY.MM.dd.ndjson`` (day in UTC).

    Each line is an object with ``time`` (of the rejection, ISO 8601, UTC), ``index``, ``id``,
    ``reason`` and ``document`` (the body).  All files together hold at most ``max_bytes`` (a
    single larger batch is still written): the oldest file goes to make room, even if it is
    today's.  ``documents_removed`` counts what went with such files since the start.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._clock = clock
        self.documents_removed = 0

    def write(self, rejections: Sequence[Rejection]) -> None:
        """Append the documents, all or none; raises OutputUnavailable."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        data = b"".join([_line(rejection, now) for rejection in rejections])
        try:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._make_room(len(data))
            descriptor = open_for_append(self._directory / f"dead-letters-{now:%Y.%m.%d}.ndjson")
            try:
                append_whole(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OutputUnavailable(f"dead letters in {self._directory}: {error}") from error

    def _make_room(self, wanted: int) -> None:
        files = sorted(self._directory.glob("dead-letters-????.??.??.ndjson"))
        sizes = [path.stat().st_size for path in files]
        excess = sum(sizes) + wanted - self._max_bytes
        for path, size in zip(files, sizes, strict=True):
            if excess <= 0:
                return
            count = path.read_bytes().count(b"\n")
            path.unlink()
            excess -= size
            self.documents_removed += count
            _log.error("dead letters removed to make room", path=str(path), documents=count)


def _line(rejection: Rejection, now: datetime) -> bytes:
    document = rejection.document
    letter = {
        "time": now,
        "index": document.index,
        "id": document.id,
        "reason": rejection.reason,
        "document": orjson.Fragment(document.body),
    }
    return orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
