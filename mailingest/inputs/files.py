"""Log files in, for a replay: their lines, and the positions to go on from later.

Lines are cut and counted as `syslog.framing` does it with a stream in non-transparent framing, so
that a replayed line is the same as the one that came over the network.
"""

import io
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from mailingest.errors import MailingestError, UsageError
from mailingest.inputs.compressed import DAMAGE, RawFile, decompressed, written_at
from mailingest.inputs.transcoding import form_of, transcoded
from mailingest.ownership import why_unreadable
from mailingest.syslog.framing import (
    MAX_FRAME_OCTETS,
    FrameCounters,
    last_trailer,
    split_text,
    split_unterminated,
)

STANDARD_INPUT = Path("-")

# Some 400 lines: large enough that a batch costs next to nothing beside its lines, and smaller
# than MAX_FRAME_OCTETS, so that over-long lines need not be looked for in each batch.
_BLOCK_BYTES = 60 * 1024

_IDENTITY_BYTES = 1024


class DamagedFile(MailingestError):
    """The rest of a file cannot be read: count it and go on with the next file.

    ``offset`` is how far its uncompressed text could be read, in bytes; the lines up to there
    were given out.
    """

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(f"{path}: cannot be read further than byte {offset} ({reason})")
        self.path = path
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Block:
    """Successive lines of a file, without LF or CR LF, none of them empty.

    ``offset_after`` is where the next line begins in the uncompressed text: the ``start`` to
    go on from.  A last line without LF does not move it, because more of that line may be
    written later.  ``progress`` is the position in the file as it lies on disk.
    """

    lines: list[bytes]
    offset_after: int
    progress: int


@dataclass(frozen=True, slots=True)
class Text:
    """Successive lines of a file as they are, each with its trailer, LF or NUL.

    If the text ``is_unterminated``, it is one line without a trailer, at the end of the file.
    Of a line that is too long there are MAX_FRAME_OCTETS and some more.
    ``offset_after`` and ``progress`` are as in `Block`.
    """

    data: bytes
    is_unterminated: bool
    offset_after: int
    progress: int


class LogFile:
    """A file, plain or compressed by gzip, bzip2, xz or zstd, or ``-`` for the standard input.

    Its text is UTF-8 or a charset like it, or UTF-16, or what journalctl writes in any form; lines
    and positions are those of the text as `mailingest.inputs.transcoding` gives it.

    ``size_bytes`` (as it lies on disk) and ``mtime`` (seconds since 1970) are those of the
    moment it was made.  What gzip has compressed says itself when it was written last; a copy of
    it is younger.  A pipe has the size 0 and the time of now.  ``counters`` are those of the last
    call of `blocks`.  ``is_year_set`` is whether ``mtime`` was set to tell the year.
    """

    def __init__(self, path: Path) -> None:
        """Raises UsageError if there is no such file, or if it cannot be opened."""
        self.path = path
        self.counters = FrameCounters()
        self.is_year_set = False
        written: int | None = None
        try:
            status = os.fstat(sys.stdin.fileno()) if path == STANDARD_INPUT else path.stat()
            self.is_regular = stat.S_ISREG(status.st_mode)
            # A pipe must be opened only once: its writer would not survive the second time.
            if self.is_regular or stat.S_ISDIR(status.st_mode):
                with self._source() as source:
                    written = written_at(RawFile(source).magic()) if self.is_regular else None
        except OSError as error:
            raise UsageError(f"{path}: {_hint(error)}") from error
        self.inode = (status.st_dev, status.st_ino)
        self.size_bytes = status.st_size if self.is_regular else 0
        self.mtime = (written or status.st_mtime) if self.is_regular else time.time()

    def blocks(self, start: int = 0) -> Iterator[Block]:
        """All lines from the byte `start` of the uncompressed text on.

        Raises DamagedFile after everything that can be read.
        """
        self.counters = counters = FrameCounters()
        for text in self.texts(start):
            split = split_unterminated if text.is_unterminated else split_text
            if lines := split(text.data, counters):
                yield Block(lines, text.offset_after, text.progress)

    def texts(self, start: int = 0) -> Iterator[Text]:
        """All lines as `blocks` gives them, but not taken apart.

        Raises DamagedFile after everything that can be read.
        """
        offset = 0
        whole = start  # where the last line with a trailer ends
        progress = 0
        rest = bytearray()  # the beginning of a line that is not whole yet
        damage: Exception | None = None
        try:
            with self._source() as source:
                raw = RawFile(source)
                plain = decompressed(raw)
                if plain is not None:
                    plain = transcoded(plain)
                elif (form := form_of(raw.beginning())) is not None:
                    plain = form(io.BufferedReader(raw))
                else:
                    if self.is_regular:
                        raw.skip_to(start)
                        offset = start
                    plain = io.BufferedReader(raw)
                while block := plain.read1(_BLOCK_BYTES):
                    offset += len(block)
                    progress = raw.position
                    if offset - len(block) < start:
                        block = block[start - offset :] if offset > start else b""
                    end = last_trailer(block) + 1
                    if end:
                        text = bytes(rest) + block[:end]
                        rest.clear()
                        whole = offset - len(block) + end
                        yield Text(text, False, whole, progress)
                    # One byte more than allowed shows that the line is too long.
                    rest += block[end : end + MAX_FRAME_OCTETS + 1 - len(rest)]
        except DAMAGE as error:
            damage = error
        if rest:
            yield Text(bytes(rest), True, whole, progress)
        if damage:
            raise DamagedFile(self.path, offset, str(damage)) from damage

    @contextmanager
    def _source(self) -> Iterator[io.BufferedReader]:
        if self.path == STANDARD_INPUT:
            # Not sys.stdin: a thread that reads it would be in the way of the interpreter's end.
            with open(sys.stdin.fileno(), "rb", closefd=False) as source:
                yield source
        else:
            with self.path.open("rb") as source:
                yield source


def identity(path: Path) -> str:
    """A name for what is in the file at `path`, to find the position of a replay again.

    Rotation renames a file and gives the name to another one, and compression makes a new
    inode, so neither shows whether a file was read before.  Its first lines do: this is a
    hash of the first 1024 bytes of the uncompressed text, and of nothing else.  A file that
    is shorter gets another identity when it grows, so it is read from its beginning again;
    as document ids are computed, that stores nothing twice.  Raises DamagedFile.
    """
    text = b""
    try:
        with path.open("rb") as source:
            raw = RawFile(source)
            plain = decompressed(raw) or io.BufferedReader(raw)
            while len(text) < _IDENTITY_BYTES and (
                block := plain.read1(_IDENTITY_BYTES - len(text))
            ):
                text += block
    except DAMAGE as error:
        raise DamagedFile(path, len(text), str(error)) from error
    return blake2b(text[:_IDENTITY_BYTES], digest_size=16).hexdigest()


def _hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "is a directory; name its files, for instance with a pattern in quotes"
    if isinstance(error, PermissionError) and error.filename is not None:
        return why_unreadable(Path(error.filename))
    return (error.strerror or str(error)).lower()
