"""The socket `status` in the state directory, over which a running daemon says how it is.

Whoever may read the state directory may ask.  A connection is answered with one JSON object, and
closed; nothing is read from it.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson

from mailingest.errors import MailingestError
from mailingest.logs.logger import log
from mailingest.spool.socket_path import socket_path

_NAME: Final = "status"
# The user and the group of the daemon: to connect is to write.
_MODE: Final = 0o660
_MOST_CONNECTIONS: Final = 16
_ANSWER_SECONDS: Final = 10.0
# The object is made once a second at most, whoever asks how often.
_FRESH_SECONDS: Final = 1.0
_LONGEST_ANSWER: Final = 16 * 1024 * 1024
_CHUNK: Final = 65_536


class NoAnswer(MailingestError):
    """No daemon answers; the text says which one was asked, and what to do."""


@asynccontextmanager
async def status_served(directory: Path, look: Callable[[], object]) -> AsyncIterator[None]:
    """Answer with what ``look`` gives, as long as the context lasts.

    That it cannot be done is logged: it is no reason not to take mail's lines.
    """
    try:
        with socket_path(directory, _NAME) as path:
            path.unlink(missing_ok=True)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            sock.bind(str(path))
            path.chmod(_MODE)
    except OSError as error:
        log.warning("`mailingest status` will get no answer", reason=str(error))
        yield
        return
    sock.setblocking(False)
    server = await asyncio.start_unix_server(_Answers(look).answer, sock=sock)
    try:
        yield
    finally:
        server.close()
        with suppress(OSError):
            (directory / _NAME).unlink()


class _Answers:
    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._said = b""
        self._said_at = -_FRESH_SECONDS
        self._open = 0

    async def answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say how things are."""
        if self._open >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                writer.write(self._now())
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            self._open -= 1

    def _now(self) -> bytes:
        now = asyncio.get_running_loop().time()
        if now - self._said_at >= _FRESH_SECONDS:
            self._said, self._said_at = orjson.dumps(self._look()), now
        return self._said


def ask(directory: Path, timeout: float) -> dict[str, Any]:
    """What the daemon that works in a state directory says of itself; raises NoAnswer.

    ``timeout`` is in seconds, for the connection and each part of the answer.
    """
    try:
        with (
            socket_path(directory, _NAME) as path,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.settimeout(timeout)
            sock.connect(str(path))
            said = b"".join(_chunks(sock))
        answer: dict[str, Any] = orjson.loads(said)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NoAnswer(
            f"no daemon works in {directory}: start it (systemctl start mailingest), or name the "
            "configuration that it has with --config"
        ) from None
    except PermissionError:
        raise NoAnswer(
            f"the daemon in {directory} may not be asked by this user: ask as root, or as a member "
            "of the directory's group"
        ) from None
    except TimeoutError:
        raise NoAnswer(
            f"the daemon in {directory} does not answer within {timeout:g} s: its log may say why; "
            "if it stays so, restart it: lines are safe in the spool"
        ) from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"the daemon in {directory} gave no answer: {error}: ask again") from None
    return answer


def _chunks(sock: socket.socket) -> Iterator[bytes]:
    length = 0
    while chunk := sock.recv(_CHUNK):
        length += len(chunk)
        if length > _LONGEST_ANSWER:
            raise ValueError("it is too long")
        yield chunk
