"""How far what is read (files, the journal) was read: by name, exactly as far as the spool has it.

A line that is read and written down twice would be counted as another one like it, and one that is
passed over is lost.  So the place is in the record of the spool that has the lines (`sources.py`),
and a crash at any moment leaves both or none.  Since records are removed when they are stored, a
file has the places as of some record, and only what came after it is looked for in the spool.

That file is written when the spool is synced up to there: after a power failure it is not ahead.
And it is written before records are removed: it has the places that are in them.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import orjson

from mailingest.logs.logger import log
from mailingest.spool.files import replace_file
from mailingest.spool.queue import Spool
from mailingest.spool.records import Position
from mailingest.spool.sources import place_of

Place = Mapping[str, Any]

# Beside those that are followed there are only those that once were.
_MOST_NAMES: Final = 10_000


class Positions:
    """The places of a ``spool``, kept in a file at ``path``.

    With ``syncs`` the spool is synced before that file is written.
    """

    def __init__(self, path: Path, spool: Spool, *, syncs: bool) -> None:
        self._path = path
        self._spool = spool
        self._syncs = syncs
        # The ones kept last are at the end.
        self._places: dict[str, Place] = {}
        self._owners: dict[str, object] = {}
        self._is_saved = True
        self._saving = asyncio.Lock()

    def open(self) -> None:
        """Find out the places of the run before; the spool has to be open.

        Without a file there are none: that is how to begin again.  Raises OSError.
        """
        if (since := self._read()) is not None:
            for metadata in self._spool.metadata_since(since):
                if (found := place_of(metadata)) is not None:
                    self.keep(*found)
        # From now on there is one.  The spool may have begun anew, and then its places mean others.
        self._write(self._spool.end, self._rows())
        self._is_saved = True

    def of(self, name: str) -> Place | None:
        """The place of what has that name; None if it was never read."""
        return self._places.get(name)

    def give(self, name: str, owner: object) -> None:
        """Let nobody else go on reading what has that name, which goes on from its place of now."""
        self._owners[name] = owner

    def has(self, name: str, owner: object) -> bool:
        """Whether nobody else was given it since."""
        return self._owners.get(name) is owner

    def keep(self, name: str, place: Place) -> None:
        """What has that name was read up to there, and the spool has all before."""
        self._places.pop(name, None)
        self._places[name] = place
        if len(self._places) > _MOST_NAMES:
            del self._places[next(iter(self._places))]
        self._is_saved = False

    async def save(self) -> None:
        """Write the file, if there is something new; raises OSError."""
        async with self._saving:
            if self._is_saved:
                return
            self._is_saved = True
            end, rows = self._spool.end, self._rows()
            try:
                if self._syncs:
                    await self._spool.sync()
                await asyncio.to_thread(self._write, end, rows)
            except BaseException:
                self._is_saved = False
                raise

    def _rows(self) -> list[bytes]:
        return [orjson.dumps(row) for row in self._places.items()]

    def _write(self, end: Position, rows: list[bytes]) -> None:
        rows = [orjson.dumps([*end]), *rows]
        replace_file(self._path, [*rows, _checksum(rows)])

    def _read(self) -> Position | None:
        """Take the places in the file; the place of the spool behind which there are newer ones."""
        try:
            *rows, checksum = self._path.read_bytes().splitlines()
            if checksum != _checksum(rows):
                raise ValueError("not as it was written")
            self._places = dict(map(orjson.loads, rows[1:]))
            return Position(*orjson.loads(rows[0]))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            log.warning(
                "the file of positions is damaged: what is followed goes on from what the spool "
                "says, or where its settings let it begin",
                path=str(self._path),
                reason=str(error),
            )
            return Position()


def _checksum(rows: list[bytes]) -> bytes:
    return b"%08x" % crc32(b"\n".join(rows))
