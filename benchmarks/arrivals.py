# ruff: noqa: E501 - a log text is easier to read, and to search for, on one line
"""How mail enters: from outside, from the site's users, from programs on the machines."""

from datetime import UTC, datetime
from typing import Final

from benchmarks import replies
from benchmarks.deliveries import Deliveries
from benchmarks.journal import Source
from benchmarks.population import LOCAL_DOMAIN
from benchmarks.queues import Mail

MX_HOSTS: Final = ("mx1", "mx1", "mx2")


class Arrivals(Deliveries):
    """Sessions and programs that bring mail."""

    def _mail(self, sender: str, recipients: list[str], client: str, domain: str) -> Mail:
        return Mail(
            sender,
            recipients,
            self._message_id(domain),
            int(900 + self._random.expovariate(1 / 40_000)),
            client,
        )

    def _message_id(self, domain: str) -> str:
        kind = self._rnd()
        token = self._people.token
        if kind < 0.4:
            return f"<{self._random.getrandbits(64):016x}.{self._random.getrandbits(40):010x}@{domain}>"
        if kind < 0.6:
            return f"<CA{token(32)}-{token(20)}@mail.{domain}>"
        if kind < 0.8:
            return f"<{token(8).upper()}.{token(8)}@{domain}>"
        return f"<{self._random.getrandbits(28)}.{int(self._rnd() * 1e6)}.{1_790_000_000 + int(self._rnd() * 1e6)}@{self._pick(('app', 'web', 'mta'))}{int(self._rnd() * 40)}.{domain}>"

    def _crowd(self) -> int:
        """How many recipients: one mostly, seldom many."""
        kind = self._rnd()
        if kind < 0.86:
            return 1
        return 2 + int(self._rnd() * 3) if kind < 0.98 else 5 + int(self._rnd() * 16)

    def _postgrey(self, time: float, host: str, client: str, mail: Mail, verdict: str) -> None:
        name, _, address = client[:-1].partition("[")
        self._log(
            time,
            self._process(host, "postgrey", 1),
            f"{verdict}, client_name={name}, client_address={address}/32, sender={mail.sender}, recipient={mail.recipients[0]}",
        )

    def _screen(self, time: float, host: str, client: str, verdict: str) -> Source:
        """The first lines of postscreen; ``client`` is the address in brackets."""
        postscreen = self._process(host, "postfix/postscreen", 1)
        peer = f"{client}:{1024 + int(self._rnd() * 64_000)}"
        self._log(time - 0.002, postscreen, f"CONNECT from {peer} to [192.0.2.1{host[-1]}]:25")
        self._log(
            time - 0.001,
            postscreen,
            verdict.format(peer=peer) if "{" in verdict else f"{verdict} {peer}",
        )
        return postscreen

    def _inbound(self, time: float) -> None:
        rnd = self._rnd
        host = self._pick(MX_HOSTS)
        client = self._people.client()
        if rnd() < 0.3:
            self._screen(time, host, client[client.index("[") :], "PASS OLD")
            time += 0.01
        session = self._session(host, "postfix/smtpd", time)
        smtpd = session.source
        self._log(time, smtpd, f"connect from {client}")
        time += 0.04 + rnd() * 0.3
        encrypted = rnd() < 0.7
        if encrypted:
            self._log(
                time,
                smtpd,
                f"Anonymous TLS connection established from {client}: {self._pick(replies.CIPHERS)}",
            )
        mails = 1 if rnd() < 0.9 else 2 + int(rnd() * 3)
        crowd = 0
        for _ in range(mails):
            domain = self._people.domain()
            recipients = [self._people.user() for _ in range(self._crowd())]
            mail = self._mail(self._people.stranger(domain), recipients, client, domain)
            crowd += len(recipients)
            time += 0.05 + rnd() * 0.5
            if rnd() < 0.08:
                self._postgrey(time, host, client, mail, "action=pass, reason=client AWL")
            queue_id = self._people.short_id(time)
            time = self._receive(time, smtpd, host, queue_id, mail, "")
            if rnd() < 0.45:
                self._filter(time + 0.01, host, queue_id, mail)
            else:
                self._to_mailboxes(time + 0.01, host, queue_id, mail)
        time += 0.05 + rnd()
        self._hang_up(
            time,
            session,
            client,
            encrypted,
            f"mail={mails} rcpt={crowd} data={mails} quit=1",
            2 * mails + crowd + 1,
        )

    def _outbound(self, time: float) -> None:
        rnd = self._rnd
        user = self._people.user()
        client = f"unknown[192.0.2.{128 + int(rnd() * 120)}]" if rnd() < 0.5 else self._people.bot()
        session = self._session("out1", "postfix/submission/smtpd", time)
        smtpd = session.source
        self._log(time, smtpd, f"connect from {client}")
        time += 0.1
        self._log(
            time,
            smtpd,
            f"Anonymous TLS connection established from {client}: {self._pick(replies.CIPHERS)}",
        )
        recipients = [self._people.stranger(self._people.domain()) for _ in range(self._crowd())]
        mail = self._mail(user, recipients, client, user.partition("@")[2])
        time += 0.2 + rnd()
        queue_id = self._people.short_id(time)
        time = self._receive(
            time, smtpd, "out1", queue_id, mail, f", sasl_method=PLAIN, sasl_username={user}"
        )
        self._to_the_world(time + 0.01, "out1", queue_id, mail, "postfix")
        crowd = len(recipients)
        self._hang_up(
            time + 0.1 + rnd(),
            session,
            client,
            True,
            f"auth=1 mail=1 rcpt={crowd} data=1 quit=1",
            crowd + 4,
        )

    def _home_made(self, time: float) -> None:
        rnd = self._rnd
        host = self._pick(("mx1", "mx2", "out1"))
        fqdn = f"{host}.{LOCAL_DOMAIN}"
        sender = self._pick((f"root@{fqdn}", f"www-data@{fqdn}", f"backup@{fqdn}"))
        queue_id = self._people.short_id(time)
        mail = Mail(
            sender,
            [f"root@{fqdn}"],
            f"<{datetime.fromtimestamp(time, UTC):%Y%m%d%H%M%S}.{queue_id}@{fqdn}>",
            400 + int(rnd() * 9_000),
            "",
        )
        uid = int(rnd() * 120)
        self._log(
            time, self._process(host, "postfix/pickup", 2), f"{queue_id}: uid={uid} from=<{sender}>"
        )
        time += 0.01
        self._log(
            time,
            self._process(host, "postfix/cleanup"),
            f"{queue_id}: message-id={mail.message_id}",
        )
        time += 0.01
        self._activate(time, host, queue_id, mail, "postfix")
        time += 0.05
        program, relay, outcome = self._pick(replies.LOCAL_DELIVERIES)
        if rnd() < 0.4:
            child = self._people.short_id(time)
            program, relay, outcome = (
                "local",
                "local",
                f"dsn=2.0.0, status=sent (forwarded as {child})",
            )
            forwarded = Mail(sender, [self._people.user()], mail.message_id, mail.size + 120, "")
            self._log(
                time,
                self._process(host, "postfix/cleanup"),
                f"{child}: message-id={mail.message_id}",
            )
            self._activate(time + 0.001, host, child, forwarded, "postfix")
            self._to_mailboxes(time + 0.01, host, child, forwarded)
        recipient = f"ops@{fqdn}>, orig_to=<root@{fqdn}" if rnd() < 0.5 else mail.recipients[0]
        self._deliver(
            time + 0.002,
            self._process(host, f"postfix/{program}", 3),
            queue_id,
            recipient,
            relay,
            0.03,
            0.02,
            outcome,
        )
        self._remove(time + 0.003, host, queue_id)
