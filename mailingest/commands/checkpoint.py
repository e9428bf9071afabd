"""Where an interrupted replay goes on, kept in the state directory until it has come to its end."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import orjson

from mailingest.errors import UsageError
from mailingest.inputs.files import LogFile, identity
from mailingest.logs.logger import log
from mailingest.pipeline import Pipeline
from mailingest.postfix.spreading import Share
from mailingest.spool.files import replace_file
from mailingest.syslog.sources import Source

_BUILT_IN: Final = Source()


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The place of a file in the set, and the offset in its uncompressed text, in bytes."""

    file: int = 0
    offset: int = 0


class Checkpoint:
    """The checkpoint of a set of files, which is found again by what is in them.

    Of several workers each has one of its own, for its ``share`` of the lines.
    It has a place in the files and all that the pipeline knows of the lines before it.  What comes
    through a pipe cannot be read again: then nothing is kept.
    """

    def __init__(
        self,
        directory: Path,
        files: Sequence[LogFile],
        source: Source = _BUILT_IN,
        share: Share | None = None,
    ) -> None:
        names = [identity(file.path) for file in files if file.is_regular]
        # The same files as of another type are stored from their beginning.
        of_source = [] if source == _BUILT_IN else [repr(tuple(source))]
        text = "\n".join([*names, *of_source])
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        name = f"replay-{digest}"
        self._of_workers = f"{name}-*-of-*[0-9]"
        if share is not None:
            name += f"-{share.number + 1}-of-{share.of}"
        self._path = directory / name if len(names) == len(files) else None

    @property
    def is_kept(self) -> bool:
        """Whether there is one, be it that of a worker."""
        if self._path is None:
            return False
        return self._path.exists() or any(self._path.parent.glob(self._of_workers))

    async def save(self, place: ResumePoint, pipeline: Pipeline) -> None:
        """Keep it, in place of the one before; a failure is logged.

        Then an interruption costs more work, but no line.
        """
        if self._path is None:
            return
        rows = [_place_row(place), *pipeline.snapshot()]
        try:
            await asyncio.to_thread(replace_file, self._path, rows)
        except OSError as error:
            log.error(
                "the checkpoint cannot be written; the replay goes on without a new one",
                path=str(self._path),
                reason=error.strerror,
            )

    def restore(self, pipeline: Pipeline) -> ResumePoint | None:
        """Give the pipeline what it knew, and say where to go on; None if nothing is kept.

        One that is damaged is set aside: beginning anew stores nothing twice.  Raises UsageError if
        it can be neither read nor set aside.
        """
        if self._path is None or not self._path.exists():
            return None
        try:
            first, *rows = self._path.read_bytes().splitlines()
            place = _read_place(first)
            pipeline.restore(rows)
        except (OSError, ValueError, TypeError) as error:
            _set_aside(self._path, error)
            return None
        return place

    def forget(self) -> None:
        """Begin anew the next time, also with workers."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            for path in self._path.parent.glob(self._of_workers):
                path.unlink(missing_ok=True)


def _place_row(place: ResumePoint) -> bytes:
    """The first line; the others have a checksum of their own."""
    numbers = [place.file, place.offset]
    return orjson.dumps([*numbers, crc32(orjson.dumps(numbers))])


def _read_place(row: bytes) -> ResumePoint:
    file, offset, checksum = orjson.loads(row)
    if checksum != crc32(orjson.dumps([file, offset])):
        raise ValueError("not as it was written")
    return ResumePoint(file, offset)


def _set_aside(path: Path, reason: Exception) -> None:
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError as error:
        raise UsageError(
            f"{path}: the checkpoint is damaged and cannot be set aside "
            f"({error.strerror}): make its directory writable, or remove it"
        ) from None
    log.warning(
        "the checkpoint is damaged and set aside; the replay begins anew, and stores nothing twice",
        path=str(aside),
        reason=str(reason),
    )
