"""strace(1) of a daemon -> what it did to its files, and when it accepted what, in order.

Only what survives a power failure or decides about it is kept: contents, names, syncs.  What is
mapped into memory is not seen; that is SQLite's index of its log (-shm) only, which it makes anew.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TRACE: Final = (
    "strace", "--follow-forks", "--seccomp-bpf", "--absolute-timestamps=format:unix,precision:us",
    "--strings-in-hex=all", "--string-limit=16777216", "--signal=none",
    "--trace=openat,write,pwrite64,lseek,ftruncate,fsync,fdatasync,rename,unlink,link,mkdir,rmdir,"
    "close,recvfrom,setsockopt,accept4",
)  # fmt: skip
"""The command to which an output file (`--output`) and a program are added."""

_LINE: Final = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.DOTALL)
_CALL: Final = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?: .*)?", re.DOTALL)
_UNFINISHED: Final = re.compile(r"(\w+)\((.*?),? <unfinished \.\.\.>", re.DOTALL)
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>,? ?(.*)", re.DOTALL)
_STRING: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset of a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file has that many bytes now."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Name:
    """A directory has a new name for a file; the name before, of a rename, is gone."""

    path: Path
    file: int
    before: Path | None = None


@dataclass(frozen=True, slots=True)
class Unlink:
    """A name is gone."""

    path: Path


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """A directory is new; it is on the disk at once, as its contents are what is looked at."""

    path: Path


@dataclass(frozen=True, slots=True)
class SyncBegins:
    """A file or directory is to be synced: all that was done to it before."""

    target: int | Path
    number: int


@dataclass(frozen=True, slots=True)
class SyncEnds:
    """What was done before the sync with that number began is on the disk."""

    number: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The daemon is going to end a connection in order: all that came over it is accepted."""

    data: bytes


Operation = Write | Truncate | Name | Unlink | MakeDirectory | SyncBegins | SyncEnds | Accepted


@dataclass(frozen=True, slots=True)
class Step:
    """An operation, and when it was done, in seconds since 1970."""

    time: float
    operation: Operation


@dataclass(slots=True)
class _Open:
    """What a descriptor stands for."""

    target: int | Path
    at: int = 0
    appends: bool = False


@dataclass(slots=True)
class _Kernel:
    """What the kernel knows of the files below a directory."""

    root: Path
    names: dict[Path, int] = field(default_factory=dict)
    sizes: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    open: dict[int, _Open] = field(default_factory=dict)
    received: dict[int, bytearray] = field(default_factory=dict)
    syncs: int = 0
    files: int = 0

    def begin(self, name: str, arguments: str) -> Iterator[Operation]:
        """A call begins."""
        if name in ("fsync", "fdatasync"):
            opened = self.open.get(int(arguments))
            if opened is not None:
                self.syncs += 1
                yield SyncBegins(opened.target, self.syncs)

    def end(self, name: str, arguments: str, result: int, sync: int) -> Iterator[Operation]:
        """A call has succeeded."""
        if name in ("fsync", "fdatasync"):
            if sync:
                yield SyncEnds(sync)
        elif (handle := getattr(self, f"_{name}", None)) is not None:
            yield from handle(arguments, result)

    def _openat(self, arguments: str, descriptor: int) -> Iterator[Operation]:
        path = Path(_strings(arguments)[0].decode())
        flags = arguments.rpartition('", ')[2].split(",")[0].split("|")
        if not path.is_relative_to(self.root):
            return
        if "O_DIRECTORY" in flags:
            self.open[descriptor] = _Open(path)
            return
        file = self.names.get(path)
        if file is None:
            if "O_CREAT" not in flags:
                self.open[descriptor] = _Open(path)
                return
            self.files += 1
            file = self.names[path] = self.files
            yield Name(path, file)
        elif "O_TRUNC" in flags and self.sizes[file]:
            self.sizes[file] = 0
            yield Truncate(file, 0)
        self.open[descriptor] = _Open(file, appends="O_APPEND" in flags)

    def _accept4(self, _arguments: str, descriptor: int) -> Iterator[Operation]:
        self.received[descriptor] = bytearray()
        yield from ()

    def _recvfrom(self, arguments: str, _size: int) -> Iterator[Operation]:
        descriptor = int(arguments.partition(",")[0])
        if descriptor in self.received:
            self.received[descriptor] += _strings(arguments)[0]
        yield from ()

    def _setsockopt(self, arguments: str, _result: int) -> Iterator[Operation]:
        descriptor = int(arguments.partition(",")[0])
        if "SO_LINGER, {l_onoff=0" in arguments and descriptor in self.received:
            yield Accepted(bytes(self.received[descriptor]))

    def _close(self, arguments: str, _result: int) -> Iterator[Operation]:
        self.open.pop(int(arguments), None)
        self.received.pop(int(arguments), None)
        yield from ()

    def _write(self, arguments: str, size: int) -> Iterator[Operation]:
        opened = self.open.get(int(arguments.partition(",")[0]))
        if opened is None or not isinstance(opened.target, int):
            return
        if opened.appends:
            opened.at = self.sizes[opened.target]
        yield self._written(opened.target, opened.at, _strings(arguments)[0][:size])
        opened.at += size

    def _pwrite64(self, arguments: str, size: int) -> Iterator[Operation]:
        opened = self.open.get(int(arguments.partition(",")[0]))
        if opened is not None and isinstance(opened.target, int):
            offset = int(arguments.rpartition(",")[2])
            yield self._written(opened.target, offset, _strings(arguments)[0][:size])

    def _written(self, file: int, offset: int, data: bytes) -> Write:
        self.sizes[file] = max(self.sizes[file], offset + len(data))
        return Write(file, offset, data)

    def _lseek(self, arguments: str, place: int) -> Iterator[Operation]:
        opened = self.open.get(int(arguments.partition(",")[0]))
        if opened is not None:
            opened.at = place
        yield from ()

    def _ftruncate(self, arguments: str, _result: int) -> Iterator[Operation]:
        descriptor, _, size = arguments.partition(",")
        opened = self.open.get(int(descriptor))
        if opened is not None and isinstance(opened.target, int):
            self.sizes[opened.target] = int(size)
            yield Truncate(opened.target, int(size))

    def _rename(self, arguments: str, _result: int) -> Iterator[Operation]:
        before, after = (Path(one.decode()) for one in _strings(arguments))
        if before in self.names:
            file = self.names[after] = self.names.pop(before)
            yield Name(after, file, before)

    def _link(self, arguments: str, _result: int) -> Iterator[Operation]:
        first, second = (Path(one.decode()) for one in _strings(arguments))
        if first in self.names:
            self.names[second] = self.names[first]
            yield Name(second, self.names[first])

    def _unlink(self, arguments: str, _result: int) -> Iterator[Operation]:
        path = Path(_strings(arguments)[0].decode())
        if self.names.pop(path, None) is not None:
            yield Unlink(path)

    def _mkdir(self, arguments: str, _result: int) -> Iterator[Operation]:
        path = Path(_strings(arguments)[0].decode())
        if path.is_relative_to(self.root):
            yield MakeDirectory(path)


def tracer_of(pid: int) -> Path:
    """What exists as long as the tracer of a process, which writes on when the process is gone."""
    status = Path(f"/proc/{pid}/status").read_text()
    return Path("/proc", status.partition("TracerPid:")[2].split()[0])


def read_trace(trace: Path, root: Path) -> list[Step]:
    """The steps that a trace has, of files below a directory that was empty at its beginning."""
    kernel = _Kernel(root)
    begun: dict[str, tuple[str, str, int]] = {}  # by thread: a call that another's line interrupts
    steps: list[Step] = []
    with trace.open() as lines:
        for line in lines:
            if (parts := _LINE.fullmatch(line.rstrip("\n"))) is None:
                continue
            thread, time, text = parts[1], float(parts[2]), parts[3]
            if unfinished := _UNFINISHED.fullmatch(text):
                done = list(kernel.begin(unfinished[1], unfinished[2]))
                begun[thread] = (unfinished[1], unfinished[2], kernel.syncs if done else 0)
            else:
                done = list(_whole_call(kernel, text, begun.pop(thread, None)))
            steps += [Step(time, operation) for operation in done]
    return steps


def _whole_call(
    kernel: _Kernel, text: str, begun: tuple[str, str, int] | None
) -> Iterator[Operation]:
    sync = 0
    if begun is not None and (resumed := _RESUMED.fullmatch(text)):
        name, arguments, sync = begun
        rest = resumed[1]
        text = f"{name}({arguments}{', ' if arguments and not rest.startswith(')') else ''}{rest}"
    call = _CALL.fullmatch(text)
    if call is None or int(call[3]) < 0:
        return
    if begun is None:
        for operation in kernel.begin(call[1], call[2]):
            sync = kernel.syncs
            yield operation
    yield from kernel.end(call[1], call[2], int(call[3]), sync)


def _strings(arguments: str) -> list[bytes]:
    return [bytes.fromhex(found[1].replace("\\x", "")) for found in _STRING.finditer(arguments)]
