"""Outcome text of a delivery -> what it was given next: a queue ID, a session, or the bin.

A 2xx reply often names the mail as the next hop knows it.  Each mail server has words of its own
for that (the tests have examples); what is found is bounded in length and characters, and text
without a known wording gives nothing.  Callers ask only about mail that was sent: a refusal may
quote any text.
"""

import re
from typing import Any, Final

# Who wrote the text decides what it can say: a server's reply, or local(8) itself.
_REPLIES: Final = ("postfix_smtp_response", "postfix_proxy_message")
_LOCAL_TEXTS: Final = ("postfix_local_response", "postfix_smtp_response")

# All that queue IDs are made of (Exim has `-`, Gmail `.`, Coremail `,`, Momentum `/`), in one
# piece: what is longer is no ID.
_ID = r"([0-9A-Za-z][\w./:+=@,~-]{4,126}+)(?![\w./:+=@,~-])"
_CODE = r"2\d\d (?>(?:2\.\d{1,3}\.\d{1,3} )?)"
_ANYWHERE: Final = tuple(
    re.compile(wording, re.ASCII)
    for wording in (
        # Postfix and what speaks like it, also as quoted by a filter; Coremail; Yandex, which
        # puts its host before the ID.
        rf"ueued (?:as|on [\w.-]{{1,255}}+(?: as)?) {_ID}",
        # Exim, GMX, amavis, KumoMTA; iCloud; Stalwart.
        rf"(?<=[ (])(?:ids?=|envelope id |with id ){_ID}",
        # qmail, and qpsmtpd in front of it.
        r"(?<= )qp (\d{1,20})\b",
        # Cisco ESA.
        r"(?<= )Message (\d{3,20}) accepted",
        # Mimecast.
        rf"Received OK \[{_ID}\]",
    )
)
_WHOLE: Final = tuple(
    re.compile(_CODE + wording, re.ASCII)
    for wording in (
        # Gmail.
        rf"OK +\d{{6,12}} {_ID}(?: - gsmtp)?$",
        # sendmail, OpenSMTPD, Proofpoint; with "mail" at Comcast and Orange.
        rf"(?=\S*\d){_ID} (?:[Mm]essage|[Mm]ail) accepted",
        # Amazon SES, Momentum; Courier has a full stop.
        rf"O[Kk]\.? (?=\S*\d){_ID}$",
        # Proxmox Mail Gateway (the ID of its filter), Haraka.
        r"(?:OK|BLOCKED|(?:[A-Za-z]{1,20} ){0,4}[Qq]ueued) \(([0-9A-Fa-f-]{10,40}(?:\.\d{1,6})?)\)",
    )
)
# Exchange tells its message's number, long after the Message-ID that the sender chose.
_EXCHANGE_END: Final = "Queued mail for delivery"
_EXCHANGE_ID = re.compile(r"(\d{5,20})[,\]]", re.ASCII)

# The LMTP servers of Dovecot and Cyrus: a mail store has no queue, but its lines name the session.
_SAVED_END: Final = " Saved"
_SESSION = re.compile(r"[\w+/:=.-]{8,64}", re.ASCII)
# Cyrus puts the text of a system error before it, which is of no interest.
_SESSION_ID = re.compile(_CODE + r"[^<>]{1,200} SESSIONID=<([\w+/:=.-]{8,64})>$", re.ASCII)

# local/file.c: an alias or .forward file with the name of a file.
_INTO_NOTHING: Final = "delivered to file: /dev/null"
_FORWARDED = re.compile(r"forwarded as ([0-9A-Za-z]{5,64})", re.ASCII)

# "Ok, discarded" (amavis), "BLOCKED" (Proxmox Mail Gateway), "OK, but blackholed", "Virus Detected;
# Discarded Email" (clamsmtpd) ...
_THROWN_AWAY = re.compile(
    _CODE + r"(?>(?:(?:virus|spam|malware|message|mail)(?: [a-z]{2,12}){0,3}[;:,.] )?)"
    r"(?:ok[,:]? )?(?:but )?(?:(?:message|mail|email) )?(?:(?:accepted )?and )?"
    r"(?:(?:was|has been) )?(?:silently )?"
    r"(discard|drop|blackhole|quarantine|block)(?:e?d|ped)?\b",
    re.ASCII | re.IGNORECASE,
)
_DISPOSITIONS: Final = {
    "discard": "discarded",
    "drop": "discarded",
    "blackhole": "discarded",
    "quarantine": "quarantined",
    "block": "blocked",
}
# amavis took the mail, did not pass it on, and told the sender.
_BOUNCED = re.compile(_CODE + r"Ok, id=[^\s,]{1,64}+, BOUNCE$", re.ASCII)


def remote_queue_id(reply: str) -> str | None:
    """The name that the next hop gave the mail, if its 2xx reply names one."""
    if not reply.startswith("2") or reply.endswith(_SAVED_END):
        return None
    if reply.endswith(_EXCHANGE_END):
        found = _EXCHANGE_ID.match(reply.rpartition("[InternalId=")[2])
        return found[1] if found is not None else None
    for wording in _ANYWHERE:
        found = wording.search(reply)
        if found is not None:
            return found[1].rstrip(".,:")
    for wording in _WHOLE:
        found = wording.match(reply)
        if found is not None:
            return found[1].rstrip(".,:")
    return None


def lmtp_session(reply: str) -> str | None:
    """The session of the mail store that took the mail, as its own log lines name it."""
    if reply.endswith(_SAVED_END):
        session = reply[: -len(_SAVED_END)].rpartition(" ")[2]
        return session if _SESSION.fullmatch(session) and reply.startswith("2") else None
    found = _SESSION_ID.match(reply)
    return found[1] if found is not None else None


def forwarded_queue_id(text: str) -> str | None:
    """The queue ID that the mail goes on under here, if local(8) forwarded it."""
    found = _FORWARDED.fullmatch(text)
    return found[1] if found is not None else None


def disposition(reply: str) -> str | None:
    """What became of a mail that was taken but not passed on; None for one that was.

    It is ``discarded``, ``quarantined``, ``blocked``, or ``bounced`` if the sender was told.
    """
    found = _THROWN_AWAY.match(reply)
    if found is not None:
        return _DISPOSITIONS[found[1].lower()]
    return "bounced" if _BOUNCED.match(reply) else None


def add_links(fields: dict[str, Any]) -> None:
    """Write what the outcome of a mail that was sent, or taken by a proxy, says."""
    if fields.get("postfix_relay") == "none":
        # discard(8); nothing else has sent a mail without a next hop.
        fields["postfix_disposition"] = "discarded"
    for name in _LOCAL_TEXTS:
        if fields.get(name) == _INTO_NOTHING:
            fields["postfix_disposition"] = "discarded"
            return
        if name in fields and (queue_id := forwarded_queue_id(fields[name])) is not None:
            fields["postfix_forwarded_queueid"] = queue_id
            return
    for name in _REPLIES:
        if name in fields:
            reply = fields[name]
            queue_id = remote_queue_id(reply)
            _add(fields, "postfix_remote_queueid", queue_id)
            # Most mail by far, which was surely passed on.
            if queue_id is None or "queued as" not in reply:
                _add(fields, "postfix_lmtp_session", lmtp_session(reply))
                _add(fields, "postfix_disposition", disposition(reply))
            return


def _add(fields: dict[str, Any], name: str, value: str | None) -> None:
    if value is not None:
        fields[name] = value
