"""The mails of the corpus, each with its end decided by the configuration and the servers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.lab.corpus_tables import DISCARDED_IP, OUTSIDE, OUTSIDE_IP, TRUSTED_IP

Fields = dict[str, Any]

SENT, BOUNCED, DEFERRED = ("sent",), ("bounced",), ("deferred",)
LATER: Final = ("deferred", "sent")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that the edge takes over.

    ``recipients`` maps an address to the statuses of the attempts to deliver to it, repetitions
    left out; a mail that is thrown away has none.  ``message_id`` is the header's value, "" for
    none.  ``login`` is a user.  ``facts`` are those of one event with the mail's sender.
    """

    name: str
    recipients: Mapping[str, tuple[str, ...]]
    sender: str | None = None
    service: str = "smtp"
    client: str = OUTSIDE_IP
    subject: str = "hello"
    headers: str = ""
    text: str = "Hello."
    message_id: str | None = None
    parameters: str = ""
    login: str = ""
    tls: bool = False
    facts: Fields = field(default_factory=dict)


def _outbound(name: str, recipient: str, statuses: tuple[str, ...], **more: Any) -> Mail:
    return Mail(name, {recipient: statuses}, client=TRUSTED_IP, **more)


def _checked(action: str, recipient: str = "alice@example.com") -> Mail:
    subject = f"{action} from=<fake@x> to=<y@z>; status=sent (really)"
    # A remark is logged as a level, all else as an action.
    kind = {"warn": ("message_level", "warning"), "info": ("message_level", "info")}
    name, value = kind.get(action, ("action", action))
    facts = {f"postfix_{name}": value, "postfix_client_ip": OUTSIDE_IP, "postfix_helo": OUTSIDE}
    return Mail(f"header-{action}", {recipient: SENT}, subject=subject, facts=facts)


ODD_ADDRESSES: Final = (
    "alice+news@example.com",
    "o'brien@example.com",
    '"john smith"@example.com',
    '"a>b, to=<x@y>, status=sent"@example.com',
    "=eq&amp/slash{}|%d@example.com",
    "Alice@EXAMPLE.com",
)
ODD_SENDERS: Final = (
    "",
    '"a b>c, to=<x@y>"@example.net',
    "SRS0=HHH=TT=example.org=user@example.net",
    "list+bounce-123=alice=example.com@example.net",
    "Mixed@Example.NET",
)
BOUNCING: Final = ("unknown", "full", "multi", "bare", "hostile", "eightbit", "spam", "nodata")
WAITING: Final = ("busy", "trouble", "nospace", "gone", "lost")
REPLYING: Final = ("exim", "exchange", "gmail", "sendmail", "filtered")

MAILS: Final[Sequence[Mail]] = (
    Mail("local", {"bob@mx1.example.com": SENT}),
    Mail("relayed", {"alice@example.com": SENT}),
    Mail("encrypted", {"alice@example.com": SENT}, tls=True),
    *(_outbound(f"odd-{n}", address, SENT) for n, address in enumerate(ODD_ADDRESSES)),
    *(
        Mail(f"odd-sender-{n}", {"alice@example.com": SENT}, sender=sender)
        for n, sender in enumerate(ODD_SENDERS)
    ),
    Mail(
        "utf8",
        {"müller@example.com": SENT},
        sender="jürgen@example.net",
        parameters=" SMTPUTF8 BODY=8BITMIME",
    ),
    Mail("no-id", {"alice@example.com": SENT}, message_id=""),
    Mail("bare-id", {"alice@example.com": SENT}, message_id="plain.1@example.net"),
    Mail("folded-id", {"alice@example.com": SENT}, message_id="\r\n <folded.1@example.net>"),
    Mail("spaced-id", {"alice@example.com": SENT}, message_id="<a b.1@example.net>"),
    Mail("same-id-1", {"alice@example.com": SENT}, message_id="<same.1@example.net>"),
    Mail("same-id-2", {"dave@example.com": SENT}, message_id="<same.1@example.net>"),
    Mail("fifty", {f"user{n}@example.com": SENT for n in range(50)}),
    Mail(
        "everywhere",
        {
            "bob@mx1.example.com": SENT,
            "alice@example.com": SENT,
            "vic@box.example.org": SENT,
            "ok@pipe.example.com": SENT,
            "x@throw.example.com": SENT,
            "unknown@pipe.example.com": BOUNCED,
        },
    ),
    Mail("alias", {"staff@mx1.example.com": SENT}),
    Mail("forwarded", {"forwarded@mx1.example.com": SENT}),
    Mail("forward-file", {"forward@mx1.example.com": SENT}),
    Mail("included", {"listed@mx1.example.com": SENT}),
    Mail("bad-include", {"badlist@mx1.example.com": BOUNCED}),
    Mail("command", {"command@mx1.example.com": SENT}),
    Mail("failing-command", {"failing@mx1.example.com": BOUNCED}),
    Mail("to-file", {"archive@mx1.example.com": SENT}),
    Mail("full-box", {"full@mx1.example.com": BOUNCED}),
    Mail("passed-on", {"dave@mx1.example.com": SENT}),
    Mail("loop", {"bob@mx1.example.com": BOUNCED}, headers="Delivered-To: bob@mx1.example.com\r\n"),
    Mail("virtual-alias", {"info@example.org": SENT}),
    Mail("virtual-aliases", {"sales@example.org": SENT}),
    Mail("virtual-box", {"vic@box.example.org": SENT}),
    Mail("maildir", {"maildir@box.example.org": SENT}),
    Mail("copied", {"erin@example.com": SENT, "journal@example.com": SENT}),
    Mail("team", {"team@example.com": SENT}),
    Mail("refused-inside", {"unknown@example.com": SENT}),
    Mail("pipe-waits", {"busy@pipe.example.com": DEFERRED}),
    Mail("pipe-killed", {"killed@pipe.example.com": DEFERRED}),
    Mail("discarded", {"x@throw.example.com": SENT}),
    # --- Out into the world
    _outbound("out", "partner@example.net", SENT),
    *(_outbound(f"replies-{each}", f"{each}@example.net", SENT) for each in REPLYING),
    *(_outbound(f"bounces-{each}", f"{each}@example.net", BOUNCED) for each in BOUNCING),
    *(_outbound(f"waits-{each}", f"{each}@example.net", DEFERRED) for each in WAITING),
    *(_outbound(f"again-{n}", f"again{n}@reuse.test", SENT) for n in range(3)),
    _outbound("greylisted", "greylisted@example.net", LATER),
    _outbound("no-banner", "x@nobanner.test", DEFERRED),
    _outbound("busy-banner", "x@busy.test", DEFERRED),
    _outbound("silent", "x@silent.test", DEFERRED),
    _outbound("port-closed", "x@refused.test", DEFERRED),
    _outbound("tls", "x@tls.test", SENT),
    _outbound("tls-missing", "x@musttls.test", DEFERRED),
    _outbound("tls-untrusted", "x@verified.test", DEFERRED),
    _outbound("pix", "x@pix.test", SENT),
    _outbound("over-ipv6", "x@v6.test", SENT),
    _outbound("no-host", "x@nohost.test", BOUNCED),
    _outbound("no-transport", "x@notransport.test", DEFERRED),
    _outbound("rewritten", "x@rewritten.test", SENT),
    _outbound("no-utf8", "müller@ascii.test", BOUNCED, parameters=" SMTPUTF8"),
    _outbound("null-bounce", "unknown@example.net", BOUNCED, sender=""),
    _outbound(
        "null-expires", "busy@example.net", DEFERRED, sender="", facts={"postfix_status": "expired"}
    ),
    _outbound("double-bounce", "bare@example.net", BOUNCED, sender="unknown@example.net"),
    Mail(
        "mixed",
        {
            "alice@example.com": SENT,
            "partner@example.net": SENT,
            "unknown@example.net": BOUNCED,
            "busy@example.net": DEFERRED,
            "greylisted@example.net": LATER,
        },
        client=TRUSTED_IP,
    ),
    # --- Login, filters, milters, probes
    _outbound(
        "login",
        "partner@example.net",
        SENT,
        sender="alice@example.com",
        service="submission",
        login="alice",
        tls=True,
    ),
    Mail("filtered", {"alice@example.com": SENT, "dave@example.com": SENT}, service="filtered"),
    # Four queue IDs: before the filter, behind it, of the copy that leaves an alias, inside.
    Mail("filtered-alias", {"staff@mx1.example.com": SENT}, service="filtered"),
    # A copy of each mail goes to the journal (always_bcc).
    Mail("journalled", {"partner@example.net": SENT}, service="journalled", client=TRUSTED_IP),
    Mail("proxied", {"alice@example.com": SENT}, service="proxied"),
    Mail("milter", {"alice@example.com": SENT}, service="milters"),
    Mail(
        "quarantined",
        {"alice@example.com": SENT},
        service="milters",
        headers="X-Milter: quarantine\r\n",
        facts={"postfix_milter_result": "hold"},
    ),
    Mail(
        "milter-discards",
        {},
        service="milters",
        headers="X-Milter: discard\r\n",
        facts={"postfix_milter_result": "discard"},
    ),
    Mail("screened", {"alice@example.com": SENT}, service="postscreen", client="127.0.1.7"),
    Mail("verified", {"alice@example.com": SENT}, service="verified"),
    # --- Checks and access tables
    *(
        _checked(action)
        for action in ("warn", "info", "bcc", "prepend", "replace", "hold", "filter")
    ),
    Mail("header-discard", {}, subject="discard me", facts={"postfix_action": "discard"}),
    _checked("redirect", "carol@example.com"),
    Mail("stripped", {"alice@example.com": SENT}, headers="X-Strip: secret\r\n"),
    Mail("body-warn", {"alice@example.com": SENT}, text="BODYWARN to=<a@b>, status=bounced (x)"),
    Mail("eight-bit", {"alice@example.com": SENT}, subject="warn Grüße 日本語 😀"),
    Mail(
        "long-subject", {"alice@example.com": SENT}, subject="warn " + "\r\n ".join(["A" * 900] * 9)
    ),
    Mail("watched", {"watched@example.com": SENT}),
    Mail("trial", {"trial@example.com": SENT}),
    Mail("redirected", {"carol@example.com": SENT}, headers="X-To: redirected\r\n"),
    Mail("marked", {"marked@example.com": SENT}),
    Mail("rerouted", {"alice@example.com": SENT}, sender="rerouted@example.net"),
    Mail("discarded-client", {}, client=DISCARDED_IP, facts={"postfix_action": "discard"}),
    Mail("held", {"alice@example.com": SENT}, sender="held@example.net"),
    # --- For the operator
    _outbound("for-expiry", "trouble@example.net", DEFERRED),
    _outbound("for-requeue", "trouble@example.net", DEFERRED),
    _outbound("for-deletion", "trouble@example.net", DEFERRED),
)
WHILE_DOWN: Final = Mail("inside-down", {"alice@example.com": LATER})
"""It comes while the second instance does not run."""

SUBMITTED: Final[Sequence[tuple[str, str, tuple[str, ...], tuple[str, ...]]]] = (
    ("alice", "alice@mx1.example.com", ("alice@example.com", "bob@mx1.example.com"), ()),
    ("alice", "alice@example.com", ("unknown@example.net",), ()),
    ("bob", "from-moved@example.net", ("x@moved.test",), ()),
    ("bob", "from-suspended@example.net", ("x@suspended.test",), ()),
    ("bob", "from-probe@example.net", ("partner@example.net", "unknown@example.net"), ("-bv",)),
    ("bob", "from-report@example.net", ("partner@example.net",), ("-N", "success,failure")),
)
"""Mails by the sendmail command: user, sender, recipients, options."""
