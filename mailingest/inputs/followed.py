"""Log files in, live: all files that settings name, each followed for itself.

Files are looked at four times a second.  inotify would tell of a line sooner, but not of
everything: not on network file systems, not of a directory that does not exist yet, not what
happened while nobody listened; so looking has to be right in any case, and then it is enough.  A
look costs two calls of stat() for each file, some microseconds.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailingest.inputs.following import FollowedFile, FollowingCounters, Lines
from mailingest.inputs.protocol import BEGUN, Reading
from mailingest.inputs.rotated import COMPRESSED
from mailingest.inputs.rotation import Rotation
from mailingest.logs.logger import log

_LOOK_SECONDS: Final = 0.25
# Patterns are looked up more seldom: a new log is no matter of a moment.
_LOOKS_PER_SEARCH: Final = 20
# Of what a pattern may match by mistake.
_MOST_FILES: Final = 200
# Read at once, each up to 64 KiB.
_MOST_PIECES: Final = 8
_WILD: Final = ("*", "?", "[")


@dataclass(slots=True)
class _One:
    file: FollowedFile
    reading: Reading


class FileInput:
    """Follows the file at a ``path``, or those of a pattern for paths.

    ``reading`` gives what takes the lines of one, by a name that it keeps through rotation.  In
    files that are there at the first start it begins at their end, or ``from_beginning``; in those
    of a pattern that come later, also between two starts, at their first line.
    """

    def __init__(
        self, path: str, *, from_beginning: bool, reading: Callable[[str], Reading]
    ) -> None:
        self.address = path
        self._path = path
        self._from_beginning = from_beginning
        self._reading = reading
        self._counters = FollowingCounters()
        self._followed: dict[str, _One] = {}
        self._looks = 0
        self._is_full = False
        self._closing = asyncio.Event()

    def counters(self) -> Mapping[str, int]:
        """See `mailingest.inputs.protocol.Input`."""
        counters = self._counters
        return {
            "files_followed": sum(one.file.is_there for one in self._followed.values()),
            "files_rotated": counters.rotations,
            "files_truncated": counters.truncations,
            "file_rests_lost": counters.rests_lost,
            "lines_read": counters.frames.received,
            "lines_empty": counters.frames.empty,
            "lines_oversized": counters.frames.oversized,
            "lines_unterminated": counters.frames.unterminated,
        }

    def open(self) -> None:
        """Nothing can be wrong: a file that is not there, or not readable, may be so later."""

    async def serve(self) -> None:
        """Follow until `close`, or until cancelled: what is not read yet is read another time."""
        log.info("files are followed", path=self._path)
        try:
            await self._begin()
            while not self._closing.is_set():
                if not await self._pass():
                    await self._pause()
        finally:
            for one in self._followed.values():
                one.file.close()

    def close(self) -> None:
        """Read nothing more; `serve` returns when what was read is handed on."""
        self._closing.set()

    async def _begin(self) -> None:
        """Find the files that are there; from now on one that is found for the first time is new.

        A path need not be remembered: the place of its file says that there was none.
        """
        pattern = self._reading(self._path) if _is_pattern(self._path) else None
        self._from_beginning |= pattern is not None and pattern.begin() is not None
        await self._search()
        if pattern is not None:
            self._from_beginning = True
            await pattern.take([], {BEGUN: time.time_ns()})

    async def _pass(self) -> bool:
        """Read and hand on some of all files; False if there was nothing."""
        self._looks += 1
        if self._looks % _LOOKS_PER_SEARCH == 0:
            await self._search()
        pieces = await asyncio.to_thread(self._read)
        for reading, lines in pieces:
            await reading.take(lines.frames, lines.place)
        return bool(pieces)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _read(self) -> list[tuple[Reading, Lines]]:
        """The next piece of each file that has one."""
        pieces = []
        for name, one in list(self._followed.items()):
            if (lines := one.file.read()) is not None:
                pieces.append((one.reading, lines))
                # Who comes last today comes first the next time.
                self._followed[name] = self._followed.pop(name)
            if len(pieces) == _MOST_PIECES:
                break
        return pieces

    async def _search(self) -> None:
        """Find out which files there are to follow."""
        for name, path in (await asyncio.to_thread(followed_paths, self._path)).items():
            if name in self._followed:
                self._followed[name].file.path = path
            elif len(self._followed) < _MOST_FILES:
                self._follow(name, path)
            elif not self._is_full:
                self._is_full = True
                log.error(
                    "more files match than can be followed: make the pattern narrower",
                    pattern=self._path,
                    most=_MOST_FILES,
                )

    def _follow(self, name: str, path: Path) -> None:
        reading = self._reading(name)
        file = FollowedFile(
            path,
            reading.begin(),
            from_beginning=self._from_beginning,
            counters=self._counters,
        )
        self._followed[name] = _One(file, reading)


def followed_paths(pattern: str) -> dict[str, Path]:
    """The files of a pattern, by a name that stays: of a set of rotated files it is the newest."""
    path = Path(pattern)
    if not _is_pattern(pattern):
        return {_name(pattern): path}
    newest: dict[str, Path] = {}
    for found in Path(path.anchor).glob(str(path.relative_to(path.anchor))):
        if found.suffix in COMPRESSED or not found.is_file():
            continue
        name = _name(Rotation.of(found).set_name)
        if name not in newest or Rotation.of(newest[name]) < Rotation.of(found):
            newest[name] = found
    return newest


def _is_pattern(path: str) -> bool:
    return any(sign in path for sign in _WILD)


def _name(path: str) -> str:
    """A path as text that JSON can hold."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
