"""SMTP sessions with the edge, and what their clients know afterwards."""

import base64
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.lab.corpus_endings import Ending
from tests.support.lab.corpus_facts import Fact, Outcome, fact, named
from tests.support.lab.corpus_helpers import PASSWORD, Client
from tests.support.lab.corpus_mails import Mail
from tests.support.lab.corpus_rudeness import CONTENTS, SENDER, Refusal, Rudeness
from tests.support.lab.corpus_tables import EDGE_IP, OUTSIDE, TRUSTED_IP
from tests.support.lab.polling import PATIENCE

# What smtpd does not log of a HELO name (NEUTER_CHARACTERS in smtpd/smtpd.c).
_MASKED = str.maketrans(dict.fromkeys(' <>()\\";@', "?"))


@dataclass(frozen=True, slots=True)
class Sessions:
    """All sessions with the edge; ``ports`` has those of its services.

    ``facts``, ``outcomes``, ``endings`` and the ``queue_ids`` by the names of mails become more and
    more.
    """

    ports: Mapping[str, int]
    facts: list[Fact] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    queue_ids: dict[str, str] = field(default_factory=dict)

    def _open(self, ip: str, service: str) -> Client:
        return Client(ip, (EDGE_IP, self.ports[service]))

    def send(self, mail: Mail) -> None:
        """Send a mail, which has to be taken for all its recipients."""
        sender = f"from-{mail.name}@example.net" if mail.sender is None else mail.sender
        recipients = mail.recipients or {"alice@example.com": ()}
        client = self._open(mail.client, mail.service)
        client.hear()
        client.greet(OUTSIDE, tls=mail.tls)
        if mail.login:
            client.ask(f"AUTH PLAIN {_plain(mail.login)}")
        client.ask(f"MAIL FROM:<{sender}>{mail.parameters}")
        replies = [client.ask(f"RCPT TO:<{recipient}>") for recipient in recipients]
        client.ask("DATA")
        message_id = f"<{mail.name}@example.org>" if mail.message_id is None else mail.message_id
        head = f"Message-ID: {message_id}\r\n" if message_id else ""
        head += f"X-Scenario: {mail.name}\r\nSubject: {mail.subject}\r\n{mail.headers}"
        replies.append(client.ask(f"{head}\r\n{mail.text}\r\n."))
        client.leave()
        if any(reply[:3] != "250" for reply in replies):
            raise RuntimeError(f"{mail.name} was not taken: {replies}")
        queue_id = self.queue_ids[mail.name] = replies[-1].rpartition(" ")[2]
        if mail.facts:
            self.facts.append(Fact(mail.name, (mail.facts | named(from_=sender),)))
        if mail.recipients and mail.service != "proxied":
            known = named(queueid=queue_id, client_ip=mail.client)
            if mail.login:
                known |= named(sasl_username=mail.login, sasl_method="PLAIN")
            self.facts.append(Fact(mail.name, (known,)))
        self.outcomes.extend(
            Outcome(mail.name, queue_id, recipient, statuses)
            for recipient, statuses in mail.recipients.items()
        )
        if not mail.recipients:
            self.endings.append(Ending(mail.name, "discarded", (queue_id,)))

    def try_in_vain(self, refusal: Refusal) -> None:
        """Try what is refused; the first reply that says so is logged."""
        client = self._open(refusal.client, refusal.service)
        if refusal.early:
            client.say("NOOP")
        client.hear()
        client.greet(refusal.hello, tls=bool(refusal.login))
        if refusal.login:
            client.ask(f"AUTH PLAIN {_plain(refusal.login)}")
        client.ask(f"MAIL FROM:<{refusal.sender}>{refusal.parameters}")
        client.ask(f"RCPT TO:<{refusal.recipient}>")
        if refusal.stage == "END-OF-MESSAGE":
            client.ask("DATA")
            client.ask("Subject: hello\r\n\r\nHello.\r\n.")
        client.leave()
        reply = next((each for each in client.replies if each[:1] in ("4", "5")), "")
        if not reply:
            raise RuntimeError(f"{refusal.name} was not refused: {client.replies}")
        told = named(
            action="milter-reject" if refusal.service == "milters" else "reject",
            smtp_stage=refusal.stage,
            status_code=int(reply[:3]),
            client_ip=refusal.client,
        )
        # The later the stage, the more is known.
        if refusal.stage != "CONNECT":
            told |= named(helo=refusal.hello.translate(_MASKED))
        if refusal.stage not in ("CONNECT", "EHLO"):
            told |= named(from_=refusal.sender)
        if refusal.stage in ("RCPT", "END-OF-MESSAGE"):
            told |= named(to=refusal.recipient)
        self.facts.append(Fact(f"refused {refusal.name}", (told,), reply))
        self.endings.append(
            Ending(
                f"refused {refusal.name}",
                "rejected",
                recipient=refusal.recipient if "postfix_to" in told else "",
                client=refusal.client,
                reply=reply,
                temporary=reply[0] == "4",
            )
        )

    def offend(self, rudeness: Rudeness, ip: str) -> None:
        """Misbehave from an address that nobody else uses."""
        client = self._open(ip, rudeness.service)
        told = rudeness.facts | named(client_ip=ip)
        if rudeness.service in ("postscreen", "deep"):
            told |= named(client_port=client.port)
        rudeness.act(client)
        client.close()
        self.facts.append(Fact(f"rude {rudeness.name}", (told,)))
        if rudeness.verdict:
            self.endings.append(Ending(f"rude {rudeness.name}", rudeness.verdict, client=ip))

    def send_bad_contents(self) -> None:
        """Send mails that are refused for what is in them."""
        for number, (service, header, text) in enumerate(CONTENTS, start=1):
            ip = f"127.0.3.{number}"
            client = self._open(ip, service)
            client.hear()
            client.greet(OUTSIDE)
            client.ask(f"MAIL FROM:<{SENDER}>")
            client.ask("RCPT TO:<alice@example.com>")
            client.ask("DATA")
            reply = client.ask(f"{header}\r\n\r\n{text}\r\n.")
            client.leave()
            kind = "milter_result" if service == "milters" else "action"
            told = named(**{kind: "reject"}, client_ip=ip, from_=SENDER, helo=OUTSIDE)
            # The log has the text without the codes.
            text = reply.split(" ", 2)[2]
            self.facts.append(Fact(f"content {number}", (told,), text))
            is_temporary = reply[0] == "4"
            self.endings.append(
                Ending(
                    f"content {number}", "rejected", client=ip, reply=text, temporary=is_temporary
                )
            )

    def connect_too_often(self) -> None:
        """Connect once more than the rate limit allows."""
        ip = "127.0.3.100"
        for _ in range(3):
            client = self._open(ip, "limited")
            reply = client.hear()
            client.close()
        if reply[:3] != "421":
            raise RuntimeError(f"no limit was exceeded: {reply}")
        text = "Connection rate limit exceeded: 3 from "
        self.facts.append(fact("limit", text, client_ip=ip, message_level="warning"))

    def come_from_afar(self) -> None:
        """Be a client of any name and address, by XCLIENT (an extension of Postfix)."""
        name, ip = "under_score.example.net", "2001:db8::25"
        client = self._open("127.0.3.101", "xclient")
        client.hear()
        client.greet("x.example.net")
        client.ask(f"XCLIENT NAME={name} ADDR=IPV6:{ip}")
        client.greet(name)
        client.ask(f"MAIL FROM:<{SENDER}>")
        client.ask("RCPT TO:<no-such-user@mx1.example.com>")
        client.leave()
        told = named(client_hostname=name, client_ip=ip, helo=name, action="reject")
        self.facts.append(Fact("XCLIENT", (told,), "550 5.1.1 <no-such-user@mx1.example.com>"))

    def send_by_qmqp(self) -> None:
        """Send a mail by QMQP, the protocol of qmail's clients, all of it netstrings."""
        sender, recipient = "from-qmqp@example.net", "alice@example.com"
        parts = (b"X-Scenario: qmqp\n\nHello.\n", sender.encode(), recipient.encode())
        server = (EDGE_IP, self.ports["qmqp"])
        with socket.create_connection(server, PATIENCE, source_address=(TRUSTED_IP, 0)) as client:
            client.sendall(_netstring(b"".join(map(_netstring, parts))))
            reply = client.makefile("rb").read().decode()
        queue_id = reply.rpartition(" ")[2].rstrip(",")
        self.facts.append(fact("QMQP", queueid=queue_id, client_ip=TRUSTED_IP))
        self.facts.append(fact("QMQP", queueid=queue_id, from_=sender, to=recipient, status="sent"))


def _netstring(content: bytes) -> bytes:
    return b"%d:%b," % (len(content), content)


def _plain(user: str) -> str:
    return base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode()
