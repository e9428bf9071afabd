"""What was sent and may still be lost: the server answers before anything is on its disk.

It keeps what it has taken in memory for some seconds (`Limits.is_durable_after`), and when it is
killed that is gone.  So requests are kept, compressed as they were sent, until the server has been
asked, after that time, how many of their lines there are.
"""

import zlib
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of compressed requests: some seconds of the most that a server takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the server has answered for.

    ``since`` and ``until`` are the times of its first and last event, in seconds since 1970;
    ``keys`` are the types and ids of its lines, in their order, and ``sent_at`` is by a clock that
    does not jump.  ``tries`` counts how often lines of it were lost.
    """

    batch: int
    body: bytes
    keys: tuple[tuple[str, str], ...]
    since: int
    until: int
    sent_at: float
    stream_fields: str
    tries: int = 0

    def lines(self, places: Collection[int] | None = None) -> bytes:
        """The lines as they were sent; all, or those in these places."""
        every = zlib.decompress(self.body, wbits=31)
        if places is None:
            return every
        wanted = set(places)
        return b"".join(
            line + b"\n" for place, line in enumerate(every.split(b"\n")[:-1]) if place in wanted
        )


class Unconfirmed:
    """Requests, in their order, of which it is not known yet that the server keeps them."""

    def __init__(self) -> None:
        self._requests: OrderedDict[int, Request] = OrderedDict()
        self._keys: dict[tuple[str, str], int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Whether a type and id is among their lines."""
        return key in self._keys

    @property
    def is_full(self) -> bool:
        return self._bytes > MOST_BYTES

    def add(self, request: Request) -> None:
        self._requests[request.batch] = request
        self._keys.update(dict.fromkeys(request.keys, request.batch))
        self._bytes += len(request.body)

    def remove(self, request: Request) -> None:
        if self._requests.pop(request.batch, None) is None:
            return
        self._bytes -= len(request.body)
        for key in request.keys:
            if self._keys.get(key) == request.batch:
                del self._keys[key]

    def sent_before(self, moment: float) -> list[Request]:
        """Those that were sent before a moment of their clock."""
        return [one for one in self._requests.values() if one.sent_at < moment]

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._requests.values()))

    @property
    def last(self) -> float | None:
        """When the last one was sent."""
        return max((one.sent_at for one in self._requests.values()), default=None)
