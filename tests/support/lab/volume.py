"""A log of some thousand mails: both instances of the corpus under load, with clients of all kinds.

What was seen outside of the log are copies, the replies that clients heard, and what waits in the
end.  The edge has short queue IDs, so that some come again within the log.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.lab.corpus_endings import (
    Ending,
    ending_in_box,
    endings_of_copy,
    endings_of_queue,
    known_best,
)
from tests.support.lab.corpus_helpers import Client
from tests.support.lab.corpus_stage import Stage
from tests.support.lab.corpus_tables import EDGE_IP, OUTSIDE, OUTSIDE_IP, TRUSTED_IP, USERS
from tests.support.lab.polling import wait_until

MAILS: Final = 2500
"""About this many are offered, some of which are refused or broken off."""
_WORKERS: Final = 6

# Recipients that the edge takes from anybody, by how many of hundred mails have them.
_LOCAL: Final[Mapping[str, int]] = {
    "alice@example.com": 30,
    "carol@example.com": 15,
    "erin@example.com": 4,
    "bob@mx1.example.com": 10,
    "staff@mx1.example.com": 4,
    "forwarded@mx1.example.com": 4,
    "archive@mx1.example.com": 2,
    "sales@example.org": 4,
    "info@example.org": 4,
    "vic@box.example.org": 5,
    "team@example.com": 3,
    "forward@mx1.example.com": 2,
    "unknown@pipe.example.com": 2,
    "ok@pipe.example.com": 2,
    "busy@pipe.example.com": 2,
    "x@throw.example.com": 2,
    "thrown@example.com": 2,
    "redirected@example.com": 2,
    "full@mx1.example.com": 1,
}
# And from the trusted client only.
_REMOTE: Final[Mapping[str, int]] = {
    "partner@example.net": 40,
    "other@example.net": 20,
    "greylisted@example.net": 8,
    "unknown@example.net": 6,
    "busy@example.net": 5,
    "spam@example.net": 3,
    "exim@example.net": 4,
    "gmail@example.net": 4,
    "filtered@example.net": 3,
    "gone@example.net": 2,
    "x@moved.test": 2,
    "x@refused.test": 2,
    "x@tls.test": 3,
}
_REFUSED: Final = ("denied@example.com", "nobody@mx1.example.com", "x@elsewhere.test")
_SUBJECTS: Final = ("reject", "discard", "hold", "warn", "redirect", "filter")
_SERVICES: Final = ("filtered", "journalled", "proxied", "milters")


@dataclass(frozen=True, slots=True)
class Volume:
    """The log, and some of the truth about it."""

    log: bytes
    endings: Sequence[Ending]


def record_volume(directory: Path, seed: int, mails: int = MAILS) -> Volume:
    """Send mails at random; raises RuntimeError if the machine lacks something."""
    with ExitStack() as stack:
        stage = Stage(directory, stack)
        chance = random.Random(seed)
        sessions = list(_sessions(chance, mails))
        with ThreadPoolExecutor(_WORKERS) as pool:
            futures = [pool.submit(each, stage) for each in sessions]
            for number in range(mails // 50):
                futures.append(pool.submit(_submit, stage, number))
        endings = [ending for future in futures for ending in future.result()]
        for _ in range(2):
            _wait_until_decided(stage)
            stage.edge.flush()
        _wait_until_decided(stage)
        held = [mail["queue_id"] for mail in stage.edge.queue() if mail["queue_name"] == "hold"]
        for queue_id in held[::3]:
            stage.edge.operate("-H", queue_id)
        for queue_id in held[1::3]:
            stage.edge.operate("-d", queue_id)
            endings.append(Ending("operator", "deleted", (queue_id,)))
        stage.edge.flush()
        _wait_until_decided(stage)
        waiting = [mail for mail in stage.edge.queue() if mail["queue_name"] == "deferred"]
        for instance in (stage.edge, stage.internal):
            instance.do("stop")
        stage.syslog.close()
        for mail in stage.mails():
            endings += endings_of_copy(mail)
        endings += (ending_in_box(*found) for found in stage.boxes())
        endings += endings_of_queue(waiting, {})
        return Volume(stage.syslog.traditional_log.read_bytes(), known_best(endings))


def _wait_until_decided(stage: Stage) -> None:
    def is_quiet() -> bool:
        return all(
            mail["queue_name"] in ("deferred", "hold")
            for instance in (stage.edge, stage.internal)
            for mail in instance.queue()
        )

    wait_until(lambda: is_quiet() and is_quiet(), "only waiting mail is left")


def _submit(stage: Stage, number: int) -> list[Ending]:
    content = b"X-Scenario: submitted-%d\nSubject: hello\n\nHello.\n" % number
    recipients = ("partner@example.net", "bob@mx1.example.com", "maildir@box.example.org")
    stage.edge.sendmail(USERS["alice"], f"s{number}@example.net", recipients, content)
    return []


def _sessions(chance: random.Random, mails: int) -> Iterator[Callable[[Stage], list[Ending]]]:
    """SMTP sessions of one to four mails."""
    number = 0
    while number < mails:
        count = chance.choice((1, 1, 1, 2, 4))
        plan = [_mail(chance, number + each) for each in range(count)]
        number += count
        trusted = chance.random() < 0.4
        service = chance.choice(_SERVICES) if chance.random() < 0.2 and not trusted else "smtp"
        end = chance.choices(("quit", "close", "data"), (90, 5, 5))[0]
        yield _Session(plan, trusted, service, end)


@dataclass(frozen=True, slots=True)
class _Mail:
    name: str
    chances: tuple[float, ...]
    seed: int


def _mail(chance: random.Random, number: int) -> _Mail:
    return _Mail(f"m{number}", tuple(chance.random() for _ in range(4)), chance.getrandbits(30))


@dataclass(frozen=True, slots=True)
class _Session:
    mails: Sequence[_Mail]
    is_trusted: bool
    service: str
    end: str
    """``quit``, ``close`` (the client hangs up), or ``data`` (it does so within the last mail)."""

    def __call__(self, stage: Stage) -> list[Ending]:
        ip = TRUSTED_IP if self.is_trusted else OUTSIDE_IP
        client = Client(ip, (EDGE_IP, stage.ports[self.service]))
        client.hear()
        client.greet(OUTSIDE)
        endings: list[Ending] = []
        for mail in self.mails:
            endings += self._send(client, mail, is_last=mail is self.mails[-1])
        if self.end == "quit":
            client.leave()
        else:
            client.close()
        return endings

    def _send(self, client: Client, mail: _Mail, *, is_last: bool) -> list[Ending]:
        chance = random.Random(mail.seed)
        sender = f"{mail.name}@example.net" if chance.random() > 0.03 else ""
        client.ask(f"MAIL FROM:<{sender}>")
        table = {**_LOCAL, **_REMOTE} if self.is_trusted else _LOCAL
        count = chance.choices((1, 2, 3, 6), (75, 15, 7, 3))[0]
        recipients = chance.choices(list(table), list(table.values()), k=count)
        if chance.random() < 0.1:
            recipients.insert(chance.randrange(count + 1), chance.choice(_REFUSED))
        taken = []
        for recipient in dict.fromkeys(recipients):
            if client.ask(f"RCPT TO:<{recipient}>")[:1] == "2":
                taken.append(recipient)
        if not taken or chance.random() < 0.03:
            client.ask("RSET")
            return []
        client.ask("DATA")
        subject = chance.choice(_SUBJECTS) if chance.random() < 0.06 else "hello"
        head = f"Message-ID: <{mail.name}@example.org>\r\nX-Scenario: {mail.name}\r\n"
        head += f"Subject: {subject}\r\n\r\n"
        if is_last and self.end == "data":
            client.say(f"{head}Hel")
            return []
        client.ask(f"{head}Hello.\r\n" + "x" * 60 * chance.randrange(20) + "\r\n.")
        return []
