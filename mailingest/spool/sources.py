"""The source of a record's frames <-> its metadata: it stays what it was when they came in.

Whatever is set when a record is taken out, after a restart or a crash, it makes the same documents
in the same indices as it would have made then.  The metadata are a byte that is the version of the
rest, the charset, a zero and the type.  Records of earlier versions have none: theirs is the source
of inputs that set nothing.

Records of what is read, and not sent (files, the journal), say besides how far it was read: behind
another zero stand the name of what is read and the place, as JSON.  So the lines and the place are
written down at once, or not at all.
"""

import codecs
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from mailingest.logs.logger import log
from mailingest.syslog.sources import TYPE_NAME, Source

_VERSION: Final = b"\x01"
_VERSION_WITH_PLACE: Final = b"\x02"


def to_metadata(source: Source) -> bytes:
    """What `Sources` reads again."""
    return _VERSION + f"{source.charset}\0{source.type}".encode("ascii")


def with_place(metadata: bytes, name: str, place: Mapping[str, Any]) -> bytes:
    """Metadata of `to_metadata`, and how far what has that name was read."""
    stands = orjson.dumps([name, place])
    return b"".join((_VERSION_WITH_PLACE, metadata.removeprefix(_VERSION), b"\0", stands))


def place_of(metadata: bytes) -> tuple[str, dict[str, Any]] | None:
    """The name and the place in metadata, None if there is none."""
    if not metadata.startswith(_VERSION_WITH_PLACE):
        return None
    try:
        name, place = orjson.loads(metadata.split(b"\0", 2)[2])
    except (ValueError, IndexError):
        return None  # told when the lines are taken out
    return (name, place) if isinstance(name, str) and isinstance(place, dict) else None


def _without_place(metadata: bytes) -> bytes:
    if metadata.startswith(_VERSION_WITH_PLACE) and metadata.count(b"\0") > 1:
        return _VERSION + b"\0".join(metadata[1:].split(b"\0", 2)[:2])
    return metadata


class Sources:
    """Sources by the metadata of records; each is read once.

    ``default`` is that of records without; a type that is not among the ``types`` that are set is
    logged, once, for what is stored under it is not asked for.
    """

    def __init__(self, default: Source, types: Collection[str]) -> None:
        self._default = default
        self._types = types
        self._known = {b"": default}

    def of(self, metadata: bytes) -> Source:
        """The source of a record."""
        metadata = _without_place(metadata)
        source = self._known.get(metadata)
        if source is None:
            source = self._known[metadata] = self._read(metadata)
        return source

    def _read(self, metadata: bytes) -> Source:
        source = _source(metadata)
        if source is None:
            log.error(
                "records of the spool say in a way that is not understood what type and charset "
                "their lines have; they are filed like those of inputs that set neither",
                metadata=repr(metadata[:200]),
            )
            return self._default
        if source.type not in self._types:
            log.warning(
                "the spool has lines of a type that is no longer set; they are stored under it all "
                "the same: name it in [types], for traces, retention and setup to know it",
                type=source.type,
            )
        return source


def _source(metadata: bytes) -> Source | None:
    """The source that metadata name; None if they are not of this version, or damaged."""
    try:
        charset, name = metadata.removeprefix(_VERSION).decode("ascii").split("\0")
        if charset != "auto":
            codecs.lookup(charset)
    except (ValueError, LookupError):
        return None
    if not metadata.startswith(_VERSION) or TYPE_NAME.fullmatch(name) is None:
        return None
    return Source(name, charset)
