"""What every network input does, and what cuts the bytes of a connection into frames."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

BEGUN: Final = "begun"
"""The key of a place that says when it was begun to read without a gap or repetition, an integer.

Another one says that lines may come again which were handed on before.
"""


class Input(Protocol):
    """Receives frames, and hands them on to what it was made with; for one event loop."""

    @property
    def address(self) -> str:
        """Where it listens, for people; with a real port once it is open."""

    def open(self) -> None:
        """Listen; raises UsageError if the address cannot be had."""

    async def serve(self) -> None:
        """Receive until `close`, or until cancelled; what had arrived at `close` is handed on."""

    def close(self) -> None:
        """Take nothing that comes later; `serve` returns when the rest is handed on."""

    def counters(self) -> Mapping[str, int]:
        """Its part of counters that mailingest.service.counters declares, by name."""


class Reading(Protocol):
    """Something that is read, over restarts: its lines are handed on with how far they go.

    A place is what JSON can hold, and but for BEGUN means something to its input alone.
    """

    def begin(self) -> Mapping[str, Any] | None:
        """The place to go on at.  What others take from now on who read the same is ignored."""

    @property
    def place(self) -> Mapping[str, Any] | None:
        """How far it was read; None if it never was."""

    async def take(self, frames: list[bytes], place: Mapping[str, Any]) -> None:
        """Take frames, of which there may be none, and the place behind them, both or neither.

        Waits for room; if it is cancelled, neither was taken.
        """


class Framing(Protocol):
    """Cuts the bytes of one connection into frames, and may answer the peer."""

    acknowledges: bool
    """Whether the protocol says what was accepted, so that the end of a connection need not."""

    @property
    def has_more(self) -> bool:
        """Whether there are more frames in what was taken: `receive_data` of nothing gives them."""

    @property
    def is_at_end(self) -> bool:
        """Whether the peer has said that it sends nothing more."""

    @property
    def violation(self) -> str:
        """What the peer did that the protocol forbids; the connection is at its end then."""

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what the connection gave; returns the frames that are whole now.

        They are bounded, whatever the peer has compressed; see `has_more`.
        """

    def answer(self) -> bytes:
        """What is to be sent to the peer, perhaps nothing, now that all frames were handed on.

        It is asked for after each `receive_data`, when the frames of that call are in the spool.
        """

    def keep_alive(self) -> bytes:
        """What tells the peer, perhaps nothing, that its frames are being handed on all the while.

        It is sent every few seconds, as long as there is no room for them.
        """

    def close(self) -> list[bytes]:
        """The connection is at its end: returns the last frame if it was not whole."""
