"""Which files there are of a log that is rotated, and which of them was read up to a mark.

A mark is proved by what stands before it in the file, since names and inodes prove nothing:
rotation renames a file, copies it, compresses it, and its inode may be that of another file a
moment later.
"""

import io
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from mailingest.inputs.compressed import DAMAGE, ByteStream, RawFile, decompressed
from mailingest.inputs.rotation import Rotation

# The first lines have the time of their writing, and so have the last ones before the mark.
_HEAD_BYTES: Final = 1024
_TAIL_BYTES: Final = 256
_STEP_BYTES: Final = 64 * 1024
COMPRESSED: Final = (".gz", ".bz2", ".xz", ".zst")
# Of what was rotated while nobody read: two years of weekly files.
_MOST_FILES: Final = 100
# Not to wait for the writer of a pipe that has the name of a log.
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file was read: ``offset`` bytes of its text, as it was before compression.

    ``head`` and ``tail`` are digests of the first bytes of that text, and of the last ones before
    the offset.  ``within_line`` is whether the rest of a line that is too long is still to be
    passed over.
    """

    device: int
    inode: int
    offset: int = 0
    head: str = ""
    tail: str = ""
    within_line: bool = False

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Mark":
        """Raises TypeError for what is no mark."""
        return cls(**fields)


def digest(text: bytes) -> str:
    """Of a head or tail."""
    return blake2b(text, digest_size=8).hexdigest() if text else ""


class Proof:
    """The head and the tail of a text that is read from its beginning, or from a mark."""

    def __init__(self, head: bytes = b"", tail: bytes = b"") -> None:
        self._head = head
        self._tail = tail

    def add(self, text: bytes) -> None:
        """The text goes on with that."""
        if len(self._head) < _HEAD_BYTES:
            self._head += text[: _HEAD_BYTES - len(self._head)]
        self._tail = (self._tail + text[-_TAIL_BYTES:])[-_TAIL_BYTES:]

    @property
    def has_head(self) -> bool:
        """Whether the head is whole, and stays what it is."""
        return len(self._head) == _HEAD_BYTES

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return self._head

    @property
    def tail(self) -> bytes:
        """The last bytes."""
        return self._tail

    def digests(self) -> tuple[str, str]:
        """Of head and tail."""
        return digest(self._head), digest(self._tail)


@dataclass(slots=True)
class OpenFile:
    """A file that is open for reading, and what it was called then."""

    path: Path
    source: io.BufferedReader
    device: int
    inode: int

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: no other file has them as long as this one is open."""
        return self.device, self.inode

    def status(self) -> os.stat_result:
        """As it is now."""
        return os.fstat(self.source.fileno())

    def at(self, offset: int, size: int) -> bytes:
        """Bytes of a plain file."""
        return os.pread(self.source.fileno(), size, offset)

    def proof(self, offset: int) -> Proof:
        """What proves a mark there, of a plain file."""
        begin = max(0, offset - _TAIL_BYTES)
        return Proof(self.at(0, min(offset, _HEAD_BYTES)), self.at(begin, offset - begin))

    def text(self) -> ByteStream | None:
        """The text of a compressed file, from its beginning; None if it is plain."""
        self.source.seek(0)
        return decompressed(RawFile(self.source))

    def close(self) -> None:
        """It may be deleted now."""
        self.source.close()


def opened(path: Path) -> OpenFile:
    """Raises OSError, and IsADirectoryError for all that is no file."""
    source = os.fdopen(os.open(path, _FLAGS), "rb")
    status = os.fstat(source.fileno())
    if not stat.S_ISREG(status.st_mode):
        source.close()
        raise IsADirectoryError(0, "is no file that could be followed", str(path))
    return OpenFile(path, source, status.st_dev, status.st_ino)


def is_proved(file: OpenFile, mark: Mark) -> bool:
    """Whether that file was read up to that mark; raises OSError."""
    text = file.text()
    if text is None:
        if file.status().st_size < mark.offset:
            return False
        return file.proof(mark.offset).digests() == (mark.head, mark.tail)
    with suppress(*DAMAGE):
        return skipped(text, mark.offset, mark).digests() == (mark.head, mark.tail)
    return False


def skipped(text: ByteStream, offset: int, mark: Mark | None = None) -> Proof:
    """Read on to an offset; what it proves.  Stops early if that is not a mark's beginning.

    Raises one of DAMAGE.
    """
    proof = Proof()
    while offset > 0 and (data := text.read1(min(offset, _STEP_BYTES))):
        offset -= len(data)
        proof.add(data)
        if mark is not None and proof.has_head and offset and proof.digests()[0] != mark.head:
            return Proof()
    return Proof() if offset else proof


@dataclass(frozen=True, slots=True)
class _Member:
    """One of the other files; the ``rank`` of later ones is greater."""

    rank: tuple[bool, str, int]
    is_plain: bool
    path: Path
    identity: tuple[int, int]
    written_at: float


class RotatedSet:
    """The other files of the log at ``path``, what it was before, by the names of rotation."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def newer_than(
        self, mark: Mark | None, seen_at: float, known: Sequence[Mark]
    ) -> tuple[list[OpenFile], bool]:
        """Those that came after the file with a mark, and before that at `path`; oldest first.

        The file with the mark is found by its content.  Without it, or if it was empty, the newer
        ones are those that were written since ``seen_at``, which is when all marks were right, in
        seconds since 1970; and the second value is True, for this is a guess.  Files of the
        ``known`` marks are left out.  Raises OSError for one that cannot be opened.
        """
        members = self._members()
        rank = None
        # An inode alone proves nothing: it may have been given to another file since.
        if mark is not None and mark.offset and (file := self.find(mark)) is not None:
            file.close()
            if file.identity == _identity(self.path):
                return [], False
            rank = next((one.rank for one in members if one.identity == file.identity), None)
        identities = {(one.device, one.inode) for one in known}
        chosen: dict[tuple[bool, str, int], Path] = {}
        for member in members:
            is_newer = member.written_at >= seen_at if rank is None else member.rank > rank
            if is_newer and member.identity not in identities:
                # Behind a compressed one comes the plain one, whole as long as it is there.
                chosen[member.rank] = member.path
        read = [one for one in known if one.offset]
        with ExitStack() as stack:
            files = []
            for path in list(chosen.values())[-_MOST_FILES:]:
                with suppress(FileNotFoundError):
                    file = opened(path)
                    stack.callback(file.close)
                    # One that is open may have been compressed or copied.
                    if any(is_proved(file, one) for one in read):
                        file.close()
                    else:
                        files.append(file)
            stack.pop_all()
        return files, rank is None

    def find(self, mark: Mark, others: Sequence[Mark] = ()) -> OpenFile | None:
        """The file that was read up to a mark, wherever it is now; none of ``others``.

        Raises OSError if it, or what may be it, cannot be read.
        """
        identity = (mark.device, mark.inode)
        taken = {(other.device, other.inode) for other in others} - {identity}
        paths = [self.path, *(member.path for member in reversed(self._members()))]
        paths = [path for path in paths if _identity(path) not in taken]
        if not mark.offset:  # of what was empty nothing is known but its inode
            paths = [
                path
                for path in paths
                if _identity(path) == identity and path.suffix not in COMPRESSED
            ]
        unreadable: OSError | None = None
        for path in sorted(paths, key=lambda path: _identity(path) != identity):
            try:
                file = opened(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                if _identity(path) == identity:
                    raise
                unreadable = error
                continue
            if is_proved(file, mark):
                return file
            file.close()
        if unreadable is not None:
            raise unreadable
        return None

    def has_beginning_of(self, mark: Mark) -> bool:
        """Whether there is a copy of the file with a mark that ends before it."""
        for member in self._members():
            with suppress(OSError), closing(opened(member.path)) as file:
                text = file.text()
                head = file.at(0, _HEAD_BYTES) if text is None else _beginning(text)
                if head and digest(head[: mark.offset]) == mark.head:
                    return True
        return False

    def _members(self) -> list[_Member]:
        """All but the file at `path` itself, oldest first, plain ones behind compressed ones."""
        members: dict[Path, _Member] = {}
        current = _identity(self.path)
        for path in {self.path, self.path.resolve()}:
            with suppress(OSError):
                for member in _siblings(path):
                    if member.identity != current:
                        members[member.path] = member
        return sorted(members.values(), key=lambda one: (one.rank, one.is_plain))


def _siblings(path: Path) -> Iterator[_Member]:
    """Regular files of the set of a path; raises OSError."""
    set_name = Rotation.of(path).set_name
    with os.scandir(path.parent) as entries:
        for entry in entries:
            sibling = path.parent / entry.name
            rotation = Rotation.of(sibling)
            if rotation.set_name != set_name or not entry.is_file():
                continue
            with suppress(FileNotFoundError):
                status = entry.stat()
                yield _Member(
                    (rotation.is_current, rotation.date, rotation.negative_number),
                    sibling.suffix not in COMPRESSED,
                    sibling,
                    (status.st_dev, status.st_ino),
                    status.st_mtime,
                )


def _beginning(text: ByteStream) -> bytes:
    head = b""
    with suppress(*DAMAGE):
        while len(head) < _HEAD_BYTES and (data := text.read1(_HEAD_BYTES - len(head))):
            head += data
    return head


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
