# ruff: noqa: E501 - a log text is easier to read, and to search for, on one line
"""What becomes of a mail once it is in a queue: filter, mailboxes, the world, notifications.

Three hosts hold queues for others: ``mx1`` and ``mx2`` (instance ``postfix``, short queue IDs) hand
mail to ``mbox1``, which keeps the mailboxes (``postfix-internal``, long queue IDs).
"""

from datetime import UTC, datetime
from typing import Final

from benchmarks import replies
from benchmarks.journal import Source
from benchmarks.population import LOCAL_DOMAIN
from benchmarks.queues import Mail, Queues

_MAILBOX_HOST: Final = "mbox1"
_MAILBOX_RELAY: Final = f"mbox1.{LOCAL_DOMAIN}[192.0.2.20]:25"
# Postfix's own numbers, but for the life time: five days would hide expiry from a day's log.
_FIRST_RETRY: Final = 300.0
_LAST_RETRY: Final = 4_000.0
_QUEUE_LIFETIME: Final = 4 * 3_600.0


class Deliveries(Queues):
    """Writes the way of a mail from its first queue to the end."""

    def _filter(self, time: float, host: str, queue_id: str, mail: Mail) -> None:
        """Through the content filter and back into the queue under a new ID."""
        rnd = self._rnd
        task = f"{10_000 + int(rnd() * 30):05d}-{int(rnd() * 20) + 1:02d}"
        amavis = Source(host, "amavis", task[:5])
        smtp = self._process(host, "postfix/amavis/smtp")
        recipients = ",".join(f"<{recipient}>" for recipient in mail.recipients)
        envelope = (
            f"[{mail.client[:-1].partition('[')[2]}]:{1024 + int(rnd() * 64_000)} <{mail.sender}> -> {recipients},"
            f" Queue-ID: {queue_id}, Message-ID: {mail.message_id}, mail_id: {self._people.token(12)}"
        )
        took = 0.15 + self._random.expovariate(2)
        score = rnd() * 9 - 3
        time += took
        if score > 5.8:
            verdict = f"Blocked SPAM {{DiscardedInbound,Quarantined}}, {envelope}, Hits: {score + 6:.3f}, size: {mail.size}"
            outcome = f"dsn=2.7.0, status=sent (250 2.7.0 Ok, discarded, id={task} - spam)"
        else:
            child = self._people.short_id(time)
            session = self._session(host, "postfix/reinject/smtpd", time)
            self._log(time - 0.002, session.source, "connect from localhost[127.0.0.1]")
            filtered = Mail(
                mail.sender,
                mail.recipients,
                mail.message_id,
                mail.size + 380,
                "localhost[127.0.0.1]",
            )
            time = self._receive(
                time,
                session.source,
                host,
                child,
                filtered,
                f", orig_queue_id={queue_id}, orig_client={mail.client}",
            )
            self._to_mailboxes(time + 0.002, host, child, filtered)
            crowd = len(mail.recipients)
            time += 0.004
            self._hang_up(
                time,
                session,
                "localhost[127.0.0.1]",
                False,
                f"xforward=1 mail=1 rcpt={crowd} data=1 quit=1",
                crowd + 4,
            )
            verdict = f"Passed CLEAN {{RelayedInbound}}, {envelope}, Hits: {score:.3f}, size: {mail.size}, queued_as: {child}"
            outcome = f"dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as {child})"
        self._log(time, amavis, f"({task}) {verdict}, {int(took * 1000)} ms")
        for recipient in mail.recipients:
            self._deliver(
                time + 0.002,
                smtp,
                queue_id,
                recipient,
                "127.0.0.1[127.0.0.1]:10024",
                0.2 + rnd() * 0.4,
                took,
                outcome,
            )
        self._remove(time + 0.003, host, queue_id)

    def _to_mailboxes(self, time: float, host: str, queue_id: str, mail: Mail) -> None:
        """Over the relay transport to the mailbox host, and there into the mailboxes."""
        rnd = self._rnd
        relay = self._process(host, "postfix/relay/smtp")
        session = self._session(_MAILBOX_HOST, "postfix-internal/smtpd", time)
        edge = f"{host}.{LOCAL_DOMAIN}[192.0.2.1{host[-1]}]"
        encrypted = rnd() < 0.4
        time += 0.01 + rnd() * 0.03
        self._log(time, session.source, f"connect from {edge}")
        if encrypted:
            time += 0.01
            self._log(
                time,
                relay,
                f"Trusted TLS connection established to {_MAILBOX_RELAY}: {replies.CIPHERS[0]}",
            )
            self._log(
                time,
                session.source,
                f"Anonymous TLS connection established from {edge}: {replies.CIPHERS[0]}",
            )
        time += 0.01
        child = self._people.long_id(time)
        inside = Mail(mail.sender, mail.recipients, mail.message_id, mail.size + 210, edge)
        began = time
        time = self._receive(
            time, session.source, _MAILBOX_HOST, child, inside, "", "postfix-internal"
        )
        crowd = len(mail.recipients)
        for recipient in mail.recipients:
            self._deliver(
                time + 0.001,
                relay,
                queue_id,
                recipient,
                _MAILBOX_RELAY,
                0.1 + rnd(),
                time - began + 0.02,
                f"dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {child})",
            )
        self._remove(time + 0.002, host, queue_id)
        self._hang_up(
            time + 0.003, session, edge, encrypted, f"mail=1 rcpt={crowd} data=1 quit=1", crowd + 3
        )
        self._into_mailboxes(time + 0.02 + rnd() * 0.2, child, inside)

    def _into_mailboxes(self, time: float, queue_id: str, mail: Mail) -> None:
        rnd = self._rnd
        lmtp = self._process(_MAILBOX_HOST, "postfix-internal/lmtp")
        dovecot = Source(_MAILBOX_HOST, "dovecot", "")
        relay = f"mbox1.{LOCAL_DOMAIN}[private/dovecot-lmtp]"
        session = self._people.token(22)
        full = False
        for recipient in mail.recipients:
            time += 0.01 + rnd() * 0.05
            age = 0.05 + rnd() * 0.2
            who = f"lmtp({recipient})<{lmtp.pid}><{session}>"
            if rnd() < 0.015:
                full = True
                outcome = f"dsn=5.2.2, status=bounced (host {relay} said: 552 5.2.2 <{recipient}> Quota exceeded (mailbox for user is full) (in reply to end of DATA command))"
            else:
                outcome = f"dsn=2.0.0, status=sent (250 2.0.0 <{recipient}> {session} Saved)"
                if rnd() < 0.8:
                    folder = "INBOX" if rnd() < 0.9 else self._pick(replies.FOLDERS)
                    self._log(
                        time, dovecot, f"{who}: msgid={mail.message_id}: saved mail to {folder}"
                    )
            self._deliver(
                time + 0.003, lmtp, queue_id, recipient, relay, age, 0.02 + rnd() * 0.2, outcome
            )
        if full:
            self._notify(time + 0.01, _MAILBOX_HOST, queue_id, mail, "postfix-internal")
        self._remove(time + 0.02, _MAILBOX_HOST, queue_id, "postfix-internal")

    def _notify(self, time: float, host: str, queue_id: str, mail: Mail, instance: str) -> None:
        """A bounce: as in Postfix 3.7 the child's cleanup line precedes the line that names it.

        A notification that cannot be delivered goes nowhere, since its own sender is empty.
        """
        if not mail.sender:
            return
        new_id = self._people.long_id if instance == "postfix-internal" else self._people.short_id
        child = new_id(time)
        stamp = datetime.fromtimestamp(time, UTC).strftime("%Y%m%d%H%M%S")
        notification = Mail(
            "",
            [mail.sender],
            f"<{stamp}.{child}@{host}.{LOCAL_DOMAIN}>",
            2_300 + mail.size // 4,
            "",
        )
        self._log(
            time,
            self._process(host, f"{instance}/cleanup"),
            f"{child}: message-id={notification.message_id}",
        )
        self._activate(time + 0.002, host, child, notification, instance)
        named = time + (0.001 if self._rnd() < 0.5 else 0.003)
        self._log(
            named,
            self._process(host, f"{instance}/bounce", 2),
            f"{queue_id}: sender non-delivery notification: {child}",
        )
        if instance == "postfix" and mail.sender.endswith("@" + LOCAL_DOMAIN):
            self._to_mailboxes(time + 0.01, host, child, notification)
        else:
            self._to_the_world(time + 0.01, host, child, notification, instance)

    def _to_the_world(
        self, time: float, host: str, queue_id: str, mail: Mail, instance: str
    ) -> None:
        """Attempts until each recipient is sent, bounced or expired."""
        arrival = time
        waiting = [self._fate(recipient) for recipient in mail.recipients]
        attempt = 0
        pause = _FIRST_RETRY
        while True:
            smtp = self._process(host, f"{instance}/smtp", 20)
            left = []
            bounced = False
            for recipient, relay, failures, reply in waiting:
                time += 0.05 + self._rnd() * 1.5
                if attempt < failures:
                    left.append((recipient, relay, failures, reply))
                    self._fail(time, smtp, queue_id, recipient, relay, time - arrival)
                elif reply is not None:
                    bounced = True
                    said = reply.format(host=relay.partition(":")[0], rcpt=recipient)
                    self._deliver(
                        time,
                        smtp,
                        queue_id,
                        recipient,
                        relay,
                        time - arrival,
                        0.2 + self._rnd(),
                        said,
                    )
                else:
                    self._hand_over(time, smtp, queue_id, recipient, relay, time - arrival, mail)
            time += 0.002
            expired = bool(left) and time - arrival > _QUEUE_LIFETIME
            if expired:
                qmgr = self._process(host, f"{instance}/qmgr", 1)
                self._log(
                    time,
                    qmgr,
                    f"{queue_id}: from=<{mail.sender}>, status=expired, returned to sender",
                )
            if not left or expired:
                if bounced or expired:
                    self._notify(time + 0.001, host, queue_id, mail, instance)
                self._remove(time + 0.005, host, queue_id, instance)
                return
            waiting = left
            attempt += 1
            time += pause + self._rnd() * 30
            pause = min(pause * 2, _LAST_RETRY)
            self._activate(
                time,
                host,
                queue_id,
                Mail(mail.sender, [fate[0] for fate in left], "", mail.size, ""),
                instance,
            )

    def _fate(self, recipient: str) -> tuple[str, str, int, str | None]:
        """Recipient, relay, how many attempts fail, and the reply that refuses it (None: sent)."""
        rnd = self._rnd
        domain = recipient.rpartition("@")[2]
        number = sum(map(ord, domain))
        relay = f"mx{number % 3 + 1}.{domain}[{('192.0.2', '198.51.100', '203.0.113')[number % 3]}.{number % 250 + 1}]:25"
        kind = rnd()
        if kind < 0.82:
            return recipient, relay, 0, None
        if kind < 0.87:
            return recipient, relay, 0, self._pick(replies.REFUSALS)
        if kind < 0.98:
            return recipient, relay, 1 + int(rnd() * 5), None
        return recipient, relay, 1_000, None

    def _fail(
        self, time: float, smtp: Source, queue_id: str, recipient: str, relay: str, age: float
    ) -> None:
        host = relay.rpartition(":")[0]
        if self._rnd() < 0.3:
            self._log(time - 0.001, smtp, f"connect to {relay}: Connection timed out")
            outcome = f"dsn=4.4.1, status=deferred (connect to {relay}: Connection timed out)"
            self._deliver(time, smtp, queue_id, recipient, "none", age, 30.0, outcome)
        else:
            outcome = self._pick(replies.DEFERRALS).format(host=host, rcpt=recipient)
            self._deliver(time, smtp, queue_id, recipient, relay, age, 0.3 + self._rnd(), outcome)

    def _hand_over(
        self,
        time: float,
        smtp: Source,
        queue_id: str,
        recipient: str,
        relay: str,
        age: float,
        mail: Mail,
    ) -> None:
        rnd = self._rnd
        if rnd() < 0.75:
            trust = self._pick(("Trusted", "Untrusted", "Verified", "Untrusted"))
            self._log(
                time - 0.02,
                smtp,
                f"{trust} TLS connection established to {relay}: {self._pick(replies.CIPHERS)}",
            )
        kind = rnd()
        if kind < 0.5:
            new_id = self._people.short_id(time) if rnd() < 0.6 else self._people.long_id(time)
            reply = f"250 2.0.0 Ok: queued as {new_id}"
        elif kind < 0.7:
            reply = f"250 2.0.0 OK  {int(time)} {self._people.token(20).lower()}.{int(rnd() * 900)} - gsmtp"
        elif kind < 0.85:
            name = relay.partition("[")[0]
            reply = f"250 2.6.0 {mail.message_id or '<unknown>'} [InternalId={self._random.getrandbits(46)}, Hostname={name}] {mail.size + 900} bytes in 0.{int(rnd() * 900) + 100}, {int(rnd() * 900)} KB/sec Queued mail for delivery"
        else:
            reply = f"250 OK id=1{self._people.token(5)}-{self._people.token(6)}-{self._people.token(2)}"
        self._deliver(
            time,
            smtp,
            queue_id,
            recipient,
            relay,
            age,
            0.1 + self._random.expovariate(1),
            f"dsn=2.0.0, status=sent ({reply})",
        )
