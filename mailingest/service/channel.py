"""Messages between the process that receives and one that works: objects of JSON, a line each."""

import asyncio
import base64
import pickle
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self

import orjson

# A report with the names of all hosts.
_LONGEST_MESSAGE: Final = 64 * 1024 * 1024

Message = Mapping[str, Any]


class Channel:
    """One end of a pair of sockets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Self:
        """The end that a socket is."""
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=_LONGEST_MESSAGE))

    def say(self, **message: object) -> None:
        """Send a message; if nobody hears it any more, the other end says so by ending."""
        if not self._writer.is_closing():
            self._writer.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))

    @property
    def unheard_bytes(self) -> int:
        """How much was said that has not been heard."""
        size: int = self._writer.transport.get_write_buffer_size()
        return size

    async def messages(self) -> AsyncIterator[Message]:
        """What the other end says, until it ends."""
        try:
            async for line in self._reader:
                # What was being written when a process died has no end.
                if line.endswith(b"\n"):
                    yield orjson.loads(line)
        except ConnectionError:
            return

    async def said(self) -> None:
        """Wait until all that was said is on its way."""
        await self._writer.drain()

    def close(self) -> None:
        """Hear and say nothing more."""
        self._writer.close()


def packed(value: object) -> str:
    """An object of this program for a message: it is only read by this program."""
    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def unpacked(text: str) -> Any:
    """The object that `packed` was given."""
    return pickle.loads(base64.b64decode(text))  # noqa: S301  this program itself wrote it
