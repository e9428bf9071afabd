"""The partner's mail server: what it answers depends on the recipient's local part."""

import asyncio
import itertools
import threading
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.lab.polling import PATIENCE

# RFC 5321 section 4.2.3 and RFC 3463: the replies of a greylisting and of a refusing server.
GREYLISTED = "451 4.7.1 Greylisted, please try again"
UNKNOWN = "550 5.1.1 No such user here"


@dataclass(frozen=True, slots=True)
class RemoteMail:
    """One mail that the partner took over.

    ``queue_id`` is what its reply named, ``size`` what the sending server announced.
    """

    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    size: int
    content: bytes


class RemoteServer:
    """Takes every mail, but ``greylisted@`` only at the second try and ``unknown@`` never."""

    def __init__(self, address: str, hostname: str) -> None:
        self.mails: list[RemoteMail] = []
        self.announced_sizes: dict[str, int] = {}
        self._queue_ids = (f"REMOTE{number:04d}" for number in itertools.count(1))
        self._greylisted: set[tuple[str, str]] = set()
        self._sessions: list[SMTP] = []
        self._hostname = hostname
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            self._loop.create_server(self._session, address, 0), self._loop
        ).result(PATIENCE)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _session(self) -> SMTP:
        session = SMTP(self, hostname=self._hostname, ident="ESMTP", loop=self._loop)
        self._sessions.append(session)
        return session

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, sender: str, options: list[str]
    ) -> str:
        envelope.mail_from = sender  # aiosmtpd writes the empty address as <>
        envelope.mail_options.extend(options)
        self.announced_sizes[sender] = _announced_size(envelope)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, recipient: str, options: list[str]
    ) -> str:
        attempt = (str(envelope.mail_from), recipient)
        if recipient.startswith("unknown@"):
            return UNKNOWN
        if recipient.startswith("greylisted@") and attempt not in self._greylisted:
            self._greylisted.add(attempt)
            return GREYLISTED
        envelope.rcpt_tos.append(recipient)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content: Any = envelope.content
        queue_id = next(self._queue_ids)
        mail = RemoteMail(
            queue_id=queue_id,
            sender="" if envelope.mail_from == "<>" else str(envelope.mail_from),
            recipients=tuple(envelope.rcpt_tos),
            message_id=str(message_from_bytes(content)["Message-ID"]),
            size=_announced_size(envelope),
            content=content,
        )
        self.mails.append(mail)
        return f"250 2.0.0 Ok: queued as {queue_id}"

    def forget(self) -> None:
        """Begin anew: no mail taken, no sender known."""
        self.mails.clear()
        self.announced_sizes.clear()
        self._greylisted.clear()

    def close(self) -> None:
        """Stop listening, end the connections that there are, and then the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for one in self._sessions:
            if one.transport is not None:
                one.transport.close()
        # Each connection is a task, which its end cancels.
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


def _announced_size(envelope: Envelope) -> int:
    (size,) = (option for option in envelope.mail_options if option.startswith("SIZE="))
    return int(size.removeprefix("SIZE="))
