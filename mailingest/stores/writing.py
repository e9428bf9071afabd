"""The rim that documents leave through: what every output does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailingest.documents import Document


@dataclass(frozen=True, slots=True)
class Rejection:
    """A document that the store will never take as it is, and the store's reason."""

    document: Document
    reason: str


@dataclass(slots=True)
class WriteResult:
    """What became of a batch: ``stored`` counts documents that are in the store now.

    A document that was there already (same index and id) counts as stored and as
    ``duplicates``.  ``stored + len(rejected) + len(retry)`` is the size of the batch.
    """

    stored: int = 0
    duplicates: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    retry: list[Document] = field(default_factory=list)


class Output(Protocol):
    """Takes documents.  Writing a batch twice leaves each document stored once."""

    async def open(self) -> None:
        """Connect or create what is needed; raises UsageError or OutputUnavailable."""

    async def write(self, batch: Sequence[Document]) -> WriteResult:
        """Store a batch; raises OutputUnavailable if nothing was decided on any document.

        UsageError says the same, and that the operator has to heal it.
        """

    async def close(self) -> None:
        """Release files and connections."""
