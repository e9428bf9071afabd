"""What every network input does, and what cuts the bytes of a connection into frames."""

from collections.abc import Mapping
from typing import Protocol


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


class Framing(Protocol):
    """Cuts the bytes of one connection into frames, and may answer the peer."""

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what the connection gave; returns the frames that are whole now."""

    def answer(self) -> bytes:
        """What is to be sent to the peer, perhaps nothing, now that all frames were handed on.

        It is asked for after each `receive_data`, when the frames of that call are in the spool.
        """

    def close(self) -> list[bytes]:
        """The connection is at its end: returns the last frame if it was not whole."""
