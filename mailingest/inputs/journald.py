"""The systemd journal in: journalctl reads it, and follows it, as a process of its own.

journalctl comes with systemd and knows all forms of the journal's files, which a binding in this
process would have to be built for.  It is given the place to begin at, and each entry names its own
(the cursor), which goes into the spool together with the entry.

`--cursor` is used, which begins with the entry that was read last, and not `--after-cursor`: if
that entry is gone, older versions of the latter pass over the one that is there in its place.
"""

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from mailingest.inputs.permissions import group_fix
from mailingest.inputs.protocol import BEGUN, Reading
from mailingest.logs.logger import log
from mailingest.syslog.framing import FrameCounters, split_text
from mailingest.syslog.journal_entries import JOURNAL_KEYS, ExportReader

Since = Literal["now", "all"] | float

_CURSOR: Final = "cursor"
_SINCE: Final = "since"
_CHUNK_BYTES: Final = 64 * 1024
# journalctl ends if the journal cannot be read, or if somebody ends it.
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
# One that ran for as long as that was all right.
_GOOD_RUN_SECONDS: Final = 60.0
_END_SECONDS: Final = 5.0
_COMPLAINT_BYTES: Final = 2000
_DIRECTORIES: Final = (Path("/run/log/journal"), Path("/var/log/journal"))
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_GROUP: Final = "systemd-journal"
# What an entry is known by when the journal's files were made anew (journalctl --flush): its boot,
# its two times and a hash of its fields.  s= and i= are those of the file.
_LASTING: Final = re.compile(r"\b([bmtx])=([0-9a-f]+)")


class JournaldInput:
    """Reads the journal of this machine into a ``reading``.

    The first start begins ``since`` now, with all that there is, or with what is that many seconds
    old; ``matches`` are arguments of journalctl that say which entries are wanted.
    """

    address = "the journal"

    def __init__(self, reading: Reading, *, since: Since, matches: Sequence[str]) -> None:
        self._reading = reading
        self._since = since
        self._matches = matches
        self._frames = FrameCounters()
        self._restarts = 0
        self._gaps = 0
        self._told = ""
        self._process: asyncio.subprocess.Process | None = None
        self._closing = asyncio.Event()

    def counters(self) -> Mapping[str, int]:
        """See `mailingest.inputs.protocol.Input`."""
        return {
            "journal_entries": self._frames.received,
            "journal_restarts": self._restarts,
            "journal_gaps": self._gaps,
            "lines_oversized": self._frames.oversized,
        }

    def open(self) -> None:
        """Nothing can be wrong for good: what is, is told, and tried again."""

    async def serve(self) -> None:
        """Read until `close`, or until cancelled: what is not read yet is read another time."""
        if self._reading.begin() is None:
            # From now on also if nothing comes before the next start.
            await self._reading.take([], {BEGUN: time.time_ns(), _SINCE: self._first()})
        log.info("the journal is read", matches=list(self._matches))
        pause = _FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            began = time.monotonic()
            complaint = await self._run()
            if self._closing.is_set():
                break
            if time.monotonic() - began >= _GOOD_RUN_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            self._ended(complaint)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Read nothing more; `serve` returns when what was read is handed on."""
        self._closing.set()
        self._end_process()

    async def _run(self) -> str:
        """Read with one journalctl until it ends; returns what it complained of."""
        place = self._reading.place or {}
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(place, self._matches),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_CHUNK_BYTES,
            )
        except OSError as error:
            return f"journalctl cannot be started: {error.strerror}"
        self._process = process
        if self._closing.is_set():
            self._end_process()
        complaining = asyncio.create_task(_last_of(process.stderr))
        try:
            await self._read(process.stdout, place)
        finally:
            self._end_process()
            code = await process.wait()
            self._process = None
        complaint = await complaining
        return complaint or f"journalctl ended with code {code}"

    async def _read(self, output: asyncio.StreamReader | None, place: Mapping[str, Any]) -> None:
        reader = ExportReader()
        last = place.get(_CURSOR)
        while output is not None and (data := await output.read(_CHUNK_BYTES)):
            entries = reader.entries(data)
            if entries and last is not None:
                if _is_same(entries[0].cursor, last):
                    entries = entries[1:]
                else:
                    self._gap(last)
                last = None
            if self._told and entries:
                self._told = ""
                log.info("the journal can be read again")
            if entries:
                frames = split_text(b"".join(entry.line for entry in entries), self._frames)
                begun = place.get(BEGUN) or time.time_ns()
                await self._reading.take(frames, {BEGUN: begun, _CURSOR: entries[-1].cursor})

    def _end_process(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def _first(self) -> float:
        """Where the first start begins, in seconds since 1970."""
        if self._since == "all":
            return 0.0
        return time.time() - (0.0 if self._since == "now" else self._since)

    def _gap(self, cursor: str) -> None:
        self._gaps += 1
        log.warning(
            "the entry of the journal that was read last is not there any more; it is gone on with "
            "the oldest one after it, and what was between them is lost, if there was something",
            cursor=cursor,
        )

    def _ended(self, complaint: str) -> None:
        self._restarts += 1
        reason = why_unreadable() or complaint
        if reason != self._told:
            self._told = reason
            log.error("the journal cannot be read now; it is tried again", reason=reason)


def why_unreadable() -> str | None:
    """Why this process cannot read the journal, with the way to mend it; None if it can."""
    places = [place for directory in _DIRECTORIES for place in _children(directory)]
    hidden = [place for place in places if not os.access(place, os.R_OK | os.X_OK)]
    files = [file for place in places for file in _children(place) if file.suffix == ".journal"]
    if not files and not hidden:
        return (
            "there is no journal in /run/log/journal or /var/log/journal: systemd-journald has to "
            "run here"
        )
    if not any(os.access(path, os.R_OK) for path in files):
        return f"permission denied: add the group {_GROUP} to the service: {group_fix(_GROUP)}"
    if not _BOOT_ID.exists():
        return (
            "journalctl needs /proc/sys, which the service does not see: set ProcSubset=all below "
            "[Service] with `systemctl edit mailingest`, then restart it"
        )
    return None


def _children(directory: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(directory.iterdir())
    return []


def _command(place: Mapping[str, Any], matches: Sequence[str]) -> list[str]:
    if _CURSOR in place:
        begin = f"--cursor={place[_CURSOR]}"
    else:
        begin = f"--since=@{place.get(_SINCE, 0.0):.6f}"
    return [
        "journalctl",
        "--system",
        "--quiet",
        "--no-pager",
        "--output=export",
        f"--output-fields={','.join(sorted(JOURNAL_KEYS))}",
        "--follow",
        "--no-tail",
        # Those of earlier boots as well, whatever `--follow` implies.
        "--boot=all",
        begin,
        *matches,
    ]


def _is_same(cursor: str, other: str) -> bool:
    return cursor == other or bool(
        (known := _LASTING.findall(cursor)) and known == _LASTING.findall(other)
    )


async def _last_of(stream: asyncio.StreamReader | None) -> str:
    """The end of what comes from a stream, for a message."""
    last = b""
    while stream is not None and (data := await stream.read(_CHUNK_BYTES)):
        last = (last + data)[-_COMPLAINT_BYTES:]
    return last.decode("utf-8", "replace").strip()
