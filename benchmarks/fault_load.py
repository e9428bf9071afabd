"""Mail logs by TCP from naive senders, and what must be stored of them.

A sender sends a burst of lines over one connection, ends its side and waits for the daemon to end
the other.  If it does so in order, the sender takes every line for accepted; if the connection is
reset or cannot be made, it sends the whole burst again, as often as it takes.  It knows nothing of
what is done to the daemon meanwhile.  That is what the protocol offers to any sender.
"""

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

# A full disk makes a sender wait, and so does a machine that is busy with other work.
_ANSWER_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 0.02
_MOST_MAILS: Final = 12
# Deliveries come this many bursts after the rest of their mail, so that they need what the daemon
# has in mind and not just what it has read.
_BURSTS_BETWEEN: Final = 5


@dataclass(slots=True)
class Mail:
    """What a delivery event must say of its mail."""

    queue_id: str
    facts: dict[str, Any]


@dataclass(slots=True)
class Expected:
    """What was accepted: how often each message, and the facts of each delivery.

    ``accepted_at`` is when, in seconds since the sender has started, as far as that is known.
    """

    messages: Counter[str] = field(default_factory=Counter)
    deliveries: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    accepted_at: dict[str, float] = field(default_factory=dict)


class Sender:
    """One mail host, which waits for ``pause`` seconds between two bursts."""

    def __init__(self, host: str, port: int, seed: int, pause: float) -> None:
        self.expected = Expected()
        self.bursts = 0
        self.failed_tries = 0
        self.problem: BaseException | None = None
        self.host = host
        self._port = port
        self._pause = pause
        self._random = Random(f"{seed} {host}")
        self._mails = 0
        self._under_way: deque[list[Mail]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = 0.0

    def start(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Send what is under way to its end; raises what went wrong in between."""
        self._stopping.set()
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._send_one_burst(self._random.randint(1, _MOST_MAILS))
                time.sleep(self._pause)
            while self._under_way:
                self._send_one_burst(0)
        except BaseException as problem:  # handed on by stop()
            self.problem = problem

    def _send_one_burst(self, new_mails: int) -> None:
        lines: list[str] = []
        mails = [self._begin_mail(lines) for _ in range(new_mails)]
        if len(self._under_way) > _BURSTS_BETWEEN or not new_mails:
            for mail in self._under_way.popleft():
                self._end_mail(mail, lines)
        if mails:
            self._under_way.append(mails)
        self._hand_over("".join(lines).encode())
        now = time.monotonic() - self._started
        for line in lines:
            text = line.rstrip("\n").partition("]: ")[2]
            self.expected.messages[text] += 1
            self.expected.accepted_at[text] = now
        self.bursts += 1

    def _begin_mail(self, lines: list[str]) -> Mail:
        self._mails += 1
        queue_id = f"{self._random.getrandbits(40):010X}"
        number = f"{self.host}.{self._mails}"
        facts = {
            "postfix_from": f"ann.{number}@example.org",
            "postfix_size": self._mails,
            "postfix_nrcpt": 1,
            "postfix_message-id": f"{number}@example.org",
            "postfix_client_ip": "192.0.2.7",
        }
        # An identical line in the same second is an event of its own.
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            self._line(lines, "smtpd", f"connect from pc1.example.org[192.0.2.7] before {number}")
        self._line(lines, "smtpd", f"{queue_id}: client=pc1.example.org[192.0.2.7]")
        self._line(lines, "cleanup", f"{queue_id}: message-id=<{number}@example.org>")
        self._line(
            lines,
            "qmgr",
            f"{queue_id}: from=<{facts['postfix_from']}>, size={self._mails}, nrcpt=1"
            " (queue active)",
        )
        return Mail(queue_id, facts)

    def _end_mail(self, mail: Mail, lines: list[str]) -> None:
        text = (
            f"{mail.queue_id}: to=<bob@example.net>, relay=mx.example.net[198.51.100.9]:25,"
            " delay=0.18, delays=0.12/0/0.02/0.04, dsn=2.0.0, status=sent (250 2.0.0 Ok:"
            f" queued as {self._random.getrandbits(40):010X})"
        )
        self.expected.deliveries[text] = mail.facts
        self._line(lines, "smtp", text)
        self._line(lines, "qmgr", f"{mail.queue_id}: removed")

    def _line(self, lines: list[str], service: str, text: str) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        lines.append(f"<22>{stamp} {self.host} postfix/{service}[100]: {text}\n")

    def _hand_over(self, burst: bytes) -> None:
        while not self._is_accepted(burst):
            self.failed_tries += 1
            time.sleep(_RETRY_SECONDS)

    def _is_accepted(self, burst: bytes) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), _ANSWER_SECONDS) as connection:
                connection.sendall(burst)
                connection.shutdown(socket.SHUT_WR)
                return connection.recv(1) == b""
        except TimeoutError:
            raise
        except OSError:  # shutdown() has an error of its own for a connection that is gone
            return False
