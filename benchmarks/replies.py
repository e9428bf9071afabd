# ruff: noqa: E501 - a log text is easier to read, and to search for, on one line
"""What servers say: fixed texts and forms that the stories of ``traffic`` pick from.

The 8-bit texts stand for raw bytes, one character a byte: ISO-8859-1 as old clients send it, and
UTF-8 as it looks when each byte is shown as a character.
"""

from typing import Final


def _utf8(text: str) -> str:
    return text.encode().decode("latin-1")


_AES256: Final = (
    "with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature"
)
_ECDHE: Final = "with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)"
CIPHERS: Final = (
    f"TLSv1.3 {_AES256} RSA-PSS (2048 bits) server-digest SHA256",
    f"TLSv1.3 {_AES256} RSA-PSS (4096 bits) server-digest SHA256",
    f"TLSv1.3 {_AES256} ECDSA (P-256) server-digest SHA256",
    f"TLSv1.3 {_AES256} RSA-PSS (2048 bits) server-digest SHA256 client-signature RSA-PSS (2048 bits) client-digest SHA256",
    f"TLSv1.2 {_ECDHE}",
    "TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits)",
)
REFUSALS: Final = (
    "dsn=5.1.1, status=bounced (host {host} said: 550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command))",
    "dsn=5.1.1, status=bounced (host {host} said: 550-5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's address. 550 5.1.1  https://support.example/mail/?p=NoSuchUser (in reply to RCPT TO command))",
    "dsn=5.7.1, status=bounced (host {host} said: 554 5.7.1 Message rejected as spam (in reply to end of DATA command))",
    "dsn=5.2.2, status=bounced (host {host} said: 552 5.2.2 Postfach voll, Empf\xe4nger <{rcpt}> \xfcber Quota (in reply to end of DATA command))",
    "dsn=5.0.0, status=bounced (host {host} said: 550 No such user here (in reply to RCPT TO command))",
)
DEFERRALS: Final = (
    "dsn=4.7.1, status=deferred (host {host} said: 451 4.7.1 <{rcpt}>: Recipient address rejected: Greylisted, see http://postgrey.example/help.html (in reply to RCPT TO command))",
    "dsn=4.2.0, status=deferred (host {host} said: 450 4.2.0 <{rcpt}>: Recipient address rejected: Try again later (in reply to RCPT TO command))",
    "dsn=4.2.2, status=deferred (host {host} said: 452 4.2.2 Mailbox full (in reply to RCPT TO command))",
    "dsn=4.7.0, status=deferred (host {host} refused to talk to me: 421 4.7.0 Too many connections, try again later)",
    "dsn=4.4.2, status=deferred (lost connection with {host} while sending end of data -- message may be sent more than once)",
)
REJECTIONS: Final = (
    "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in relay recipient table",
    "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in virtual mailbox table",
    "554 5.7.1 Service unavailable; Client host [{ip}] blocked using zen.dnsbl.example; https://www.dnsbl.example/query/ip/{ip}",
    "450 4.7.25 Client host rejected: cannot find your hostname, [{ip}]",
    "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted, see http://postgrey.example/help/example.com.html",
    "554 5.7.1 <{rcpt}>: Relay access denied",
    "504 5.5.2 <{helo}>: Helo command rejected: need fully-qualified hostname",
    "450 4.1.8 <{sender}>: Sender address rejected: Domain not found",
    "554 5.7.1 <{client}>: Client host rejected: Access denied",
    "550 5.7.23 <{rcpt}>: Recipient address rejected: Message rejected due to: SPF fail - not authorized. Please see http://www.spf.example/Why?s=mfrom;id={sender};ip={ip};r=example.com",
)
SCREENINGS: Final = (
    "PASS NEW",
    "PASS OLD",
    "DNSBL rank 4 for",
    "DNSBL rank 7 for",
    "PREGREET 11 after 0.05 from {peer}: EHLO User\\r\\n",
    "HANGUP after 0.3 from {peer} in tests before SMTP handshake",
)
ODDITIES: Final = (
    "lost connection after CONNECT from {client}",
    "lost connection after EHLO from {client}",
    "lost connection after STARTTLS from {client}",
    "timeout after CONNECT from {client}",
    "SSL_accept error from {client}: -1",
    "improper command pipelining after EHLO from {client}: QUIT\\r\\n",
    "warning: non-SMTP command from {client}: GET / HTTP/1.1",
    "warning: Connection rate limit exceeded: 61 from {client} for service smtp",
)
SUBJECTS: Final = (
    "Gr\xfc\xdfe aus K\xf6ln",
    "Votre r\xe9servation n\xb0 4711",
    _utf8("Prüfung der Überweisung"),
    "=?UTF-8?B?UmVjaG51bmcgTnIuIDQ3MTE=?=",
    "Invoice 2026-0815 (final), to=<you>, status=open",
)
FOLDERS: Final = ("'Junk'", "'Lists.Postfix'", "'Entw\xfcrfe'", "'Trash'")
LOCAL_DELIVERIES: Final = (
    ("local", "local", "dsn=2.0.0, status=sent (delivered to mailbox)"),
    ("local", "local", "dsn=2.0.0, status=sent (delivered to command: /usr/bin/procmail)"),
    ("virtual", "virtual", "dsn=2.0.0, status=sent (delivered to maildir)"),
    ("pipe", "archive", "dsn=2.0.0, status=sent (delivered via archive service)"),
    ("discard", "none", "dsn=2.0.0, status=sent (silently dropped by transport map)"),
)
