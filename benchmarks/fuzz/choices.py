"""The bytes of an input as decisions, so that each input is a valid one."""

from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Choices:
    """Takes decisions from the beginning of an input; at its end all of them are 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """A number from 0 to 255."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def number(self) -> int:
        """A number from 0 to 65,535."""
        return self.byte() << 8 | self.byte()

    def one_of(self, values: Sequence[_T]) -> _T:
        """One of these, of which there are 256 at most."""
        return values[self.byte() % len(values)]

    def take(self, size: int) -> bytes:
        """The next bytes, as many as there are."""
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))
