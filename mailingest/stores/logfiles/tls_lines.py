"""Delivery lines of a log -> the line about the TLS session that the delivery went over.

The rule is that of `mailingest.postfix.tls_sessions`, on raw lines: a line about a delivery is of
the same host, program and process as the last one about a TLS session.
"""

import re
from typing import Final

from mailingest.stores.logfiles.prefilter import line_at

_TLS_TO: Final = (b"TLS connection established to ", b"TLS connection reused to ")
_DELIVERY: Final = b" relay="
# Host, tag and process id, in each kind of header.
_AGENT: Final = re.compile(rb"[^ ]+ [^ \d\[][^ \[]*[\[ ]\d+(?=\]?[: ])")
# A host runs 100 delivery agents (default_process_limit); a hundred hosts are a large site.
_CAPACITY: Final = 10_000


class TlsLines:
    """The last TLS session of each delivery agent, as the blocks of a file are read."""

    def __init__(self) -> None:
        self._before: dict[bytes, bytes] = {}
        self._in_block: list[tuple[int, bytes, bytes]] = []

    def begin(self, block: bytes) -> None:
        """Go on to the next block of the file."""
        for _, agent, line in self._in_block:
            self._before.pop(agent, None)
            self._before[agent] = line
        while len(self._before) > _CAPACITY:
            del self._before[next(iter(self._before))]
        self._in_block = [found for text in _TLS_TO for found in _lines(block, text)]

    def before(self, line: bytes, start: int) -> bytes | None:
        """The line about the TLS session of a delivery line that begins at ``start`` in the block.

        None if there is none, and for lines about something else.
        """
        if _DELIVERY not in line or (found := _AGENT.search(line)) is None:
            return None
        agent = found[0]
        latest = max(
            (one for one in self._in_block if one[0] < start and one[1] == agent), default=None
        )
        return latest[2] if latest is not None else self._before.get(agent)


def _lines(block: bytes, text: bytes) -> list[tuple[int, bytes, bytes]]:
    found = []
    at = block.find(text)
    while at >= 0:
        start, end = line_at(block, at)
        line = block[start:end]
        if (agent := _AGENT.search(line)) is not None:
            found.append((start, agent[0], line))
        at = block.find(text, end)
    return found
