"""The control file: where the journal ends, and what of it was lost.

It is written in place after each append, and so the journal knows of a record whose file was cut,
or is missing, that it was there.  (RocksDB notes the sizes of its logs in the manifest for the same
reason.)  Its three parts have checksums of their own.  If it is damaged, nothing of the journal is
lost, but at its very end nobody can say how many frames there were.
"""

import os
import struct
from pathlib import Path
from typing import Final
from zlib import crc32

import orjson

from mailingest.logs.logger import log
from mailingest.ownership import open_own
from mailingest.spool.files import sync_directory
from mailingest.spool.losses import Losses
from mailingest.spool.records import Position
from mailingest.spool.segments import HEADER_BYTES, check_version, file_header

_NAME: Final = "control"
_MAGIC: Final = b"mailctrl"
_END: Final = struct.Struct("<QQ")
_CRC: Final = struct.Struct("<I")
_END_AT: Final = HEADER_BYTES
_LOSSES_AT: Final = 64
_FILE_BYTES: Final = 4096


class ControlFile:
    """The control file of the journal in a directory, which must be this process's own.

    ``end`` is the place behind the last record that was appended, None if that is not known;
    ``losses`` are none unless ``knows_losses``.
    """

    def __init__(self, directory: Path) -> None:
        self.end: Position | None = None
        self.losses = Losses()
        self.knows_losses = False
        self._path = directory / _NAME
        self._descriptor = -1

    def open(self) -> None:
        """Read it, or make it; raises OSError, and UsageError for a newer format."""
        is_new = not self._path.exists()
        self.end, losses = read_control(self._path.parent)
        if not is_new and (self.end is None or losses is None):
            log.warning(
                "the spool's control file is damaged: lines that are missing at the end of the"
                " spool cannot be counted",
                path=str(self._path),
            )
        self.losses, self.knows_losses = losses or Losses(), losses is not None
        self._create()

    def make_again(self, end: Position) -> None:
        """Write all that it says into a new file, in place of one that is gone; raises OSError."""
        self.close()
        self._create()
        self.write_end(end)
        self.sync()

    def write_end(self, end: Position) -> None:
        """The journal ends there now."""
        content = _END.pack(*end)
        self._write(content + _CRC.pack(crc32(content)), _END_AT)

    def write_losses(self) -> None:
        """Keep what ``losses`` says."""
        content = orjson.dumps(self.losses.as_row())
        row = b"%08x %b\n" % (crc32(content), content)
        self._write(row.ljust(_FILE_BYTES - _LOSSES_AT), _LOSSES_AT)

    def sync(self) -> None:
        """Wait until it is on the disk, as it is; raises OSError.

        Once is enough: what is written later is so small that a power failure leaves the old or the
        new one, and the journal does with either.
        """
        os.fsync(self._descriptor)
        sync_directory(self._path.parent)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _create(self) -> None:
        self._descriptor = open_own(self._path, os.O_RDWR)
        self._write(file_header(_MAGIC), 0)
        self.write_losses()

    def _write(self, content: bytes, offset: int) -> None:
        try:
            os.pwrite(self._descriptor, content, offset)
        except OSError as error:
            # The journal goes on: without this file it knows less after damage only.
            log.debug("the control file cannot be written", reason=error.strerror)


def read_control(directory: Path) -> tuple[Position | None, Losses | None]:
    """The end of the journal and what was lost, None for what is not known.

    Raises OSError, and UsageError for a newer format.
    """
    path = directory / _NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, None
    check_version(content[:HEADER_BYTES], _MAGIC, path)
    return _read_end(content), _read_losses(content)


def _read_end(content: bytes) -> Position | None:
    row = content[_END_AT : _END_AT + _END.size + _CRC.size]
    if len(row) < _END.size + _CRC.size:
        return None
    end = row[: _END.size]
    if row[_END.size :] != _CRC.pack(crc32(end)):
        return None
    return Position(*_END.unpack(end))


def _read_losses(content: bytes) -> Losses | None:
    row = content[_LOSSES_AT:].partition(b"\n")[0]
    checksum, _, row = row.partition(b" ")
    if checksum != b"%08x" % crc32(row):
        return None
    # Nothing has the checksum 0, as blanks and zeros may say.
    try:
        return Losses.from_row(orjson.loads(row))
    except ValueError:
        return None
