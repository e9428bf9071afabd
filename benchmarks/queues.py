# ruff: noqa: E501 - a log text is easier to read, and to search for, on one line
"""What every queue writes about a mail, whatever becomes of it."""

from dataclasses import dataclass

from benchmarks import replies
from benchmarks.journal import Journal, Process, Source


@dataclass(slots=True)
class Mail:
    """What the envelope says."""

    sender: str
    recipients: list[str]
    message_id: str
    size: int
    client: str


def _seconds(value: float) -> str:
    """Two significant digits, as Postfix rounds its delays."""
    if value >= 10:
        return str(int(value))
    return f"{round(value, 2 if value < 1 else 1):g}"


class Queues(Journal):
    """Writes the lines that all mails have."""

    def _receive(
        self,
        time: float,
        smtpd: Source,
        host: str,
        queue_id: str,
        mail: Mail,
        suffix: str,
        instance: str = "postfix",
    ) -> float:
        """client=, message-id= and queue active; returns the time of the last."""
        rnd = self._rnd
        self._log(time, smtpd, f"{queue_id}: client={mail.client}{suffix}")
        time += 0.005 + rnd() * 0.2
        cleanup = self._process(host, f"{instance}/cleanup")
        self._log(time, cleanup, f"{queue_id}: message-id={mail.message_id}")
        if instance == "postfix":
            self._inspect(time, cleanup, host, queue_id, mail)
        time += 0.002 + mail.size / 4e6 + rnd() * 0.05
        self._activate(time, host, queue_id, mail, instance)
        return time

    def _inspect(self, time: float, cleanup: Source, host: str, queue_id: str, mail: Mail) -> None:
        """What milters and header checks say of a few mails."""
        kind = self._rnd()
        if kind < 0.01:
            subject = self._pick(replies.SUBJECTS)
            self._log(
                time + 0.001,
                cleanup,
                f"{queue_id}: warning: header Subject: {subject} from {mail.client};"
                f" from=<{mail.sender}> to=<{mail.recipients[0]}> proto=ESMTP helo=<{mail.client.partition('[')[0]}>",
            )
        elif kind < 0.09:
            milter = self._process(host, "opendkim", 1)
            domain = mail.sender.partition("@")[2]
            self._log(
                time + 0.001,
                milter,
                f"{queue_id}: {mail.client} [{mail.client[:-1].partition('[')[2]}] not internal",
            )
            self._log(
                time + 0.001,
                milter,
                f"{queue_id}: DKIM verification successful (s=s{len(domain)}, d={domain})",
            )
        elif kind < 0.15:
            self._log(
                time + 0.001,
                self._process(host, "rspamd", 4),
                f"<{self._people.token(6).lower()}>; task; rspamd_task_write_log: id: {mail.message_id}, qid: <{queue_id}>,"
                f" ip: {mail.client[:-1].partition('[')[2]}, from: <{mail.sender}>, (default: F (no action):"
                f" [{self._rnd() * 8 - 2:.2f}/15.00] [BAYES_HAM(-1.20){{92.11%;}},DKIM_ALLOW(-0.20){{}},R_SPF_ALLOW(-0.20){{+mx}}]),"
                f" len: {mail.size}, time: {self._rnd() * 900:.3f}ms, dns req: {int(self._rnd() * 30)},"
                f" digest: <{self._random.getrandbits(128):032x}>, rcpts: <{mail.recipients[0]}>",
            )

    def _activate(self, time: float, host: str, queue_id: str, mail: Mail, instance: str) -> None:
        self._log(
            time,
            self._process(host, f"{instance}/qmgr", 1),
            f"{queue_id}: from=<{mail.sender}>, size={mail.size}, nrcpt={len(mail.recipients)} (queue active)",
        )

    def _remove(self, time: float, host: str, queue_id: str, instance: str = "postfix") -> None:
        self._log(time, self._process(host, f"{instance}/qmgr", 1), f"{queue_id}: removed")

    def _hang_up(
        self,
        time: float,
        session: Process,
        client: str,
        encrypted: bool,
        counters: str,
        commands: int,
    ) -> None:
        """The last line of a session that went well."""
        greeting = "ehlo=2 starttls=1" if encrypted else "ehlo=1"
        total = commands + (3 if encrypted else 1)
        self._log(
            time, session.source, f"disconnect from {client} {greeting} {counters} commands={total}"
        )
        session.busy_until = time

    def _deliver(
        self,
        time: float,
        source: Source,
        queue_id: str,
        recipient: str,
        relay: str,
        age: float,
        transfer: float,
        outcome: str,
    ) -> None:
        """One delivery line; ``outcome`` starts at ``dsn=``."""
        rnd = self._rnd
        waited = rnd() * 0.03
        connecting = rnd() * transfer
        reuse = f", conn_use={2 + int(rnd() * 8)}" if rnd() < 0.08 and ":" in relay else ""
        self._log(
            time,
            source,
            f"{queue_id}: to=<{recipient}>, relay={relay}{reuse}, delay={_seconds(age + waited + transfer)},"
            f" delays={_seconds(age)}/{_seconds(waited)}/{_seconds(connecting)}/{_seconds(transfer - connecting)}, {outcome}",
        )
