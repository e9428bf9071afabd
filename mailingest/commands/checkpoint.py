"""Where an interrupted replay goes on, kept in the state directory until it has come to its end."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from mailingest.errors import UsageError
from mailingest.inputs.files import LogFile, identity
from mailingest.pipeline import Pipeline
from mailingest.spool.files import replace_file


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The place of a file in the set, and the offset in its uncompressed text, in bytes."""

    file: int = 0
    offset: int = 0


class Checkpoint:
    """The checkpoint of a set of files, which is found again by what is in them.

    It has a place in the files and all that the pipeline knows of the lines before it.  What comes
    through a pipe cannot be read again: then nothing is kept.
    """

    def __init__(self, directory: Path, files: Sequence[LogFile]) -> None:
        names = [identity(file.path) for file in files if file.is_regular]
        digest = hashlib.blake2b("\n".join(names).encode(), digest_size=16).hexdigest()
        self._path = directory / f"replay-{digest}" if len(names) == len(files) else None

    async def save(self, place: ResumePoint, pipeline: Pipeline) -> None:
        """Keep it, in place of the one before."""
        if self._path is not None:
            rows = [orjson.dumps([place.file, place.offset]), *pipeline.snapshot()]
            await asyncio.to_thread(replace_file, self._path, rows)

    def restore(self, pipeline: Pipeline) -> ResumePoint | None:
        """Give the pipeline what it knew, and say where to go on; None if nothing is kept.

        Raises UsageError if it is damaged.
        """
        if self._path is None or not self._path.exists():
            return None
        first, *rows = self._path.read_bytes().splitlines()
        try:
            place = ResumePoint(*orjson.loads(first))
            pipeline.restore(rows)
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"{self._path}: the checkpoint is damaged ({error}): use --restart"
            ) from None
        return place

    def forget(self) -> None:
        """Begin anew the next time."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
