"""The mails of one run: each with its outcome decided by the laboratory's configuration."""

from dataclasses import dataclass
from typing import Literal

from tests.support.lab.facts import Recipient

DELIVERED = ("sent",)
DEFERRED_THEN_SENT = ("deferred", "sent")
BOUNCED = ("bounced",)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A mail to send: its name is also the local part of the sender's address."""

    name: str
    recipients: tuple[Recipient, ...]
    by: Literal["smtp", "sendmail"] = "smtp"
    subject: bytes = b"hello"


ALICE = "alice@example.com"
BOB = "bob@example.com"
PARTNER = "partner@example.net"
GREYLISTED = "greylisted@example.net"
UNKNOWN = "unknown@example.net"
# Refused by smtpd: a domain of its own, but no such user.
NO_SUCH_USER = "nobody-here@example.com"

SCENARIOS = (
    Scenario("local", (Recipient(ALICE, DELIVERED),)),
    Scenario("remote", (Recipient(PARTNER, DELIVERED),)),
    Scenario("greylisted", (Recipient(GREYLISTED, DEFERRED_THEN_SENT),)),
    Scenario("bounced", (Recipient(UNKNOWN, BOUNCED),)),
    Scenario(
        "several",
        (
            Recipient(ALICE, DELIVERED),
            Recipient(PARTNER, DELIVERED),
            Recipient(UNKNOWN, BOUNCED),
        ),
    ),
    Scenario("latin1", (Recipient(BOB, DELIVERED),), subject=b"checked Gr\xfc\xdfe"),
    Scenario("utf8", (Recipient(BOB, DELIVERED),), subject="checked Grüße".encode()),
    Scenario("submitted", (Recipient(ALICE, DELIVERED), Recipient(PARTNER, DELIVERED)), "sendmail"),
)
