"""A real Postfix whose files all lie in one directory."""

import json
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.lab.namespace import Namespace
from tests.support.lab.polling import wait_until

_MAIN = """\
compatibility_level = 3.6
myhostname = mx1.example.com
mydomain = example.com
myorigin = $mydomain
mydestination = $mydomain
mynetworks = 127.0.0.79/32
inet_interfaces = loopback-only
inet_protocols = ipv4
relayhost = [mail.example.net]:{relay_port}
smtp_bind_address = {address}
smtp_dns_support_level = disabled
smtp_host_lookup = native
alias_maps =
biff = no
header_checks = regexp:/etc/postfix/header_checks
queue_run_delay = 1000s
minimal_backoff_time = 1000s
"""
_MASTER = """\
{address}:{port} inet n - n - - smtpd
pickup  unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp    unix - - n - - smtp
local   unix - n n - - local
error   unix - - n - - error
retry   unix - - n - - error
anvil   unix - - n - 1 anvil
showq   unix n - n - - showq
flush   unix n - n 1000? 0 flush
scache  unix - - n - 1 scache
"""
_HEADER_CHECKS = "/^Subject: checked/ WARN noted\n"
# What Postfix looks for beside its configuration.
_META_FILES = ("dynamicmaps.cf", "postfix-files", "post-install", "postfix-script")
_META_DIRECTORIES = ("dynamicmaps.cf.d", "postfix-files.d")


def prepare(directory: Path, address: str, port: int, relay_port: int) -> dict[str, Path]:
    """Write the configuration and give the mounts (path inside to path outside) it needs."""
    directory.mkdir()
    mounts = {
        "/etc/postfix": directory / "etc",
        "/var/spool/postfix": directory / "spool",
        "/var/lib/postfix": directory / "lib",
        "/var/mail": directory / "mail",
    }
    for path in mounts.values():
        path.mkdir()
        path.chmod(0o755)
    shutil.chown(directory / "lib", "postfix", "postfix")
    (directory / "mail").chmod(0o1777)
    etc = directory / "etc"
    copy_meta_files(etc)
    (etc / "main.cf").write_text(_MAIN.format(address=address, relay_port=relay_port))
    (etc / "master.cf").write_text(_MASTER.format(address=address, port=port))
    (etc / "header_checks").write_text(_HEADER_CHECKS)
    return mounts


def copy_meta_files(etc: Path) -> None:
    """Put what Postfix looks for beside its configuration there."""
    for name in _META_FILES:
        shutil.copy(f"/etc/postfix/{name}", etc)
    for name in _META_DIRECTORIES:
        shutil.copytree(f"/etc/postfix/{name}", etc / name)


class Postfix:
    """A running Postfix of one namespace; ends with the namespace."""

    def __init__(
        self, namespace: Namespace, address: str, port: int, *, config: str = "/etc/postfix"
    ) -> None:
        self._namespace = namespace
        self._config = config
        self._address = (address, port)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._namespace.run(["postfix", "-c", self._config, "start"])

        def greets() -> bool:
            with socket.socket() as client:
                return client.connect_ex(self._address) == 0

        wait_until(greets, "Postfix listens")

    def queue(self) -> list[dict[str, Any]]:
        """What is in the queue: the JSON objects of ``postqueue -j``."""
        listed = self._namespace.run(["postqueue", "-c", self._config, "-j"])
        return [json.loads(line) for line in listed.splitlines()]

    def flush(self) -> None:
        """Try all deferred mail now."""
        self._namespace.run(["postqueue", "-c", self._config, "-f"])

    def do(self, command: str) -> None:
        """Give a command to postfix(1): ``reload``, ``stop`` ..."""
        self._namespace.run(["postfix", "-c", self._config, command])

    def operate(self, action: str, queue_id: str) -> None:
        """Let postsuper(1) do something to one mail, or to ``ALL``: ``-d``, ``-h`` ..."""
        self._namespace.run(["postsuper", "-c", self._config, action, queue_id])

    def sendmail(
        self,
        uid: int,
        sender: str,
        recipients: Sequence[str],
        content: bytes,
        *,
        options: Sequence[str] = (),
    ) -> None:
        """Submit a mail as a local user does, by the sendmail command."""
        user = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
        command = [*user, "sendmail", "-i", *options, "-f", sender, "--", *recipients]
        self._namespace.run(command, stdin=content)
