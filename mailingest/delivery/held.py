"""Documents that wait until an operator has set their index right."""

from collections import deque
from dataclasses import dataclass, field

from mailingest.delivery.batches import Batch
from mailingest.documents import Document
from mailingest.stores.protocol import Rejection


@dataclass(slots=True)
class _Index:
    """What is held of an index, in parts of one batch each, and why the last of them is."""

    reason: str = ""
    parts: deque[tuple[Batch, list[Document]]] = field(default_factory=deque)


class Held:
    """Held documents by index, so that one that is set right does not wait for the others."""

    def __init__(self) -> None:
        self.documents = 0
        self._indices: dict[str, _Index] = {}

    @property
    def indices(self) -> list[str]:
        """The indices that documents are held of."""
        return list(self._indices)

    @property
    def reason(self) -> str:
        """Why they are held: one line, whatever the number of indices."""
        return "; ".join(dict.fromkeys(one.reason for one in self._indices.values()))

    def add(self, batch: Batch, held: list[Rejection]) -> None:
        """Hold documents of a batch."""
        parts: dict[str, list[Document]] = {}
        for one in held:
            index = one.document.index
            parts.setdefault(index, []).append(one.document)
            self._indices.setdefault(index, _Index()).reason = one.reason
        for index, documents in parts.items():
            self._indices[index].parts.append((batch, documents))
        self.documents += len(held)

    def take(self, index: str) -> tuple[Batch, list[Document]] | None:
        """Hold the first part of an index no more; None if there is none."""
        one = self._indices.get(index)
        if one is None:
            return None
        batch, documents = one.parts.popleft()
        if not one.parts:
            del self._indices[index]
        self.documents -= len(documents)
        return batch, documents
