"""The declared fields: the only names that an event can have, with their types.

One declaration drives the conversion of values, the index template and the documentation.  No
name is ever made from log content.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

FieldType = Literal["keyword", "address", "text", "integer", "float", "ip", "date", "binary"]


@dataclass(frozen=True, slots=True)
class Field:
    """``name`` in documents; ``type`` as stored; ``meaning`` for people, with its unit."""

    name: str
    type: FieldType
    meaning: str


FIELDS: tuple[Field, ...] = (
    Field("@timestamp", "date", "time of the line, UTC"),
    Field("type", "keyword", "always `mail`"),
    Field("host", "keyword", "hostname of the sender, from the syslog header"),
    Field("program", "keyword", "syslog tag without process id, such as `postfix/smtpd`"),
    Field("pid", "keyword", "process id from the tag"),
    Field("syslog_facility", "integer", "syslog facility, 2 is mail"),
    Field("syslog_severity", "integer", "syslog severity, 6 is info"),
    Field("syslog_msgid", "keyword", "MSGID of RFC 5424"),
    Field("syslog_structured_data", "keyword", "structured data of RFC 5424, as sent"),
    Field("syslog_repeated", "integer", "how many more lines of this kind the line stands for"),
    Field("message", "text", "text after the tag"),
    Field("tags", "keyword", "what worked and what went wrong with the line"),
    Field("unfit", "keyword", "`name=value` of values that do not fit their field's type"),
    Field("raw", "binary", "the bytes as received, where their text is not the whole truth"),
    Field("postfix_queueid", "keyword", "queue ID on the sender's host, or NOQUEUE"),
    Field("postfix_from", "address", "envelope sender; empty for bounces"),
    Field("postfix_to", "address", "envelope recipient, after rewriting"),
    Field("postfix_orig_to", "address", "recipient as first given, if different"),
    Field("postfix_size", "integer", "size of the mail in the queue, bytes"),
    Field("postfix_nrcpt", "integer", "number of recipients"),
    Field("postfix_message-id", "keyword", "Message-ID header without angle brackets"),
    Field("postfix_resent-message-id", "keyword", "Resent-Message-ID header"),
    Field("postfix_uid", "integer", "user id that submitted the mail with sendmail(1)"),
    Field("postfix_orig_id", "keyword", "queue ID before a requeue by postsuper -r"),
    Field("postfix_client_hostname", "keyword", "name of the SMTP client, or `unknown`"),
    Field("postfix_client_ip", "ip", "address of the SMTP client"),
    Field("postfix_client_ip_unknown", "keyword", "what is logged instead of a client address"),
    Field("postfix_client_port", "integer", "TCP port of the SMTP client"),
    Field("postfix_orig_client_hostname", "keyword", "client before a filter (XFORWARD)"),
    Field("postfix_orig_client_ip", "ip", "address of the client before a filter (XFORWARD)"),
    Field("postfix_orig_queueid", "keyword", "queue ID before a filter (XFORWARD)"),
    Field("postfix_sasl_method", "keyword", "SASL mechanism of the login"),
    Field("postfix_sasl_username", "keyword", "SASL login name"),
    Field("postfix_sasl_sender", "keyword", "SASL sender name"),
    Field("postfix_helo", "keyword", "name that the client gave with HELO or EHLO"),
    Field("postfix_proto", "keyword", "SMTP or ESMTP"),
    Field("postfix_relay", "keyword", "next hop as logged, or `none`, `local` ..."),
    Field("postfix_relay_hostname", "keyword", "name of the next hop"),
    Field("postfix_relay_ip", "ip", "address of the next hop"),
    Field("postfix_relay_port", "integer", "TCP port of the next hop"),
    Field("postfix_relay_service", "keyword", "socket or transport instead of an address"),
    Field("postfix_conn_use", "integer", "how often the connection has been used"),
    Field("postfix_delay", "float", "seconds from arrival to this delivery attempt's end"),
    Field("postfix_delay_before_qmgr", "float", "seconds before the queue manager"),
    Field("postfix_delay_in_qmgr", "float", "seconds in the queue manager"),
    Field("postfix_delay_conn_setup", "float", "seconds of connection set-up"),
    Field("postfix_delay_transmission", "float", "seconds of transmission"),
    Field("postfix_dsn", "keyword", "enhanced status code of the delivery"),
    Field("postfix_status", "keyword", "sent, deferred, bounced, expired ..."),
    Field(
        "postfix_smtp_response", "text", "text of a delivery's outcome (smtp, lmtp, virtual ...)"
    ),
    Field("postfix_local_response", "text", "text of a delivery's outcome (local)"),
    Field("postfix_pipe_response", "text", "text of a delivery's outcome (pipe)"),
    Field("postfix_error_response", "text", "text of a delivery's outcome (error, retry)"),
    Field("postfix_remote_queueid", "keyword", "queue ID that the next hop gave"),
    Field("postfix_forwarded_queueid", "keyword", "queue ID that the mail goes on under here"),
    Field(
        "postfix_lmtp_session",
        "keyword",
        "session of the mail store, in the LMTP server's reply and in its own lines",
    ),
    Field(
        "postfix_disposition",
        "keyword",
        "what became of a mail that was sent but not passed on: discarded, quarantined, blocked, "
        "or bounced by a filter",
    ),
    Field("postfix_bounce_queueid", "keyword", "queue ID of the notification"),
    Field("postfix_bounce_recipient", "keyword", "who is notified: sender or postmaster"),
    Field("postfix_bounce_reason", "keyword", "non-delivery, delay, delivery status"),
    Field("postfix_action", "keyword", "what smtpd or cleanup did: reject, hold, warn ..."),
    Field("postfix_smtp_stage", "keyword", "SMTP command at which it happened"),
    Field("postfix_status_code", "integer", "SMTP reply code"),
    Field("postfix_status_code_enhanced", "keyword", "enhanced status code of the reply"),
    Field("postfix_status_data", "keyword", "address or name that the reply is about"),
    Field("postfix_status_message", "text", "text of the reply"),
    Field("postfix_milter_result", "keyword", "what the milter decided"),
    Field("postfix_milter_message", "text", "what the milter decided on"),
    Field("postfix_milter_data", "keyword", "argument of the milter's decision"),
    Field("postfix_proxy_result", "keyword", "accept or reject by the before-queue filter"),
    Field("postfix_proxy_smtp_stage", "keyword", "SMTP command at which the filter decided"),
    Field("postfix_proxy_message", "text", "reply of the before-queue filter"),
    Field("postfix_proxy_status_code", "integer", "reply code of the before-queue filter"),
    Field("postfix_proxy_status_code_enhanced", "keyword", "enhanced code of the filter's reply"),
    Field("postfix_smtpd_lostconn_data", "keyword", "how the SMTP session ended"),
    Field("postfix_smtp_lostconn_data", "keyword", "how the connection to the next hop ended"),
    Field("postfix_smtp_lostconn_reason", "keyword", "while doing what"),
    Field("postfix_lostconn_bytes", "integer", "bytes received before the session ended"),
    Field("postfix_message_level", "keyword", "warning, error, fatal, panic"),
    Field("postfix_message", "text", "text of a line with no fields of its own"),
    Field("postfix_postsuper_action", "keyword", "what an operator did to the mail"),
    Field("postfix_postsuper_summary_action", "keyword", "what an operator did to several mails"),
    Field("postfix_postsuper_summary_count", "integer", "to how many"),
    Field("postfix_transport", "keyword", "transport that a recipient is passed to"),
    Field("postfix_pix_workaround", "keyword", "workarounds switched on for the next hop"),
    Field("postfix_tls_trustlevel", "keyword", "Anonymous, Untrusted, Trusted, Verified"),
    Field("postfix_tls_version", "keyword", "TLS protocol"),
    Field("postfix_tls_cipher", "keyword", "TLS cipher"),
    Field("postfix_tls_cipher_size", "keyword", "bits used and bits of the algorithm"),
    Field("postfix_tls_key_exchange", "keyword", "TLS key exchange"),
    Field("postfix_tls_server_signature", "keyword", "signature algorithm of the server"),
    Field("postfix_tls_server_signature_size", "keyword", "bits of the server's key"),
    Field("postfix_tls_server_digest", "keyword", "digest of the server's signature"),
    Field("postfix_tls_client_signature", "keyword", "signature algorithm of the client"),
    Field("postfix_tls_client_signature_size", "keyword", "bits of the client's key"),
    Field("postfix_tls_client_digest", "keyword", "digest of the client's signature"),
    Field("postfix_tls_error", "keyword", "why the certificate was not accepted"),
    Field("postfix_tls_security_level", "keyword", "TLS level of the delivery (Postfix 3.11)"),
    Field("postfix_tls_downgrade_level", "keyword", "TLS level really reached"),
    Field("postfix_tls_policy_violated", "keyword", "`!` where the level was not reached"),
    Field("postfix_tls_policy_undecided", "keyword", "`?` where it is not known"),
    *(
        Field(f"postfix_cmd_{command}{suffix}", "integer", f"{command} commands {meaning}")
        for command in (
            *("helo", "ehlo", "xclient", "xforward", "starttls", "auth", "mail", "rcpt", "data"),
            *("bdat", "rset", "noop", "vrfy", "etrn", "quit", "help", "unknown", "count"),
        )
        for suffix, meaning in (("", "in the session"), ("_accepted", "accepted"))
    ),
    # --- Neighbours: amavis, dovecot, opendkim, opendmarc, policyd-spf, postgrey, rspamd ----------
    # What means the same as in Postfix has the same name there: queue ID, Message-ID, client,
    # sender, and the recipient if there is but one.
    Field("amavis_id", "keyword", "amavis's number for the mail, also in its replies"),
    Field("amavis_mail_id", "keyword", "amavis's name for the mail, also of its quarantine"),
    Field("amavis_action", "keyword", "Passed or Blocked; FWD or SEND as it goes out"),
    Field("amavis_category", "keyword", "CLEAN, SPAM, SPAMMY, BANNED, INFECTED, BAD-HEADER-7 ..."),
    Field("amavis_reason", "keyword", "what was found: names of viruses or of banned parts"),
    Field("amavis_actions", "keyword", "what was done, such as `DiscardedInbound,Quarantined`"),
    Field("amavis_policy", "keyword", "policy banks, and LOCAL for a client of the own network"),
    Field("amavis_rcpts", "address", "recipients, if there are several, as logged"),
    Field("amavis_quarantine", "keyword", "place in the quarantine"),
    Field("amavis_hits", "float", "spam score"),
    Field("amavis_size", "integer", "size of the mail as amavis got it, bytes"),
    Field("amavis_duration", "integer", "time that amavis took, milliseconds"),
    Field("amavis_response", "text", "reply of the server that amavis gave the mail"),
    Field("dovecot_service", "keyword", "lmtp, lda or deliver"),
    Field("dovecot_user", "address", "whose mailbox it is"),
    Field(
        "dovecot_action", "keyword", "saved, stored, forwarded, discarded, rejected, vacation ..."
    ),
    Field("dovecot_mailbox", "keyword", "mailbox that the mail was put in"),
    Field("dovecot_address", "address", "to whom Sieve forwarded or replied"),
    Field("dovecot_reason", "text", "why it failed or was rejected, or other text about the mail"),
    Field("opendkim_result", "keyword", "what opendkim did or found, in its words"),
    Field("opendkim_domain", "keyword", "domain of the signature (d=)"),
    Field("opendkim_selector", "keyword", "selector of the signature (s=)"),
    Field("opendkim_algorithm", "keyword", "algorithm of the signature (a=)"),
    Field("opendkim_message", "text", "other text about the mail"),
    Field("opendmarc_result", "keyword", "pass, fail, none ..."),
    Field("opendmarc_domain", "keyword", "domain that the result is about, of the From header"),
    Field("opendmarc_spf_identity", "keyword", "what opendmarc checked SPF of: mailfrom or helo"),
    Field("opendmarc_spf_domain", "keyword", "domain or address that opendmarc checked SPF of"),
    Field("opendmarc_spf_result", "keyword", "result of opendmarc's own check of SPF"),
    Field("opendmarc_message", "text", "other text about the mail"),
    Field("postgrey_action", "keyword", "pass or greylist"),
    Field("postgrey_reason", "keyword", "why: new, early-retry (10s missing), triplet found ..."),
    Field("postgrey_delay", "integer", "seconds from the first try to this one"),
    Field("rspamd_id", "keyword", "rspamd's number for the task"),
    Field("rspamd_spam", "keyword", "T if the score is that of spam, F if not, S if skipped"),
    Field("rspamd_action", "keyword", "no action, add header, reject, soft reject, greylist ..."),
    Field("rspamd_score", "float", "spam score"),
    Field("rspamd_required_score", "float", "score from which mail is rejected"),
    Field("rspamd_size", "integer", "size of the mail as rspamd got it, bytes"),
    Field("rspamd_duration", "float", "time that rspamd took, milliseconds"),
    Field("rspamd_rcpts", "address", "envelope recipients, if there are several, as logged"),
    Field("rspamd_forced_action", "keyword", "why the action is not that of the score"),
    Field("spf_action", "keyword", "what the policy server told Postfix to do"),
    Field("spf_result", "keyword", "Pass, Fail, SoftFail, Neutral, None, PermError, TempError"),
    Field("spf_identity", "keyword", "what was checked: mailfrom or helo"),
    Field("spf_receiver", "address", "recipient or domain for which it was checked"),
    Field("spf_message", "text", "reason as told to the client or written into the header"),
)

Value = str | int | float

# Larger numbers do not fit Elasticsearch's `long`.
_LONGEST_LONG = 18


def _integer(text: str) -> int:
    if len(text) > _LONGEST_LONG or not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)


def _float(text: str) -> float:
    # Postfix writes plain decimals; float() would take `nan`, `1e999` and `1_0` as well.
    if not text.replace(".", "", 1).isdecimal() or not text.isascii() or len(text) > _LONGEST_LONG:
        raise ValueError
    return float(text)


def _signed(text: str) -> float:
    return -_float(text[1:]) if text.startswith("-") else _float(text)


@lru_cache(maxsize=65_536)
def _ip(text: str) -> str:
    # A zone (fe80::1%eth0) means something on its own host only, and stores refuse it.
    if "%" in text:
        raise ValueError
    ip_address(text)
    return text


_BY_TYPE: dict[FieldType, Callable[[str], Value]] = {
    "integer": _integer,
    "float": _float,
    "ip": _ip,
}
# Only spam scores can be below zero.
_SIGNED = ("amavis_hits", "rspamd_score", "rspamd_required_score")
CONVERTERS: dict[str, Callable[[str], Value]] = {
    field.name: _signed if field.name in _SIGNED else _BY_TYPE[field.type]
    for field in FIELDS
    if field.type in _BY_TYPE
}
"""Conversion from the matched text, by field name; ValueError where the text does not fit."""

NAMES = frozenset(field.name for field in FIELDS)
