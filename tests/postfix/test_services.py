"""Every kind of line that the Postfix programs beside a mail's way write, and what is read from it.

The lines follow Postfix 2.8 to 3.11 (src/<program>/).  Expected names are without their `postfix_`.
"""

from typing import Any

import pytest

from mailingest.postfix.event import POSTFIX_SUCCESS
from mailingest.postfix.programs import PROGRAMS
from tests.postfix.test_patterns import (
    CLIENT,
    CLIENT_FIELDS,
    MX,
    MX_FIELDS,
    NOQUEUE,
    QID,
    line,
    parse,
    postfix_fields,
)

PEER = "[192.0.2.5]:4711"
PEER_FIELDS = {"client_ip": "192.0.2.5", "client_port": 4711}
PEER6 = "[2001:db8::5]:4711"
PEER6_FIELDS = {"client_ip": "2001:db8::5", "client_port": 4711}
SESSION = "from=<a@example.org>, to=<b@example.net>, proto=ESMTP, helo=<mail.example.org>"
SESSION_FIELDS = {
    "from": "a@example.org",
    "to": "b@example.net",
    "proto": "ESMTP",
    "helo": "mail.example.org",
}
REJECT = {**NOQUEUE, **PEER_FIELDS, "action": "reject"}
TIME = {"anvil_timestamp": "Nov 24 15:41:13"}

# The tables are set by hand: text and fields of a line close together.
# fmt: off
POSTSCREEN = [
    line("postscreen", "connect",
         f"CONNECT from {PEER} to [192.0.2.25]:25",
         {**PEER_FIELDS, "server_ip": "192.0.2.25", "server_port": 25}),
    line("postscreen", "connect: IPv6",
         f"CONNECT from {PEER6} to [2001:db8::25]:25",
         {**PEER6_FIELDS, "server_ip": "2001:db8::25", "server_port": 25}),
    line("postscreen", "connect: old Postfix",
         f"CONNECT from {PEER}", {**PEER_FIELDS}),
    *(
        line("postscreen", access, f"{access} {PEER}", {**PEER_FIELDS, "postscreen_access": access})
        for access in (
            *("PASS NEW", "PASS OLD", "ALLOWLISTED", "DENYLISTED", "WHITELISTED", "BLACKLISTED"),
            *("ALLOWLIST VETO", "WHITELIST VETO", "DISCONNECT"),
        )
    ),
    line("postscreen", "DNSBL rank",
         f"DNSBL rank 3 for {PEER}",
         {**PEER_FIELDS, "postscreen_violation": "DNSBL", "postscreen_dnsbl_rank": 3}),
    line("postscreen", "PREGREET",
         f"PREGREET 11 after 0.05 from {PEER6}: EHLO User\\r\\n",
         {**PEER6_FIELDS, "postscreen_violation": "PREGREET", "postscreen_violation_bytes": 11,
         "postscreen_violation_time": 0.05, "postscreen_data": "EHLO User\\r\\n"}),
    line("postscreen", "PREGREET: what is sent looks like a line",
         f"PREGREET 99 after 0 from {PEER}: PASS OLD [203.0.113.1]:1: from [203.0.113.2]:2",
         {**PEER_FIELDS, "postscreen_violation": "PREGREET", "postscreen_violation_bytes": 99,
         "postscreen_violation_time": 0.0,
         "postscreen_data": "PASS OLD [203.0.113.1]:1: from [203.0.113.2]:2"}),
    *(
        line("postscreen", f"HANGUP {when}",
             f"HANGUP after 63 from {PEER} in tests {when} SMTP handshake",
             {**PEER_FIELDS, "postscreen_violation": "HANGUP", "postscreen_violation_time": 63.0,
              "postscreen_tests": when})
        for when in ("before", "after")
    ),
    line("postscreen", "HANGUP: old Postfix",
         f"HANGUP after 0.4 from {PEER}",
         {**PEER_FIELDS, "postscreen_violation": "HANGUP", "postscreen_violation_time": 0.4}),
    *(
        line("postscreen", violation, f"{violation} from {PEER} after EHLO s.example.net",
             {**PEER_FIELDS, "postscreen_violation": violation,
              "smtp_stage": "EHLO s.example.net"})
        for violation in (
            *("BARE NEWLINE", "COMMAND TIME LIMIT", "COMMAND COUNT LIMIT", "COMMAND LENGTH LIMIT"),
        )
    ),
    *(
        line("postscreen", violation, f"{violation} from {PEER} after CONNECT: GET http://x/: HTTP",
             {**PEER_FIELDS, "postscreen_violation": violation, "smtp_stage": "CONNECT",
              "postscreen_data": "GET http://x/: HTTP"})
        for violation in ("NON-SMTP COMMAND", "COMMAND PIPELINING")
    ),
    line("postscreen", "a command that is junk",
         f"COMMAND PIPELINING from {PEER} after \\26\\3\\1 from [x]: y",
         {**PEER_FIELDS, "postscreen_violation": "COMMAND PIPELINING",
         "smtp_stage": "\\26\\3\\1 from [x]", "postscreen_data": "y"}),
    *(
        line("postscreen", f"{command} too early", f"{command} without valid RCPT from {PEER}",
             {**PEER_FIELDS, "postscreen_violation": "without valid RCPT", "smtp_stage": command})
        for command in ("DATA", "BDAT")
    ),
    line("postscreen", "reject",
         f"NOQUEUE: reject: RCPT from {PEER}: 550 5.5.1 Protocol error; {SESSION}",
         {**REJECT, **SESSION_FIELDS, "smtp_stage": "RCPT", "status_code": 550,
         "status_code_enhanced": "5.5.1", "status_message": "Protocol error"}),
    line("postscreen", "reject: by a DNS list",
         f"NOQUEUE: reject: RCPT from {PEER}: 550 5.7.1 Service unavailable; client [192.0.2.5] "
         f"blocked using zen.example.com; {SESSION}",
         {**REJECT, **SESSION_FIELDS, "smtp_stage": "RCPT", "status_code": 550,
         "status_code_enhanced": "5.7.1", "status_data": "192.0.2.5",
         "status_message": "blocked using zen.example.com"}),
    line("postscreen", "reject: values that look like the end",
         f"NOQUEUE: reject: RCPT from {PEER}: 450 4.3.2 Service currently unavailable; "
         'from=<"a>, to=<x>"@example.org>, to=<>, proto=SMTP, helo=<h>; from=<y>, to=<z>, '
         "proto=ESMTP, helo=<i>",
         {**REJECT, "smtp_stage": "RCPT", "status_code": 450, "status_code_enhanced": "4.3.2",
         "status_message": "Service currently unavailable", "from": '"a>, to=<x>"@example.org',
         "to": "", "proto": "SMTP",
         "helo": "h>; from=<y>, to=<z>, proto=ESMTP, helo=<i"}),
    *(
        line("postscreen", why, f"NOQUEUE: reject: CONNECT from {PEER}: {why}",
             {**REJECT, "smtp_stage": "CONNECT", "postscreen_toobusy_data": why})
        for why in ("too many connections", "all server ports busy")
    ),
    line("postscreen", "all screening ports busy",
         f"reject: connect from {PEER}: all screening ports busy",
         {**PEER_FIELDS, "action": "reject", "smtp_stage": "connect",
         "postscreen_toobusy_data": "all screening ports busy"}),
    *(
        line("postscreen", f"{what} stress mode", f"{what} STRESS mode with 91 connections",
             {"postscreen_stress": what, "postscreen_connections": 91})
        for what in ("entering", "leaving")
    ),
    *(
        line("postscreen", f"{kind} cleanup",
             f"cache btree:/var/lib/postfix/psc {kind} cleanup: retained=242 dropped=7 entries",
             {"postscreen_cleanup_type": kind, "postscreen_cache_retained": 242,
              "postscreen_cache_dropped": 7})
        for kind in ("full", "partial")
    ),
    line("postscreen", "EHLO keywords",
         f"{PEER}: discarding EHLO keywords: CHUNKING",
         {**PEER_FIELDS, "message": "discarding EHLO keywords: CHUNKING",
          "discarded_ehlo_keywords": "CHUNKING"}),
    line("postscreen", "a command filter",
         f'{PEER}: replacing command "HELP" with "NOOP"',
         {**PEER_FIELDS, "message": 'replacing command "HELP" with "NOOP"'}),
    line("postscreen", "a table has changed",
         "table cidr:/etc/postfix/psc has changed - finishing in the background",
         {"message": "table cidr:/etc/postfix/psc has changed - finishing in the background"}),
    line("postscreen", "an old setting",
         "using backwards-compatible default setting respectful_logging=no for client " + PEER,
         {"message": "using backwards-compatible default setting respectful_logging=no for "
         f"client {PEER}"}),
    line("postscreen", "a warning",
         "warning: getpeername: Transport endpoint is not connected -- dropping this connection",
         {"message_level": "warning",
         "message": "getpeername: Transport endpoint is not connected -- dropping this "
         "connection"}),
    line("dnsblog", "one result",
         "addr 192.0.2.5 listed by domain zen.example.com as 127.0.0.2",
         {"client_ip": "192.0.2.5", "dnsbl_domain": "zen.example.com",
         "dnsbl_result": "127.0.0.2"}),
    line("dnsblog", "several results, IPv6",
         "addr 2001:db8::5 listed by domain zen.example.com as 127.0.0.2 127.0.0.10",
         {"client_ip": "2001:db8::5", "dnsbl_domain": "zen.example.com",
         "dnsbl_result": "127.0.0.2 127.0.0.10"}),
    line("dnsblog", "a warning",
         "warning: dnsblog_query: lookup error for DNS query x: Host or domain name not found",
         {"message_level": "warning",
         "message": "dnsblog_query: lookup error for DNS query x: Host or domain name not "
         "found"}),
]
TLS = [
    line("tlsproxy", "connect from", f"CONNECT from {PEER}", {**PEER_FIELDS}),
    line("tlsproxy", "connect to", f"CONNECT to {MX}", {**MX_FIELDS}),
    line("tlsproxy", "disconnect: a client", f"DISCONNECT {PEER6}", {**PEER6_FIELDS}),
    line("tlsproxy", "disconnect: a server", f"DISCONNECT {MX}", {**MX_FIELDS}),
    line("tlsproxy", "TLS from a client",
         f"Anonymous TLS connection established from {PEER}: TLSv1.3 with cipher C (256/256 bits)",
         {**PEER_FIELDS, "tls_trustlevel": "Anonymous", "tls_version": "TLSv1.3",
         "tls_cipher": "C", "tls_cipher_size": "256/256"}),
    line("tlsproxy", "TLS to a server, with everything",
         f"Verified TLS connection reused to {MX} to mx.example.com: TLSv1.2 with cipher C "
         "(128/128 bits) key-exchange DHE (2048 bits) server-signature RSA-PSS (4096 bits raw "
         "public key) server-digest SHA256 client-signature ECDSA (prime256v1) client-digest "
         "SHA384",
         {**MX_FIELDS, "tls_trustlevel": "Verified", "tls_connection": "reused",
         "tls_sni": "mx.example.com", "tls_version": "TLSv1.2", "tls_cipher": "C",
         "tls_cipher_size": "128/128", "tls_key_exchange": "DHE",
         "tls_key_exchange_size": "2048", "tls_server_signature": "RSA-PSS",
         "tls_server_signature_size": "4096", "tls_server_key_type": "raw public key",
         "tls_server_digest": "SHA256", "tls_client_signature": "ECDSA",
         "tls_client_signature_curve": "prime256v1", "tls_client_digest": "SHA384"}),
    line("tlsproxy", "handshake fails: a client",
         f"TLS handshake failed for service=smtpd peer={PEER}",
         {**PEER_FIELDS, "message": "TLS handshake failed", "service": "smtpd"}),
    line("tlsproxy", "handshake fails: a server",
         f"TLS handshake failed for service=smtp peer={MX}",
         {**MX_FIELDS, "message": "TLS handshake failed", "service": "smtp"}),
    line("tlsproxy", "SSL_accept error",
         f"SSL_accept error from {PEER}: lost connection",
         {**PEER_FIELDS, "smtpd_lostconn_data": "SSL_accept error",
         "smtpd_lostconn_reason": "lost connection"}),
    line("tlsproxy", "SSL_connect error",
         f"SSL_connect error to {MX}: -1", {**MX_FIELDS, "smtp_lostconn_data": "-1"}),
    line("tlsproxy", "certificate",
         f"certificate verification failed for {MX}: self-signed certificate",
         {**MX_FIELDS, "tls_error": "self-signed certificate"}),
    line("tlsproxy", "certificate in words",
         f"{MX}: subject_CN=mx, issuer_CN=ca, fingerprint=AA:BB",
         {**MX_FIELDS, "message": "subject_CN=mx, issuer_CN=ca, fingerprint=AA:BB"}),
    line("smtpd", "TLS before 2.6",
         f"TLS connection established from {CLIENT}: TLSv1 with cipher ADH-AES256-SHA "
         "(256/256 bits)",
         {**CLIENT_FIELDS, "tls_version": "TLSv1", "tls_cipher": "ADH-AES256-SHA",
         "tls_cipher_size": "256/256"}),
    line("smtpd", "certificate",
         f"certificate verification failed for {CLIENT}: untrusted issuer /CN=x",
         {**CLIENT_FIELDS, "tls_error": "untrusted issuer /CN=x"}),
    line("smtpd", "certificate in words",
         f"{CLIENT}: Trusted: subject_CN=c, issuer=ca, fingerprint=AA",
         {**CLIENT_FIELDS, "message": "Trusted: subject_CN=c, issuer=ca, fingerprint=AA"}),
    line("smtpd", "TLS begins",
         f"setting up TLS connection from {CLIENT}",
         {**CLIENT_FIELDS, "message": "setting up TLS connection"}),
    line("smtpd", "another server name",
         f"TLS SNI x.example from {CLIENT} not matched, using default chain",
         {**CLIENT_FIELDS,
         "message": f"TLS SNI x.example from {CLIENT} not matched, using default chain"}),
    line("smtp", "TLS begins",
         f"setting up TLS connection to {MX}",
         {**MX_FIELDS, "message": "setting up TLS connection"}),
    line("smtp", "TLS is offered",
         "Host offered STARTTLS: [mx.example.net]",
         {"relay_hostname": "mx.example.net", "message": "Host offered STARTTLS"}),
    line("smtp", "certificate: the name is not that of the host",
         f"certificate peer name verification failed for {MX}: 2 dNSNames in certificate found",
         {**MX_FIELDS, "tls_error": "2 dNSNames in certificate found"}),
    line("smtp", "TLS 3.10: a report of success",
         "TLSRPT: status=success, domain=example.net, receiving_mx=mx.example.net[192.0.2.9]",
         {"tlsrpt_status": "success", "tlsrpt_domain": "example.net",
         "relay_hostname": "mx.example.net", "relay_ip": "192.0.2.9"}),
    line("smtp", "TLS 3.10: a report of failure",
         "TLSRPT: status=failure, domain=example.net, receiving_mx=mx.example.net[192.0.2.9], "
         "failure_type=starttls_not_supported, failure_reason=a, b",
         {"tlsrpt_status": "failure", "tlsrpt_domain": "example.net",
         "relay_hostname": "mx.example.net", "relay_ip": "192.0.2.9",
         "tlsrpt_failure_type": "starttls_not_supported", "tlsrpt_failure_reason": "a, b"}),
    line("posttls-finger", "TLS",
         f"Untrusted TLS connection established to {MX}: TLSv1.3 with cipher C (256/256 bits)",
         {**MX_FIELDS, "tls_trustlevel": "Untrusted", "tls_version": "TLSv1.3",
         "tls_cipher": "C", "tls_cipher_size": "256/256"}),
    line("posttls-finger", "a step", f"Connected to {MX}",
         {**MX_FIELDS, "message": f"Connected to {MX}"}),
    line("posttls-finger", "another one", "Server is anonymous",
         {"message": "Server is anonymous"}),
]
ANVIL = [
    *(
        line("anvil", what,
             f"statistics: max {what} rate 4/60s for (smtpd:192.0.2.5) at Nov 24 15:41:13",
             {**TIME, f"anvil_{name}_rate": 4, f"anvil_{name}_period": "60s", "service": "smtpd",
              "client_ip": "192.0.2.5"})
        for what, name in (
            *(("connection", "conn"), ("message", "message"), ("recipient", "recipient")),
            *(("newtls", "newtls"), ("auth", "auth")),
        )
    ),
    *(
        line("anvil", f"service and client: {service}, {client}",
             f"statistics: max connection count 2 for ({service}:{client}) at Nov 24 15:41:13",
             {**TIME, "anvil_conn_count": 2, "service": service, "client_ip": client})
        for service, client in (
            *(("smtp", "2001:db8::5"), ("25", "192.0.2.5"), ("127.0.0.1:2525", "127.0.0.1")),
            *(("127.0.0.1:2525", "2001:db8::5"), ("[::1]:25", "2001:db8:0:1::5")),
            *(("localhost:10025", "192.0.2.5"), ("localhost:10025", "2001:db8::5")),
        )
    ),
    line("anvil", "a client without address",
         "statistics: max connection rate 1/7d for (smtp:unknown) at Nov  4 15:41:13",
         {"anvil_conn_rate": 1, "anvil_conn_period": "7d", "service": "smtp",
         "client_ip_unknown": "unknown", "anvil_timestamp": "Nov  4 15:41:13"}),
    line("anvil", "cache",
         "statistics: max cache size 11 at Nov 24 15:41:13", {**TIME, "anvil_cache_size": 11}),
    *(
        line("scache", f"{kind} lookups",
             f"statistics: {kind} lookup hits=29 miss=110 success=20%",
             {"scache_lookup": kind, "scache_hits": 29, "scache_miss": 110, "scache_success": 20})
        for kind in ("domain", "address")
    ),
    line("scache", "most at the same time",
         "statistics: max simultaneous domains=4 addresses=5 connection=6",
         {"scache_domains": 4, "scache_addresses": 5, "scache_connection": 6}),
    line("scache", "begin",
         "statistics: start interval Nov 24 15:41:13", {"scache_timestamp": "Nov 24 15:41:13"}),
    line("verify", "cleanup",
         "cache lmdb:/var/lib/postfix/verify_cache partial cleanup: retained=724 dropped=6 entries",
         {"verify_cleanup_type": "partial", "verify_cache_retained": 724,
         "verify_cache_dropped": 6}),
]
SYSTEM = [
    *(
        line("master", what, f"{what} -- version 3.11.0, configuration /etc/postfix",
             {"message": what, "version": "3.11.0", "config_path": "/etc/postfix"})
        for what in ("daemon started", "reload")
    ),
    line("master", "the end",
         "terminating on signal 15", {"message": "terminating", "termination_signal": 15}),
    *(
        line("postfix-script", text, text, {"message": text})
        for text in (
            "starting the Postfix mail system",
            "stopping the Postfix mail system",
            "refreshing the Postfix mail system",
            "aborting the Postfix mail system",
            "waiting for the Postfix mail system to terminate",
            "the Postfix mail system is running: PID: 42",
            "the Postfix mail system is not running",
        )
    ),
    line("postlog", "what an operator writes", "upgrade done", {"message": "upgrade done"}),
    *(
        line("trivial-rewrite", text[:8], text, {"message": text})
        for text in (
            "using backwards-compatible default setting append_dot_mydomain=yes to rewrite x",
            "Postfix is running with backwards-compatible default settings",
            "See https://www.postfix.org/COMPATIBILITY_README.html for details",
            'To disable backwards compatibility use "postconf compatibility_level=3.6"',
        )
    ),
    line("postsuper", "a file",
         "renamed file incoming/A as incoming/B",
         {"message": "renamed file incoming/A as incoming/B"}),
    line("qmqpd", "connect", f"connect from {CLIENT}", {**CLIENT_FIELDS}),
    line("qmqpd", "disconnect", f"disconnect from {CLIENT}", {**CLIENT_FIELDS}),
    line("qmqpd", "accept", f"4F2A11E0ABC: client={CLIENT}", {**QID, **CLIENT_FIELDS}),
    line("qmqpd", "lost connection",
         f"4F2A11E0ABC: {CLIENT}: lost connection while receiving message content",
         {**QID, **CLIENT_FIELDS, "smtpd_lostconn_data": "lost connection",
         "smtpd_lostconn_reason": "receiving message content"}),
    line("oqmgr", "the queue manager of old",
         "4F2A11E0ABC: removed", {**QID, "message": "removed"}),
    line("bounce", "no notification",
         "4F2A11E0ABC: not sending trace/success notification for double-bounce message",
         {**QID,
         "message": "not sending trace/success notification for double-bounce message"}),
    line("smtp", "delivery before 2.3",
         f"4F2A11E0ABC: to=<b@example.net>, relay={MX}, delay=2, status=sent (250 Ok)",
         {**QID, **MX_FIELDS, "to": "b@example.net", "relay": MX, "delay": 2.0,
         "status": "sent", "smtp_response": "250 Ok"}),
    line("smtp", "PIX workaround before 2.4",
         f"4F2A11E0ABC: enabling PIX <CRLF>.<CRLF> workaround for {MX}",
         {**QID, **MX_FIELDS, "pix_workaround": "<CRLF>.<CRLF>"}),
    line("smtp", "cannot log in",
         "4F2A11E0ABC: SASL authentication failed; cannot authenticate to server "
         "mx.example.net[192.0.2.9]: no mechanism available",
         {**QID, "relay_hostname": "mx.example.net", "relay_ip": "192.0.2.9",
         "smtp_response": "no mechanism available"}),
    line("smtp", "Cyrus SASL",
         "SASL authentication info: x", {"message": "SASL authentication info: x"}),
    line("smtp", "no 8BITMIME",
         f"host {MX} offers SMTPUTF8 support, but not 8BITMIME",
         {**MX_FIELDS, "message": f"host {MX} offers SMTPUTF8 support, but not 8BITMIME"}),
    line("smtp", "no 8BITMIME for a mail",
         f"4F2A11E0ABC: host {MX} offers SMTPUTF8 support, but not 8BITMIME",
         {**QID, **MX_FIELDS, "message": f"host {MX} offers SMTPUTF8 support, but not 8BITMIME"}),
    line("smtp", "a reply filter",
         f'{MX}: replacing server reply "421 x" with "521 x"',
         {**MX_FIELDS, "message": 'replacing server reply "421 x" with "521 x"'}),
    line("smtp", "a warning about a server",
         f"warning: {MX}: non-ESMTP response", {**MX_FIELDS, "message_level": "warning",
         "message": "non-ESMTP response"}),
    line("smtpd", "ETRN",
         f"reject: ETRN example.net... from {CLIENT}",
         {**CLIENT_FIELDS, "action": "reject", "smtp_stage": "ETRN",
         "status_data": "example.net..."}),
    line("smtpd", "a command filter",
         f'{CLIENT}: replacing command "HELP" with "NOOP"',
         {**CLIENT_FIELDS, "message": 'replacing command "HELP" with "NOOP"'}),
    line("smtpd", "pipelining in a mail",
         f"4F2A11E0ABC: improper command pipelining after DATA from {CLIENT}: QUIT\\r\\n",
         {**QID, **CLIENT_FIELDS, "smtp_stage": "DATA", "improper_pipelining_data": "QUIT\\r\\n"}),
    line("smtpd", "login in a reject before 3.10",
         f"NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 <b@x>: Relay access denied; from=<a@x> "
         "to=<b@x> proto=ESMTP helo=<h> sasl_username=<user>",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "RCPT",
         "status_code": 554, "status_code_enhanced": "5.7.1", "status_data": "b@x",
         "status_message": "Relay access denied", "from": "a@x", "to": "b@x",
         "proto": "ESMTP", "helo": "h", "sasl_username": "user"}),
    line("smtpd", "warning: what is in brackets is no address",
         "warning: plugin[42]: gone", {"message_level": "warning", "message": "plugin[42]: gone"}),
    line("smtpd", "warning: names, IPv6",
         "warning: hostname x does not resolve to address 2001:db8::5",
         {"client_ip": "2001:db8::5", "message_level": "warning",
         "message": "hostname x does not resolve to address 2001:db8::5"}),
]
# fmt: on


@pytest.mark.parametrize(("tag", "text", "fields"), POSTSCREEN + TLS + ANVIL + SYSTEM)
def test_a_line(tag: str, text: str, fields: dict[str, Any]) -> None:
    event = parse(tag, text)
    found = postfix_fields(event)

    assert found == fields
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in fields.items()
    }
    assert event.fields["tags"] == [POSTFIX_SUCCESS]
    assert event.nomatch == ""


@pytest.mark.parametrize("tag", [program for program in PROGRAMS if program])
def test_every_program_may_warn_about_a_mail_or_not(tag: str) -> None:
    assert postfix_fields(parse(tag, "error: 4F2A11E0ABC: disk full")) == {
        **QID,
        "message_level": "error",
        "message": "disk full",
    }
    assert postfix_fields(parse(tag, "fatal: no such file: x")) == {
        "message_level": "fatal",
        "message": "no such file: x",
    }


@pytest.mark.parametrize("tag", [program for program in PROGRAMS if program])
def test_every_program_may_start_again_for_a_new_table(tag: str) -> None:
    text = "table hash:/etc/postfix/t(0,lock|fold_fix) has changed -- restarting"

    assert postfix_fields(parse(tag, text)) == {"message": text}
