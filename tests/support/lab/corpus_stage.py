"""Both Postfix instances in a namespace, and all the servers around them."""

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from email.message import Message
from pathlib import Path

from tests.support.lab import HOSTNAME, POSIX_ZONE, require_programs
from tests.support.lab.corpus_endings import messages_in
from tests.support.lab.corpus_helpers import Helper, Logins, Milter
from tests.support.lab.corpus_postfix import SERVICES, prepare_edge, prepare_internal
from tests.support.lab.corpus_servers import ScriptedServer, Taken, reinject
from tests.support.lab.corpus_tables import (
    EDGE_IP,
    HOSTS,
    INTERNAL_CONFIG,
    INTERNAL_IP,
    REMOTE_IP,
    USERS,
)
from tests.support.lab.namespace import Namespace
from tests.support.lab.postfix import Postfix
from tests.support.lab.rsyslog import Rsyslog
from tests.support.ports import free_port

_REMOTE = "mail.example.net"
_CERTIFICATE = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
_BLOCKED = "554 5.7.1 mail.example.net: blocked, see https://example.net/?ip=192.0.2.1"


class Stage:
    """Everything that runs; it ends with the ``stack``."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        require_programs()
        self._directory = directory
        self.ports: dict[str, int] = {}
        tls = self._make_certificate()
        self.servers = {
            "mail": ScriptedServer(REMOTE_IP, _REMOTE),
            "tls": ScriptedServer(REMOTE_IP, _REMOTE, tls=tls),
            "ascii": ScriptedServer(REMOTE_IP, _REMOTE),
            "nobanner": ScriptedServer(REMOTE_IP, _REMOTE, greeting=_BLOCKED),
            "busy": ScriptedServer(REMOTE_IP, _REMOTE, greeting="421 4.7.0 Too many connections"),
            "silent": ScriptedServer(REMOTE_IP, _REMOTE, greeting=""),
            "pix": ScriptedServer(REMOTE_IP, _REMOTE, greeting="220 " + "*" * 20),
            "ipv6": _ipv6_server(),
        }
        self.filter, self.proxy = (
            ScriptedServer(EDGE_IP, name, extensions=(offered,), finish=self._reinject)
            for name, offered in (
                ("filter.example.com", "XFORWARD NAME ADDR IDENT"),
                ("proxy.example.com", "XFORWARD NAME ADDR"),
            )
        )
        around = self.servers | {"filter": self.filter, "proxy": self.proxy}
        for name, server in around.items():
            self.ports[name] = stack.enter_context(server).port
        for name, session in (("milter", Milter), ("logins", Logins)):
            self.ports[name] = stack.enter_context(Helper(EDGE_IP, session)).port
        # Bound, but nobody listens.
        closed = stack.enter_context(socket.socket())
        closed.bind((REMOTE_IP, 0))
        self.ports["closed"] = closed.getsockname()[1]
        for name in (*SERVICES, "postscreen", "deep", "qmqp"):
            self.ports[name] = free_port(EDGE_IP)
        self.ports["internal_smtp"] = free_port(INTERNAL_IP)
        mounts = self._prepare()
        namespace = Namespace(HOSTNAME, POSIX_ZONE, directory / "dev", mounts)
        stack.callback(namespace.close)
        self.syslog = Rsyslog(namespace, directory / "log", (), ())
        self.internal = Postfix(
            namespace, INTERNAL_IP, self.ports["internal_smtp"], config=INTERNAL_CONFIG
        )
        self.edge = Postfix(namespace, EDGE_IP, self.ports["smtp"])
        self.servers["store"] = stack.enter_context(self._store(stack))

    def mails(self) -> Iterator[Taken]:
        """All mails at their ends: with the partner and in the boxes behind LMTP."""
        for server in self.servers.values():
            yield from server.taken

    def boxes(self) -> Iterator[tuple[str, Message]]:
        """All mails in the mailboxes that local(8) and virtual(8) write, with the address."""
        domains = {"edge/mail": "mx1.example.com", "internal/vbox": "box.example.org"}
        for path, domain in domains.items():
            for name, message in messages_in(self._directory / path):
                yield f"{name}@{domain}", message

    def _reinject(self, mail: Taken) -> str:
        return reinject(mail, EDGE_IP, self.ports["reinject"], mail.server.hostname)

    def _make_certificate(self) -> ssl.SSLContext:
        key, certificate = self._directory / "key.pem", self._directory / "certificate.pem"
        names = ("-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={_REMOTE}")
        subprocess.run([*_CERTIFICATE, *names], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def _prepare(self) -> dict[str, Path]:
        """All that is mounted in the namespace (path inside to path outside)."""
        edge, internal = self._directory / "edge", self._directory / "internal"
        mounts = prepare_edge(edge, self.ports) | prepare_internal(internal, self.ports)
        for name in ("key.pem", "certificate.pem"):
            for instance in (edge, internal):
                (instance / "etc" / name).write_bytes((self._directory / name).read_bytes())
        home = internal / "forward"
        home.mkdir()
        (home / ".forward").write_text("bob@mx1.example.com\ncarol@example.com\n")
        homes = {"forward": "/mnt/forward"}
        users = [
            f"{name}:x:{uid}:{uid}::{homes.get(name, '/nonexistent')}:/bin/sh\n"
            for name, uid in USERS.items()
        ]
        others = Path("/etc/passwd").read_text().splitlines(keepends=True)
        users += [line for line in others if line.partition(":")[0] not in USERS]
        files = {
            "/etc/hosts": HOSTS,
            "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
            "/etc/passwd": "".join(users),
        }
        for inside, content in files.items():
            mounts[inside] = self._directory / Path(inside).name
            mounts[inside].write_text(content)
        return mounts

    def _store(self, stack: ExitStack) -> ScriptedServer:
        private = self._directory / "internal" / "spool" / "private"
        # The path of a socket must be short, and that of a test's directory may not be.
        descriptor = os.open(private, os.O_RDONLY)
        stack.callback(os.close, descriptor)
        server = ScriptedServer(
            f"/proc/self/fd/{descriptor}/store",
            "mbox1.example.com",
            lmtp=True,
            extensions=("SMTPUTF8",),
        )
        (private / "store").chmod(0o666)
        return server


def _ipv6_server() -> ScriptedServer:
    try:
        return ScriptedServer("::1", "v6.example.net")
    except OSError as error:
        help_ = "sysctl -w net.ipv6.conf.lo.disable_ipv6=0"
        raise RuntimeError(f"the corpus needs ::1 ({error}); run: {help_}") from error
