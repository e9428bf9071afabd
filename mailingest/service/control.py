"""The control socket of the daemon: other processes of its user, or root, ask it to do something.

A request is a line with a word, the answer a line of JSON.  The socket is a file in the state
directory that only its owner may connect to.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from mailingest.errors import MailingestError
from mailingest.logs.logger import log
from mailingest.spool.socket_path import socket_path

_NAME: Final = "control.socket"
_MODE: Final = 0o600
_LONGEST_REQUEST: Final = 100
_REQUEST_SECONDS: Final = 10.0

Handler = Callable[[], Awaitable[Mapping[str, Any]]]


class NotRunning(MailingestError):
    """No daemon works with that state directory."""


@asynccontextmanager
async def answering(directory: Path, handlers: Mapping[str, Handler]) -> AsyncIterator[None]:
    """Answer requests, by the words that they are, as long as the context lasts."""
    try:
        listener = _listener(directory)
    except OSError as error:
        log.warning(
            "there is no control socket, and so no `mailingest reload`; SIGHUP does the same",
            path=str(directory / _NAME),
            reason=error.strerror,
        )
        yield
        return
    server = await asyncio.start_unix_server(
        partial(_answer, handlers), sock=listener, limit=_LONGEST_REQUEST
    )
    try:
        yield
    finally:
        server.close()
        with suppress(OSError):
            (directory / _NAME).unlink()


def ask(directory: Path, request: str) -> dict[str, Any]:
    """What the daemon answers; raises NotRunning, and MailingestError if it ends meanwhile."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            with socket_path(directory, _NAME) as path:
                connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning(f"no daemon works in {directory}") from None
        except OSError as error:
            raise MailingestError(
                f"{directory / _NAME}: {error.strerror}: ask as root, or as the daemon's user"
            ) from None
        try:
            connection.sendall(request.encode() + b"\n")
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
            parsed: dict[str, Any] = orjson.loads(answer)
        except (OSError, ValueError):
            raise MailingestError("the daemon ended before it answered: see its log") from None
    return parsed


def _listener(directory: Path) -> socket.socket:
    # The spool is this process's own by now: whoever made the file has ended.
    (directory / _NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), _MODE)
        with socket_path(directory, _NAME) as path:
            listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    return listener


async def _answer(
    handlers: Mapping[str, Handler], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        async with asyncio.timeout(_REQUEST_SECONDS):
            request = (await reader.readline()).decode("ascii", "replace").strip()
        handler = handlers.get(request)
        answer = {"unknown": request} if handler is None else await handler()
        writer.write(orjson.dumps(answer))
        await writer.drain()
    except (OSError, ValueError):
        pass  # whoever asked has gone, or asked too much
    finally:
        writer.close()
