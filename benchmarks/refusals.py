# ruff: noqa: E501 - a log text is easier to read, and to search for, on one line
"""Sessions that bring no mail: rejects, postscreen, password guessing, scans; and statistics."""

from datetime import UTC, datetime

from benchmarks import replies
from benchmarks.arrivals import MX_HOSTS, Arrivals
from benchmarks.population import LOCAL_DOMAIN
from benchmarks.queues import Mail


class Refusals(Arrivals):
    """Sessions and reports that no queue ID stands for."""

    def _rejected(self, time: float) -> None:
        rnd = self._rnd
        host = self._pick(MX_HOSTS)
        client = self._people.bot() if rnd() < 0.7 else self._people.client()
        helo = client.partition("[")[0] if rnd() < 0.4 else self._people.domain()
        session = self._session(host, "postfix/smtpd", time)
        self._log(time, session.source, f"connect from {client}")
        sender = self._people.stranger(self._people.domain())
        attempts = 1 if rnd() < 0.85 else 2 + int(rnd() * 2)
        for _ in range(attempts):
            time += 0.1 + rnd()
            recipient = (
                self._people.user()
                if rnd() < 0.5
                else f"{self._people.token(7).lower()}@{LOCAL_DOMAIN}"
            )
            reason = self._pick(replies.REJECTIONS)
            if "Greylisted" in reason and rnd() < 0.2:
                self._postgrey(
                    time - 0.01,
                    host,
                    client,
                    Mail(sender, [recipient], "", 0, ""),
                    "action=greylist, reason=new",
                )
            text = reason.format(
                client=client,
                ip=client[:-1].partition("[")[2],
                rcpt=recipient,
                sender=sender,
                helo=helo,
            )
            self._log(
                time,
                session.source,
                f"NOQUEUE: reject: RCPT from {client}: {text}; from=<{sender}> to=<{recipient}> proto=ESMTP helo=<{helo}>",
            )
        time += 0.1 + rnd()
        if rnd() < 0.3:
            self._log(time, session.source, f"lost connection after RCPT from {client}")
            counters = f"ehlo=1 mail=1 rcpt=0/{attempts} commands=2/{attempts + 2}"
        else:
            counters = f"ehlo=1 mail=1 rcpt=0/{attempts} quit=1 commands=3/{attempts + 3}"
        self._log(time, session.source, f"disconnect from {client} {counters}")
        session.busy_until = time

    def _screened(self, time: float) -> None:
        rnd = self._rnd
        host = self._pick(MX_HOSTS)
        client = self._people.bot()
        client = client[client.index("[") :]
        time += 0.003
        verdict = self._pick(replies.SCREENINGS)
        postscreen = self._screen(time, host, client, verdict)
        peer = f"{client}:{1024 + int(rnd() * 64_000)}"
        if "DNSBL" in verdict:
            self._log(
                time - 0.0015,
                self._process(host, "postfix/dnsblog"),
                f"addr {client[1:-1]} listed by domain zen.dnsbl.example as 127.0.0.{2 + int(rnd() * 9)}",
            )
            if rnd() < 0.3:
                sender = self._people.stranger(self._people.domain())
                self._log(
                    time + 1 + rnd(),
                    postscreen,
                    f"NOQUEUE: reject: RCPT from {peer}: 550 5.7.1 Service unavailable; client {client} blocked using zen.dnsbl.example;"
                    f" from=<{sender}>, to=<{self._people.user()}>, proto=ESMTP, helo=<{self._people.domain()}>",
                )
        self._log(time + 2 + rnd(), postscreen, f"DISCONNECT {peer}")

    def _abused(self, time: float) -> None:
        """Password guessing at the submission port."""
        rnd = self._rnd
        client = self._people.bot()
        session = self._session("out1", "postfix/submission/smtpd", time)
        smtpd = session.source
        address = client[:-1].partition("[")[2]
        if rnd() < 0.2:
            self._log(
                time - 0.001,
                smtpd,
                f"warning: hostname host{int(rnd() * 999)}.{self._people.domain()} does not resolve to address {address}: Name or service not known",
            )
        self._log(time, smtpd, f"connect from {client}")
        time += 0.5 + rnd() * 3
        guesses = 1 + int(rnd() * 2)
        for _ in range(guesses):
            self._log(
                time,
                smtpd,
                f"warning: {client}: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username={self._people.user()}",
            )
            time += 1 + rnd()
        self._log(time, smtpd, f"lost connection after AUTH from {client}")
        self._log(
            time,
            smtpd,
            f"disconnect from {client} ehlo=1 auth=0/{guesses} commands=1/{guesses + 1}",
        )
        session.busy_until = time

    def _probed(self, time: float) -> None:
        """Port scans, health checks and broken TLS."""
        rnd = self._rnd
        host = self._pick(MX_HOSTS)
        client = self._people.bot()
        session = self._session(host, "postfix/smtpd", time)
        self._log(time, session.source, f"connect from {client}")
        time += rnd()
        oddity = self._pick(replies.ODDITIES).format(client=client)
        self._log(time, session.source, oddity)
        if oddity.startswith("SSL_accept"):
            self._log(
                time,
                session.source,
                "warning: TLS library problem: error:0A00010B:SSL routines::wrong version number:../ssl/record/ssl3_record.c:354:",
            )
            self._log(time, session.source, f"lost connection after STARTTLS from {client}")
        self._log(time + 0.01, session.source, f"disconnect from {client} commands=0/0")
        session.busy_until = time + 0.01

    def _housekeeping(self, time: float) -> None:
        """What anvil, scache and others report from time to time."""
        rnd = self._rnd
        host = self._pick(("mx1", "mx2", "out1"))
        stamp = f"{datetime.fromtimestamp(time - 30, UTC):%b %e %H:%M:%S}"
        where = f"(smtp:{self._people.bot()[:-1].partition('[')[2]})"
        anvil = self._process(host, "postfix/anvil", 2)
        self._log(
            time,
            anvil,
            f"statistics: max connection rate {1 + int(rnd() * 9)}/60s for {where} at {stamp}",
        )
        self._log(
            time,
            anvil,
            f"statistics: max connection count {1 + int(rnd() * 5)} for {where} at {stamp}",
        )
        self._log(time, anvil, f"statistics: max cache size {1 + int(rnd() * 40)} at {stamp}")
        if host == "out1":
            scache = self._process(host, "postfix/scache", 2)
            self._log(time, scache, f"statistics: start interval {stamp}")
            self._log(
                time,
                scache,
                f"statistics: domain lookup hits={int(rnd() * 9)} miss={int(rnd() * 30)} success={int(rnd() * 40)}%",
            )
