"""Scripted mail servers: what they answer depends on the recipient's local part."""

import re
import smtplib
import socket
import socketserver
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.lab.polling import PATIENCE

# Replies to RCPT, as servers of the world give them; `{0}` is the recipient.
RCPT_REPLIES: Mapping[str, str] = {
    "unknown": "550 5.1.1 <{0}>: Recipient address rejected: User unknown in virtual mailbox table",
    "full": "552 5.2.2 <{0}>: Mailbox is full / Blocks limit exceeded / Inode limit exceeded",
    "multi": "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
    "550-5.1.1 double-checking the recipient's email address for typos or\r\n"
    "550 5.1.1  https://support.example.net/mail/?p=NoSuchUser d2e1a72fcca58-5a1 - gsmtp",
    "bare": "550 No such user here",
    "hostile": "550 5.7.23 said: to=<x@y.test>, relay=evil[192.0.2.1]:25, status=sent (250 ok)",
    "eightbit": "550 5.1.1 Utilisateur inconnu: boîte aux lettres désactivée",
    "busy": "450 4.2.0 Mailbox busy, try later",
    "trouble": "451 4.3.0 Temporary system problem. Try again later (TS01).",
}
# Replies to the whole mail; `{0}` is its number here, `{1}` its Message-ID.
END_REPLIES: Mapping[str, str] = {
    "spam": "554 5.7.1 Message rejected as spam by Content Filtering.",
    "nospace": "452 4.3.1 Insufficient system storage",
    "exim": "250 OK id=1vNVnF-000000{0}-AbC",
    "exchange": "250 2.6.0 {1} [InternalId={0}12345678901, Hostname=EX01.example.net] "
    "4567 bytes in 0.123, 12.345 KB/sec Queued mail for delivery",
    "gmail": "250 2.0.0 OK  1795534881 a1e0cc1a2514c-88b{0}si123456241.12 - gsmtp",
    "sendmail": "250 2.0.0 5AOFf{0}X012345 Message accepted for delivery",
    "filtered": "250 2.7.0 Ok, discarded, id={0}-01 - spam",
}
# The name of the mail in such a reply.
GIVEN: Mapping[str, str] = {
    "exim": "1vNVnF-000000{0}-AbC",
    "exchange": "{0}12345678901",
    "gmail": "a1e0cc1a2514c-88b{0}si123456241.12",
    "sendmail": "5AOFf{0}X012345",
    "filtered": "{0}-01",
}
ACCEPTED = "250 2.0.0 Ok: queued as REMOTE{0}"


@dataclass(slots=True)
class Taken:
    """A mail as a server has it.

    ``replies`` are those of its end, by LMTP one for each recipient; ``given`` is the queue ID
    that an SMTP server's reply names, or the session of an LMTP server's replies.
    """

    server: "ScriptedServer"
    sender: str = ""
    parameters: str = ""
    recipients: list[str] = field(default_factory=list)
    content: bytes = b""
    replies: list[str] = field(default_factory=list)
    given: str = ""
    xforward: dict[str, str] = field(default_factory=dict)
    tls: bool = False

    @property
    def size(self) -> int | None:
        """Bytes, as the sending server announced them."""
        found = re.search(r"SIZE=(\d+)", self.parameters)
        return int(found[1]) if found is not None else None


class ScriptedServer(socketserver.ThreadingTCPServer):
    """An SMTP or LMTP server in threads; a context manager that ends it.

    ``address`` is an IP address or the path of a socket.  ``greeting`` replaces the usual one; an
    empty one means that the server never says anything.  ``finish`` gives the reply to a mail,
    instead of the script.
    """

    daemon_threads = True
    block_on_close = False
    # Connections may come faster than threads begin: beyond this the kernel lets them time out.
    request_queue_size = 128

    def __init__(
        self,
        address: str,
        hostname: str,
        *,
        greeting: str | None = None,
        lmtp: bool = False,
        extensions: tuple[str, ...] = (),
        tls: ssl.SSLContext | None = None,
        finish: "Callable[[Taken], str] | None" = None,
    ) -> None:
        self.hostname = hostname
        self.greeting = f"220 {hostname} ESMTP ready" if greeting is None else greeting
        self.lmtp = lmtp
        self.extensions = extensions
        self.tls = tls
        self.finish = finish
        self.taken: list[Taken] = []
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.ending = threading.Event()
        self.lock = threading.Lock()
        is_path = address.startswith("/")
        self.address_family = (
            socket.AF_UNIX if is_path else socket.AF_INET6 if ":" in address else socket.AF_INET
        )
        where = address if is_path else (address, 0)
        super().__init__(where, _Session)  # type: ignore[arg-type]
        self.address = address
        self.port = 0 if is_path else int(self.socket.getsockname()[1])
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name=hostname
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
        self.ending.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def finish_mail(self, mail: Taken) -> None:
        """Reply to a whole mail, and take it if the reply is a good one."""
        number = str(len(self.taken) + 1001)
        found = re.search(rb"(?im)^Message-ID:\s*(.*?)\r?$", mail.content)
        message_id = found[1].decode("utf-8", "replace") if found is not None else ""
        local_part = mail.recipients[0].partition("@")[0]
        if self.lmtp:
            mail.given = f"{number}xyzZ:T1AAAM3A"
            mail.replies = [f"250 2.0.0 <{each}> {mail.given} Saved" for each in mail.recipients]
        elif self.finish is not None:
            mail.replies = [self.finish(mail)]
            mail.given = mail.replies[0].rpartition(" ")[2]
        else:
            mail.given = GIVEN.get(local_part, "REMOTE{0}").format(number)
            mail.replies = [END_REPLIES.get(local_part, ACCEPTED).format(number, message_id)]
        if mail.replies[0][0] == "2":
            self.taken.append(mail)


class _Session(socketserver.StreamRequestHandler):
    """One connection."""

    server: ScriptedServer

    def handle(self) -> None:
        # A client may go whenever it likes.
        with suppress(OSError):
            self._serve()

    def finish(self) -> None:
        """Close the connection, which the server knows only as it was before TLS."""
        super().finish()
        self.request.close()

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")
        self.wfile.flush()

    def _serve(self) -> None:
        server = self.server
        if not server.greeting:
            server.ending.wait(PATIENCE)
            return
        self._say(server.greeting)
        if server.greeting[0] != "2":
            return
        mail = Taken(server)
        xforward: dict[str, str] = {}
        tls = False
        while line := self.rfile.readline():
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            verb = command[:8].upper()
            if verb.startswith(("EHLO", "LHLO", "HELO")):
                offered = [server.hostname, "PIPELINING", "SIZE 50000000", "8BITMIME"]
                offered += ["ENHANCEDSTATUSCODES", *server.extensions]
                if server.tls is not None and not tls:
                    offered.append("STARTTLS")
                lines = [f"250-{each}" for each in offered[:-1]] + [f"250 {offered[-1]}"]
                self._say("\r\n".join(lines if verb[0] != "H" else [f"250 {server.hostname}"]))
            elif verb.startswith("STARTTLS") and server.tls is not None:
                self._say("220 2.0.0 Ready to start TLS")
                self.rfile.close()
                self.request = server.tls.wrap_socket(self.request, server_side=True)
                self.setup()
                tls = True
            elif verb.startswith("XFORWARD"):
                xforward |= dict(each.split("=", 1) for each in command.split()[1:])
                self._say("250 2.0.0 Ok")
            elif verb.startswith("MAIL FRO"):
                found = re.match(r"MAIL FROM:<(.*?)>(?: (?!.*>)(.*))?$", command, re.IGNORECASE)
                assert found is not None, command
                mail = Taken(server, found[1], found[2] or "", tls=tls, xforward=dict(xforward))
                self._say("250 2.1.0 Ok")
            elif verb.startswith("RCPT TO:"):
                self._say(self._recipient(mail, command))
            elif verb == "DATA":
                if not self._data(mail):
                    return
            elif verb in ("RSET", "NOOP"):
                self._say("250 2.0.0 Ok")
            elif verb == "QUIT":
                self._say("221 2.0.0 Bye")
                return
            else:
                self._say("502 5.5.2 Error: command not recognized")

    def _recipient(self, mail: Taken, command: str) -> str:
        address = command.partition("<")[2].rpartition(">")[0]
        local_part = address.rpartition("@")[0]
        reply = RCPT_REPLIES.get(local_part, "250 2.1.5 Ok").format(address)
        if local_part.startswith("greylisted"):
            self.server.attempts[mail.sender, address] += 1
            if self.server.attempts[mail.sender, address] == 1:
                reply = f"451 4.7.1 <{address}>: Recipient address rejected: Greylisted"
        if reply[0] == "2":
            mail.recipients.append(address)
        return reply

    def _data(self, mail: Taken) -> bool:
        """Whether the connection goes on."""
        if not mail.recipients:
            self._say("554 5.5.1 Error: no valid recipients")
            return True
        local_part = mail.recipients[0].partition("@")[0]
        if local_part == "gone":
            return False
        if local_part == "nodata":
            self._say("554 5.6.0 DATA refused")
            return True
        self._say("354 End data with <CR><LF>.<CR><LF>")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b"..") else line)
        mail.content = b"".join(lines)
        if local_part == "lost":
            return False
        with self.server.lock:
            self.server.finish_mail(mail)
        for reply in mail.replies:
            self._say(reply)
        return True


def reinject(mail: Taken, address: str, port: int, hello: str) -> str:
    """Send a mail on as a filter does, with what it was told about the client; the reply."""
    with smtplib.SMTP(address, port, local_hostname=hello) as client:
        client.ehlo()
        if mail.xforward:
            told = " ".join(f"{name}={value}" for name, value in mail.xforward.items())
            client.docmd("XFORWARD", told)
        client.docmd(f"MAIL FROM:<{mail.sender}>")
        for recipient in mail.recipients:
            client.docmd(f"RCPT TO:<{recipient}>")
        code, reply = client.data(mail.content)
    return f"{code} {reply.decode()}"
