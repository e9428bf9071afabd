"""The declared fields: the only names that an event can have, with their types.

One declaration drives the conversion of values, the index template and the documentation.  No
name is ever made from log content.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal

from mailingest.grok.matcher import Value

FieldType = Literal["keyword", "address", "text", "integer", "float", "ip", "date", "binary"]


@dataclass(frozen=True, slots=True)
class Field:
    """``name`` in documents; ``type`` as stored; ``meaning`` for people, with its unit.

    ``example`` is a value as text, before its conversion.
    """

    name: str
    type: FieldType
    meaning: str
    example: str


# Set by hand: a field is one line, or two.
# fmt: off
FIELDS: tuple[Field, ...] = (
    Field("@timestamp", "date", "time of the line, UTC", "2026-11-24T15:41:13.500Z"),
    Field("type", "keyword", "type of the input that it came in by, which names the index", "mail"),
    Field("host", "keyword", "hostname of the sender, from the syslog header", "mx1"),
    Field("program", "keyword", "syslog tag without process id, such as `postfix/smtpd`",
          "postfix/smtpd"),
    Field("program_kind", "keyword", "what the program is: postfix, filter, mail_store, or other",
          "postfix"),
    Field("instance", "keyword", "Postfix instance, from the tag", "postfix-internal"),
    Field("service", "keyword", "Postfix daemon, from the tag, or from the text if the tag was cut",
          "smtpd"),
    Field("outcome", "keyword", "what the line says became of it: received, sent, passed_on, "
          "deferred, bounced, expired, discarded or rejected", "sent"),
    Field("pid", "keyword", "process id from the tag", "318"),
    Field("syslog_facility", "integer", "syslog facility, 2 is mail", "2"),
    Field("syslog_severity", "integer", "syslog severity, 6 is info", "6"),
    Field("syslog_msgid", "keyword", "MSGID of RFC 5424", "ID47"),
    Field("syslog_relay", "keyword", "host that passed the line on, where another header says so",
          "loghost"),
    Field("syslog_peer", "ip", "address that the line came from, over the network", "192.0.2.40"),
    Field("syslog_structured_data", "keyword", "structured data of RFC 5424, as sent",
          '[meta sequenceId="29"]'),
    Field("syslog_timestamp", "date", "time that the line itself gives, if it is too far from its "
          "arrival to be believed; `@timestamp` is the arrival then", "2029-11-24T15:41:13.000Z"),
    Field("syslog_repeated", "integer", "how many more lines of this kind the line stands for",
          "3"),
    Field("message", "text", "text after the tag", "4F2A11E0ABC: removed"),
    Field("tags", "keyword", "what worked and what went wrong with the line",
          "_grok_postfix_success"),
    Field("unfit", "keyword", "`name=value` of values that do not fit their field's type",
          "postfix_client_ip=fe80::1%eth0"),
    Field("raw", "binary", "the bytes as received, where their text is not the whole truth",
          "TWVpw58="),
    Field("postfix_queueid", "keyword", "queue ID on the sender's host, or NOQUEUE", "4F2A11E0ABC"),
    Field("postfix_from", "address", "envelope sender; empty for bounces", "a@example.org"),
    Field("postfix_to", "address", "envelope recipient, after rewriting", "b@example.net"),
    Field("postfix_orig_to", "address", "recipient as first given, if different", "c@example.org"),
    Field("postfix_size", "integer", "size of the mail in the queue, bytes", "460"),
    Field("postfix_received_size", "integer", "the same of a mail that was received, "
          "only in the line by which it got into the queue first: these add up", "460"),
    Field("postfix_nrcpt", "integer", "number of recipients", "1"),
    Field("postfix_message-id", "keyword", "Message-ID header without angle brackets",
          "20261124.1541@example.org"),
    Field("postfix_resent-message-id", "keyword", "Resent-Message-ID header",
          "20261124.1542@example.org"),
    Field("postfix_uid", "integer", "user id that submitted the mail with sendmail(1)", "1000"),
    Field("postfix_orig_id", "keyword", "queue ID before a requeue by postsuper -r", "5A3B22F1BCD"),
    Field("postfix_client_hostname", "keyword", "name of the SMTP client, or `unknown`",
          "mail.example.org"),
    Field("postfix_client_ip", "ip", "address of the SMTP client", "192.0.2.5"),
    Field("postfix_client_ip_unknown", "keyword", "what is logged instead of a client address",
          "unknown"),
    Field("postfix_client_port", "integer", "TCP port of the SMTP client", "49152"),
    Field("postfix_server_ip", "ip", "own address that the client connected to (postscreen)",
          "192.0.2.25"),
    Field("postfix_server_port", "integer", "own TCP port that the client connected to", "25"),
    Field("postfix_service", "keyword", "service in master.cf that a limit or a count is about",
          "smtp"),
    Field("postfix_orig_client_hostname", "keyword", "client before a filter (XFORWARD)",
          "mail.example.org"),
    Field("postfix_orig_client_ip", "ip", "address of the client before a filter (XFORWARD)",
          "192.0.2.5"),
    Field("postfix_orig_queueid", "keyword", "queue ID before a filter (XFORWARD)", "5A3B22F1BCD"),
    Field("postfix_sasl_method", "keyword", "SASL mechanism of the login", "PLAIN"),
    Field("postfix_sasl_username", "keyword", "SASL login name", "user@example.org"),
    Field("postfix_sasl_sender", "keyword", "SASL sender name", "ann@example.org"),
    Field("postfix_helo", "keyword", "name that the client gave with HELO or EHLO",
          "mail.example.org"),
    Field("postfix_proto", "keyword", "SMTP or ESMTP", "ESMTP"),
    Field("postfix_relay", "keyword", "next hop as logged, or `none`, `local` ...",
          "mx.example.net[192.0.2.9]:25"),
    Field("postfix_relay_hostname", "keyword", "name of the next hop", "mx.example.net"),
    Field("postfix_relay_ip", "ip", "address of the next hop", "192.0.2.9"),
    Field("postfix_relay_port", "integer", "TCP port of the next hop", "25"),
    Field("postfix_relay_service", "keyword", "socket or transport instead of an address",
          "private/dovecot-lmtp"),
    Field("postfix_conn_use", "integer", "how often the connection has been used", "3"),
    Field("postfix_delay", "float", "seconds from arrival to this delivery attempt's end", "5.4"),
    Field("postfix_delay_before_qmgr", "float", "seconds before the queue manager", "0.08"),
    Field("postfix_delay_in_qmgr", "float", "seconds in the queue manager", "0.01"),
    Field("postfix_delay_conn_setup", "float", "seconds of connection set-up", "3.5"),
    Field("postfix_delay_transmission", "float", "seconds of transmission", "1.9"),
    Field("postfix_dsn", "keyword", "enhanced status code of the delivery", "2.0.0"),
    Field("postfix_status", "keyword", "sent, deferred, bounced, expired ...", "sent"),
    Field("postfix_smtp_response", "text", "text of a delivery's outcome (smtp, lmtp, virtual ...)",
          "250 2.0.0 Ok: queued as 5A3B22F1BCD"),
    Field("postfix_local_response", "text", "text of a delivery's outcome (local)",
          "delivered to maildir"),
    Field("postfix_pipe_response", "text", "text of a delivery's outcome (pipe)",
          "delivered via dovecot service"),
    Field("postfix_error_response", "text", "text of a delivery's outcome (error, retry)",
          "User unknown in virtual alias table"),
    Field("postfix_remote_queueid", "keyword", "queue ID that the next hop gave", "5A3B22F1BCD"),
    Field("postfix_forwarded_queueid", "keyword", "queue ID that the mail goes on under here",
          "5A3B22F1BCD"),
    Field("postfix_lmtp_session", "keyword",
          "session of the mail store, in the LMTP server's reply and in its own lines",
          "qYyyBMsl9FRuZQAAA15QOA"),
    Field("postfix_disposition", "keyword",
          "what became of a mail that was sent but not passed on: discarded, quarantined, "
          "blocked, or bounced by a filter",
          "discarded"),
    Field("postfix_reason", "keyword",
          "why it was deferred, bounced, expired or rejected, with `*` for all that differs from "
          "line to line",
          "450 4.2.0 *: Recipient address rejected: Greylisted"),
    Field("postfix_bounce_queueid", "keyword", "queue ID of the notification", "5A3B22F1BCD"),
    Field("postfix_bounce_recipient", "keyword", "who is notified: sender or postmaster", "sender"),
    Field("postfix_bounce_reason", "keyword", "non-delivery, delay, delivery status",
          "non-delivery"),
    Field("postfix_action", "keyword", "what smtpd or cleanup did: reject, hold, warn ...",
          "reject"),
    Field("postfix_smtp_stage", "keyword", "SMTP command at which it happened", "RCPT"),
    Field("postfix_status_code", "integer", "SMTP reply code", "550"),
    Field("postfix_status_code_enhanced", "keyword", "enhanced status code of the reply", "5.7.1"),
    Field("postfix_status_data", "keyword", "address or name that the reply is about",
          "b@example.net"),
    Field("postfix_status_message", "text", "text of the reply",
          "Recipient address rejected: User unknown"),
    Field("postfix_refusal", "keyword",
          "why a client, a recipient or a mail was refused, where only a warning says so",
          "Recipient address rate limit exceeded"),
    Field("postfix_milter_result", "keyword", "what the milter decided", "reject"),
    Field("postfix_milter_message", "text", "what the milter decided on",
          "END-OF-MESSAGE from mail.example.org[192.0.2.5]: 5.7.1 no"),
    Field("postfix_milter_data", "keyword", "argument of the milter's decision", "c@example.com"),
    Field("postfix_prepend_type", "keyword", "what made cleanup prepend a header: header, body ...",
          "header"),
    Field("postfix_prepend_trigger", "text", "its text", "Subject: hello"),
    Field("postfix_prepend_value", "text", "the header that was prepended", "X-Seen: yes"),
    Field("postfix_proxy_result", "keyword", "accept or reject by the before-queue filter",
          "accept"),
    Field("postfix_proxy_smtp_stage", "keyword", "SMTP command at which the filter decided",
          "END-OF-MESSAGE"),
    Field("postfix_proxy_message", "text", "reply of the before-queue filter",
          "250 2.0.0 Ok: queued as 5A3B22F1BCD"),
    Field("postfix_proxy_status_code", "integer", "reply code of the before-queue filter", "250"),
    Field("postfix_proxy_status_code_enhanced", "keyword", "enhanced code of the filter's reply",
          "2.0.0"),
    Field("postfix_smtpd_lostconn_data", "keyword", "how the SMTP session ended",
          "lost connection"),
    Field("postfix_smtpd_lostconn_reason", "keyword", "why the SMTP session ended",
          "lost connection"),
    Field("postfix_improper_pipelining_data", "text", "what the client sent too early",
          "MAIL FROM:<>"),
    Field("postfix_smtp_lostconn_data", "keyword", "how the connection to the next hop ended",
          "Connection refused"),
    Field("postfix_smtp_lostconn_reason", "keyword", "while doing what",
          "receiving the initial server greeting"),
    Field("postfix_lostconn_bytes", "integer", "bytes received before the session ended",
          "7774180"),
    Field("postfix_message_level", "keyword", "warning, error, fatal, panic", "warning"),
    Field("postfix_message", "text", "text of a line with no fields of its own",
          "queue file size limit exceeded"),
    Field("postfix_postsuper_action", "keyword", "what an operator did to the mail", "removed"),
    Field("postfix_postsuper_summary_action", "keyword", "what an operator did to several mails",
          "Deleted"),
    Field("postfix_postsuper_summary_count", "integer", "to how many", "115"),
    Field("postfix_transport", "keyword", "transport that a recipient is passed to", "lmtp"),
    Field("postfix_pix_workaround", "keyword", "workarounds switched on for the next hop",
          "disable_esmtp delay_dotcrlf"),
    Field("postfix_postscreen_access", "keyword", "PASS NEW, PASS OLD, DENYLISTED, DISCONNECT ...",
          "PASS NEW"),
    Field("postfix_postscreen_violation", "keyword",
          "test that the client failed: PREGREET, DNSBL ...",
          "PREGREET"),
    Field("postfix_postscreen_violation_time", "float",
          "seconds from the connection to the violation",
          "0.05"),
    Field("postfix_postscreen_violation_bytes", "integer", "bytes that the client sent too early",
          "11"),
    Field("postfix_postscreen_data", "text", "what the client sent, 100 characters at most",
          "EHLO User"),
    Field("postfix_postscreen_tests", "keyword", "before or after the SMTP handshake", "before"),
    Field("postfix_postscreen_dnsbl_rank", "integer", "sum of the weights of the DNS lists", "3"),
    Field("postfix_postscreen_toobusy_data", "keyword", "why postscreen took no connection",
          "too many connections"),
    Field("postfix_postscreen_stress", "keyword", "entering or leaving stress mode", "entering"),
    Field("postfix_postscreen_connections", "integer", "connections to postscreen at that moment",
          "91"),
    Field("postfix_postscreen_cleanup_type", "keyword", "full or partial cleanup of the cache",
          "full"),
    Field("postfix_postscreen_cache_retained", "integer", "entries that the cleanup left", "242"),
    Field("postfix_postscreen_cache_dropped", "integer", "entries that the cleanup removed", "7"),
    Field("postfix_dnsbl_domain", "keyword", "DNS list that has the client", "zen.example.com"),
    Field("postfix_dnsbl_result", "keyword", "what it answered, several with blanks between",
          "127.0.0.2"),
    Field("postfix_anvil_conn_count", "integer", "most connections of one client at the same time",
          "2"),
    *(
        field
        for kind, what in (
            *(("conn", "connections"), ("message", "mails"), ("recipient", "recipients")),
            *(("newtls", "new TLS sessions"), ("auth", "AUTH commands")),
        )
        for field in (
            Field(f"postfix_anvil_{kind}_rate", "integer", f"most {what} of one client in a period",
                  "4"),
            Field(f"postfix_anvil_{kind}_period", "keyword", "that period, such as `60s`", "60s"),
        )
    ),
    Field("postfix_anvil_cache_size", "integer", "most clients that anvil counted at the same time",
          "11"),
    Field("postfix_anvil_timestamp", "keyword", "when that was, in local time", "Nov 24 15:41:13"),
    Field("postfix_scache_timestamp", "keyword", "begin of the statistics, in local time",
          "Nov 24 15:41:13"),
    Field("postfix_scache_lookup", "keyword", "by domain or by address", "domain"),
    Field("postfix_scache_hits", "integer", "lookups that found an open connection", "29"),
    Field("postfix_scache_miss", "integer", "lookups that found none", "110"),
    Field("postfix_scache_success", "integer", "hits per hundred lookups", "20"),
    Field("postfix_scache_domains", "integer", "most domains at the same time", "4"),
    Field("postfix_scache_addresses", "integer", "most addresses at the same time", "5"),
    Field("postfix_scache_connection", "integer", "most open connections at the same time", "6"),
    Field("postfix_verify_cleanup_type", "keyword", "full or partial cleanup of the cache",
          "partial"),
    Field("postfix_verify_cache_retained", "integer", "entries that the cleanup left", "724"),
    Field("postfix_verify_cache_dropped", "integer", "entries that the cleanup removed", "6"),
    Field("postfix_version", "keyword", "version of Postfix", "3.11.0"),
    Field("postfix_config_path", "keyword", "directory of main.cf", "/etc/postfix"),
    Field("postfix_termination_signal", "integer", "signal that ended master", "15"),
    Field("postfix_tls_trustlevel", "keyword", "Anonymous, Untrusted, Trusted, Verified",
          "Anonymous"),
    Field("postfix_tls_connection", "keyword", "`reused` if it was made for an earlier mail",
          "reused"),
    Field("postfix_tls_sni", "keyword", "server name that the client asked for", "mx1.example.com"),
    Field("postfix_tls_version", "keyword", "TLS protocol", "TLSv1.3"),
    Field("postfix_tls_cipher", "keyword", "TLS cipher", "TLS_AES_256_GCM_SHA384"),
    Field("postfix_tls_cipher_size", "keyword", "bits used and bits of the algorithm", "256/256"),
    Field("postfix_tls_key_exchange", "keyword", "TLS key exchange", "X25519"),
    Field("postfix_tls_key_exchange_curve", "keyword", "curve or group of the key exchange",
          "P-256"),
    Field("postfix_tls_key_exchange_size", "keyword", "bits of the key exchange", "2048"),
    Field("postfix_tls_server_signature", "keyword", "signature algorithm of the server",
          "RSA-PSS"),
    Field("postfix_tls_server_signature_size", "keyword", "bits of the server's key", "2048"),
    Field("postfix_tls_server_signature_curve", "keyword", "curve of the server's key", "P-256"),
    Field("postfix_tls_server_key_type", "keyword", "`raw public key` if it has no certificate",
          "raw public key"),
    Field("postfix_tls_server_digest", "keyword", "digest of the server's signature", "SHA256"),
    Field("postfix_tls_client_signature", "keyword", "signature algorithm of the client",
          "RSA-PSS"),
    Field("postfix_tls_client_signature_size", "keyword", "bits of the client's key", "4096"),
    Field("postfix_tls_client_signature_curve", "keyword", "curve of the client's key", "P-384"),
    Field("postfix_tls_client_key_type", "keyword", "`raw public key` if it has no certificate",
          "raw public key"),
    Field("postfix_tls_client_digest", "keyword", "digest of the client's signature", "SHA512"),
    Field("postfix_tls_error", "keyword", "why the certificate was not accepted",
          "self-signed certificate"),
    Field("postfix_tlsrpt_status", "keyword", "success or failure (Postfix 3.10)", "failure"),
    Field("postfix_tlsrpt_domain", "keyword", "domain that asked for reports about TLS",
          "example.net"),
    Field("postfix_tlsrpt_failure_type", "keyword", "kind of failure (RFC 8460 4.3)",
          "starttls_not_supported"),
    Field("postfix_tlsrpt_failure_reason", "text", "failure in words", "no STARTTLS"),
    Field("postfix_tls_security_level", "keyword", "TLS level of the delivery (Postfix 3.11)",
          "dane"),
    Field("postfix_tls_downgrade_level", "keyword", "TLS level really reached", "none"),
    Field("postfix_tls_policy", "keyword", "another policy that held, such as `requiretls`",
          "requiretls"),
    Field("postfix_tls_policy_reason", "keyword", "why it was violated, such as `nostarttls`",
          "nostarttls"),
    Field("postfix_tls_policy_violated", "keyword", "`!` where the level was not reached", "!"),
    Field("postfix_tls_policy_undecided", "keyword", "`?` where it is not known", "?"),
    Field("postfix_requiretls", "keyword", "`true` if the sender asked for REQUIRETLS (RFC 8689)",
          "requiretls"),
    Field("postfix_requiretls_policy_violation", "keyword", "`true` if it could not be had", "!"),
    Field("postfix_requiretls_downgrade_level", "keyword", "why, such as `nostarttls`",
          "nostarttls"),
    Field("postfix_requiretls_policy_undecided", "keyword", "`true` where it is not known", "?"),
    Field("postfix_discarded_ehlo_keywords", "keyword",
          "what was left out of a reply to EHLO, or not believed in one, with blanks between",
          "CHUNKING DSN"),
    *(
        Field(f"postfix_cmd_{command}{suffix}", "integer",
              f"{'all' if command == 'count' else command} commands {meaning}", "1")
        for command in (
            *("helo", "ehlo", "xclient", "xforward", "starttls", "auth", "mail", "rcpt", "data"),
            *("bdat", "rset", "noop", "vrfy", "etrn", "quit", "help", "unknown", "count"),
        )
        for suffix, meaning in (
            ("", "in the session"), ("_accepted", "accepted, if there were others too"),
        )
    ),
    # --- Companions: filters, policy servers, mail stores -----------------------------------------
    # What means the same as in Postfix has the same name there: queue ID, Message-ID, client,
    # sender, and the recipient if there is but one.
    Field("filter_id", "keyword", "a filter's own name for the mail, also in its replies",
          "20A9560092030F3374"),
    Field("filter_action", "keyword",
          "what a filter did with the mail: accept, quarantine, block, discard, or its own word",
          "accept"),
    Field("filter_actions", "keyword", "what it did, if it was several things, as logged",
          "store,delete"),
    Field("filter_reason", "keyword", "why: what it took the mail for, or the name of a virus",
          "spam"),
    Field("filter_rule", "keyword", "which of its rules decided", "default-accept"),
    Field("filter_quarantine", "keyword", "name or place in the quarantine", "B2B2B2B202"),
    Field("filter_rcpts", "address", "recipients, if there are several, as logged",
          "to=b@example.net, to=c@example.net"),
    Field("amavis_id", "keyword", "amavis's number for the mail, also in its replies", "32531-01"),
    Field("amavis_mail_id", "keyword", "amavis's name for the mail, also of its quarantine",
          "AHDFQrJpn7GE"),
    Field("amavis_action", "keyword", "Passed or Blocked; FWD or SEND as it goes out", "Passed"),
    Field("amavis_category", "keyword", "CLEAN, SPAM, SPAMMY, BANNED, INFECTED, BAD-HEADER-7 ...",
          "BANNED"),
    Field("amavis_reason", "keyword", "what was found: names of viruses or of banned parts",
          "Eicar-Signature"),
    Field("amavis_actions", "keyword", "what was done, such as `DiscardedInbound,Quarantined`",
          "DiscardedInbound,Quarantined"),
    Field("amavis_policy", "keyword", "policy banks, and LOCAL for a client of the own network",
          "ORIGINATING LOCAL"),
    Field("amavis_rcpts", "address", "recipients, if there are several, as logged",
          "<b@example.net>,<c@example.net>"),
    Field("amavis_quarantine", "keyword", "place in the quarantine", "5/banned-5i9UVGblc3Kg"),
    Field("amavis_hits", "float", "spam score", "-1.76"),
    Field("amavis_size", "integer", "size of the mail as amavis got it, bytes", "373"),
    Field("amavis_duration", "integer", "time that amavis took, milliseconds", "214"),
    Field("amavis_response", "text", "reply of the server that amavis gave the mail",
          "250 2.0.0 Ok: queued as 000D7A4A832"),
    Field("dovecot_service", "keyword", "lmtp, lda or deliver", "lmtp"),
    Field("dovecot_user", "address", "whose mailbox it is", "john@example.com"),
    Field("dovecot_action", "keyword",
          "saved, stored, forwarded, discarded, rejected, vacation ...",
          "saved"),
    Field("dovecot_mailbox", "keyword", "mailbox that the mail was put in", "INBOX"),
    Field("dovecot_address", "address", "to whom Sieve forwarded or replied", "c@example.net"),
    Field("dovecot_reason", "text", "why it failed or was rejected, or other text about the mail",
          "Quota exceeded (mailbox for user is full)"),
    Field("opendkim_result", "keyword", "what opendkim did or found, in its words",
          "DKIM-Signature field added"),
    Field("opendkim_domain", "keyword", "domain of the signature (d=)", "example.com"),
    Field("opendkim_selector", "keyword", "selector of the signature (s=)", "s1"),
    Field("opendkim_algorithm", "keyword", "algorithm of the signature (a=)", "rsa-sha256"),
    Field("opendkim_message", "text", "other text about the mail", "error:02000068:rsa routines"),
    Field("opendmarc_result", "keyword", "pass, fail, none ...", "pass"),
    Field("opendmarc_domain", "keyword", "domain that the result is about, of the From header",
          "example.org"),
    Field("opendmarc_spf_identity", "keyword", "what opendmarc checked SPF of: mailfrom or helo",
          "mailfrom"),
    Field("opendmarc_spf_domain", "keyword", "domain or address that opendmarc checked SPF of",
          "bounce@example.org"),
    Field("opendmarc_spf_result", "keyword", "result of opendmarc's own check of SPF", "softfail"),
    Field("opendmarc_message", "text", "other text about the mail",
          "ignoring Authentication-Results at 14 from mx.example.org"),
    Field("postgrey_action", "keyword", "pass or greylist", "greylist"),
    Field("postgrey_reason", "keyword", "why: new, early-retry (10s missing), triplet found ...",
          "new"),
    Field("postgrey_delay", "integer", "seconds from the first try to this one", "309"),
    Field("rspamd_id", "keyword", "rspamd's number for the task", "8ae27d"),
    Field("rspamd_spam", "keyword", "T if the score is that of spam, F if not, S if skipped", "F"),
    Field("rspamd_action", "keyword", "no action, add header, reject, soft reject, greylist ...",
          "no action"),
    Field("rspamd_score", "float", "spam score", "-0.64"),
    Field("rspamd_required_score", "float", "score from which mail is rejected", "20.0"),
    Field("rspamd_size", "integer", "size of the mail as rspamd got it, bytes", "2348"),
    Field("rspamd_duration", "float", "time that rspamd took, milliseconds", "562.1"),
    Field("rspamd_rcpts", "address", "envelope recipients, if there are several, as logged",
          "b@example.net,c@example.net"),
    Field("rspamd_forced_action", "keyword", "why the action is not that of the score",
          "reject \"virus\"; score=nan (set by clamav)"),
    Field("spf_action", "keyword", "what the policy server told Postfix to do", "prepend"),
    Field("spf_result", "keyword", "Pass, Fail, SoftFail, Neutral, None, PermError, TempError",
          "Pass"),
    Field("spf_identity", "keyword", "what was checked: mailfrom or helo", "mailfrom"),
    Field("spf_receiver", "address", "recipient or domain for which it was checked", "example.net"),
    Field("spf_message", "text", "reason as told to the client or written into the header",
          "SPF fail - not authorized"),
)
# fmt: on


# Larger numbers do not fit Elasticsearch's `long`.
_LONGEST_LONG = 18
# Delays are the same again and again; what is no number is not remembered.
_MOST_DELAYS = 4096


def _integer(text: str) -> int:
    if len(text) > _LONGEST_LONG or not (text.isascii() and text.isdigit()):
        raise ValueError
    return int(text)


@lru_cache(_MOST_DELAYS)
def _float(text: str) -> float:
    # Postfix writes plain decimals; float() would take `nan`, `1e999` and `1_0` as well.
    if not text.replace(".", "", 1).isdecimal() or not text.isascii() or len(text) > _LONGEST_LONG:
        raise ValueError
    return float(text)


def _signed(text: str) -> float:
    return -_float(text[1:]) if text.startswith("-") else _float(text)


def _signed_integer(text: str) -> int:
    return -_integer(text[1:]) if text.startswith("-") else _integer(text)


@lru_cache(maxsize=8_192)
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
# What filters call the same, so that it can be asked for; all else stays as they say it.
_FILTER_ACTIONS = {
    "clean": "accept",
    "requeue": "accept",
    "drop": "discard",
    "delete": "discard",
    "bcc to": "bcc",
}


def _filter_action(text: str) -> str:
    word = text.lower()
    return _FILTER_ACTIONS.get(word, word)


def _true(_: str) -> str:
    """What Logstash users make of a mark that is there (upstream's own mutate gsub)."""
    return "true"


_MARKS = (
    "postfix_requiretls",
    "postfix_requiretls_policy_violation",
    "postfix_requiretls_policy_undecided",
)

CONVERTERS: dict[str, Callable[[str], Value]] = {
    field.name: _signed if field.name in _SIGNED else _BY_TYPE[field.type]
    for field in FIELDS
    if field.type in _BY_TYPE
} | {"filter_action": _filter_action, **dict.fromkeys(_MARKS, _true)}
"""Conversion from the matched text, by field name; ValueError where the text does not fit."""

NAMES = frozenset(field.name for field in FIELDS)


def own_converters(fields: Iterable[Field]) -> dict[str, Callable[[str], Value]]:
    """The same for fields that users declare; any of their numbers may be below zero."""
    signed = {**_BY_TYPE, "integer": _signed_integer, "float": _signed}
    return {field.name: signed[field.type] for field in fields if field.type in signed}
