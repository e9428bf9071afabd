"""What clients of the corpus do wrong: mails that are refused, and sessions without any mail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.support.lab.corpus_helpers import Client
from tests.support.lab.corpus_tables import (
    BANNED_AT_END_IP,
    BANNED_IP,
    DENIED_IP,
    OUTSIDE,
    OUTSIDE_IP,
    TRUSTED_IP,
)

Fields = dict[str, Any]

SENDER: Final = "sender@example.net"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recipient or a mail that is not taken: the reply is the one in an event's message.

    An ``early`` client talks before it is greeted.
    """

    name: str
    recipient: str = "alice@example.com"
    sender: str = SENDER
    service: str = "smtp"
    client: str = OUTSIDE_IP
    hello: str = OUTSIDE
    parameters: str = ""
    login: str = ""
    stage: str = "RCPT"
    early: bool = False


REFUSALS: Final[Sequence[Refusal]] = (
    Refusal("relay", "someone@elsewhere.test"),
    # What looks like the values that smtpd logs behind its reply.
    Refusal("forged-sender", "other@elsewhere.test", '"; from=<x@evil.test> to=<"@example.net'),
    Refusal("forged-recipient", '"x> to=<y@evil.test"@elsewhere.test'),
    Refusal("forged-hello", "third@elsewhere.test", hello="x;from=<y@evil.test>"),
    Refusal("no-user", "no-such-user@mx1.example.com"),
    Refusal("no-alias", "nobody@example.org"),
    Refusal("no-box", "nobody@box.example.org"),
    Refusal("denied", "denied@example.com"),
    Refusal("blocked", sender="blocked@example.net"),
    Refusal("deferred", sender="deferred@example.net"),
    Refusal("bare-sender", sender="x@localpart"),
    Refusal("spammer", hello="spammer.test"),
    Refusal("later", hello="later.test"),
    Refusal("bad-hello", hello="bad_helo!!"),
    Refusal("short-hello", hello="localhost"),
    Refusal("banned", client=BANNED_IP),
    Refusal("banned-at-once", client=BANNED_IP, service="eager", stage="CONNECT"),
    Refusal("hello-at-once", hello="spammer.test", service="eager", stage="EHLO"),
    Refusal("sender-at-once", sender="blocked@example.net", service="eager", stage="MAIL"),
    Refusal("banned-at-end", client=BANNED_AT_END_IP, stage="END-OF-MESSAGE"),
    Refusal("large", parameters=" SIZE=900000", stage="MAIL"),
    Refusal("no-map", service="broken"),
    Refusal("no-login", client="127.0.1.5", service="submission"),
    Refusal("not-your-sender", sender="bob@example.com", service="submission", login="alice"),
    Refusal("milter-recipient", "milterno@example.com", service="milters"),
    Refusal("unverified", "unknown@example.net", client=TRUSTED_IP, service="verified"),
    Refusal("pregreet", client="127.0.1.6", service="postscreen", early=True),
    Refusal("denylisted", client=DENIED_IP, service="postscreen"),
)
"""Each of them is refused by one reply, which Postfix logs under NOQUEUE."""

CONTENTS: Final[Sequence[tuple[str, str, str]]] = (
    ("smtp", "Subject: reject this", "Hello."),
    ("smtp", "X-Nothing: here", "BODYREJECT"),
    ("milters", "X-Milter: reject", "Hello."),
    ("milters", "X-Milter: tempfail", "Hello."),
)
"""Service, header and text of mails that cleanup(8) refuses: they have a queue ID, but no end."""


@dataclass(frozen=True, slots=True)
class Rudeness:
    """A session that goes wrong: ``facts`` are those of one event of its client.

    If a recipient was accepted, ``verdict`` is what became of the mail.
    """

    name: str
    act: Callable[[Client], object]
    facts: Fields
    service: str = "smtp"
    verdict: str = ""


def _hello(client: Client) -> None:
    client.hear()
    client.greet("rude.example.net")


def _to(stage: str) -> Callable[[Client], None]:
    def act(client: Client) -> None:
        _hello(client)
        lines = ("MAIL FROM:<sender@example.net>", "RCPT TO:<alice@example.com>", "DATA")
        for line in lines:
            if line.startswith(stage):
                client.ask(line)
                return
            client.ask(line)

    return act


def _lost(reason: str, stage: str) -> Fields:
    return {"postfix_smtpd_lostconn_data": reason, "postfix_smtp_stage": stage}


def _violates(test: str) -> Fields:
    return {"postfix_postscreen_violation": test}


def _wait_for_the_end(client: Client) -> None:
    while client.hear():
        pass


def _hello_and_wait(client: Client) -> None:
    _hello(client)
    _wait_for_the_end(client)


def _half_a_mail(client: Client) -> None:
    _to("DATA")(client)
    client.say("Subject: half")


def _half_a_mail_and_wait(client: Client) -> None:
    _half_a_mail(client)
    _wait_for_the_end(client)


def _many(line: str) -> Callable[[Client], None]:
    def act(client: Client) -> None:
        _hello(client)
        client.ask("MAIL FROM:<sender@example.net>")
        for _ in range(9):
            client.say(line)
        _wait_for_the_end(client)

    return act


def _says(*lines: str | bytes) -> Callable[[Client], None]:
    def act(client: Client) -> None:
        client.hear()
        for line in lines:
            client.say(line)
        client.say("QUIT")
        _wait_for_the_end(client)

    return act


def _pipelined(client: Client) -> None:
    client.hear()
    client.ask("HELO rude.example.net")
    client.say(
        b"MAIL FROM:<sender@example.net>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n"
        b"Subject: x\r\n\r\n.\r\nQUIT\r\n"
    )
    _wait_for_the_end(client)


def _no_tls(client: Client) -> None:
    _hello(client)
    client.ask("STARTTLS")
    client.say("this is not TLS")
    client.hear()


def _wrong_password(client: Client) -> None:
    client.hear()
    client.greet("rude.example.net", tls=True)
    client.ask("AUTH PLAIN AGFsaWNlAHdyb25n")
    client.ask("QUIT")


def _too_large(client: Client) -> None:
    _to("DATA")(client)
    client.say(b"x" * 70 + b"\r\n")
    client.say((b"y" * 70 + b"\r\n") * 800 + b".\r\n")
    client.hear()


def _encrypt(client: Client) -> None:
    client.hear()
    client.greet("rude.example.net", tls=True)
    client.ask("QUIT")


def _early(client: Client) -> None:
    client.say("EHLO rude.example.net")
    client.hear()
    client.ask("QUIT")


RUDENESSES: Final[Sequence[Rudeness]] = (
    Rudeness("goes", lambda client: None, _lost("lost connection", "CONNECT")),
    Rudeness("goes-after-hello", _hello, _lost("lost connection", "EHLO")),
    Rudeness("goes-after-mail", _to("MAIL"), _lost("lost connection", "MAIL")),
    Rudeness(
        "goes-after-rcpt", _to("RCPT"), _lost("lost connection", "RCPT"), verdict="not_accepted"
    ),
    Rudeness(
        "goes-after-data", _half_a_mail, _lost("lost connection", "DATA"), verdict="not_accepted"
    ),
    Rudeness("silent", _hello_and_wait, _lost("timeout", "EHLO"), "impatient"),
    Rudeness(
        "silent-in-data",
        _half_a_mail_and_wait,
        _lost("timeout", "DATA"),
        "impatient",
        verdict="not_accepted",
    ),
    Rudeness("wrong-recipients", _many("RCPT TO:<x@y.test>"), _lost("too many errors", "RCPT")),
    Rudeness(
        "pipelining",
        _pipelined,
        {"postfix_improper_pipelining_data": None},
        verdict="rejected",
    ),
    Rudeness("web", _says("GET / HTTP/1.0", "Host: x"), {"postfix_message_level": "warning"}),
    Rudeness(
        "binary",
        _says(b"\x16\x03\x01\x02\x00\x01\x00\xfc\x03\x03\xff\r\n"),
        {"postfix_cmd_quit": 1},
    ),
    Rudeness(
        "syntax",
        _says("EHLO rude.example.net", "MAIL FROM:<a", "RCPT TO:<<bad>", "EXPN x"),
        {"postfix_cmd_unknown": 1, "postfix_cmd_mail": 1, "postfix_cmd_mail_accepted": 0},
    ),
    Rudeness(
        "questions",
        _says("EHLO rude.example.net", "VRFY bob@mx1.example.com", "NOOP", "ETRN example.com"),
        {"postfix_cmd_vrfy": 1, "postfix_cmd_etrn": 1, "postfix_cmd_noop": 1},
    ),
    Rudeness("no-tls", _no_tls, {"postfix_cmd_starttls": 1, "postfix_cmd_starttls_accepted": 0}),
    Rudeness(
        "wrong-password",
        _wrong_password,
        {"postfix_cmd_auth": 1, "postfix_cmd_auth_accepted": 0},
        "submission",
    ),
    Rudeness(
        "too-large",
        _too_large,
        {"postfix_cmd_data": 1, "postfix_cmd_data_accepted": 0},
        verdict="rejected",
    ),
    Rudeness("no-milter", _hello, {"postfix_action": "milter-reject"}, "nomilter"),
    Rudeness("too-early", _early, _violates("PREGREET"), "postscreen"),
    Rudeness("only-looks", _says(), {"postfix_postscreen_access": "PASS NEW"}, "postscreen"),
    Rudeness("screened-tls", _encrypt, {"postfix_tls_version": "TLSv1.3"}, "deep"),
    Rudeness("hangs-up", lambda client: None, _violates("HANGUP"), "postscreen"),
    Rudeness(
        "not-smtp",
        _says("Subject: x"),
        _violates("NON-SMTP COMMAND"),
        "deep",
    ),
    Rudeness(
        "bare-newline",
        _says(b"EHLO rude.example.net\n"),
        _violates("BARE NEWLINE"),
        "deep",
    ),
    Rudeness(
        "deep-pipelining",
        _says(b"HELO x.example.net\r\nMAIL FROM:<a@example.net>\r\n"),
        _violates("COMMAND PIPELINING"),
        "deep",
    ),
)
