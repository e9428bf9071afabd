"""What else Postfix asks: a milter and a login server, each a few lines of its protocol."""

import base64
import re
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.support.lab.polling import PATIENCE

# Headers of mails tell the milter what to do at the end: packets of the milter protocol, version 6.
DECISIONS: Mapping[str, bytes] = {
    "reject": b"y554 5.7.1 Spam message rejected\0",
    "tempfail": b"t",
    "discard": b"d",
    "quarantine": b"qsuspicious: held by milter\0",
}
# What is asked for by number: no packets but those of recipients, headers and the end.
_VERSION, _ACTIONS, _SKIPPED = 6, 0x20, 0x01 | 0x02 | 0x04 | 0x10 | 0x40 | 0x100 | 0x200
PASSWORD = "secret"


class Helper(socketserver.ThreadingTCPServer):
    """A server in threads on a port of its own; a context manager that ends it."""

    daemon_threads = True
    block_on_close = False
    # Connections may come faster than threads begin: beyond this the kernel lets them time out.
    request_queue_size = 128

    def __init__(self, address: str, session: type[socketserver.StreamRequestHandler]) -> None:
        super().__init__((address, 0), session)
        self.port = int(self.socket.getsockname()[1])
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name=session.__name__
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class Milter(socketserver.StreamRequestHandler):
    """Does with a mail what its X-Milter header says, and refuses recipients named `milterno`."""

    def handle(self) -> None:
        decision = b""
        while head := self.rfile.read(4):
            (length,) = struct.unpack(">I", head)
            packet = self.rfile.read(length)
            kind, data = packet[:1], packet[1:]
            if kind == b"O":
                self._answer(b"O" + struct.pack(">III", _VERSION, _ACTIONS, _SKIPPED))
            elif kind == b"R":
                refused = b"y550 5.7.1 milter does not like this recipient\0"
                self._answer(refused if b"milterno" in data else b"c")
            elif kind == b"L":
                name, value = data.split(b"\0")[:2]
                if name == b"X-Milter":
                    decision = DECISIONS[value.decode().strip()]
                self._answer(b"c")
            elif kind == b"E":
                self._answer(decision or b"c")
                if decision.startswith(b"q"):
                    self._answer(b"a")
                decision = b""
            elif kind == b"Q":
                return

    def _answer(self, packet: bytes) -> None:
        self.wfile.write(struct.pack(">I", len(packet)) + packet)
        self.wfile.flush()


class Logins(socketserver.StreamRequestHandler):
    """Dovecot's authentication protocol: anybody who knows the one password."""

    def handle(self) -> None:
        self._say("VERSION\t1\t1", "MECH\tPLAIN\tplaintext", "SPID\t1", "CUID\t1")
        self._say(f"COOKIE\t{'0123456789abcdef' * 2}", "DONE")
        while line := self.rfile.readline():
            found = re.match(r"AUTH\t(\d+)\tPLAIN\t.*\bresp=(\S+)", line.decode())
            if found is None:
                continue
            _, user, password = base64.b64decode(found[2]).decode().split("\0")
            verdict = "OK" if password == PASSWORD else "FAIL"
            self._say(f"{verdict}\t{found[1]}\tuser={user}")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\n" for line in lines).encode())


class Client:
    """An SMTP client that keeps all replies and may be as rude as it likes."""

    def __init__(self, ip: str, server: tuple[str, int]) -> None:
        self.replies: list[str] = []
        self._socket = socket.create_connection(server, PATIENCE, source_address=(ip, 0))
        self.port = int(self._socket.getsockname()[1])
        self._file = self._socket.makefile("rb")

    def hear(self) -> str:
        """The next reply, its lines joined; empty if the server has gone."""
        lines: list[str] = []
        while line := self._read():
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if lines[-1][3:4] != "-":
                break
        self.replies.append("\n".join(lines))
        return self.replies[-1]

    def _read(self) -> bytes:
        try:
            return self._file.readline()
        except ConnectionResetError:
            return b""

    def say(self, text: str | bytes) -> None:
        """Send a line, or bytes as they are; the next reply tells if the server has gone."""
        with suppress(ConnectionResetError, BrokenPipeError):
            self._socket.sendall(text if isinstance(text, bytes) else f"{text}\r\n".encode())

    def ask(self, text: str) -> str:
        """Send a line and give the reply."""
        self.say(text)
        return self.hear()

    def greet(self, hello: str, *, tls: bool = False) -> None:
        """Say EHLO; with ``tls``, encrypt the connection, whoever it is with, and say it again."""
        self.ask(f"EHLO {hello}")
        if tls:
            self.ask("STARTTLS")
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._file.close()
            self._socket = context.wrap_socket(self._socket)
            self._file = self._socket.makefile("rb")
            self.ask(f"EHLO {hello}")

    def leave(self) -> None:
        """End the session as one should."""
        self.ask("QUIT")
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()
