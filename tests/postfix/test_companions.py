"""Lines of the programs beside Postfix, and what is read from them.

The lines marked as real are from the logs of real programs (amavis 2.13, Dovecot 2.3, OpenDKIM
2.11, spf-engine 3.0).  The others follow the programs' documentation, the texts in the programs,
or lines that operators made public.
"""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailingest.grok.definitions import parse_definitions
from mailingest.grok.library import Library
from mailingest.postfix.enrichment import QueueMap
from mailingest.postfix.event import Event
from mailingest.postfix.fields import NAMES
from mailingest.postfix.parser import TYPE_MISMATCH, EventParser
from mailingest.postfix.programs import COMPANIONS
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import moment_of

PATTERNS = Path(__file__).parents[2] / "patterns"
DEFINITIONS = [
    definition
    for path in sorted(PATTERNS.iterdir())
    for definition in parse_definitions(path.name, path.read_text("utf-8"))
]
PARSER = EventParser(DEFINITIONS)
ALWAYS = {"@timestamp", "type", "host", "program", "program_kind", "pid", "message", "tags"}


def parse(program: str, text: str) -> Event:
    return PARSER.parse(Record(moment_of(0), "mx1", program, "318", text, text))


def facts(event: Event) -> dict[str, Any]:
    """Without the prefix of the program, to be read more easily."""
    return {
        name.removeprefix(f"{event.fields['program'].removeprefix('policyd-')}_"): value
        for name, value in event.fields.items()
        if name not in ALWAYS
    }


def line(program: str, what: str, text: str, fields: dict[str, Any]) -> pytest.ParameterSet:
    return pytest.param(program, text, fields, id=f"{program}: {what}")


QID = {"postfix_queueid": "C6F08A4A812"}
MESSAGE_ID = {"postfix_message-id": "a.189@client.example.net"}
CLIENT = {"postfix_client_ip": "192.0.2.5"}
FROM, TO = {"postfix_from": "a@example.org"}, {"postfix_to": "b@example.net"}

# fmt: off
AMAVIS = [
    line("amavis", "passed, several recipients (real)",
         "(32531-01) Passed CLEAN {RelayedInbound}, [192.0.2.5]:37213 <a@example.org> -> "
         "<b@example.net>,<c@example.net>, Queue-ID: C6F08A4A812, Message-ID: "
         "<a.189@client.example.net>, mail_id: AHDFQrJpn7GE, Hits: -, size: 373, queued_as: "
         "01733A4A852, 214 ms",
         {"id": "32531-01", "action": "Passed", "category": "CLEAN", "actions": "RelayedInbound",
         **CLIENT, "postfix_client_port": 37213, **FROM, "rcpts": "<b@example.net>,<c@example.net>",
         **QID, **MESSAGE_ID, "mail_id": "AHDFQrJpn7GE", "size": 373,
         "postfix_remote_queueid": "01733A4A852", "duration": 214}),
    line("amavis", "blocked (real)",
         "(32531-02) Blocked BANNED (application/octet-stream,.asc,run.bat) "
         "{BouncedInbound,Quarantined}, [192.0.2.5]:45433 <a@example.org> -> <b@example.net>, "
         "quarantine: 5/banned-5i9UVGblc3Kg, Queue-ID: C6F08A4A812, Message-ID: "
         "<a.189@client.example.net>, mail_id: 5i9UVGblc3Kg, Hits: -, size: 527, 117 ms",
         {"id": "32531-02", "action": "Blocked", "category": "BANNED",
         "reason": "application/octet-stream,.asc,run.bat",
         "actions": "BouncedInbound,Quarantined", **CLIENT, "postfix_client_port": 45433, **FROM,
         **TO, "quarantine": "5/banned-5i9UVGblc3Kg", **QID, **MESSAGE_ID,
         "mail_id": "5i9UVGblc3Kg", "size": 527, "duration": 117}),
    line("amavis", "with policy banks, scores and a signature",
         "(1-02-3) Passed SPAMMY {RelayedOutbound}, ORIGINATING LOCAL [192.0.2.5]:1 [192.0.2.5] "
         "ESMTP/ESMTP <a@example.org> -> <b@example.net>, Queue-ID: C6F08A4A812, mail_id: "
         "vs9ZxfjgcD+i, b: Xy-1, Hits: -1.76, size: 9, pt: 4, queued_as: 01733A4A852/0AB33A4A852, "
         "Subject: \"a, 9 ms\", dkim_new=s1:example.org, 8 ms",
         {"id": "1-02-3", "action": "Passed", "category": "SPAMMY", "actions": "RelayedOutbound",
         "policy": "ORIGINATING LOCAL", **CLIENT, "postfix_client_port": 1, **FROM, **TO, **QID,
         "mail_id": "vs9ZxfjgcD+i", "hits": -1.76, "size": 9,
         "postfix_remote_queueid": "01733A4A852", "duration": 8}),
    line("amavis", "of old, without braces and client",
         "(30897-02) Passed BAD-HEADER, <> -> <b@example.net>, quarantine: badh-le5gjszxowBk, "
         "mail_id: le5gjszxowBk, Hits: 2.9, queued_as: 079474CE44, 39505 ms",
         {"id": "30897-02", "action": "Passed", "category": "BAD-HEADER", "postfix_from": "", **TO,
         "quarantine": "badh-le5gjszxowBk", "mail_id": "le5gjszxowBk", "hits": 2.9,
         "postfix_remote_queueid": "079474CE44", "duration": 39505}),
    line("amavis", "the first piece of a long line",
         "(1-02) Passed CLEAN {RelayedInbound}, [192.0.2.5]:1 <a@example.org> -> "
         "<b@example.net>,<c@example.net>,<d@ex...",
         {"id": "1-02", "action": "Passed", "category": "CLEAN", "actions": "RelayedInbound",
         **CLIENT, "postfix_client_port": 1, **FROM, "rcpts": "<b@example.net>,<c@example.net>"}),
    line("amavis", "the last piece of a long line",
         "(1-02) ...ample.net>,<e@example.net>, Queue-ID: C6F08A4A812, Message-ID: "
         "<a.189@client.example.net>, mail_id: AHDFQrJpn7GE, Hits: 0, size: 373, 214 ms",
         {"id": "1-02", **QID, **MESSAGE_ID, "mail_id": "AHDFQrJpn7GE", "hits": 0.0, "size": 373,
         "duration": 214}),
    line("amavis", "the beginning of the work (real)",
         "(32529-01) Checking: kBfSDOXd4G8s [192.0.2.5] <a@example.org> -> <b@example.net>",
         {"id": "32529-01", "mail_id": "kBfSDOXd4G8s", **CLIENT, **FROM, **TO}),
    line("amavis", "given to the next server (real)",
         "(32529-01) kBfSDOXd4G8s FWD from <a@example.org> -> <b@example.net>, BODY=7BIT 250 2.0.0 "
         "from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 000D7A4A832",
         {"id": "32529-01", "mail_id": "kBfSDOXd4G8s", "action": "FWD", **FROM, **TO,
         "response": "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as "
         "000D7A4A832", "postfix_remote_queueid": "000D7A4A832"}),
    line("amavis", "a notification (real)",
         "(32531-02) BgNyLVPynsst(5i9UVGblc3Kg) SEND from <> -> <a@example.org>, "
         "ENVID=AM.BgNyLVPynsst.20261124T154201Z@mx1.example.com BODY=7BIT 250 2.0.0 from "
         "MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 2186BA4A802",
         {"id": "32531-02", "mail_id": "BgNyLVPynsst", "action": "SEND", "postfix_from": "",
         "postfix_to": "a@example.org",
         "response": "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as "
         "2186BA4A802", "postfix_remote_queueid": "2186BA4A802"}),
    line("amavis", "another line about a mail (real)",
         "(32531-02) local delivery: <a@example.org> -> banned-quarantine, "
         "mbx=/var/lib/amavis/virusmails/5/banned-5i9UVGblc3Kg",
         {"id": "32531-02"}),
]
DOVECOT = [
    line("dovecot", "saved (real)",
         "lmtp(john smith@example.com)<1047><+AFDMSGwBWuAAgAAMzN6MA:T4:R3>: "
         "msgid=<a.189@client.example.net>: saved mail to INBOX",
         {"service": "lmtp", "user": "john smith@example.com",
         "postfix_lmtp_session": "+AFDMSGwBWuAAgAAMzN6MA:T4:R3", **MESSAGE_ID, "action": "saved",
         "mailbox": "INBOX"}),
    line("dovecot", "a mail without a Message-ID (real)",
         "lmtp(b@example.net)<1145></V3NAyKwBWt5BAAAMzN6MA>: msgid=unspecified: saved mail to "
         "INBOX",
         {"service": "lmtp", "user": "b@example.net",
         "postfix_lmtp_session": "/V3NAyKwBWt5BAAAMzN6MA", "action": "saved", "mailbox": "INBOX"}),
    line("dovecot", "not saved (real)",
         "lmtp(b@example.net)<644><gOslNyGwBWuEAgAAMzN6MA:T6>: msgid=<a.189@client.example.net>: "
         "save failed to INBOX: Quota exceeded (mailbox for user is full)",
         {"service": "lmtp", "user": "b@example.net",
         "postfix_lmtp_session": "gOslNyGwBWuEAgAAMzN6MA:T6", **MESSAGE_ID,
         "action": "save failed", "mailbox": "INBOX",
         "reason": "Quota exceeded (mailbox for user is full)"}),
    line("dovecot", "stored by Sieve",
         "lda(delta)<218><sbuvCr1ufmnaAAAA8Bi3+g>: sieve: msgid=<a.189@client.example.net>: "
         "fileinto action: stored mail into mailbox 'Work/It''s, done'",
         {"service": "lda", "user": "delta", "postfix_lmtp_session": "sbuvCr1ufmnaAAAA8Bi3+g",
         **MESSAGE_ID, "action": "stored", "mailbox": "Work/It''s, done"}),
    line("dovecot", "stored by Sieve where the special use says",
         "lmtp(b)<1><s>: sieve: msgid=<a.189@client.example.net>: fileinto action: stored mail "
         "into mailbox [SPECIAL-USE \\Junk]",
         {"service": "lmtp", "user": "b", "postfix_lmtp_session": "s", **MESSAGE_ID,
         "action": "stored", "mailbox": "\\Junk"}),
    line("dovecot", "2.2, session without brackets",
         "lmtp(b@example.net): 7gyQI4yjXlxlJAAAUbDMYQ:T2: sieve: msgid=<a.189@client.example.net>: "
         "stored mail into mailbox 'Spam'",
         {"service": "lmtp", "user": "b@example.net",
         "postfix_lmtp_session": "7gyQI4yjXlxlJAAAUbDMYQ:T2", **MESSAGE_ID, "action": "stored",
         "mailbox": "Spam"}),
    line("dovecot", "2.1, process id before the user, a Message-ID without brackets",
         "lmtp(1066, b@example.net): msgid=a.189@client.example.net: saved mail to INBOX",
         {"service": "lmtp", "user": "b@example.net", **MESSAGE_ID, "action": "saved",
         "mailbox": "INBOX"}),
    line("dovecot", "a Message-ID that was cut",
         f"lmtp(b)<1><s>: msgid=<{'a' * 197}...: forwarded to <c@example.net>",
         {"service": "lmtp", "user": "b", "postfix_lmtp_session": "s",
         "postfix_message-id": f"{'a' * 197}...", "action": "forwarded",
         "address": "c@example.net"}),
    line("dovecot", "not stored by Sieve",
         "lmtp(b)<1><s>: sieve: msgid=<a.189@client.example.net>: failed to store into mailbox "
         "'A: b': Quota exceeded",
         {"service": "lmtp", "user": "b", "postfix_lmtp_session": "s", **MESSAGE_ID,
         "action": "failed to store", "mailbox": "A: b", "reason": "Quota exceeded"}),
    line("dovecot", "left where it is",
         "lda(b)<1><s>: sieve: msgid=<a.189@client.example.net>: left message in mailbox 'INBOX'",
         {"service": "lda", "user": "b", "postfix_lmtp_session": "s", **MESSAGE_ID,
         "action": "left", "mailbox": "INBOX"}),
    line("dovecot", "forwarded by Sieve",
         "lda(b): sieve: msgid=unspecified: forwarded to <c@example.net>",
         {"service": "lda", "user": "b", "action": "forwarded", "address": "c@example.net"}),
    line("dovecot", "not forwarded by Sieve",
         "lda(b): Error: sieve: msgid=unspecified: failed to redirect message to <c@example.net>: "
         "smtp-client: 550 no (permanent failure)",
         {"service": "lda", "user": "b", "action": "failed to redirect",
         "address": "c@example.net", "reason": "smtp-client: 550 no (permanent failure)"}),
    *(line("dovecot", f"discarded by Sieve ({first})",
           f"lmtp(b)<1><s>: sieve: msgid=<a.189@client.example.net>: {first}arked message to be "
           "discarded if not explicitly delivered (discard action)",
           {"service": "lmtp", "user": "b", "postfix_lmtp_session": "s", **MESSAGE_ID,
           "action": "discarded"})
      for first in "mM"),
    line("dovecot", "rejected by Sieve",
         "lmtp(b)<1><s>: sieve: msgid=<a.189@client.example.net>: rejected message from "
         "<a@example.org> (reject)",
         {"service": "lmtp", "user": "b", "postfix_lmtp_session": "s", **MESSAGE_ID,
         "action": "rejected", "address": "a@example.org", "reason": "reject"}),
    line("dovecot", "answered by Sieve",
         "lmtp(b)<1><s>: sieve: msgid=<a.189@client.example.net>: sent vacation response to "
         "<a@example.org>",
         {"service": "lmtp", "user": "b", "postfix_lmtp_session": "s", **MESSAGE_ID,
         "action": "vacation", "address": "a@example.org"}),
    line("dovecot", "something else about a mail",
         "lmtp(b)<1><s>: sieve: msgid=<a.189@client.example.net>: discarded vacation reply to <>",
         {"service": "lmtp", "user": "b", "postfix_lmtp_session": "s", **MESSAGE_ID,
         "reason": "discarded vacation reply to <>"}),
]
OPENDKIM = [
    line("opendkim", "signed (real)",
         "C6F08A4A812: DKIM-Signature field added (s=s1, d=example.com)",
         {**QID, "result": "DKIM-Signature field added", "selector": "s1",
         "domain": "example.com"}),
    line("opendkim", "the signature",
         "C6F08A4A812: s=mail d=example.net a=rsa-sha256 SSL ",
         {**QID, "selector": "mail", "domain": "example.net", "algorithm": "rsa-sha256"}),
    line("opendkim", "a wrong signature",
         "C6F08A4A812: s=mail d=example.net a=rsa-sha256 SSL error:02000068:rsa routines",
         {**QID, "selector": "mail", "domain": "example.net", "algorithm": "rsa-sha256",
         "message": "error:02000068:rsa routines"}),
    line("opendkim", "a key that cannot be had",
         "C6F08A4A812: key retrieval failed (s=mail, d=example.net): DNS query failed",
         {**QID, "result": "key retrieval failed", "selector": "mail", "domain": "example.net",
         "message": "DNS query failed"}),
    line("opendkim", "a key that is no longer",
         "C6F08A4A812: key revoked (s=mail, d=example.net, a=rsa-sha256)",
         {**QID, "result": "key revoked", "selector": "mail", "domain": "example.net",
         "algorithm": "rsa-sha256"}),
    line("opendkim", "a foreign client",
         "C6F08A4A812: mail.example.org [192.0.2.5] not internal",
         {**QID, "postfix_client_hostname": "mail.example.org", **CLIENT,
         "result": "not internal"}),
    *(line("opendkim", result, f"C6F08A4A812: {result}", {**QID, "result": result})
      for result in ("DKIM verification successful", "bad signature data", "no signature data",
                     "not authenticated")),
    line("opendkim", "something else about a mail",
         "C6F08A4A812: can't determine message sender; accepting",
         {**QID, "message": "can't determine message sender; accepting"}),
]
OPENDMARC = [
    *(line("opendmarc", f"result {result}", f"C6F08A4A812: example.org {result}",
           {**QID, "domain": "example.org", "result": result})
      for result in ("pass", "fail", "none")),
    line("opendmarc", "SPF by itself",
         "C6F08A4A812: SPF(mailfrom): bounce@example.org softfail",
         {**QID, "spf_identity": "mailfrom", "spf_domain": "bounce@example.org",
         "spf_result": "softfail"}),
    line("opendmarc", "SPF without a domain",
         "C6F08A4A812: SPF(mailfrom): fail",
         {**QID, "spf_identity": "mailfrom", "spf_result": "fail"}),
    line("opendmarc", "somebody else's results, without a colon",
         "C6F08A4A812 ignoring Authentication-Results at 14 from mx.example.org",
         {**QID, "message": "ignoring Authentication-Results at 14 from mx.example.org"}),
    line("opendmarc", "two words that are no result",
         "C6F08A4A812: read/parse error",
         {**QID, "message": "read/parse error"}),
]
POSTGREY = [
    line("postgrey", "greylisted",
         "action=greylist, reason=new, client_name=mail.example.org, client_address=192.0.2.5/32, "
         "sender=a@example.org, recipient=b@example.net",
         {"action": "greylist", "reason": "new", "postfix_client_hostname": "mail.example.org",
         **CLIENT, **FROM, **TO}),
    line("postgrey", "too early, null sender",
         "action=greylist, reason=early-retry (10s missing), client_name=unknown, "
         "client_address=192.0.2.5, recipient=b@example.net",
         {"action": "greylist", "reason": "early-retry (10s missing)",
         "postfix_client_hostname": "unknown", **CLIENT, **TO}),
    line("postgrey", "passed, with a queue ID and an odd sender",
         "C6F08A4A812: action=pass, reason=triplet found, delay=309, client_name=unknown, "
         "client_address=2001:db8::5, sender=\"x, recipient=c\"@example.org, "
         "recipient=b@example.net",
         {**QID, "action": "pass", "reason": "triplet found", "delay": 309,
         "postfix_client_hostname": "unknown", "postfix_client_ip": "2001:db8::5",
         "postfix_from": "\"x, recipient=c\"@example.org", **TO}),
    line("postgrey", "no recipient",
         "action=pass, reason=client AWL, client_name=unknown, client_address=192.0.2.5, "
         "sender=a@example.org",
         {"action": "pass", "reason": "client AWL", "postfix_client_hostname": "unknown",
         **CLIENT, **FROM}),
    line("postgrey", "with --privacy",
         "action=greylist, reason=new, client_name=0f5e, client_address=d1c9ff, sender=77ab, "
         "recipient=19cc",
         {"action": "greylist", "reason": "new", "postfix_client_hostname": "0f5e",
         "postfix_from": "77ab", "postfix_to": "19cc"}),
]
SPF_FACTS = {"identity": "mailfrom", **CLIENT, "postfix_helo": "mail.example.org", **FROM}
POLICYD_SPF = [
    line("policyd-spf", "passed (real)",
         ": prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.5; "
         "helo=mail.example.org; envelope-from=a@example.org; receiver=example.net ",
         {"action": "prepend", "result": "Pass", "message": "mailfrom", **SPF_FACTS,
         "receiver": "example.net"}),
    line("policyd-spf", "null sender, unknown receiver, without a colon",
         "prepend Received-SPF: None (no SPF record) identity=helo; client-ip=192.0.2.5; "
         "helo=mail.example.org; envelope-from=<>; receiver=<UNKNOWN> ",
         {"action": "prepend", "result": "None", "message": "no SPF record", "identity": "helo",
         **CLIENT, "postfix_helo": "mail.example.org"}),
    line("policyd-spf", "with a queue ID and a sender that was made to confuse",
         "C6F08A4A812: prepend Received-SPF: SoftFail (mailfrom) identity=mailfrom; "
         "client-ip=192.0.2.5; helo=mail.example.org; envelope-from=\"; receiver=x\"@example.org; "
         "receiver=example.net",
         {**QID, "action": "prepend", "result": "SoftFail", "message": "mailfrom",
         **SPF_FACTS, "postfix_from": "\"; receiver=x\"@example.org", "receiver": "example.net"}),
    line("policyd-spf", "at debug level 2",
         "Pass; identity=mailfrom; client-ip=192.0.2.5; helo=mail.example.org; "
         "envelope-from=a@example.org; receiver=b@example.net ",
         {"result": "Pass", **SPF_FACTS, "receiver": "b@example.net"}),
    line("policyd-spf", "the other header",
         ": prepend Authentication-Results: mx.example.net; spf=pass (sender SPF authorized) "
         "smtp.mailfrom=example.org (client-ip=192.0.2.5; helo=mail.example.org; "
         "envelope-from=a@example.org; receiver=example.net)",
         {"action": "prepend", "result": "pass", "message": "sender SPF authorized", **SPF_FACTS,
         "receiver": "example.net"}),
    line("policyd-spf", "not asked",
         "prepend X-Comment: SPF skipped for whitelisted relay - client-ip=192.0.2.5; "
         "helo=mail.example.org; envelope-from=a@example.org; receiver=b@example.net ",
         {"action": "prepend", "message": "SPF skipped for whitelisted relay", **CLIENT}),
    line("policyd-spf", "refused (real)",
         ": 550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see "
         "http://www.openspf.net/Why?s=mfrom;id=a@example.org;ip=192.0.2.5;r=example.net",
         {"action": "550", "result": "fail",
         "message": "Message rejected due to: SPF fail - not authorized. Please see "
         "http://www.openspf.net/Why?s=mfrom;id=a@example.org;ip=192.0.2.5;r=example.net",
         **FROM, **CLIENT, "receiver": "example.net"}),
    line("policyd-spf", "refused, in words of the site",
         "550 5.7.23 Go away", {"action": "550", "message": "Go away"}),
    line("policyd-spf", "refused for now",
         ": defer_if_permit 4.7.24 Message deferred due to: SPF TempError",
         {"action": "defer_if_permit", "result": "TempError",
         "message": "Message deferred due to: SPF TempError"}),
]
RSPAMD = [
    line("rspamd", "passed, of a user",
         "<8ae27d>; proxy; rspamd_task_write_log: id: <a.189@client.example.net>, qid: "
         "<C6F08A4A812>, ip: 192.0.2.5, user: ann@example.org, from: <a@example.org>, (default: F "
         "(no action): [-0.64/20.00] [BAYES_HAM(-3.00){100.00%;},IP(0.1){asn: 1, ip: (0.2);}]), "
         "len: 2348, time: 562.1ms, dns req: 9, digest: <b103>, rcpts: <b@example.net>, "
         "mime_rcpts: <b@example.net,>",
         {"id": "8ae27d", **MESSAGE_ID, **QID, **CLIENT,
         "postfix_sasl_username": "ann@example.org", **FROM, "spam": "F", "action": "no action",
         "score": -0.64, "required_score": 20.0, "size": 2348, "duration": 562.1, **TO}),
    line("rspamd", "rejected, several recipients, forced",
         "(rspamd_proxy) <adfb84>; proxy; rspamd_task_write_log: id: <undef>, qid: <C6F08A4A812>, "
         "ip: 2001:db8::5, from: <>, (default: T (reject): [7.31/12.00] [CLAM(4.00){a;}]), len: 9, "
         "time: 256.862ms, dns req: 6, digest: <0123>, rcpts: <b@example.net,c@example.net>, "
         "mime_rcpts: <b@example.net>, forced: reject \"virus\"; score=nan (set by clamav), "
         "settings_id: X",
         {"id": "adfb84", **QID, "postfix_client_ip": "2001:db8::5", "postfix_from": "",
         "spam": "T", "action": "reject", "score": 7.31, "required_score": 12.0, "size": 9,
         "duration": 256.862, "rcpts": "b@example.net,c@example.net",
         "forced_action": "reject \"virus\"; score=nan (set by clamav)"}),
    line("rspamd", "cut on its way, before 1.9",
         "<8ae27d>; task; rspamd_task_write_log: id: <a.189@client.example.net>, (default: F (add "
         "header): [8.00/nan] [BAYES_SPAM(8.00){",
         {"id": "8ae27d", **MESSAGE_ID, "spam": "F", "action": "add header", "score": 8.0}),
]
# fmt: on
PMG = {"filter_id": "3204C55EC295CB131DB"}
PMG_SMTP_FILTER = [
    line(
        "pmg-smtp-filter",
        "accepted, under a queue ID (real)",
        "3204C55EC295CB131DB: accept mail to <b@example.net> (6B2CD3209E0) (rule: default-accept)",
        {
            **PMG,
            **TO,
            "filter_action": "accept",
            "postfix_remote_queueid": "6B2CD3209E0",
            "filter_rule": "default-accept",
        },
    ),
    line(
        "pmg-smtp-filter",
        "accepted, under a long queue ID",
        "3204C55EC295CB131DB: accept mail to <b@example.net> (4DnpgZ4fYLzKq1w) (rule: a (b))",
        {
            **PMG,
            **TO,
            "filter_action": "accept",
            "postfix_remote_queueid": "4DnpgZ4fYLzKq1w",
            "filter_rule": "a (b)",
        },
    ),
    line(
        "pmg-smtp-filter",
        "accepted, of an old version",
        "3204C55EC295CB131DB: accept mail to <b@example.net> (6B2CD3209E0)",
        {**PMG, **TO, "filter_action": "accept", "postfix_remote_queueid": "6B2CD3209E0"},
    ),
    line(
        "pmg-smtp-filter",
        "spam quarantine (real)",
        "3204C55EC295CB131DB: moved mail for <b@example.net> to spam quarantine - B2B2B2B202 "
        "(rule: Quarantine/Mark Spam (Level 3))",
        {
            **PMG,
            **TO,
            "filter_action": "quarantine",
            "filter_reason": "spam",
            "filter_quarantine": "B2B2B2B202",
            "filter_rule": "Quarantine/Mark Spam (Level 3)",
        },
    ),
    line(
        "pmg-smtp-filter",
        "virus quarantine",
        "3204C55EC295CB131DB: moved mail for <b@example.net> to virus quarantine - B2B2B2B202 "
        "(rule: Virus)",
        {
            **PMG,
            **TO,
            "filter_action": "quarantine",
            "filter_reason": "virus",
            "filter_quarantine": "B2B2B2B202",
            "filter_rule": "Virus",
        },
    ),
    line(
        "pmg-smtp-filter",
        "blocked (real)",
        "3204C55EC295CB131DB: block mail to <b@example.net> (rule: block-b)",
        {**PMG, **TO, "filter_action": "block", "filter_rule": "block-b"},
    ),
    line(
        "pmg-smtp-filter",
        "a copy by a rule",
        "3204C55EC295CB131DB: bcc to <b@example.net> (rule: archive, 6B2CD3209E0)",
        {
            **PMG,
            **TO,
            "filter_action": "bcc",
            "filter_rule": "archive",
            "postfix_remote_queueid": "6B2CD3209E0",
        },
    ),
    line(
        "pmg-smtp-filter",
        "a notice by a rule",
        "3204C55EC295CB131DB: notify <b@example.net> (rule: tell, 6B2CD3209E0)",
        {
            **PMG,
            **TO,
            "filter_action": "notify",
            "filter_rule": "tell",
            "postfix_remote_queueid": "6B2CD3209E0",
        },
    ),
    line(
        "pmg-smtp-filter",
        "begins (real)",
        "3204C55EC295CB131DB: new mail message-id=<a.189@client.example.net>#012",
        {**PMG, **MESSAGE_ID},
    ),
    line(
        "pmg-smtp-filter",
        "begins, without Message-ID (real)",
        "3204C55EC295CB131DB: new mail message-id=",
        PMG,
    ),
    line(
        "pmg-smtp-filter",
        "a virus",
        "3204C55EC295CB131DB: virus detected: Eicar-Signature (clamav)",
        {**PMG, "filter_reason": "Eicar-Signature (clamav)"},
    ),
]
MAILSCANNER_ID = {"filter_id": "C6F08A4A812.AFE5C", **QID}
MAILSCANNER = [
    line(
        "MailScanner",
        "goes on (real)",
        "Requeue: C6F08A4A812.AFE5C to CDCFE261CA1",
        {**MAILSCANNER_ID, "filter_action": "accept", "postfix_remote_queueid": "CDCFE261CA1"},
    ),
    line(
        "MailScanner",
        "goes on, long queue IDs",
        "Requeue: 4DnpgZ4fYLzKq1w.AFE5C to 4DnpgZ5fYLzKq1x",
        {
            "filter_id": "4DnpgZ4fYLzKq1w.AFE5C",
            "postfix_queueid": "4DnpgZ4fYLzKq1w",
            "filter_action": "accept",
            "postfix_remote_queueid": "4DnpgZ5fYLzKq1x",
        },
    ),
    line(
        "MailScanner",
        "actions",
        "Spam Actions: message C6F08A4A812.AFE5C actions are store,delete",
        {**MAILSCANNER_ID, "filter_actions": "store,delete"},
    ),
    line(
        "MailScanner",
        "actions of another kind",
        "Non-Spam Actions: message C6F08A4A812.AFE5C actions are deliver",
        {**MAILSCANNER_ID, "filter_actions": "deliver"},
    ),
    line(
        "MailScanner",
        "is spam",
        "Message C6F08A4A812.AFE5C from 192.0.2.5 (a@example.org) to example.net is spam, "
        "SpamAssassin (not cached, score=9)",
        {
            **MAILSCANNER_ID,
            **CLIENT,
            **FROM,
            "filter_reason": "spam, SpamAssassin (not cached, score=9)",
        },
    ),
    line(
        "MailScanner",
        "a virus",
        "Infected message C6F08A4A812.AFE5C came from 192.0.2.5",
        {**MAILSCANNER_ID, **CLIENT, "filter_reason": "Infected"},
    ),
    line(
        "MailScanner",
        "kept",
        "Saved entire message to /var/spool/MailScanner/quarantine/20160120/C6F08A4A812.AFE5C",
        {
            **MAILSCANNER_ID,
            "filter_quarantine": "/var/spool/MailScanner/quarantine/20160120/C6F08A4A812.AFE5C",
        },
    ),
]
CLAMSMTPD = [
    line(
        "clamsmtpd",
        "a virus (real)",
        "100000: from=a@example.org, to=b@example.net, status=VIRUS:Eicar-Test(f0:71)",
        {"filter_id": "100000", **FROM, **TO, "filter_reason": "VIRUS:Eicar-Test(f0:71)"},
    ),
    line(
        "clamsmtpd",
        "clean",
        "10001A: from=, to=b@example.net, status=CLEAN",
        {"filter_id": "10001A", "postfix_from": "", **TO, "filter_action": "accept"},
    ),
    line(
        "clamsmtpd",
        "several recipients",
        "10001A: from=a@example.org, to=b@example.net, to=c@example.net, status=CLEAN",
        {
            "filter_id": "10001A",
            **FROM,
            "filter_action": "accept",
            "filter_rcpts": "to=b@example.net, to=c@example.net",
        },
    ),
    line(
        "proxsmtpd",
        "of the same author",
        "100001: from=a@example.org, to=b@example.net, status=FILTERED",
        {"filter_id": "100001", **FROM, **TO, "filter_reason": "FILTERED"},
    ),
]
LINES = [
    *(*AMAVIS, *DOVECOT, *OPENDKIM, *OPENDMARC, *POSTGREY, *POLICYD_SPF, *RSPAMD),
    *(*PMG_SMTP_FILTER, *MAILSCANNER, *CLAMSMTPD),
]


@pytest.mark.parametrize(("program", "text", "fields"), LINES)
def test_a_line(program: str, text: str, fields: dict[str, Any]) -> None:
    event = parse(program, text)

    assert facts(event) == fields
    assert event.fields["tags"] == [f"_grok_{program}_success"]


def test_the_perl_policy_server_has_a_tag_like_postfix() -> None:
    event = parse(
        "postfix/policy-spf",
        "Policy action=PREPEND Received-SPF: pass (a.example: Sender is authorized to use "
        "'x (y)' in 'mfrom' identity (mechanism 'mx' matched)) receiver=mx.example.net; "
        'identity=mailfrom; envelope-from="a@example.org"; helo=mail.example.org; '
        "client-ip=192.0.2.5",
    )

    assert (event.instance, event.service, event.nomatch) == ("", "", "")
    assert event.fields["tags"] == ["_grok_policy-spf_success"]
    assert {
        name: event.fields[name] for name in ("spf_result", "spf_receiver", *CLIENT, *FROM)
    } == {
        "spf_result": "pass",
        "spf_receiver": "mx.example.net",
        **CLIENT,
        **FROM,
    }


@pytest.mark.parametrize(
    ("program", "text"),
    [
        pytest.param("amavis", "Module Amavis::Conf        2.412", id="amavis (real)"),
        pytest.param("dovecot", "lmtp(1066): Connect from local", id="LMTP (real)"),
        pytest.param("dovecot", "auth: passwd-file(a@b): unknown user", id="a login (real)"),
        pytest.param(
            "dovecot", "imap-login: Login: user=<b>, method=PLAIN, rip=192.0.2.5", id="IMAP"
        ),
        pytest.param("opendkim", "OpenDKIM Filter v2.11.0 starting (args: -f)", id="DKIM (real)"),
        pytest.param("opendmarc", "additional trusted authentication services: (none)", id="DMARC"),
        pytest.param("postgrey", "cleaning up old logs...", id="Postgrey"),
        pytest.param("policyd-spf", "Starting", id="SPF"),
        pytest.param("rspamd", "<8ae27d>; task; rspamd_message_parse: loaded", id="Rspamd"),
        pytest.param(
            "pmg-smtp-filter",
            "3204C55EC295CB131DB: processing time: 0.362 seconds (0.347, 0.008, 0)",
            id="Proxmox (real)",
        ),
        pytest.param("pmg-smtp-filter", "starting database maintenance", id="Proxmox"),
        pytest.param(
            "MailScanner", "New Batch: Scanning 1 messages, 1863 bytes", id="MailScanner (real)"
        ),
        pytest.param("MailScanner", "Requeue: 210F0261C9D to nothing", id="MailScanner"),
        pytest.param(
            "clamsmtpd", "100000: accepted connection from: 127.0.0.1", id="clamsmtpd (real)"
        ),
    ],
)
def test_a_line_about_no_mail_is_kept_plain_and_is_no_fault(program: str, text: str) -> None:
    event = parse(program, text)

    assert (event.fields["message"], event.fields["tags"], event.nomatch) == (text, [], "")
    assert facts(event) == {}


@pytest.mark.parametrize("program", sorted(set(COMPANIONS) - {"postfix/policy-spf"}))
def test_without_its_pattern_file_a_program_is_kept_plain(program: str) -> None:
    postfix = [one for one in DEFINITIONS if one.file.startswith("postfix")]
    text = "C6F08A4A812: action=pass"
    event = EventParser(postfix).parse(Record(moment_of(0), "mx1", program, "", text, text))

    assert (event.fields["tags"], event.nomatch) == ([], "")


@pytest.mark.parametrize(("program", "text", "fields"), LINES)
def test_correlation_takes_no_notice(program: str, text: str, fields: dict[str, Any]) -> None:
    queue_map = QueueMap()
    event = parse(program, text)

    assert event.queue_id is None
    assert queue_map.feed(event, 0.0) == (event,)
    assert (len(queue_map), queue_map.waiting) == (0, 0)
    assert facts(event) == fields


def test_each_program_has_a_pattern_that_captures_only_declared_fields() -> None:
    files = {definition.name: definition.file for definition in DEFINITIONS}
    library = Library(DEFINITIONS, {})

    assert {one.pattern for one in COMPANIONS.values()} <= files.keys()
    assert set(library.fields) - NAMES == {
        "postfix_keyvalue_data",
        "postfix_command_counter_data",
    }


def test_a_score_that_is_no_number_of_ours_is_kept_as_text() -> None:
    text = f"(1-02) Passed CLEAN, <> -> <b@example.net>, Hits: -{'9' * 30}, 8 ms"
    event = parse("amavis", text)

    assert event.fields["tags"] == ["_grok_amavis_success", TYPE_MISMATCH]
    assert event.fields["unfit"] == [f"amavis_hits=-{'9' * 30}"]


TEXTS = [str(one.values[1]) for one in LINES]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Anything, or a line that is damaged in a few places."""
    if draw(st.booleans()):
        return draw(st.text())
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, min(begin + 5, len(text))))
        text = text[:begin] + draw(st.text(max_size=3)) + text[end:]
    return text


@given(program=st.sampled_from(sorted(COMPANIONS)), text=texts())
def test_every_field_is_declared_and_the_text_is_kept_whatever_comes(
    program: str, text: str
) -> None:
    event = parse(program, text)

    assert set(event.fields) <= NAMES
    assert event.fields["message"] == text
    assert (event.queue_id, event.nomatch, event.service) == (None, "", "")
    assert (TYPE_MISMATCH in event.fields["tags"]) == ("unfit" in event.fields)


# What stands between angle brackets in these lines can hold no such bracket, and no quote is open.
addresses = st.text(st.characters(exclude_characters='<>"\\'), max_size=40)


@given(sender=addresses, recipient=addresses)
def test_any_addresses_survive_in_a_line_of_amavis(sender: str, recipient: str) -> None:
    text = f"(1-02) Passed CLEAN {{R}}, [192.0.2.5]:1 <{sender}> -> <{recipient}>, Hits: 1, 8 ms"
    fields = parse("amavis", text).fields

    assert (fields["postfix_from"], fields["postfix_to"]) == (sender, recipient)
    assert (fields["amavis_hits"], fields["amavis_duration"]) == (1.0, 8)


@given(message_id=st.text(st.characters(exclude_characters="<>"), max_size=60))
def test_any_message_id_survives_in_a_line_of_dovecot(message_id: str) -> None:
    text = f"lmtp(b)<1><s>: sieve: msgid=<{message_id}>: stored mail into mailbox 'INBOX'"
    fields = parse("dovecot", text).fields

    assert (fields["postfix_message-id"], fields["dovecot_mailbox"]) == (message_id, "INBOX")
