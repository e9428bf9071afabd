"""What a client was told that was refused: as a line has it, or as Postfix is known to reply.

Most refusals have a line of their own (``reject:``).  Of some, Postfix logs a warning instead, with
the cause but not the reply; `postfix_refusal` holds the words of that cause.  Which reply goes with
it is fixed in Postfix: smtpd/smtpd.c (addresses, limits, BDAT), qmqpd/qmqpd.c (its own words after
``Error:``), and, at the end of a mail, the flag that cleanup sets beside its warning
(cleanup/cleanup_*.c) with the code that global/cleanup_strerror.c has for it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Refusal(NamedTuple):
    """The codes of the reply (RFC 5321 4.2, RFC 3463), and the command that it answered.

    ``stage`` is named as in smtpd's own lines.
    """

    stage: str
    status_code: int
    enhanced_status_code: str

    @property
    def is_temporary(self) -> bool:
        """RFC 5321 4.2.1."""
        return self.status_code < 500


_END: Final = "END-OF-MESSAGE"
_SYNTAX: Final = "Illegal address syntax"
_WRITE_ERROR: Final = Refusal(_END, 451, "4.3.0")
_DEFERRED: Final = Refusal(_END, 451, "4.7.1")
_TOO_BIG: Final = Refusal(_END, 552, "5.3.4")
_TOO_MANY_HOPS: Final = Refusal(_END, 554, "5.4.0")

# The beginning of the words, and what goes with it; the first one that fits counts.
_REFUSALS: Final = tuple(
    (re.compile(words, re.ASCII), refusal)
    for words, refusal in (
        # smtpd(8)
        (r"Message delivery request rate limit", Refusal("MAIL", 450, "4.7.1")),
        (r"Recipient address rate limit", Refusal("RCPT", 450, "4.7.1")),
        (r"AUTH command rate limit", Refusal("AUTH", 450, "4.7.1")),
        (r"New TLS session rate limit", Refusal("STARTTLS", 421, "4.7.0")),
        (r"Connection (?:concurrency|rate) limit", Refusal("CONNECT", 421, "4.7.0")),
        # Before 2.2.
        (r"Too (?:many|frequent) connections", Refusal("CONNECT", 421, "4.7.0")),
        (r"exceeds message size limit", Refusal("BDAT", 552, "5.3.4")),
        (r"null BDAT request", Refusal("BDAT", 551, "5.7.1")),
        (r"malformed BDAT command", Refusal("BDAT", 521, "5.5.4")),
        # cleanup(8), and smtpd(8) of what it writes to cleanup.
        (r"queue file size limit", _TOO_BIG),
        (r"message rejected: hopcount exceeded", _TOO_MANY_HOPS),
        (r"unreasonable .* map|message not accepted, try again later", _DEFERRED),
        (r"write queue file|message rejected|record type|bounce message failure", _WRITE_ERROR),
        (r".* update error$|.* map lookup problem", _WRITE_ERROR),
        # qmqpd(8), whose replies have no codes: these are those of smtpd for the same.
        (r"Error: message too large", _TOO_BIG),
        (r"Error: too many hops", _TOO_MANY_HOPS),
        (r"Error: no recipients specified", Refusal(_END, 550, "5.1.0")),
        (r"Error: queue file write error|Error: internal error", _WRITE_ERROR),
    )
)
# What cleanup rejected by its checks: qmqpd repeats the reason, which may begin with a code.
_QMQPD_CHECKED: Final = re.compile(r"Error: ([45])(\.\d{1,3}\.\d{1,3}) ", re.ASCII)


def refusal_of(fields: Mapping[str, Any]) -> Refusal | None:
    """What the client was told, where only a warning says that it was refused; None elsewhere."""
    words = fields.get("postfix_refusal")
    if words is None:
        return None
    if words == _SYNTAX:
        stage = fields["postfix_smtp_stage"]
        return Refusal(stage, 501, "5.1.7" if stage == "MAIL" else "5.1.3")
    for pattern, refusal in _REFUSALS:
        if pattern.match(words):
            return refusal
    checked = _QMQPD_CHECKED.match(words)
    if checked is None:
        return None
    return Refusal(_END, 451 if checked[1] == "4" else 550, f"{checked[1]}{checked[2]}")


# The client is followed by the reply; neither a stage nor a host name has a bracket.
_CLIENT_END: Final = re.compile(r"\](?::(?:\d+|unknown))?: ", re.ASCII)


def reply_of(fields: Mapping[str, Any]) -> str | None:
    """The reply as it stands in the line of a refusal; None if the line has none.

    cleanup logs its reply without the first of the two codes.
    """
    text = fields.get("postfix_status_message")
    if text is None:
        return None
    subject = fields.get("postfix_status_data")
    if subject is not None:
        _, *rest = _CLIENT_END.split(fields.get("message", ""), maxsplit=1)
        if rest and (place := rest[0].find(text, rest[0].find(subject) + len(subject))) >= 0:
            return rest[0][: place + len(text)]
        text = f"<{subject}>: {text}"
    parts = (fields.get("postfix_status_code"), fields.get("postfix_status_code_enhanced"), text)
    return " ".join(str(part) for part in parts if part is not None)
