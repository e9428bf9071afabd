"""Who is who in the corpus, and the lookup tables of Postfix."""

from collections.abc import Mapping
from typing import Final

EDGE_IP: Final = "127.0.0.84"
INTERNAL_IP: Final = "127.0.0.85"
REMOTE_IP: Final = "127.0.0.86"
TRUSTED_IP: Final = "127.0.0.87"
OUTSIDE_IP: Final = "127.0.0.88"
OUTSIDE: Final = "client.example.org"
# Clients that are refused for who they are: each at its own stage, where refusals are not delayed.
BANNED_IP, BANNED_AT_END_IP, DISCARDED_IP = "127.0.1.1", "127.0.1.2", "127.0.1.3"
DENIED_IP: Final = "127.0.1.4"
INTERNAL_CONFIG: Final = "/mnt/etc"
"""The second instance lies in /mnt, which every machine has and nobody's program uses."""
USERS: Final[Mapping[str, int]] = {
    name: uid for uid, name in enumerate(("alice", "bob", "full", "forward", "dave"), start=50001)
}
DELAY_WARNING: Final = 2.0
"""Seconds after which a sender is told that his mail waits."""
GREET_WAIT: Final = 4.0
"""Seconds within which a client of postscreen(8) has to talk or hang up to be too early."""

HOSTS: Final = f"""\
127.0.0.1 localhost
{EDGE_IP} mx1.example.com mx1
{INTERNAL_IP} mbox1.example.com
{REMOTE_IP} mail.example.net
{TRUSTED_IP} pc1.example.com
{OUTSIDE_IP} {OUTSIDE}
"""

TRANSPORT: Final = """\
example.com relay:[{internal}]:{internal_smtp}
example.net smtp:[mail.example.net]:{mail}
reuse.test smtp:[mail.example.net]:{mail}
refused.test smtp:[mail.example.net]:{closed}
nobanner.test smtp:[{remote}]:{nobanner}
busy.test smtp:[{remote}]:{busy}
silent.test impatient:[{remote}]:{silent}
tls.test smtp:[{remote}]:{tls}
verified.test smtp:[mail.example.net]:{tls}
musttls.test smtp:[{remote}]:{mail}
pix.test smtp:[{remote}]:{pix}
v6.test smtp:[::1]:{ipv6}
ascii.test smtp:[{remote}]:{ascii}
nohost.test smtp:[nosuchhost.invalid]
notransport.test nosuchtransport:
rewritten.test rewriting:[mail.example.net]:{mail}
pipe.example.com exits:
throw.example.com discard:silently dropped
moved.test error:5.1.6 recipient has moved to http://example.com/
suspended.test retry:4.3.2 deliveries suspended by admin
"""
INTERNAL_TRANSPORT: Final = """\
example.com lmtp:unix:private/store
* smtp:[mail.example.net]:{mail}
"""
FILES: Final[Mapping[str, str]] = {
    "aliases": """\
staff bob, carol@example.com, partner@example.net
forwarded partner@example.net
listed :include:/etc/postfix/list
badlist :include:/etc/postfix/nosuchlist
command "|/bin/cat > /dev/null"
failing "|/bin/sh -c 'echo no such thing; exit 67'"
archive /dev/null
postmaster bob
""",
    "list": "bob\npartner@example.net\n",
    "exits.sh": """\
cat > /dev/null
case $1 in
    busy) echo database down, try later; exit 75 ;;
    unknown) echo no such user; exit 67 ;;
    killed) kill -KILL $$ ;;
esac
""",
    "mailbox_transport": "dave smtp:[mail.example.net]:{mail}\n",
    "virtual": "info@example.org alice@example.com\n"
    "sales@example.org alice@example.com, bob@mx1.example.com, partner@example.net\n",
    "vmailbox": "vic@box.example.org vic\nmaildir@box.example.org maildir/\n",
    "recipient_bcc": "erin@example.com journal@example.com\n",
    "header_checks": """\
/^Subject: reject/ REJECT policy H-1: not welcome
/^Subject: discard/ DISCARD policy H-2
/^Subject: hold/ HOLD held for review
/^Subject: redirect/ REDIRECT carol@example.com
/^Subject: warn/ WARN odd subject
/^Subject: info/ INFO noted
/^Subject: bcc/ BCC journal@example.com
/^Subject: prepend/ PREPEND X-Checked: yes
/^Subject: replace/ REPLACE Subject: replaced
/^Subject: filter/ FILTER smtp:[mail.example.net]:{mail}
/^X-Strip:/ STRIP
""",
    "body_checks": "/BODYREJECT/ REJECT policy B-1\n/BODYWARN/ WARN odd body\n",
    "smtp_header_checks": "/^Subject:/ REPLACE Subject: on its way\n",
    "logins": "alice@example.com alice\n",
    "client_access": f"""\
{BANNED_IP} 554 5.7.1 Go away: see <https://example.com/block?a=1&b=2>; to=<x@y>
{DISCARDED_IP} DISCARD client discarded
""",
    "helo_access": "spammer.test REJECT\nlater.test DEFER_IF_PERMIT not yet\n",
    "sender_access": """\
blocked@example.net REJECT sender blocked by policy
deferred@example.net 450 4.7.1 sender deferred by policy
rerouted@example.net FILTER smtp:[mail.example.net]:{mail}
held@example.net HOLD sender on hold list
""",
    "recipient_access": """\
denied@example.com REJECT
watched@example.com WARN mail for a watched recipient
thrown@example.com DISCARD recipient discarded
redirected@example.com REDIRECT carol@example.com
marked@example.com PREPEND X-Marked: yes
""",
    "recipient_trial": "trial@example.com REJECT not yet in force\n",
    "end_access": f"{BANNED_AT_END_IP} REJECT nothing from you\n",
    "tls_policy": f"[{REMOTE_IP}]:{{mail}} encrypt\n[mail.example.net]:{{tls}} secure\n",
    "postscreen_access": f"{DENIED_IP} reject\n",
}
