"""Entries of the journal that take several lines -> one line of JSON each, as `-o json` has it.

`journalctl -o export` writes ``KEY=value`` lines, a value that is not plain text as its key, eight
octets of length (little endian) and the octets, and an empty line behind each entry.  `-o verbose`
has a head line with the time, and then lines that are indented.  `-o json-pretty` is JSON over
several lines.
"""

import re
from typing import Final, NamedTuple, Protocol

import orjson

from mailingest.syslog.framing import MAX_FRAME_OCTETS

JOURNAL_KEYS: Final = (
    *("MESSAGE", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "SYSLOG_FACILITY", "PRIORITY"),
    *("_PID", "_HOSTNAME", "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP"),
)
"""What `structured_lines` asks for; the rest of an entry is several times as much."""

_KEYS: Final = frozenset(key.encode("ascii") for key in JOURNAL_KEYS)
_CURSOR: Final = b"__CURSOR"
_LENGTH_OCTETS: Final = 8
_HEAD = re.compile(rb"(\S[^\[\n]{10,80}) \[s=[0-9a-f]+;")


class EntryReader(Protocol):
    """Takes bytes as they come, gives lines."""

    def receive_data(self, data: bytes) -> bytes:
        """The lines of the entries that are whole now, each with its LF."""

    def close(self) -> bytes:
        """The line of the last entry, if it was not whole."""


class Entry(NamedTuple):
    """One entry: its place in the journal, if it was said, and its line, with LF."""

    cursor: str
    line: bytes


class ExportReader:
    """Reads `-o export`; memory is bounded by MAX_FRAME_OCTETS a field."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._fields: dict[str, str | list[int]] = {}
        self._has_entry = False
        # Of a value with a length: its key, and the octets to come (with the LF behind them).
        self._key = b""
        self._missing = 0
        self._is_too_long = False
        self._cursor = ""

    def receive_data(self, data: bytes) -> bytes:
        return b"".join(entry.line for entry in self.entries(data))

    def entries(self, data: bytes) -> list[Entry]:
        """The entries that are whole now."""
        pending = self._pending
        pending += data
        entries: list[Entry] = []
        at = 0
        while True:
            if self._missing:
                end = min(self._missing, len(pending) - at)
                if end < self._missing and not self._is_too_long:
                    break
                if not self._is_too_long:
                    self._add(self._key, bytes(pending[at : at + end - 1]))
                self._missing -= end
                at += end
                if self._missing:
                    break
                self._is_too_long = False
                continue
            end = pending.find(b"\n", at)
            if end < 0:
                break
            key, equals, value = bytes(pending[at:end]).partition(b"=")
            if not key and not equals:
                entries += self._entry()
            elif equals:
                self._add(key, value)
            elif end + 1 + _LENGTH_OCTETS > len(pending):
                break
            else:
                at = end + 1
                self._key = key
                self._missing = int.from_bytes(pending[at : at + _LENGTH_OCTETS], "little") + 1
                self._is_too_long = self._missing > MAX_FRAME_OCTETS or key not in _KEYS
                end = at + _LENGTH_OCTETS - 1
            at = end + 1
        del pending[:at]
        # A line without an end is cut; the rest of it is no key that is known.
        del pending[MAX_FRAME_OCTETS:]
        return entries

    def close(self) -> bytes:
        rest = self.receive_data(b"\n") if self._pending and not self._missing else b""
        return rest + b"".join(entry.line for entry in self._entry())

    def _add(self, key: bytes, value: bytes) -> None:
        self._has_entry = True
        if key == _CURSOR:
            self._cursor = value.decode("ascii", "replace")
        if key not in _KEYS:
            return
        try:
            self._fields[key.decode("ascii")] = value.decode()
        except UnicodeDecodeError:
            self._fields[key.decode("ascii")] = list(value)

    def _entry(self) -> list[Entry]:
        if not self._has_entry:
            return []
        fields, self._fields, self._has_entry = self._fields, {}, False
        cursor, self._cursor = self._cursor, ""
        return [Entry(cursor, orjson.dumps(fields) + b"\n")]


class VerboseReader:
    """Reads `-o verbose`."""

    def __init__(self) -> None:
        self._pending = b""
        self._fields: dict[str, str] = {}

    def receive_data(self, data: bytes) -> bytes:
        *lines, rest = (self._pending + data).split(b"\n")
        self._pending = rest[:MAX_FRAME_OCTETS]
        return b"".join(map(self._line, lines))

    def close(self) -> bytes:
        return self.receive_data(b"\n") + self._entry()

    def _line(self, line: bytes) -> bytes:
        if (head := _HEAD.match(line)) is not None:
            entry = self._entry()
            self._fields = {"timestamp": head[1].decode("utf-8", "replace")}
            return entry
        key, _, value = line.strip().partition(b"=")
        if key in _KEYS:
            self._fields[key.decode("ascii")] = value.decode("utf-8", "replace")
        return b""

    def _entry(self) -> bytes:
        fields, self._fields = self._fields, {}
        return orjson.dumps(fields) + b"\n" if fields else b""


class PrettyReader:
    """Reads JSON objects over several lines, of which the first and the last are a bracket."""

    def __init__(self) -> None:
        self._pending = b""
        self._object: list[bytes] = []
        self._octets = 0

    def receive_data(self, data: bytes) -> bytes:
        *lines, rest = (self._pending + data).split(b"\n")
        self._pending = rest[:MAX_FRAME_OCTETS]
        return b"".join(map(self._line, lines))

    def close(self) -> bytes:
        return self.receive_data(b"\n") + self._entry()

    def _line(self, line: bytes) -> bytes:
        line = line.rstrip(b"\r")
        entry = self._entry() if line == b"{" else b""
        if line:
            self._octets += len(line)
            # What is too long is cut, and is then no object.
            if self._octets <= MAX_FRAME_OCTETS:
                self._object.append(line.strip())
        return entry + (self._entry() if line in (b"}", b"},") else b"")

    def _entry(self) -> bytes:
        lines, self._object, self._octets = self._object, [], 0
        return b" ".join(lines) + b"\n" if lines else b""


def reader_of(beginning: bytes) -> EntryReader | None:
    """What reads a file that begins like this; None if each of its lines stands for itself."""
    if beginning.startswith((b"__CURSOR=", b"__REALTIME_TIMESTAMP=")):
        return ExportReader()
    if beginning.startswith((b"{\n", b"{\r\n")):
        return PrettyReader()
    if _HEAD.match(beginning) is not None:
        return VerboseReader()
    return None
