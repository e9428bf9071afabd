"""Every kind of line that the Postfix daemons on a mail's way write, and what is read from it.

The lines follow Postfix 2.x to 3.11 (src/<daemon>/, global/log_adhoc.c, tls/tls_misc.c); names in
front of the ids tell daemon and version.  Expected names are without their `postfix_`.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.grok.definitions import parse_definitions
from mailingest.postfix.event import POSTFIX_SUCCESS, Event
from mailingest.postfix.parser import EventParser
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import moment_of

PATTERNS = Path(__file__).parents[2] / "patterns"
PARSER = EventParser(
    definition
    for path in sorted(PATTERNS.glob("postfix*.grok"))
    for definition in parse_definitions(path.name, path.read_text("utf-8"))
)


def parse(tag: str, text: str) -> Event:
    return PARSER.parse(Record(moment_of(0), "mx1", f"postfix/{tag}", "318", text, text))


def postfix_fields(event: Event) -> dict[str, Any]:
    return {
        name.removeprefix("postfix_"): value
        for name, value in event.fields.items()
        if name.startswith("postfix_")
    }


def line(tag: str, what: str, text: str, fields: dict[str, Any]) -> pytest.ParameterSet:
    return pytest.param(tag, text, fields, id=f"{tag.rpartition('/')[2]}: {what}")


def delays(total: float, *parts: float) -> dict[str, float]:
    names = ("before_qmgr", "in_qmgr", "conn_setup", "transmission")
    return {"delay": total} | {
        f"delay_{name}": part for name, part in zip(names, parts, strict=True)
    }


# What many lines have in common, as text and as fields.
QID = {"queueid": "4F2A11E0ABC"}
NOQUEUE = {"queueid": "NOQUEUE"}
CLIENT = "mail.example.org[192.0.2.5]"
CLIENT_FIELDS = {"client_hostname": "mail.example.org", "client_ip": "192.0.2.5"}
SESSION = "from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<mail.example.org>"
SESSION_FIELDS = {
    "from": "a@example.org",
    "to": "b@example.net",
    "proto": "ESMTP",
    "helo": "mail.example.org",
}
MX = "mx.example.net[192.0.2.9]:25"
MX_FIELDS = {"relay_hostname": "mx.example.net", "relay_ip": "192.0.2.9", "relay_port": 25}
MX_RELAY = {"relay": MX, **MX_FIELDS}
NO_RELAY = {"relay": "none", "relay_service": "none"}

# The tables are set by hand: text and fields of a line close together.
# fmt: off
DELIVERIES = [
    line("smtp", "handed over, both queue IDs long",
         f"4cbdb56t4MzPjfw: to=<b@example.net>, relay={MX}, delay=5.4, "
         "delays=0.08/0.01/3.5/1.9, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as "
         "4cbdb56t4MzPjfw)",
         {**MX_RELAY, **delays(5.4, 0.08, 0.01, 3.5, 1.9), "queueid": "4cbdb56t4MzPjfw",
         "to": "b@example.net", "dsn": "2.0.0", "status": "sent",
         "smtp_response": "250 2.0.0 Ok: queued as 4cbdb56t4MzPjfw",
         "remote_queueid": "4cbdb56t4MzPjfw"}),
    line("relay/smtp", "alias, underscore, IPv6, reused connection, the ID of an Exim",
         "4F2A11E0ABC: to=<b@example.net>, orig_to=<c@example.org>, "
         "relay=mx_1.example.net[2001:db8::25]:587, conn_use=3, delay=11, "
         "delays=5.4/0.06/5.1/0.03, dsn=2.0.0, status=sent (250 OK id=1tABCd-000000001aB-2cDe)",
         {**QID, **delays(11.0, 5.4, 0.06, 5.1, 0.03), "to": "b@example.net",
         "orig_to": "c@example.org", "relay": "mx_1.example.net[2001:db8::25]:587",
         "relay_hostname": "mx_1.example.net", "relay_ip": "2001:db8::25", "relay_port": 587,
         "conn_use": 3, "dsn": "2.0.0", "status": "sent",
         "smtp_response": "250 OK id=1tABCd-000000001aB-2cDe",
         "remote_queueid": "1tABCd-000000001aB-2cDe"}),
    line("smtp", "deferred before there is a relay",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=63495, delays=63350/144/0.1/0, "
         f"dsn=4.4.1, status=deferred (connect to {MX}: Connection timed out)",
         {**QID, **NO_RELAY, **delays(63495.0, 63350.0, 144.0, 0.1, 0.0),
         "to": "b@example.net", "dsn": "4.4.1", "status": "deferred",
         "smtp_response": f"connect to {MX}: Connection timed out"}),
    line("smtp", "bounced with a reply that looks like another delivery",
         f"4F2A11E0ABC: to=<b@example.net>, relay={MX}, delay=1.9, delays=0.05/0/1.1/0.71, "
         "dsn=5.7.1, status=bounced (host mx.example.net[192.0.2.9] said: 550-5.7.1 "
         "[2001:db8::2      12] Our system (see https://example.net/?a=b) 550 5.7.1 says no. "
         "to=<x>, status=sent (250 queued as 12345) (in reply to end of DATA command))",
         {**QID, **MX_RELAY, **delays(1.9, 0.05, 0.0, 1.1, 0.71), "to": "b@example.net",
         "dsn": "5.7.1", "status": "bounced",
         "smtp_response": "host mx.example.net[192.0.2.9] said: 550-5.7.1 [2001:db8::2      12] "
         "Our system (see https://example.net/?a=b) 550 5.7.1 says no. to=<x>, "
         "status=sent (250 queued as 12345) (in reply to end of DATA command)"}),
    line("smtp", "quoted addresses with delimiters inside",
         '4F2A11E0ABC: to=<"a>, relay=none, \\"quoted\\" name"@example.net>, orig_to=<"x '
         f'y"@example.net>, relay={MX}, delay=0.1, delays=0/0/0.1/0, dsn=2.0.0, status=sent '
         "(250 ok)",
         {**QID, **MX_RELAY, **delays(0.1, 0.0, 0.0, 0.1, 0.0),
         "to": '"a>, relay=none, \\"quoted\\" name"@example.net',
         "orig_to": '"x y"@example.net', "dsn": "2.0.0", "status": "sent",
         "smtp_response": "250 ok"}),
    line("smtp", "3.11: TLS level",
         f"4F2A11E0ABC: to=<b@example.net>, relay={MX}, delay=1, delays=0/0/1/0, tls=dane, "
         "dsn=2.0.0, status=sent (250 ok)",
         {**QID, **MX_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "tls_security_level": "dane", "dsn": "2.0.0", "status": "sent",
         "smtp_response": "250 ok"}),
    line("smtp", "3.11: TLS level and what it came down to",
         f"4F2A11E0ABC: to=<b@example.net>, relay={MX}, delay=1, delays=0/0/1/0, tls=may:none, "
         "dsn=2.0.0, status=sent (250 ok)",
         {**QID, **MX_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "tls_security_level": "may", "tls_downgrade_level": "none", "dsn": "2.0.0",
         "status": "sent", "smtp_response": "250 ok"}),
    line("smtp", "3.11: TLS policy violated",
         f"4F2A11E0ABC: to=<b@example.net>, relay={MX}, delay=1, delays=0/0/1/0, "
         "tls=dane/!requiretls:nostarttls, dsn=5.7.30, status=bounced (no)",
         {**QID, **MX_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "tls_security_level": "dane", "tls_policy_violated": "!", "tls_policy": "requiretls",
         "tls_policy_reason": "nostarttls", "requiretls": "true",
         "requiretls_policy_violation": "true", "requiretls_downgrade_level": "nostarttls",
         "dsn": "5.7.30", "status": "bounced", "smtp_response": "no"}),
    line("smtp", "3.11: TLS level undecided",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=1, delays=0/0/1/0, tls=dane?, "
         "dsn=4.4.1, status=deferred (no)",
         {**QID, **NO_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "tls_security_level": "dane", "tls_policy_undecided": "?", "dsn": "4.4.1",
         "status": "deferred", "smtp_response": "no"}),
    line("smtp", "3.11: TLS policy undecided",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=1, delays=0/0/1/0, "
         "tls=dane/requiretls?, dsn=4.4.1, status=deferred (no)",
         {**QID, **NO_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "tls_security_level": "dane", "tls_policy": "requiretls", "tls_policy_undecided": "?",
         "requiretls": "true", "requiretls_policy_undecided": "true",
         "dsn": "4.4.1", "status": "deferred", "smtp_response": "no"}),
    line("smtp", "3.11: a policy that is not REQUIRETLS",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=1, delays=0/0/1/0, "
         "tls=dane/!requiretls-ish:no?, dsn=4.4.1, status=deferred (no)",
         {**QID, **NO_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "tls_security_level": "dane", "tls_policy": "requiretls-ish", "tls_policy_violated": "!",
         "tls_policy_reason": "no", "tls_policy_undecided": "?", "dsn": "4.4.1",
         "status": "deferred", "smtp_response": "no"}),
    line("smtp", "TLS words of a later version do not spoil the line",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=1, delays=0/0/1/0, "
         "tls=NEW|forms, dsn=4.4.1, status=deferred (no)",
         {**QID, **NO_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "dsn": "4.4.1", "status": "deferred", "smtp_response": "no"}),
    line("smtp", "cut on its way within the text",
         f"4F2A11E0ABC: to=<b@example.net>, relay={MX}, delay=1, delays=0/0/1/0, dsn=2.0.0, "
         "status=sent (250 2.0.0 Ok: queu",
         {**QID, **MX_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "dsn": "2.0.0", "status": "sent", "smtp_response": "250 2.0.0 Ok: queu"}),
    line("smtp", "cut on its way before the text",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=1, delays=0/0/1/0, dsn=2.0.0, "
         "status=sen",
         {**QID, **NO_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "dsn": "2.0.0"}),
    line("smtp", "an address probe",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=1, delays=0/0/1/0, dsn=2.1.5, "
         "status=deliverable (250 2.1.5 Ok)",
         {**QID, **NO_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "b@example.net",
         "dsn": "2.1.5", "status": "deliverable", "smtp_response": "250 2.1.5 Ok"}),
    line("smtp", "an empty address and an empty text",
         "4F2A11E0ABC: to=<>, relay=none, delay=1, delays=0/0/1/0, dsn=4.3.0, "
         "status=SOFTBOUNCE ()",
         {**QID, **NO_RELAY, **delays(1.0, 0.0, 0.0, 1.0, 0.0), "to": "", "dsn": "4.3.0",
         "status": "SOFTBOUNCE", "smtp_response": ""}),
    line("lmtp", "through a socket",
         "4F2A11E0ABC: to=<b@example.net>, relay=mx1.example.com[private/dovecot-lmtp], "
         "delay=0.15, delays=0.04/0/0.02/0.08, dsn=2.0.0, status=sent (250 2.0.0 "
         "<b@example.net> qYyyBMsl9FRuZQAAA15QOA Saved)",
         {**QID, **delays(0.15, 0.04, 0.0, 0.02, 0.08), "to": "b@example.net",
         "relay": "mx1.example.com[private/dovecot-lmtp]",
         "relay_hostname": "mx1.example.com", "relay_service": "private/dovecot-lmtp",
         "dsn": "2.0.0", "status": "sent",
         "smtp_response": "250 2.0.0 <b@example.net> qYyyBMsl9FRuZQAAA15QOA Saved",
         "lmtp_session": "qYyyBMsl9FRuZQAAA15QOA"}),
    line("lmtp", "a filter that throws the mail away",
         "4F2A11E0ABC: to=<b@example.net>, relay=127.0.0.1[127.0.0.1]:10024, delay=3.6, "
         "delays=0.2/0.02/0.04/3.3, dsn=2.7.0, status=sent (250 2.7.0 Ok, discarded, "
         "id=01234-05)",
         {**QID, **delays(3.6, 0.2, 0.02, 0.04, 3.3), "to": "b@example.net",
         "relay": "127.0.0.1[127.0.0.1]:10024", "relay_hostname": "127.0.0.1",
         "relay_ip": "127.0.0.1", "relay_port": 10024, "dsn": "2.7.0", "status": "sent",
         "smtp_response": "250 2.7.0 Ok, discarded, id=01234-05",
         "remote_queueid": "01234-05", "disposition": "discarded"}),
    line("local", "a command",
         "4F2A11E0ABC: to=<user@example.org>, orig_to=<root>, relay=local, delay=0.07, "
         "delays=0.04/0/0/0.03, dsn=2.0.0, status=sent (delivered to command: procmail -a "
         '"$EXTENSION")',
         {**QID, **delays(0.07, 0.04, 0.0, 0.0, 0.03), "to": "user@example.org",
         "orig_to": "root", "relay": "local", "relay_service": "local", "dsn": "2.0.0",
         "status": "sent", "local_response": 'delivered to command: procmail -a "$EXTENSION"'}),
    line("local", "goes on under another queue ID",
         "4F2A11E0ABC: to=<user@example.org>, relay=local, delay=0.07, delays=0.04/0/0/0.03, "
         "dsn=2.0.0, status=sent (forwarded as 5A3B22F1BCD)",
         {**QID, **delays(0.07, 0.04, 0.0, 0.0, 0.03), "to": "user@example.org",
         "relay": "local", "relay_service": "local", "dsn": "2.0.0", "status": "sent",
         "local_response": "forwarded as 5A3B22F1BCD", "forwarded_queueid": "5A3B22F1BCD"}),
    line("local", "addresses of old without brackets, cut",
         "4F2A11E0ABC: to=user@example.org, orig_to=root, relay=local, delay=0.07, "
         "delays=0.04/0/0/0.03, dsn=2.0.0, status=sent (delivered to mailbox",
         {**QID, **delays(0.07, 0.04, 0.0, 0.0, 0.03), "to": "user@example.org",
         "orig_to": "root", "relay": "local", "relay_service": "local", "dsn": "2.0.0",
         "status": "sent", "local_response": "delivered to mailbox"}),
    line("virtual", "virtual",
         "4F2A11E0ABC: to=<b@example.net>, relay=virtual, delay=0.52, delays=0.51/0.01/0/0, "
         "dsn=2.0.0, status=sent (delivered to maildir)",
         {**QID, **delays(0.52, 0.51, 0.01, 0.0, 0.0), "to": "b@example.net",
         "relay": "virtual", "relay_service": "virtual", "dsn": "2.0.0", "status": "sent",
         "smtp_response": "delivered to maildir"}),
    line("pipe", "pipe",
         "4F2A11E0ABC: to=<b@example.net>, relay=dovecot, delay=4.3, delays=4.1/0.01/0/0.15, "
         "dsn=2.0.0, status=sent (delivered via dovecot service)",
         {**QID, **delays(4.3, 4.1, 0.01, 0.0, 0.15), "to": "b@example.net",
         "relay": "dovecot", "relay_service": "dovecot", "dsn": "2.0.0", "status": "sent",
         "pipe_response": "delivered via dovecot service"}),
    line("pipe", "bounced",
         "4F2A11E0ABC: to=<b@example.net>, relay=dovecot, delay=0.12, delays=0.03/0/0/0.08, "
         "dsn=5.4.6, status=bounced (mail forwarding loop for b@example.net)",
         {**QID, **delays(0.12, 0.03, 0.0, 0.0, 0.08), "to": "b@example.net",
         "relay": "dovecot", "relay_service": "dovecot", "dsn": "5.4.6", "status": "bounced",
         "pipe_response": "mail forwarding loop for b@example.net"}),
    line("error", "error",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=0.01, delays=0.01/0/0/0, "
         "dsn=5.1.1, status=undeliverable-but-not-cached (User unknown in virtual alias table)",
         {**QID, **NO_RELAY, **delays(0.01, 0.01, 0.0, 0.0, 0.0), "to": "b@example.net",
         "dsn": "5.1.1", "status": "undeliverable-but-not-cached",
         "error_response": "User unknown in virtual alias table"}),
    line("retry", "retry",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=63495, delays=63350/144/0/0, "
         "dsn=4.4.2, status=deferred (delivery temporarily suspended: lost connection with "
         "mx.example.net[192.0.2.9] while sending RCPT TO)",
         {**QID, **NO_RELAY, **delays(63495.0, 63350.0, 144.0, 0.0, 0.0),
         "to": "b@example.net", "dsn": "4.4.2", "status": "deferred",
         "error_response": "delivery temporarily suspended: lost connection with "
         "mx.example.net[192.0.2.9] while sending RCPT TO"}),
    line("discard", "discard",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=0.05, delays=0.05/0/0/0, "
         "dsn=2.0.0, status=sent (example.net)",
         {**QID, **NO_RELAY, **delays(0.05, 0.05, 0.0, 0.0, 0.0), "to": "b@example.net",
         "dsn": "2.0.0", "status": "sent", "smtp_response": "example.net",
         "disposition": "discarded"}),
    line("qmgr", "there is no such transport",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=0.02, delays=0/0.01/0/0, "
         "dsn=4.3.0, status=deferred (mail transport unavailable)",
         {**QID, **NO_RELAY, **delays(0.02, 0.0, 0.01, 0.0, 0.0), "to": "b@example.net",
         "dsn": "4.3.0", "status": "deferred", "smtp_response": "mail transport unavailable"}),
    line("cleanup", "an alias that does not end",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=0.02, delays=0.02/0/0/0, "
         "dsn=5.4.6, status=bounced (alias expansion failed)",
         {**QID, **NO_RELAY, **delays(0.02, 0.02, 0.0, 0.0, 0.0), "to": "b@example.net",
         "dsn": "5.4.6", "status": "bounced", "smtp_response": "alias expansion failed"}),
    line("bounce", "bounce",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=0.02, delays=0.02/0/0/0, "
         "dsn=5.0.0, status=bounced (no)",
         {**QID, **NO_RELAY, **delays(0.02, 0.02, 0.0, 0.0, 0.0), "to": "b@example.net",
         "dsn": "5.0.0", "status": "bounced", "smtp_response": "no"}),
    line("smtpd", "smtpd",
         "4F2A11E0ABC: to=<b@example.net>, relay=none, delay=0.02, delays=0.02/0/0/0, "
         "dsn=5.0.0, status=bounced (no)",
         {**QID, **NO_RELAY, **delays(0.02, 0.02, 0.0, 0.0, 0.0), "to": "b@example.net",
         "dsn": "5.0.0", "status": "bounced", "smtp_response": "no"}),
    line("my-transport", "a transport with a name of its own",
         f"4F2A11E0ABC: to=<b@example.net>, relay={MX}, delay=0.02, delays=0.02/0/0/0, "
         "dsn=2.0.0, status=sent (250 queued as 5A3B22F1BCD)",
         {**QID, **MX_RELAY, **delays(0.02, 0.02, 0.0, 0.0, 0.0), "to": "b@example.net",
         "dsn": "2.0.0", "status": "sent", "smtp_response": "250 queued as 5A3B22F1BCD",
         "remote_queueid": "5A3B22F1BCD"}),
    line("local", "local 3.6: passed on",
         "4F2A11E0ABC: passing <b@example.net> to transport=lmtp",
         {**QID, "to": "b@example.net", "transport": "lmtp"}),
    line("smtp", "3.6: passed on, a hostile address",
         '4F2A11E0ABC: passing <"a> to transport=x"@example.net> to transport=relay',
         {**QID, "to": '"a> to transport=x"@example.net', "transport": "relay"}),
]
QMGR = [
    line("qmgr", "active",
         "4F2A11E0ABC: from=<a@example.org>, size=460, nrcpt=1 (queue active)",
         {**QID, "from": "a@example.org", "size": 460, "nrcpt": 1}),
    line("qmgr", "active: the sender of bounces",
         "4F2A11E0ABC: from=<>, size=0, nrcpt=50 (queue active)",
         {**QID, "from": "", "size": 0, "nrcpt": 50}),
    line("qmgr", "active: a hostile sender",
         '4F2A11E0ABC: from=<"a>, size=1, nrcpt=1 (queue active)"@example.org>, size=460, '
         "nrcpt=2 (queue active)",
         {**QID, "from": '"a>, size=1, nrcpt=1 (queue active)"@example.org', "size": 460,
         "nrcpt": 2}),
    line("qmgr", "removed",
         "4F2A11E0ABC: removed",
         {**QID, "message": "removed"}),
    line("qmgr", "removed: a long queue ID",
         "4DnpgZ4fYLzKq1w: removed",
         {"queueid": "4DnpgZ4fYLzKq1w", "message": "removed"}),
    line("qmgr", "expired",
         "4F2A11E0ABC: from=<a@example.org>, status=expired, returned to sender",
         {**QID, "from": "a@example.org", "status": "expired"}),
    line("qmgr", "expired by an operator",
         "4F2A11E0ABC: from=<>, status=force-expired, returned to sender",
         {**QID, "from": "", "status": "force-expired"}),
    line("qmgr", "skipped",
         "4F2A11E0ABC: skipped, still being delivered",
         {**QID, "message": "skipped, still being delivered"}),
    line("qmgr", "a warning",
         "warning: mail for example.net is using up 4000 of 8000 active queue entries",
         {"message_level": "warning",
         "message": "mail for example.net is using up 4000 of 8000 active queue entries"}),
]
QUEUE = [
    line("pickup", "pickup",
         "4F2A11E0ABC: uid=0 from=<root>",
         {**QID, "uid": 0, "from": "root"}),
    line("pickup", "after postsuper -r",
         "4F2A11E0ABC: uid=1000 from=<a@example.org> orig_id=5A3B22F1BCD",
         {**QID, "uid": 1000, "from": "a@example.org", "orig_id": "5A3B22F1BCD"}),
    line("pickup", "a warning about a mail",
         "warning: 4F2A11E0ABC: message has been queued for 2 days",
         {**QID, "message_level": "warning", "message": "message has been queued for 2 days"}),
    line("cleanup", "message-id",
         "4F2A11E0ABC: message-id=<20261124.1541@example.org>",
         {**QID, "message-id": "20261124.1541@example.org"}),
    line("cleanup", "message-id: empty",
         "4F2A11E0ABC: message-id=<>",
         {**QID, "message-id": ""}),
    line("cleanup", "message-id: without brackets",
         "4F2A11E0ABC: message-id=no brackets, but blanks",
         {**QID, "message-id": "no brackets, but blanks"}),
    line("cleanup", "message-id: encoded",
         "4F2A11E0ABC: message-id==?UTF-8?B?PDE5?=",
         {**QID, "message-id": "=?UTF-8?B?PDE5?="}),
    line("cleanup", "message-id: cut by Postfix",
         "4F2A11E0ABC: message-id=<cut@exa",
         {**QID, "message-id": "cut@exa"}),
    line("cleanup", "message-id: with a comment",
         "4F2A11E0ABC: message-id=<a@example.org> (added by b)",
         {**QID, "message-id": "<a@example.org> (added by b)"}),
    line("cleanup", "resent-message-id",
         "4F2A11E0ABC: resent-message-id=<a@example.org>",
         {**QID, "resent-message-id": "a@example.org"}),
    line("cleanup", "resent-message-id: without brackets",
         "4F2A11E0ABC: resent-message-id=odd",
         {**QID, "resent-message-id": "odd"}),
    line("cleanup", "milter-reject",
         f"4F2A11E0ABC: milter-reject: END-OF-MESSAGE from {CLIENT}: 5.7.1 Blocked by "
         f"SpamAssassin; {SESSION}",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "smtp_stage": "END-OF-MESSAGE",
         "status_code_enhanced": "5.7.1", "status_message": "Blocked by SpamAssassin",
         "milter_result": "reject",
         "milter_message": f"END-OF-MESSAGE from {CLIENT}: 5.7.1 Blocked by SpamAssassin"}),
    line("cleanup", "milter-hold",
         f"4F2A11E0ABC: milter-hold: END-OF-MESSAGE from {CLIENT}: milter triggers HOLD "
         f"action; {SESSION}",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "smtp_stage": "END-OF-MESSAGE",
         "milter_result": "hold",
         "milter_message": f"END-OF-MESSAGE from {CLIENT}: milter triggers HOLD action"}),
    line("cleanup", "milter-discard",
         f"4F2A11E0ABC: milter-discard: END-OF-MESSAGE from {CLIENT}: milter triggers DISCARD "
         f"action; {SESSION}",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "smtp_stage": "END-OF-MESSAGE",
         "milter_result": "discard",
         "milter_message": f"END-OF-MESSAGE from {CLIENT}: milter triggers DISCARD action"}),
    line("cleanup", "milter-header-redirect: a header that looks like the end",
         "4F2A11E0ABC: milter-header-redirect: header X-Spam-Status: Yes, score=39.3; "
         f"from=<x> from {CLIENT}; {SESSION}: c@example.com",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "milter_result": "header-redirect",
         "milter_message": f"header X-Spam-Status: Yes, score=39.3; from=<x> from {CLIENT}",
         "milter_data": "c@example.com"}),
    *(
        line("cleanup", f"header check: {action}",
             f"4F2A11E0ABC: {action}: header Subject: x from local; "
             "from=<a@example.org> to=<b@example.net>: why",
             {**QID, "action": action, "message": "header Subject: x from local",
              "from": "a@example.org", "to": "b@example.net", "status_message": "why"})
        for action in (
            *("reject", "filter", "pass", "discard", "hold", "delay", "replace", "redirect"),
            *("bcc", "strip", "ignore"),
        )
    ),
    line("cleanup", "header check: prepend",
         f"4F2A11E0ABC: prepend: header Subject: x from {CLIENT}; {SESSION}: X-Seen: y",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "action": "prepend",
         "message": f"header Subject: x from {CLIENT}", "prepend_type": "header",
         "prepend_trigger": "Subject: x", "prepend_value": "X-Seen: y"}),
    line("cleanup", "header check: prepend, mail from pickup",
         "4F2A11E0ABC: prepend: body x from local; from=<a@example.org> to=<b@example.net>: y",
         {**QID, "action": "prepend", "message": "body x from local", "prepend_type": "body",
         "prepend_trigger": "x", "from": "a@example.org", "to": "b@example.net",
         "prepend_value": "y"}),
    line("cleanup", "a mail that is no MIME",
         "4F2A11E0ABC: reject: mime-error MIME nesting exceeds safety limit: multipart from "
         f"{CLIENT}; from=<a@example.org> to=<b@example.net>",
         {**QID, **CLIENT_FIELDS, "action": "reject",
         "message": "mime-error MIME nesting exceeds safety limit: multipart from "
         f"{CLIENT}", "from": "a@example.org", "to": "b@example.net"}),
    line("cleanup", "header check: info",
         f"4F2A11E0ABC: info: header Subject: =?UTF-8?B?SU5W?= from {CLIENT}; {SESSION}",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "message_level": "info",
         "message": f"header Subject: =?UTF-8?B?SU5W?= from {CLIENT}"}),
    line("cleanup", "header check: a header that looks like the end",
         "4F2A11E0ABC: warning: header Subject: Hello; from=<fake@x> to=<y@z> proto=ESMTP "
         f"helo=<h> status=sent from {CLIENT}; {SESSION}: odd subject",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "message_level": "warning",
         "message": "header Subject: Hello; from=<fake@x> to=<y@z> proto=ESMTP helo=<h> "
         f"status=sent from {CLIENT}", "status_message": "odd subject"}),
    line("cleanup", "body check: a sender that looks like the end",
         f'4F2A11E0ABC: reject: body http://example.net/?a=b; c from {CLIENT}; from=<"; '
         'from=<x> to=<y>"@example.org> to=<b@example.net> proto=SMTP helo=<h>',
         {**QID, **CLIENT_FIELDS, "action": "reject",
         "message": f"body http://example.net/?a=b; c from {CLIENT}",
         "from": '"; from=<x> to=<y>"@example.org', "to": "b@example.net", "proto": "SMTP",
         "helo": "h"}),
    line("cleanup", "3.10: removed (canceled)",
         "4F2A11E0ABC: removed (canceled)",
         {**QID, "message": "removed (canceled)"}),
    line("cleanup", "3.10: removed (discarded)",
         "4F2A11E0ABC: removed (discarded)",
         {**QID, "message": "removed (discarded)"}),
    line("cleanup", "a warning about a mail",
         "warning: 4F2A11E0ABC: sender_canonical_maps map lookup problem for a@example.org -- "
         "message not accepted, try again later",
         {**QID, "message_level": "warning",
         "refusal": "sender_canonical_maps map lookup problem for a@example.org",
         "message": "sender_canonical_maps map lookup problem for a@example.org -- message "
         "not accepted, try again later"}),
    line("bounce", "to the sender",
         "4F2A11E0ABC: sender non-delivery notification: 5A3B22F1BCD",
         {**QID, "bounce_recipient": "sender", "bounce_reason": "non-delivery",
         "bounce_queueid": "5A3B22F1BCD"}),
    line("bounce", "to the postmaster",
         "4F2A11E0ABC: postmaster non-delivery notification: 5A3B22F1BCD",
         {**QID, "bounce_recipient": "postmaster", "bounce_reason": "non-delivery",
         "bounce_queueid": "5A3B22F1BCD"}),
    line("bounce", "success",
         "4F2A11E0ABC: sender delivery status notification: 4DnpgZ4fYLzKq1w",
         {**QID, "bounce_recipient": "sender", "bounce_reason": "delivery status",
         "bounce_queueid": "4DnpgZ4fYLzKq1w"}),
    line("bounce", "delay",
         "4F2A11E0ABC: sender delay notification: 5A3B22F1BCD",
         {**QID, "bounce_recipient": "sender", "bounce_reason": "delay",
         "bounce_queueid": "5A3B22F1BCD"}),
    line("bounce", "bounce 3.11: failed",
         "warning: 4F2A11E0ABC: sender notification failed to a@example.org: queue file write "
         "error",
         {**QID, "message_level": "warning",
         "message": "sender notification failed to a@example.org: queue file write error"}),
    line("bounce", "given up",
         "warning: 4F2A11E0ABC: undeliverable postmaster notification discarded",
         {**QID, "message_level": "warning",
         "message": "undeliverable postmaster notification discarded"}),
    *(
        line("postsuper", action, f"4F2A11E0ABC: {action}", {**QID, "postsuper_action": action})
        for action in ("removed", "requeued", "placed on hold", "released from hold", "expired")
    ),
    *(
        line("postsuper", f"{action}: {count}", f"{action}: {count} message{'s' * (count != 1)}",
             {"postsuper_summary_action": action, "postsuper_summary_count": count})
        for action, count in (
            *(("Deleted", 115), ("Requeued", 1), ("Placed on hold", 2), ("Released from hold", 0)),
            *(("Force-expired", 1), ("Renamed to match inode number", 3)),
        )
    ),
    line("postsuper", "an error",
         "fatal: usage: postsuper -d queue_id",
         {"message_level": "fatal", "message": "usage: postsuper -d queue_id"}),
]
SMTPD = [
    line("smtpd", "connect",
         f"connect from {CLIENT}",
         {**CLIENT_FIELDS}),
    line("submission/smtpd", "connect: IPv6 with port, a service of its own name",
         "connect from unknown[2001:db8::5]:49152",
         {"client_hostname": "unknown", "client_ip": "2001:db8::5", "client_port": 49152}),
    line("smtpd", "connect: the client is gone",
         "connect from unknown[unknown]",
         {"client_hostname": "unknown", "client_ip_unknown": "unknown"}),
    line("smtpd", "connect: underscore",
         "connect from under_score.example.org[192.0.2.5]",
         {"client_hostname": "under_score.example.org", "client_ip": "192.0.2.5"}),
    line("smtpd", "disconnect: old Postfix",
         f"disconnect from {CLIENT}",
         {**CLIENT_FIELDS}),
    line("smtpd", "disconnect: counters",
         f"disconnect from {CLIENT} ehlo=2 starttls=1 auth=0/1 mail=1 rcpt=0/1 data=0/1 bdat=2 "
         "quit=1 commands=5/7",
         {**CLIENT_FIELDS, "cmd_ehlo": 2, "cmd_starttls": 1, "cmd_auth_accepted": 0,
         "cmd_auth": 1, "cmd_mail": 1, "cmd_rcpt_accepted": 0, "cmd_rcpt": 1,
         "cmd_data_accepted": 0, "cmd_data": 1, "cmd_bdat": 2, "cmd_quit": 1,
         "cmd_count_accepted": 5, "cmd_count": 7}),
    line("smtpd", "disconnect: any counter in any order",
         f"disconnect from {CLIENT} unknown=0/2 help=1 etrn=1 vrfy=1 noop=1 rset=1 xforward=3 "
         "xclient=1 helo=1 commands=11/13",
         {**CLIENT_FIELDS, "cmd_unknown_accepted": 0, "cmd_unknown": 2, "cmd_helo": 1,
         "cmd_xclient": 1, "cmd_xforward": 3, "cmd_rset": 1, "cmd_noop": 1, "cmd_vrfy": 1,
         "cmd_etrn": 1, "cmd_help": 1, "cmd_count_accepted": 11, "cmd_count": 13}),
    line("smtpd", "disconnect: a counter that nobody knows",
         f"disconnect from {CLIENT} ehlo=1 brandnew=1/2 commands=2/3",
         {**CLIENT_FIELDS, "cmd_ehlo": 1, "cmd_count_accepted": 2, "cmd_count": 3}),
    line("smtpd", "accept",
         f"4F2A11E0ABC: client={CLIENT}",
         {**QID, **CLIENT_FIELDS}),
    line("smtps/smtpd", "accept: logged in",
         "4F2A11E0ABC: client=unknown[192.0.2.5]:49152, sasl_method=PLAIN, "
         "sasl_username=user@example.org",
         {**QID, "client_hostname": "unknown", "client_ip": "192.0.2.5", "client_port": 49152,
         "sasl_method": "PLAIN", "sasl_username": "user@example.org"}),
    line("smtpd", "accept: everything, from a filter",
         "4F2A11E0ABC: client=localhost[127.0.0.1], sasl_method=LOGIN, sasl_username=a, b, "
         f"sasl_sender=c d, orig_queue_id=5A3B22F1BCD, orig_client={CLIENT}",
         {**QID, "client_hostname": "localhost", "client_ip": "127.0.0.1",
         "sasl_method": "LOGIN", "sasl_username": "a, b", "sasl_sender": "c d",
         "orig_queueid": "5A3B22F1BCD", "orig_client_hostname": "mail.example.org",
         "orig_client_ip": "192.0.2.5"}),
    line("smtpd", "accept: XFORWARD without address",
         "4F2A11E0ABC: client=localhost[127.0.0.1], orig_client=unknown[unknown]",
         {**QID, "client_hostname": "localhost", "client_ip": "127.0.0.1",
         "orig_client_hostname": "unknown"}),
    line("smtpd", "accept: before-queue filter",
         f"NOQUEUE: client={CLIENT}",
         {**NOQUEUE, **CLIENT_FIELDS}),
    line("smtpd", "reject: RCPT",
         f"NOQUEUE: reject: RCPT from {CLIENT}: 550 5.1.1 <b@example.net>: Recipient address "
         f"rejected: User unknown in virtual mailbox table; {SESSION}",
         {**NOQUEUE, **CLIENT_FIELDS, **SESSION_FIELDS, "action": "reject",
         "smtp_stage": "RCPT", "status_code": 550, "status_code_enhanced": "5.1.1",
         "status_data": "b@example.net",
         "status_message": "Recipient address rejected: User unknown in virtual mailbox table"}),
    line("smtpd", "reject: RCPT of an accepted mail",
         f"4F2A11E0ABC: reject: RCPT from {CLIENT}: 450 4.1.2 <b@example.net>: Recipient "
         f"address rejected: Domain not found; {SESSION}",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "action": "reject", "smtp_stage": "RCPT",
         "status_code": 450, "status_code_enhanced": "4.1.2", "status_data": "b@example.net",
         "status_message": "Recipient address rejected: Domain not found"}),
    line("smtpd", "reject: semicolons in the text, 3.10 login",
         f"NOQUEUE: reject: RCPT from {CLIENT}: 554 5.7.1 Service unavailable; Client host "
         "[192.0.2.5] blocked using zen.example.net; https://example.net/?ip=192.0.2.5; "
         f"{SESSION} sasl_method=PLAIN sasl_username=a b sasl_sender=c",
         {**NOQUEUE, **CLIENT_FIELDS, **SESSION_FIELDS, "action": "reject",
         "smtp_stage": "RCPT", "status_code": 554, "status_code_enhanced": "5.7.1",
         "status_data": "192.0.2.5",
         "status_message": "blocked using zen.example.net; https://example.net/?ip=192.0.2.5",
         "sasl_method": "PLAIN", "sasl_username": "a b", "sasl_sender": "c"}),
    line("smtpd", "reject: MAIL, neither sender nor recipient",
         f"NOQUEUE: reject: MAIL from {CLIENT}: 552 5.3.4 Message size exceeds fixed limit; "
         "proto=ESMTP helo=<mail.example.org>",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "MAIL",
         "status_code": 552, "status_code_enhanced": "5.3.4",
         "status_message": "Message size exceeds fixed limit", "proto": "ESMTP",
         "helo": "mail.example.org"}),
    line("smtpd", "reject: CONNECT",
         f"NOQUEUE: reject: CONNECT from {CLIENT}: 554 5.7.1 <{CLIENT}>: Client host rejected: "
         "Access denied; proto=SMTP",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "CONNECT",
         "status_code": 554, "status_code_enhanced": "5.7.1", "status_data": f"{CLIENT}",
         "status_message": "Client host rejected: Access denied", "proto": "SMTP"}),
    line("smtpd", "reject: EHLO",
         f"NOQUEUE: reject: EHLO from {CLIENT}: 501 5.5.2 <w?rld>: Helo command rejected: "
         "Invalid name; proto=SMTP helo=<w?rld>",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "EHLO",
         "status_code": 501, "status_code_enhanced": "5.5.2", "status_data": "w?rld",
         "status_message": "Helo command rejected: Invalid name", "proto": "SMTP",
         "helo": "w?rld"}),
    line("smtpd", "reject: END-OF-MESSAGE",
         f"4F2A11E0ABC: reject: END-OF-MESSAGE from {CLIENT}: 550 5.7.1 <END-OF-MESSAGE>: "
         f"End-of-data rejected: no; {SESSION}",
         {**QID, **CLIENT_FIELDS, **SESSION_FIELDS, "action": "reject",
         "smtp_stage": "END-OF-MESSAGE", "status_code": 550, "status_code_enhanced": "5.7.1",
         "status_data": "END-OF-MESSAGE", "status_message": "End-of-data rejected: no"}),
    line("smtpd", "reject: DATA, the sender of bounces",
         f"4F2A11E0ABC: reject: DATA from {CLIENT}: 554 5.5.1 <DATA>: Data command rejected: "
         "Multi-recipient bounce; from=<> proto=ESMTP helo=<mail.example.org>",
         {**QID, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "DATA", "status_code": 554,
         "status_code_enhanced": "5.5.1", "status_data": "DATA",
         "status_message": "Data command rejected: Multi-recipient bounce", "from": "",
         "proto": "ESMTP", "helo": "mail.example.org"}),
    line("smtpd", "reject: VRFY",
         f"NOQUEUE: reject: VRFY from {CLIENT}: 454 4.7.1 <b@example.net>: Relay access "
         "denied; to=<b@example.net> proto=SMTP helo=<me>",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "VRFY",
         "status_code": 454, "status_code_enhanced": "4.7.1", "status_data": "b@example.net",
         "status_message": "Relay access denied", "to": "b@example.net", "proto": "SMTP",
         "helo": "me"}),
    line("smtpd", "reject: a recipient that looks like the end",
         f'NOQUEUE: reject: RCPT from {CLIENT}: 550 5.1.1 <"; from=<x> to=<y> proto=SMTP '
         'helo=<z>"@example.net>: Recipient address rejected; from=<a@example.org> to=<"; '
         'from=<x> to=<y> proto=SMTP helo=<z>"@example.net> proto=ESMTP '
         "helo=<mail.example.org>",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "RCPT",
         "status_code": 550, "status_code_enhanced": "5.1.1",
         "status_data": '"; from=<x> to=<y> proto=SMTP helo=<z>"@example.net',
         "status_message": "Recipient address rejected", "from": "a@example.org",
         "to": '"; from=<x> to=<y> proto=SMTP helo=<z>"@example.net', "proto": "ESMTP",
         "helo": "mail.example.org"}),
    line("smtpd", "reject: cut on its way",
         f"NOQUEUE: reject: RCPT from {CLIENT}: 550 5.1.1 <b@example.net>: Recipient address "
         "rejected: User unkn",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "reject", "smtp_stage": "RCPT",
         "status_code": 550, "status_code_enhanced": "5.1.1", "status_data": "b@example.net",
         "status_message": "Recipient address rejected: User unkn"}),
    line("smtpd", "reject_warning",
         f"NOQUEUE: reject_warning: RCPT from {CLIENT}: 553 5.7.1 <a@example.org>: Sender "
         f"address rejected: not owned by user x; {SESSION}",
         {**NOQUEUE, **CLIENT_FIELDS, **SESSION_FIELDS, "action": "reject_warning",
         "smtp_stage": "RCPT", "status_code": 553, "status_code_enhanced": "5.7.1",
         "status_data": "a@example.org",
         "status_message": "Sender address rejected: not owned by user x"}),
    line("smtpd", "milter-reject: RCPT",
         f"NOQUEUE: milter-reject: RCPT from {CLIENT}: 451 4.7.1 Greylisting in action, please "
         f"come back later; {SESSION}",
         {**NOQUEUE, **CLIENT_FIELDS, **SESSION_FIELDS, "action": "milter-reject",
         "smtp_stage": "RCPT", "status_code": 451, "status_code_enhanced": "4.7.1",
         "status_message": "Greylisting in action, please come back later"}),
    *(
        line("smtpd", f"action: {action}",
             f"NOQUEUE: {action}: RCPT from {CLIENT}: <b@example.net>: why; {SESSION}",
             {**NOQUEUE, **CLIENT_FIELDS, **SESSION_FIELDS, "action": action, "smtp_stage": "RCPT",
              "status_data": "b@example.net", "status_message": "why"})
        for action in (
            *("permit", "hangup", "info", "warn", "filter", "hold", "delay", "discard"),
            *("redirect", "bcc", "prepend", "some-later_word"),
        )
    ),
    line("smtpd", "abort",
         f"NOQUEUE: abort: TLS from {CLIENT}: No client certificate presented",
         {**NOQUEUE, **CLIENT_FIELDS, "action": "abort", "smtp_stage": "TLS",
         "message": "No client certificate presented"}),
    line("smtpd", "proxy-accept: the queue ID behind the filter",
         "proxy-accept: END-OF-MESSAGE: 250 2.0.0 from MTA(smtp:[127.0.0.1]:10013): 250 2.0.0 "
         f"Ok: queued as 5A3B22F1BCD; {SESSION}",
         {**SESSION_FIELDS, "proxy_result": "accept", "proxy_smtp_stage": "END-OF-MESSAGE",
         "proxy_message": "250 2.0.0 from MTA(smtp:[127.0.0.1]:10013): 250 2.0.0 Ok: queued as "
         "5A3B22F1BCD", "proxy_status_code": 250,
         "proxy_status_code_enhanced": "2.0.0", "remote_queueid": "5A3B22F1BCD"}),
    line("smtpd", "proxy-reject",
         f"proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=01234-05 - spam; {SESSION}",
         {**SESSION_FIELDS, "proxy_result": "reject", "proxy_smtp_stage": "END-OF-MESSAGE",
         "proxy_message": "554 5.7.0 Reject, id=01234-05 - spam", "proxy_status_code": 554,
         "proxy_status_code_enhanced": "5.7.0"}),
    line("smtpd", "proxy-reject: no word from the filter",
         f"proxy-reject: END-OF-MESSAGE: ; {SESSION}",
         {**SESSION_FIELDS, "proxy_result": "reject", "proxy_smtp_stage": "END-OF-MESSAGE",
         "proxy_message": ""}),
    line("smtpd", "lost connection: within a mail",
         f"lost connection after DATA (7774180 bytes) from {CLIENT}",
         {**CLIENT_FIELDS, "smtpd_lostconn_data": "lost connection", "smtp_stage": "DATA",
         "lostconn_bytes": 7774180}),
    line("smtpd", "lost connection: before a word",
         "lost connection after CONNECT from unknown[unknown]",
         {"smtpd_lostconn_data": "lost connection", "smtp_stage": "CONNECT",
         "client_hostname": "unknown", "client_ip_unknown": "unknown"}),
    line("smtpd", "timeout",
         f"timeout after END-OF-MESSAGE from {CLIENT}",
         {**CLIENT_FIELDS, "smtpd_lostconn_data": "timeout", "smtp_stage": "END-OF-MESSAGE"}),
    line("smtpd", "too many errors",
         f"too many errors after RCPT from {CLIENT}",
         {**CLIENT_FIELDS, "smtpd_lostconn_data": "too many errors", "smtp_stage": "RCPT"}),
    line("smtpd", "a bare line feed",
         f"bare <LF> received after DATA from {CLIENT}",
         {**CLIENT_FIELDS, "smtpd_lostconn_data": "bare <LF> received", "smtp_stage": "DATA"}),
    line("smtpd", "3.10: lost connection of a mail",
         f"4F2A11E0ABC: lost connection after DATA (12 bytes) from {CLIENT}",
         {**QID, **CLIENT_FIELDS, "smtpd_lostconn_data": "lost connection",
         "smtp_stage": "DATA", "lostconn_bytes": 12}),
    line("smtpd", "3.10: timeout without a mail",
         f"NOQUEUE: timeout after RCPT from {CLIENT}",
         {**NOQUEUE, **CLIENT_FIELDS, "smtpd_lostconn_data": "timeout", "smtp_stage": "RCPT"}),
    line("smtpd", "improper pipelining",
         f"improper command pipelining after EHLO from {CLIENT}: MAIL FROM:<>\\nRCPT TO:<b>\\n",
         {**CLIENT_FIELDS, "smtp_stage": "EHLO",
         "improper_pipelining_data": "MAIL FROM:<>\\nRCPT TO:<b>\\n"}),
    line("smtpd", "improper pipelining: old Postfix",
         f"improper command pipelining after DATA from {CLIENT}",
         {**CLIENT_FIELDS, "smtp_stage": "DATA"}),
    line("smtpd", "TLS handshake fails",
         f"SSL_accept error from {CLIENT}: lost connection",
         {**CLIENT_FIELDS, "smtpd_lostconn_data": "SSL_accept error",
         "smtpd_lostconn_reason": "lost connection"}),
    line("smtpd", "TLS: usual",
         f"Anonymous TLS connection established from {CLIENT}: TLSv1.3 with cipher "
         "TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS "
         "(2048 bits) server-digest SHA256",
         {**CLIENT_FIELDS, "tls_trustlevel": "Anonymous", "tls_version": "TLSv1.3",
         "tls_cipher": "TLS_AES_256_GCM_SHA384", "tls_cipher_size": "256/256",
         "tls_key_exchange": "X25519", "tls_server_signature": "RSA-PSS",
         "tls_server_signature_size": "2048", "tls_server_digest": "SHA256"}),
    line("smtpd", "TLS: server name, curves, client certificate",
         f"Trusted TLS connection established from {CLIENT} to mx1.example.com: TLSv1.3 with "
         "cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange ECDHE (P-256) "
         "server-signature ECDSA (prime256v1) server-digest SHA256 client-signature RSA-PSS "
         "(4096 bits) client-digest SHA512",
         {**CLIENT_FIELDS, "tls_trustlevel": "Trusted", "tls_sni": "mx1.example.com",
         "tls_version": "TLSv1.3",
         "tls_cipher": "TLS_AES_256_GCM_SHA384", "tls_cipher_size": "256/256",
         "tls_key_exchange": "ECDHE", "tls_key_exchange_curve": "P-256",
         "tls_server_signature": "ECDSA", "tls_server_signature_curve": "prime256v1",
         "tls_server_digest": "SHA256", "tls_client_signature": "RSA-PSS",
         "tls_client_signature_size": "4096", "tls_client_digest": "SHA512"}),
    line("smtpd", "TLS: reused, raw public keys, no digests",
         f"Untrusted TLS connection reused from {CLIENT}: TLSv1.3 with cipher X (128/256 bits) "
         "key-exchange X25519MLKEM768 server-signature ed25519 (raw public key) "
         "client-signature ECDSA (P-384 raw public key)",
         {**CLIENT_FIELDS, "tls_trustlevel": "Untrusted", "tls_connection": "reused",
         "tls_version": "TLSv1.3",
         "tls_cipher": "X", "tls_cipher_size": "128/256",
         "tls_key_exchange": "X25519MLKEM768", "tls_server_signature": "ed25519",
         "tls_server_key_type": "raw public key", "tls_client_signature": "ECDSA",
         "tls_client_signature_curve": "P-384", "tls_client_key_type": "raw public key"}),
    line("smtpd", "warning: names",
         "warning: hostname mail.example.org does not resolve to address 192.0.2.5: Name or "
         "service not known",
         {"client_ip": "192.0.2.5", "message_level": "warning",
         "message": "hostname mail.example.org does not resolve to address 192.0.2.5: Name "
         "or service not known"}),
    line("smtpd", "warning: login fails",
         f"warning: {CLIENT}: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
         {**CLIENT_FIELDS, "message_level": "warning",
         "message": "SASL LOGIN authentication failed: UGFzc3dvcmQ6"}),
    line("smtpd", "warning 3.8: login fails, with its name",
         f"warning: {CLIENT}: SASL PLAIN authentication failed: (reason unavailable), "
         "sasl_username=user, x",
         {**CLIENT_FIELDS, "message_level": "warning",
         "message": "SASL PLAIN authentication failed: (reason unavailable), "
         "sasl_username=user, x", "sasl_username": "user, x"}),
    line("smtpd", "warning: rate limit",
         f"warning: Connection rate limit exceeded: 61 from {CLIENT} for service smtp",
         {**CLIENT_FIELDS, "service": "smtp", "message_level": "warning",
         "refusal": "Connection rate limit exceeded",
         "message": f"Connection rate limit exceeded: 61 from {CLIENT} for service smtp"}),
    line("smtpd", "warning: not SMTP",
         f"warning: non-SMTP command from {CLIENT}: GET / HTTP/1.1",
         {**CLIENT_FIELDS, "message_level": "warning",
         "message": f"non-SMTP command from {CLIENT}: GET / HTTP/1.1"}),
    line("smtpd", "warning: about a mail",
         "warning: 4F2A11E0ABC: queue file size limit exceeded",
         {**QID, "message_level": "warning", "message": "queue file size limit exceeded",
         "refusal": "queue file size limit exceeded"}),
    line("smtpd", "fatal",
         "fatal: no SASL authentication mechanisms",
         {"message_level": "fatal", "message": "no SASL authentication mechanisms"}),
    line("smtpd", "a table has changed",
         "table hash:/etc/postfix/access(0,lock|fold_fix) has changed -- restarting",
         {"message": "table hash:/etc/postfix/access(0,lock|fold_fix) has changed -- "
         "restarting"}),
    line("smtpd", "EHLO keywords",
         "discarding EHLO keywords: CHUNKING",
         {"message": "discarding EHLO keywords: CHUNKING",
         "discarded_ehlo_keywords": "CHUNKING"}),
]
SMTP = [
    line("smtp", "EHLO keywords",
         "discarding EHLO keywords: PIPELINING SIZE CHUNKING",
         {"message": "discarding EHLO keywords: PIPELINING SIZE CHUNKING",
         "discarded_ehlo_keywords": "PIPELINING SIZE CHUNKING"}),
    line("smtp", "said",
         "4F2A11E0ABC: host mx.example.net[192.0.2.9] said: 450 4.7.1 <b@example.net>: "
         "Recipient address rejected: Greylisted (in reply to RCPT TO command)",
         {**QID, "relay_hostname": "mx.example.net", "relay_ip": "192.0.2.9",
         "smtp_response": "450 4.7.1 <b@example.net>: Recipient address rejected: Greylisted",
         "smtp_stage": "RCPT TO"}),
    line("smtp", "said: at the end, and looks like it before",
         "4F2A11E0ABC: host mx.example.net[2001:db8::9] said: 421-4.7.0 [192.0.2.1      15] "
         "(in reply to x) 421 4.7.0 later (in reply to end of DATA command)",
         {**QID, "relay_hostname": "mx.example.net", "relay_ip": "2001:db8::9",
         "smtp_response": "421-4.7.0 [192.0.2.1      15] (in reply to x) 421 4.7.0 later",
         "smtp_stage": "end of DATA"}),
    line("smtp", "refused to talk",
         "4F2A11E0ABC: host mx.example.net[192.0.2.9] refused to talk to me: 450 4.3.2 try "
         "again later",
         {**QID, "relay_hostname": "mx.example.net", "relay_ip": "192.0.2.9",
         "smtp_response": "450 4.3.2 try again later"}),
    line("smtp", "lost connection",
         "4F2A11E0ABC: lost connection with mx.example.net[192.0.2.9] while receiving the "
         "initial server greeting",
         {**QID, "smtp_lostconn_data": "lost connection", "relay_hostname": "mx.example.net",
         "relay_ip": "192.0.2.9",
         "smtp_lostconn_reason": "receiving the initial server greeting"}),
    line("lmtp", "lost connection with a socket",
         "4F2A11E0ABC: lost connection with mx1.example.com[private/dovecot-lmtp] while "
         "sending RCPT TO",
         {**QID, "smtp_lostconn_data": "lost connection", "relay_hostname": "mx1.example.com",
         "relay_service": "private/dovecot-lmtp", "smtp_lostconn_reason": "sending RCPT TO"}),
    line("smtp", "timed out",
         "4F2A11E0ABC: conversation with mx.example.net[192.0.2.9] timed out while sending "
         "message body",
         {**QID, "smtp_lostconn_data": "conversation", "relay_hostname": "mx.example.net",
         "relay_ip": "192.0.2.9", "smtp_lostconn_reason": "sending message body"}),
    line("smtp", "our login fails",
         "4F2A11E0ABC: SASL authentication failed; server mx.example.net[192.0.2.9] said: 535 "
         "5.7.8 Error: authentication failed",
         {**QID, "relay_hostname": "mx.example.net", "relay_ip": "192.0.2.9",
         "smtp_response": "535 5.7.8 Error: authentication failed"}),
    line("smtp", "PIX workarounds",
         f"4F2A11E0ABC: enabling PIX workarounds: disable_esmtp delay_dotcrlf for {MX}",
         {**QID, **MX_FIELDS, "pix_workaround": "disable_esmtp delay_dotcrlf"}),
    line("smtp", "a line that is too long",
         "4F2A11E0ABC: breaking line > 998 bytes with <CR><LF>SPACE",
         {**QID, "message": "breaking line > 998 bytes with <CR><LF>SPACE"}),
    line("smtp", "header check",
         "4F2A11E0ABC: replace: header Received: from localhost: Received: x",
         {**QID, "action": "replace",
         "message": "header Received: from localhost: Received: x"}),
    line("smtp", "connect",
         f"connect to {MX}: Connection refused",
         {**MX_FIELDS, "smtp_lostconn_data": "Connection refused"}),
    line("smtp", "connect: IPv6",
         "connect to mx.example.net[2001:db8::9]:25: Network is unreachable",
         {"relay_hostname": "mx.example.net", "relay_ip": "2001:db8::9", "relay_port": 25,
         "smtp_lostconn_data": "Network is unreachable"}),
    line("lmtp", "connect to a socket",
         "connect to mx1.example.com[private/dovecot-lmtp]: No such file or directory",
         {"relay_hostname": "mx1.example.com", "relay_service": "private/dovecot-lmtp",
         "smtp_lostconn_data": "No such file or directory"}),
    line("smtp", "certificate",
         f"certificate verification failed for {MX}: self-signed certificate",
         {**MX_FIELDS, "tls_error": "self-signed certificate"}),
    line("smtp", "certificate: old Postfix",
         f"server certificate verification failed for {MX}: num=18",
         {**MX_FIELDS, "tls_error": "num=18"}),
    line("smtp", "TLS handshake fails",
         f"SSL_connect error to {MX}: lost connection",
         {**MX_FIELDS, "smtp_lostconn_data": "lost connection"}),
    line("smtp", "TLS: old",
         "Verified TLS connection established to mx.example.net[2001:db8::9]:25: TLSv1 with "
         "cipher ECDHE-RSA-AES256-SHA (256/256 bits)",
         {"tls_trustlevel": "Verified", "relay_hostname": "mx.example.net",
         "relay_ip": "2001:db8::9", "relay_port": 25, "tls_version": "TLSv1",
         "tls_cipher": "ECDHE-RSA-AES256-SHA", "tls_cipher_size": "256/256"}),
    line("smtp", "TLS: reused, curves",
         f"Trusted TLS connection reused to {MX}: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
         "(256/256 bits) key-exchange ECDHE (P-256) server-signature ECDSA (P-256)",
         {**MX_FIELDS, "tls_trustlevel": "Trusted", "tls_connection": "reused",
         "tls_version": "TLSv1.3",
         "tls_cipher": "TLS_AES_256_GCM_SHA384", "tls_cipher_size": "256/256",
         "tls_key_exchange": "ECDHE", "tls_key_exchange_curve": "P-256",
         "tls_server_signature": "ECDSA", "tls_server_signature_curve": "P-256"}),
    line("smtp", "a warning",
         "warning: problem talking to service private/scache: Connection timed out",
         {"message_level": "warning",
         "message": "problem talking to service private/scache: Connection timed out"}),
]
OTHER = [
    line("local", "a warning",
         "warning: dict_nis_init: NIS domain name not set - NIS lookups disabled",
         {"message_level": "warning",
         "message": "dict_nis_init: NIS domain name not set - NIS lookups disabled"}),
    line("virtual", "a warning",
         "warning: mailbox /var/mail/b: unknown user",
         {"message_level": "warning", "message": "mailbox /var/mail/b: unknown user"}),
    line("pipe", "an error",
         "fatal: pipe_command: execvp /x: No such file or directory",
         {"message_level": "fatal",
         "message": "pipe_command: execvp /x: No such file or directory"}),
    line("discard", "a table has changed",
         "table hash:/etc/postfix/t has changed -- restarting",
         {"message": "table hash:/etc/postfix/t has changed -- restarting"}),
    line("master", "a warning",
         "warning: process /usr/lib/postfix/sbin/smtpd pid 46234 killed by signal 11",
         {"message_level": "warning",
         "message": "process /usr/lib/postfix/sbin/smtpd pid 46234 killed by signal 11"}),
    line("master", "an error",
         "fatal: bind 0.0.0.0 port 25: Address already in use",
         {"message_level": "fatal", "message": "bind 0.0.0.0 port 25: Address already in use"}),
]
# fmt: on


@pytest.mark.parametrize(
    ("tag", "text", "fields"), DELIVERIES + QMGR + QUEUE + SMTPD + SMTP + OTHER
)
def test_a_line(tag: str, text: str, fields: dict[str, Any]) -> None:
    event = parse(tag, text)
    found = postfix_fields(event)

    assert found == fields
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in fields.items()
    }
    assert event.fields["tags"] == [POSTFIX_SUCCESS]
    assert event.nomatch == ""


# An address in external form (Postfix 3.5 and later): what is not plain is quoted.
plain = st.from_regex(r"\A[A-Za-z0-9.+=_~-]{1,20}\Z")
hostile = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ["a>, relay=none", "; from=<x> to=<y>", '" ', "\\", ">, orig_to=<b", "(a) b, c=d"]
)
addresses = st.builds(
    lambda local, domain: f"{local}@{domain}.example",
    plain | hostile.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'),
    st.from_regex(r"\A[a-z0-9-]{1,20}\Z"),
) | st.just("")
replies = st.text(st.characters(codec="utf-8")) | st.sampled_from(
    ["250 ok)", "550 (a) ((b", ") status=sent (250 2.0.0 Ok)", "host h[192.0.2.9] said: <>"]
)


@given(
    tag=st.sampled_from(["smtp", "lmtp", "local", "virtual", "pipe", "error", "discard", "own"]),
    recipient=addresses,
    original=st.none() | addresses,
    reply=replies,
)
def test_hostile_addresses_and_replies_of_a_delivery_come_out_as_they_are(
    tag: str, recipient: str, original: str | None, reply: str
) -> None:
    orig_to = "" if original is None else f"orig_to=<{original}>, "
    found = postfix_fields(
        parse(
            tag,
            f"4F2A11E0ABC: to=<{recipient}>, {orig_to}relay={MX}, delay=1, delays=0/0/0.5/0.5, "
            f"dsn=4.0.0, status=deferred ({reply})",
        )
    )
    kind = {"local": "local", "pipe": "pipe", "error": "error"}.get(tag, "smtp")

    assert found == {
        **QID,
        "to": recipient,
        **({} if original is None else {"orig_to": original}),
        **MX_RELAY,
        **delays(1.0, 0.0, 0.0, 0.5, 0.5),
        "dsn": "4.0.0",
        "status": "deferred",
        f"{kind}_response": reply,
    }


# Postfix masks these in a HELO name (smtpd.c, NEUTER_CHARACTERS).
helos = st.text(st.characters(codec="utf-8", exclude_characters=' <>()\\";@'))


@given(sender=addresses, recipient=addresses, helo=helos, reason=replies)
def test_hostile_values_of_a_reject_come_out_as_they_are(
    sender: str, recipient: str, helo: str, reason: str
) -> None:
    text = (
        f"NOQUEUE: reject: RCPT from {CLIENT}: 550 5.1.1 <{recipient}>: {reason}; "
        f"from=<{sender}> to=<{recipient}> proto=SMTP helo=<{helo}>"
    )

    assert postfix_fields(parse("smtpd", text)) == {
        **CLIENT_FIELDS,
        "queueid": "NOQUEUE",
        "action": "reject",
        "smtp_stage": "RCPT",
        "status_code": 550,
        "status_code_enhanced": "5.1.1",
        "status_data": recipient,
        "status_message": reason,
        "from": sender,
        "to": recipient,
        "proto": "SMTP",
        "helo": helo,
    }


@given(header=replies | hostile, sender=addresses, recipient=addresses, helo=helos)
def test_a_hostile_header_comes_out_as_it_is(
    header: str, sender: str, recipient: str, helo: str
) -> None:
    text = (
        f"4F2A11E0ABC: warning: header Subject: {header} from {CLIENT}; "
        f"from=<{sender}> to=<{recipient}> proto=ESMTP helo=<{helo}>: odd"
    )

    assert postfix_fields(parse("cleanup", text)) == {
        **QID,
        **CLIENT_FIELDS,
        "message_level": "warning",
        "message": f"header Subject: {header} from {CLIENT}",
        "from": sender,
        "to": recipient,
        "proto": "ESMTP",
        "helo": helo,
        "status_message": "odd",
    }


@given(
    sender=addresses,
    size=st.integers(0, 2**40),
    recipients=st.integers(1, 50_000),
    uid=st.integers(0, 2**32),
)
def test_a_hostile_sender_comes_out_as_it_is(
    sender: str, size: int, recipients: int, uid: int
) -> None:
    active = f"4F2A11E0ABC: from=<{sender}>, size={size}, nrcpt={recipients} (queue active)"

    assert postfix_fields(parse("qmgr", active)) == {
        **QID,
        "from": sender,
        "size": size,
        "nrcpt": recipients,
    }
    assert postfix_fields(
        parse("qmgr", f"4F2A11E0ABC: from=<{sender}>, status=expired, returned to sender")
    ) == {**QID, "from": sender, "status": "expired"}
    assert postfix_fields(
        parse("pickup", f"4F2A11E0ABC: uid={uid} from=<{sender}> orig_id=5A3B22F1BCD")
    ) == {**QID, "uid": uid, "from": sender, "orig_id": "5A3B22F1BCD"}


@given(message_id=replies | hostile | hostile.map("<{}>".format))
def test_a_hostile_message_id_comes_out_as_it_is(message_id: str) -> None:
    inside = re.fullmatch(r"<([^>]*)>?", message_id, re.DOTALL)

    assert postfix_fields(parse("cleanup", f"4F2A11E0ABC: message-id={message_id}")) == {
        **QID,
        "message-id": message_id if inside is None else inside[1],
    }


@given(sender=addresses, recipient=addresses, helo=st.text(st.characters(codec="utf-8")))
def test_hostile_values_of_a_postscreen_reject_come_out_as_they_are(
    sender: str, recipient: str, helo: str
) -> None:
    text = (
        "NOQUEUE: reject: RCPT from [192.0.2.5]:4711: 550 5.5.1 Protocol error; "
        f"from=<{sender}>, to=<{recipient}>, proto=ESMTP, helo=<{helo}>"
    )

    assert postfix_fields(parse("postscreen", text)) == {
        "queueid": "NOQUEUE",
        "client_ip": "192.0.2.5",
        "client_port": 4711,
        "action": "reject",
        "smtp_stage": "RCPT",
        "status_code": 550,
        "status_code_enhanced": "5.5.1",
        "status_message": "Protocol error",
        "from": sender,
        "to": recipient,
        "proto": "ESMTP",
        "helo": helo,
    }
