"""The two Postfix instances of the corpus: `postfix` faces the world, `postfix-internal` the boxes.

The first has short queue IDs and many ways in and out, the second long ones and LMTP.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.lab.corpus_tables import (
    DELAY_WARNING,
    EDGE_IP,
    FILES,
    GREET_WAIT,
    INTERNAL_IP,
    INTERNAL_TRANSPORT,
    REMOTE_IP,
    TRANSPORT,
    TRUSTED_IP,
    USERS,
)
from tests.support.lab.postfix import copy_meta_files

# smtpd(8) services of the edge and their options; each has a port of its own.
SERVICES: Final[Mapping[str, tuple[str, ...]]] = {
    "smtp": (),
    "submission": (
        "syslog_name=postfix/submission",
        "smtpd_tls_security_level=may",
        "smtpd_sasl_auth_enable=yes",
        "smtpd_relay_restrictions=permit_sasl_authenticated,reject",
        "smtpd_sender_restrictions=reject_sender_login_mismatch",
    ),
    "eager": ("smtpd_delay_reject=no",),
    # Only for clients that are silent: on a busy machine any other may take as long.
    "impatient": ("smtpd_timeout=2s",),
    "filtered": ("content_filter=scan:[{edge}]:{filter}",),
    "reinject": (
        "syslog_name=postfix/reinject",
        "content_filter=",
        "mynetworks=127.0.0.0/8",
        "smtpd_authorized_xforward_hosts=127.0.0.0/8",
        "receive_override_options=no_header_body_checks,no_unknown_recipient_checks",
    ),
    "journalled": ("cleanup_service_name=journalling",),
    "proxied": ("smtpd_proxy_filter={edge}:{proxy}",),
    "milters": ("smtpd_milters=inet:{edge}:{milter}", "milter_default_action=tempfail"),
    "nomilter": ("smtpd_milters=inet:{remote}:{closed}", "milter_default_action=tempfail"),
    "verified": (
        "smtpd_recipient_restrictions=reject_unverified_recipient",
        "unverified_recipient_reject_code=550",
    ),
    "limited": (
        "smtpd_client_event_limit_exceptions=",
        "smtpd_client_connection_rate_limit=2",
        "smtpd_client_message_rate_limit=1",
    ),
    "broken": ("relay_recipient_maps=texthash:/etc/postfix/nosuchmap",),
    "xclient": ("smtpd_authorized_xclient_hosts=127.0.0.0/8",),
}

_BASE = """\
compatibility_level = 3.6
inet_protocols = all
smtp_dns_support_level = disabled
lmtp_dns_support_level = disabled
smtp_host_lookup = native
lmtp_host_lookup = native
biff = no
alias_database =
recipient_delimiter = +
resolve_dequoted_address = no
queue_run_delay = 1000s
minimal_backoff_time = 1000s
smtpd_error_sleep_time = 0
smtpd_sasl_type = dovecot
anvil_status_update_time = 5s
smtpd_tls_cert_file = /etc/postfix/certificate.pem
smtpd_tls_key_file = /etc/postfix/key.pem
smtpd_tls_loglevel = 1
smtp_tls_loglevel = 1
"""
_EDGE = """\
multi_instance_name =
alternate_config_directories = /mnt/etc
myhostname = mx1.example.com
mydomain = example.com
myorigin = $myhostname
mydestination = $myhostname
mynetworks = {trusted}/32
inet_interfaces = loopback-only
smtp_bind_address = {edge}
alias_maps = texthash:/etc/postfix/aliases
mailbox_transport_maps = texthash:/etc/postfix/mailbox_transport
exits_destination_recipient_limit = 1
relay_domains = example.com, pipe.example.com, throw.example.com
transport_maps = texthash:/etc/postfix/transport
virtual_alias_domains = example.org
virtual_alias_maps = texthash:/etc/postfix/virtual
virtual_mailbox_domains = box.example.org
virtual_mailbox_base = /mnt/vbox
virtual_mailbox_maps = texthash:/etc/postfix/vmailbox
virtual_uid_maps = static:50001
virtual_gid_maps = static:50001
recipient_bcc_maps = texthash:/etc/postfix/recipient_bcc
header_checks = regexp:/etc/postfix/header_checks
body_checks = regexp:/etc/postfix/body_checks
smtpd_sasl_path = inet:{edge}:{logins}
smtpd_sender_login_maps = texthash:/etc/postfix/logins
smtpd_tls_security_level = may
qmqpd_authorized_clients = {trusted}
smtpd_helo_required = yes
disable_vrfy_command = no
smtpd_client_restrictions = permit_mynetworks,
  check_client_access texthash:/etc/postfix/client_access
smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname,
  reject_non_fqdn_helo_hostname, check_helo_access texthash:/etc/postfix/helo_access
smtpd_sender_restrictions = check_sender_access texthash:/etc/postfix/sender_access,
  reject_non_fqdn_sender
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:/etc/postfix/recipient_access,
  warn_if_reject check_recipient_access texthash:/etc/postfix/recipient_trial
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_end_of_data_restrictions = check_client_access texthash:/etc/postfix/end_access
smtpd_recipient_limit = 60
smtpd_hard_error_limit = 5
smtpd_junk_command_limit = 5
mailbox_size_limit = 60000
message_size_limit = 50000
bounce_queue_lifetime = 0
delay_warning_time = {delay_warning:g}s
notify_classes = resource, software, 2bounce
2bounce_notice_recipient = bob@mx1.example.com
smtp_connection_cache_destinations = reuse.test
smtp_tls_security_level = may
smtp_tls_policy_maps = texthash:/etc/postfix/tls_policy
address_verify_map =
address_verify_poll_count = 100
postscreen_cache_map = btree:$data_directory/postscreen_cache
postscreen_greet_wait = {greet_wait:g}s
postscreen_greet_action = enforce
postscreen_access_list = permit_mynetworks, cidr:/etc/postfix/postscreen_access
postscreen_denylist_action = enforce
"""
_INTERNAL = """\
multi_instance_name = postfix-internal
queue_directory = /mnt/spool
data_directory = /mnt/lib
enable_long_queue_ids = yes
myhostname = mbox1.example.com
mydomain = example.com
mydestination = $myhostname
mynetworks = {edge}/32
inet_interfaces = loopback-only
smtp_bind_address = {internal}
alias_maps =
virtual_mailbox_domains = example.com
virtual_transport = lmtp:unix:private/store
virtual_alias_maps = texthash:/mnt/etc/virtual
lmtp_destination_recipient_limit = 50
transport_maps = texthash:/mnt/etc/transport
"""
_DAEMONS = """\
pickup  unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 300 1 qmgr
tlsmgr  unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
verify  unix - - n - 1 verify
flush   unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp    unix - - n - - smtp
relay   unix - - n - - smtp
  -o syslog_name=${{multi_instance_name?{{$multi_instance_name}}:{{postfix}}}}/relay
showq   unix n - n - - showq
error   unix - - n - - error
retry   unix - - n - - error
discard unix - - n - - discard
local   unix - n n - - local
virtual unix - n n - - virtual
lmtp    unix - - n - - lmtp
anvil   unix - - n - 1 anvil
scache  unix - - n - 1 scache
"""
_MORE_OF_THE_EDGE = """\
smtpd   pass - - n - - smtpd
dnsblog unix - - n - 0 dnsblog
tlsproxy unix - - n - 0 tlsproxy
{edge}:{qmqp} inet n - n - - qmqpd
{edge}:{postscreen} inet n - n - 1 postscreen
{edge}:{deep} inet n - n - 1 postscreen
  -o syslog_name=postfix/deep
  -o postscreen_cache_map=btree:$data_directory/deep_cache
  -o postscreen_pipelining_enable=yes
  -o postscreen_non_smtp_command_enable=yes
  -o postscreen_bare_newline_enable=yes
journalling unix n - n - 0 cleanup
  -o always_bcc=journal@example.com
scan    unix - - n - - smtp
  -o syslog_name=postfix/scan
  -o smtp_send_xforward_command=yes
impatient unix - - n - - smtp
  -o smtp_helo_timeout=1s
rewriting unix - - n - - smtp
  -o smtp_header_checks=regexp:/etc/postfix/smtp_header_checks
exits   unix - n n - - pipe
  flags=Rhu user=alice argv=/bin/sh /etc/postfix/exits.sh $user
"""


def prepare_edge(directory: Path, ports: Mapping[str, int]) -> dict[str, Path]:
    """Write the edge's configuration and give its mounts (path inside to path outside)."""
    mounts = {
        "/etc/postfix": directory / "etc",
        "/var/spool/postfix": directory / "spool",
        "/var/lib/postfix": directory / "lib",
        "/var/mail": directory / "mail",
    }
    for path in mounts.values():
        path.mkdir(parents=True, mode=0o755)
    etc = directory / "etc"
    shutil.chown(directory / "lib", "postfix", "postfix")
    (directory / "mail").chmod(0o1777)
    # One octet less than the largest mailbox: no mail fits in.
    (directory / "mail" / "full").write_bytes(b"From x\n" + b"y" * 59992)
    shutil.chown(directory / "mail" / "full", USERS["full"], USERS["full"])
    values = _values(ports)
    services = []
    for name, options in SERVICES.items():
        services.append(f"{EDGE_IP}:{ports[name]} inet n - n - - smtpd")
        services += [f"  -o {option}".format_map(values) for option in options]
    copy_meta_files(etc)
    (etc / "main.cf").write_text((_BASE + _EDGE).format_map(values))
    master = "\n".join(services) + "\n" + _DAEMONS + _MORE_OF_THE_EDGE
    (etc / "master.cf").write_text(master.format_map(values))
    (etc / "transport").write_text(TRANSPORT.format_map(values))
    for name, content in FILES.items():
        (etc / name).write_text(_filled(content, ports))
    return mounts


def prepare_internal(directory: Path, ports: Mapping[str, int]) -> dict[str, Path]:
    """The same for the second instance."""
    for name in ("etc", "spool", "lib", "vbox/maildir"):
        (directory / name).mkdir(parents=True, mode=0o755)
    shutil.chown(directory / "lib", "postfix", "postfix")
    for path in (directory / "vbox", directory / "vbox" / "maildir"):
        shutil.chown(path, USERS["alice"], USERS["alice"])
    etc = directory / "etc"
    copy_meta_files(etc)
    values = _values(ports)
    (etc / "main.cf").write_text((_BASE + _INTERNAL).format_map(values))
    listener = "{internal}:{internal_smtp} inet n - n - - smtpd\n"
    (etc / "master.cf").write_text((listener + _DAEMONS).format_map(values))
    (etc / "transport").write_text(INTERNAL_TRANSPORT.format_map(values))
    (etc / "virtual").write_text("team@example.com alice@example.com, dave@example.net\n")
    return {"/mnt": directory}


def _filled(content: str, ports: Mapping[str, int]) -> str:
    # These files have braces and dollar signs of their own.
    for name in ("mail", "tls"):
        content = content.replace(f"{{{name}}}", str(ports[name]))
    return content


def _values(ports: Mapping[str, int]) -> dict[str, object]:
    addresses = {"edge": EDGE_IP, "internal": INTERNAL_IP, "remote": REMOTE_IP}
    seconds = {"delay_warning": DELAY_WARNING, "greet_wait": GREET_WAIT}
    return {**ports, **addresses, **seconds, "trusted": TRUSTED_IP}
