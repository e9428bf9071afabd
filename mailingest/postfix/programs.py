"""Syslog tag -> which program it is, of which Postfix instance, and the pattern for its lines."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

ProgramKind = Literal["postfix", "filter", "mail_store", "other"]
"""What a program is on a mail's way.

Only Postfix decides about a mail under its queue ID.  A ``filter`` (content filter, milter, policy
server) and a ``mail_store`` say what they did with it; ``other`` are programs that users declare.
"""

# The pattern for each Postfix program.  "" stands for any other one: a transport with a name of
# its own, or one that the rsyslog in between has cut off from the tag.
PROGRAMS: Final[Mapping[str, str]] = {
    "smtpd": "POSTFIX_SMTPD",
    "pickup": "POSTFIX_PICKUP",
    "cleanup": "POSTFIX_CLEANUP",
    "qmgr": "POSTFIX_QMGR",
    "bounce": "POSTFIX_BOUNCE",
    "smtp": "POSTFIX_SMTP",
    "lmtp": "POSTFIX_LMTP",
    "local": "POSTFIX_LOCAL",
    "virtual": "POSTFIX_VIRTUAL",
    "pipe": "POSTFIX_PIPE",
    "error": "POSTFIX_ERROR",
    "retry": "POSTFIX_ERROR",
    "discard": "POSTFIX_DISCARD",
    "postsuper": "POSTFIX_POSTSUPER",
    "postscreen": "POSTFIX_POSTSCREEN",
    "dnsblog": "POSTFIX_DNSBLOG",
    "tlsproxy": "POSTFIX_TLSPROXY",
    "anvil": "POSTFIX_ANVIL",
    "scache": "POSTFIX_SCACHE",
    "verify": "POSTFIX_VERIFY",
    "qmqpd": "POSTFIX_QMQPD",
    "trivial-rewrite": "POSTFIX_TRIVIAL_REWRITE",
    "tlsmgr": "POSTFIX_TLSMGR",
    "proxymap": "POSTFIX_PROXYMAP",
    "proxywrite": "POSTFIX_PROXYMAP",
    "flush": "POSTFIX_FLUSH",
    "showq": "POSTFIX_SHOWQ",
    "spawn": "POSTFIX_SPAWN",
    "master": "POSTFIX_MASTER",
    "postfix-script": "POSTFIX_SCRIPT",
    "postfix-tls-script": "POSTFIX_SCRIPT",
    "postmulti-script": "POSTFIX_SCRIPT",
    "post-install": "POSTFIX_SCRIPT",
    "postlog": "POSTFIX_POSTLOG",
    "postlogd": "POSTFIX_POSTLOGD",
    "posttls-finger": "POSTFIX_POSTTLS_FINGER",
    "postdrop": "POSTFIX_POSTDROP",
    "postmap": "POSTFIX_POSTMAP",
    "postalias": "POSTFIX_POSTMAP",
    "sendmail": "POSTFIX_SENDMAIL",
    "mailq": "POSTFIX_SENDMAIL",
    "newaliases": "POSTFIX_SENDMAIL",
    # The queue manager of old, and the one of 2.1 before it became the usual one.
    "oqmgr": "POSTFIX_QMGR",
    "nqmgr": "POSTFIX_QMGR",
    "postcat": "POSTFIX_COMMAND",
    "postconf": "POSTFIX_COMMAND",
    "postkick": "POSTFIX_COMMAND",
    "postlock": "POSTFIX_COMMAND",
    "postmulti": "POSTFIX_COMMAND",
    "nbdb_reindexd": "POSTFIX_COMMAND",
    "postqueue": "POSTFIX_COMMAND",
    "": "POSTFIX_OTHER",
}
# Programs whose lines an RFC 5424 rsyslog sends as `postfix`, since it cuts the tag at the slash,
# with the patterns of their own lines.  The order decides what a line that several could have
# written is taken for; what any program may write is nobody's.
GUESSED: Final[Sequence[tuple[str, str]]] = (
    ("smtp", "POSTFIX_GUESSED_SMTP"),
    ("verify", "POSTFIX_GUESSED_VERIFY"),
    *(
        (service, f"{PROGRAMS[service]}_OWN")
        for service in (
            *("smtpd", "cleanup", "qmgr", "pickup", "bounce", "smtp", "postsuper", "postscreen"),
            *("dnsblog", "tlsproxy", "anvil", "scache", "master", "postfix-script"),
        )
    ),
    ("", PROGRAMS[""]),
)


class Companion(NamedTuple):
    """Another program on a mail's way: the pattern of its lines, and what it is."""

    pattern: str
    kind: ProgramKind


# The pattern is in a file of its own; without it the lines are kept plain.  A line that the pattern
# does not match is no fault either, since these programs also write of other things than mail.
COMPANIONS: Final[Mapping[str, Companion]] = {
    "amavis": Companion("AMAVIS", "filter"),
    "clamsmtpd": Companion("CLAMSMTPD", "filter"),
    "dovecot": Companion("DOVECOT", "mail_store"),
    "MailScanner": Companion("MAILSCANNER", "filter"),
    "opendkim": Companion("OPENDKIM", "filter"),
    "opendmarc": Companion("OPENDMARC", "filter"),
    "pmg-smtp-filter": Companion("PMG_SMTP_FILTER", "filter"),
    "policyd-spf": Companion("POLICYD_SPF", "filter"),
    # The one in Perl, as its documentation names it in master.cf.
    "postfix/policy-spf": Companion("POLICYD_SPF", "filter"),
    "postgrey": Companion("POSTGREY", "filter"),
    "proxsmtpd": Companion("CLAMSMTPD", "filter"),
    "rspamd": Companion("RSPAMD", "filter"),
}


class PostfixProgram(NamedTuple):
    """A Postfix instance and one of its daemons; "" if the tag does not name the daemon."""

    instance: str
    service: str


def postfix_program(tag: str) -> PostfixProgram | None:
    """The Postfix program that writes under a tag; None for another program's.

    The part before the first slash is the instance (``multi_instance_name``, syslog_name), the
    last one the daemon.

    >>> postfix_program("postfix-internal/submission/smtpd")
    PostfixProgram(instance='postfix-internal', service='smtpd')
    >>> postfix_program("postfixadmin")
    """
    instance, _, path = tag.partition("/")
    service = path.rpartition("/")[2]
    if tag in COMPANIONS or service in COMPANIONS or instance.startswith("postfwd"):
        return None
    is_postfix = (
        instance.startswith("postfix") or service in PROGRAMS
        if path
        # multi_instance_name begins with `postfix-`; `postfixadmin` is something else.
        else instance == "postfix" or instance.startswith("postfix-")
    )
    return PostfixProgram(instance, service) if is_postfix else None
