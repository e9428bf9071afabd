"""Arguments of a replay in, log files out: each once, and in the order of time.

Correlation needs a mail's first line before its last one, so a set of rotated files
(``mail.log``, ``mail.log.1``, ``mail.log.2.gz``, ``maillog.20261124-154511``) has to be read
oldest first, whatever order a shell gave them in.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mailingest.errors import UsageError
from mailingest.inputs.files import STANDARD_INPUT, DamagedFile, LogFile

FirstTime = Callable[[bytes, float], float | None]
"""The time of a line in seconds since 1970 or None; it gets the file's mtime, from
which the year of a traditional time stamp is known."""

_COMPRESSION = re.compile(r"\.(?:gz|bz2|xz|zst)\Z")
# logrotate's dateext in its usual forms and Postfix's maillog_file_rotate_suffix; what stands
# behind the date belongs to the name (logrotate's "extension").
_DATED = re.compile(
    r"(?P<stem>.+?)[-._](?P<date>(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:[-_.T]?\d+)*)(?P<end>\.\D\w*)?\Z"
)
_NUMBERED = re.compile(r"(?P<stem>.+?)\.(?P<number>\d{1,5})(?P<end>\.\D\w*)?\Z")


@dataclass(frozen=True, slots=True, order=True)
class Rotation:
    """Which set a file's name belongs to, and its place in it: later files compare greater."""

    set_name: str
    is_current: bool
    date: str  # digits only
    negative_number: int

    @classmethod
    def of(cls, path: Path) -> "Rotation":
        name = _COMPRESSION.sub("", path.name)
        folder = str(path.parent)
        if dated := _DATED.match(name):
            stem, date, end = dated["stem"], re.sub(r"\D", "", dated["date"]), dated["end"]
            return cls(f"{folder}/{stem}{end or ''}", False, date, 0)
        if numbered := _NUMBERED.match(name):
            stem, number, end = numbered["stem"], int(numbered["number"]), numbered["end"]
            return cls(f"{folder}/{stem}{end or ''}", False, "", -number)
        return cls(f"{folder}/{name}", True, "", 0)


def expand(
    arguments: Iterable[str],
    first_time: FirstTime,
    opened: Callable[[LogFile], None] = lambda file: None,
) -> list[LogFile]:
    """The files that `arguments` name, oldest first; a file named twice comes once.

    A pattern that no shell has expanded is expanded here (``*``, ``?``, ``[..]``, ``**``; it
    passes over directories); ``-`` is the standard input.  Files are ordered by their first
    line that has a time.  One without any takes the time of the next newer one of its set, by
    the number or date in their names, and the newest its modification time.  ``opened`` is told
    of each file before it is looked into.  Raises
    UsageError for what cannot be opened and for patterns that match nothing.
    """
    files: dict[tuple[int, int], LogFile] = {}
    for argument in arguments:
        for path in _paths(argument):
            file = LogFile(path)
            if file.inode not in files:
                opened(file)
                files[file.inode] = file
    return _in_order(list(files.values()), first_time)


def _paths(argument: str) -> list[Path]:
    path = Path(argument)
    if path == STANDARD_INPUT or path.exists() or not any(sign in argument for sign in "*?["):
        return [path]
    try:
        found = Path(path.anchor).glob(str(path.relative_to(path.anchor)))
        files = sorted(each for each in found if not each.is_dir())
    except ValueError as error:
        raise UsageError(f"{argument}: not a pattern for files ({error})") from error
    if not files:
        raise UsageError(f"{argument}: no file matches this pattern")
    return files


def _in_order(files: list[LogFile], first_time: FirstTime) -> list[LogFile]:
    rotations = {file.inode: Rotation.of(file.path) for file in files}
    times: dict[tuple[int, int], float] = {}
    newer: dict[str, float] = {}  # by set: the time of the file before, in newest-first order
    for file in sorted(files, key=lambda file: rotations[file.inode], reverse=True):
        set_name = rotations[file.inode].set_name
        found = _probe(file, first_time)
        if found is None:
            found = newer.get(set_name, file.mtime)
        times[file.inode] = newer[set_name] = found
    return sorted(files, key=lambda file: (times[file.inode], rotations[file.inode]))


def _probe(file: LogFile, first_time: FirstTime) -> float | None:
    """The time of the file's first line that has one, if it stands near the beginning."""
    if not file.is_regular or file.path == STANDARD_INPUT:
        return None  # what is read from a pipe is gone
    try:
        block = next(file.blocks(), None)
    except DamagedFile:
        return None  # reported when the file is read
    for line in block.lines if block else ():
        found = first_time(line, file.mtime)
        if found is not None:
            return found
    return None
