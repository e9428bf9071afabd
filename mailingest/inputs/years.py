"""Which year the lines of a file are of, whose time stamps have none.

It is told by when the file was written last.  A copy, an unpacked archive or a touched file says
something else; then `--year` has to tell the year of the file's last line.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mailingest.inputs.files import DamagedFile, LogFile
from mailingest.logs.logger import log
from mailingest.syslog.framing import FrameCounters, split_text, split_unterminated
from mailingest.syslog.timestamps import FileSpan

LastTime = Callable[[Sequence[bytes], float], float | None]
"""The time of the last of some lines that has one, for a reference, in seconds since 1970."""

# The end of a file: enough for some lines of the greatest length.
_END_BYTES: Final = 256 * 1024
# A log is written as long as there is mail; some hosts have little of it.
_DOUBTFUL_SECONDS: Final = 31 * 86_400.0


def set_year(file: LogFile, end_of_year: float, last_time: LastTime) -> None:
    """Let the last line of a file be of a year, which ends at a time in seconds since 1970."""
    file.is_year_set = True
    file.mtime = end_of_year
    if file.is_regular and (last := last_time(_last_lines(file), end_of_year)) is not None:
        file.mtime = last


def tell_doubt(file: LogFile, span: FileSpan, path: Path | None = None) -> None:
    """Log why the years of a file that was read may be wrong, if there is a reason.

    ``path`` is its name, if it is the copy of another one.
    """
    if (reason := doubt(file, span)) is not None:
        log.warning("the years of a file may be wrong", file=str(path or file.path), reason=reason)


def doubt(file: LogFile, span: FileSpan) -> str | None:
    """Why the years of a file's time stamps may be wrong, once it was read; None if they are not.

    What came through a pipe has no time of its own that could be wrong.
    """
    if span.goes_round:
        return (
            "there are more months in it than a year has: the first ones are dated a year or more "
            "too late; split it, and name the year of each part with --year"
        )
    if file.is_year_set or not file.is_regular or span.last is None:
        return None
    if file.mtime - span.last < _DOUBTFUL_SECONDS:
        return None
    return (
        f"it was written last on {_day(file.mtime)}, and its last line is then of "
        f"{_day(span.last)}: its time stamps have no year, so name it with --year"
    )


def _last_lines(file: LogFile) -> list[bytes]:
    # Of a compressed file the start is in the text, so that more than the end is read.
    start = max(0, file.size_bytes - _END_BYTES)
    try:
        texts = deque(file.texts(start), maxlen=2) or deque(file.texts(), maxlen=2)
    except DamagedFile:
        return []  # told when the file is read
    lines: list[bytes] = []
    for text in texts:
        split = split_unterminated if text.is_unterminated else split_text
        lines += split(text.data, FrameCounters())
    return lines


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
