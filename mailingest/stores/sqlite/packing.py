"""Documents <-> blocks: some documents that came one after the other, packed together.

A block has the documents' JSON, a line each, compressed with zstd and a dictionary, and of each
document 13 bytes: the second of its time, counted from the block's first, and the rest of its id.
An id is 15 bytes, of which the first four are that second (`mailingest.documents`).  Any other id
is kept in a list beside, and a hash stands in its place.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final, NamedTuple

import orjson

from mailingest.documents import Document

MOST_DOCUMENTS: Final = 32
"""In one block.  With 64, bodies take a tenth less, and each look at one of them twice as long."""
MOST_IN_COMPACT_BLOCK: Final = 64
"""The same of days that are over."""
MOST_SECONDS: Final = 3600
"""Between the first and the last document of a block."""
_MOST_BYTES: Final = 262_144

PLACE_BITS: Final = 16
"""The position of a document is the number of its block, and so many bits for the place in it."""

_TAIL: Final = 11
_ROW: Final = 2 + _TAIL
_FROM_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_ID_LENGTH: Final = 20

Identity = tuple[int, bytes]
"""The second of a document, and the rest of its id: equal documents have equal ones."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it is stored, but that ``text`` is not compressed."""

    first: int
    last: int
    ids: bytes
    odd: str | None
    text: bytes

    @property
    def count(self) -> int:
        """How many documents are in it."""
        return len(self.ids) // _ROW

    def second(self, number: int) -> int:
        """The time of one of its documents."""
        start = number * _ROW
        return self.first + int.from_bytes(self.ids[start : start + 2])

    def identity(self, number: int) -> Identity:
        """That of one of its documents."""
        start = number * _ROW
        return self.second(number), self.ids[start + 2 : start + _ROW]

    def document_id(self, number: int) -> str:
        """The id of one of them."""
        if self.odd is not None and (odd := orjson.loads(self.odd).get(str(number))):
            return str(odd)
        return _id_of(self.identity(number))


class Packed(NamedTuple):
    """A document in a block, not read yet; ``source`` is its id, or where that is."""

    second: int
    position: int
    source: str | tuple[Block, int]
    line: bytes

    @property
    def document_id(self) -> str:
        """The id of the document."""
        if isinstance(self.source, str):
            return self.source
        block, number = self.source
        return block.document_id(number)

    def event(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The document: its ``fields``, which were read from the line, get id and position."""
        fields["_id"], fields["_position"] = self.document_id, self.position
        return fields


def identities(first: int, ids: bytes) -> Iterator[Identity]:
    """The identities of a block's documents."""
    for start in range(0, len(ids), _ROW):
        second = first + int.from_bytes(ids[start : start + 2])
        yield second, ids[start + 2 : start + _ROW]


def identity_of(document: Document) -> Identity:
    """The identity of a document."""
    tail = _tail_of(document)
    if tail is None:
        tail = blake2b(document.id.encode(), digest_size=_TAIL).digest()
    return document.seconds, tail


def packed(documents: Sequence[Document]) -> Block:
    """One block of documents that `in_blocks` gave."""
    first = documents[0].seconds
    ids = b"".join(
        (second - first).to_bytes(2) + tail for second, tail in map(identity_of, documents)
    )
    odd = {str(n): one.id for n, one in enumerate(documents) if _tail_of(one) is None}
    text = b"\n".join(map(_line, documents))
    listed = orjson.dumps(odd).decode() if odd else None
    return Block(first, documents[-1].seconds, ids, listed, text)


def in_blocks(
    documents: Sequence[Document], most: int = MOST_DOCUMENTS
) -> Iterator[Sequence[Document]]:
    """Cut documents, which are in the order of their seconds, into those of a block each."""
    start = size = 0
    for number, document in enumerate(documents):
        is_full = number - start >= most or size + len(document.body) > _MOST_BYTES
        if number > start and (
            is_full or document.seconds - documents[start].seconds > MOST_SECONDS
        ):
            yield documents[start:number]
            start, size = number, 0
        size += len(document.body)
    if len(documents) > start:
        yield documents[start:]


def runs(seconds: Sequence[int], most_apart: int = 60) -> list[tuple[int, int]]:
    """Spans of seconds that lie near each other, with nothing between them.

    >>> runs([5, 3, 4, 100])
    [(3, 5), (100, 100)]
    """
    ordered = sorted(set(seconds))
    starts = [b for a, b in pairwise(ordered) if b - a > most_apart]
    ends = [a for a, b in pairwise(ordered) if b - a > most_apart]
    return list(zip(ordered[:1] + starts, ends + ordered[-1:], strict=True))


def _line(document: Document) -> bytes:
    if b"\n" in document.body:
        return orjson.dumps(orjson.loads(document.body))
    return document.body


def _tail_of(document: Document) -> bytes | None:
    """What follows the time in a document's id; None if the id is another one."""
    text = document.id
    if len(text) != _ID_LENGTH or "+" in text or "/" in text:
        return None
    try:
        whole = a2b_base64(text.encode().translate(_FROM_URL_SAFE), strict_mode=True)
    except (Base64Error, UnicodeEncodeError):
        return None
    return whole[4:] if whole[:4] == _stamp(document.seconds) else None


def _id_of(identity: Identity) -> str:
    whole = _stamp(identity[0]) + identity[1]
    return b2a_base64(whole, newline=False).translate(_URL_SAFE).decode("ascii")


def _stamp(seconds: int) -> bytes:
    return (seconds & 0xFFFFFFFF).to_bytes(4)
