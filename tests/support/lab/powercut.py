"""What a disk has after a power failure: all that was synced, and any part of what was not.

Of what was written and not synced, each write is there whole, in part or not at all, and so is each
change of a name, in whatever combination; where a later write is there and an earlier one is not,
there are zeros.  That is less than any file system of Linux keeps, and all that POSIX promises.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.support.lab.recording import (
    Accepted,
    MakeDirectory,
    Name,
    Operation,
    Step,
    SyncBegins,
    SyncEnds,
    Truncate,
    Unlink,
    Write,
)

# What a disk writes whole.
_SECTOR_BYTES: Final = 512


@dataclass(slots=True)
class _Pending:
    """What was done to one file or directory: in order, and how much of it is on the disk."""

    operations: list[Operation] = field(default_factory=list)
    synced: int = 0


class Disk:
    """Takes the steps up to the power failure, then makes a directory of what is left.

    ``accepted`` is what the daemon has accepted until then, with the time of each.  With
    ``ignores_syncs`` the disk takes no notice of them, as some do: to see that a loss is found.
    """

    def __init__(self, steps: Sequence[Step], *, ignores_syncs: bool = False) -> None:
        self.accepted: list[tuple[float, bytes]] = []
        self._pending: defaultdict[int | Path, _Pending] = defaultdict(_Pending)
        self._directories: list[Path] = []
        self._syncs: dict[int, tuple[int | Path, int]] = {}
        self._ignores_syncs = ignores_syncs
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        match step.operation:
            case Write(file=file) | Truncate(file=file):
                self._pending[file].operations.append(step.operation)
            case Name(path=path) | Unlink(path=path):
                self._pending[path.parent].operations.append(step.operation)
            case MakeDirectory(path=path):
                self._directories.append(path)
            case SyncBegins(target=target, number=number):
                self._syncs[number] = target, len(self._pending[target].operations)
            case SyncEnds(number=number):
                target, count = self._syncs.pop(number)
                pending = self._pending[target]
                if not self._ignores_syncs:
                    pending.synced = max(pending.synced, count)
            case Accepted(data=data):
                self.accepted.append((step.time, data))

    def restore(self, root: Path, target: Path, random: Random) -> None:
        """Make in ``target`` what was below ``root``, with what was not synced left to chance."""
        # Mostly little is missing, or nearly all is.
        share = random.choice((0.0, 0.05, 0.5, 0.95, 1.0))
        names: dict[Path, int] = {}
        for key, pending in self._pending.items():
            if isinstance(key, Path):
                for operation in self._kept(pending, share, random):
                    _rename(names, operation)
        for directory in self._directories:
            (target / directory.relative_to(root)).mkdir(parents=True, exist_ok=True)
        for path, file in names.items():
            content = bytearray()
            for operation in self._kept(self._pending[file], share, random):
                _write(content, operation)
            place = target / path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def _kept(self, pending: _Pending, share: float, random: Random) -> list[Operation]:
        kept = pending.operations[: pending.synced]
        for operation in pending.operations[pending.synced :]:
            if random.random() < share:
                continue
            if isinstance(operation, Write) and random.random() < share:
                operation = _torn(operation, random)
            kept.append(operation)
        return kept


def _torn(write: Write, random: Random) -> Write:
    """Some sectors of a write, from its beginning on."""
    size = random.randrange(0, len(write.data) + 1, _SECTOR_BYTES)
    return Write(write.file, write.offset, write.data[:size])


def _rename(names: dict[Path, int], operation: Operation) -> None:
    match operation:
        case Name(path=path, file=file, before=before):
            names[path] = file
            if before is not None:
                names.pop(before, None)
        case Unlink(path=path):
            names.pop(path, None)


def _write(content: bytearray, operation: Operation) -> None:
    match operation:
        case Write(offset=offset, data=data):
            if data:
                content.extend(bytes(max(0, offset + len(data) - len(content))))
                content[offset : offset + len(data)] = data
        case Truncate(size=size):
            del content[size:]
            content.extend(bytes(size - len(content)))
