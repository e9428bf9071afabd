"""Real senders with the configurations that docs/inputs.md shows."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.ports import free_port
from tests.support.servers.certificates import Certificates, make_certificates
from tests.support.shippers import Lumberjack, Rsyslog, documented_config
from tests.support.site import Site

_SOCKET = 'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{}"'


class Listening(Site):
    """A daemon with each kind of listener; those in TLS want a certificate named ``client``."""

    def __init__(self, directory: Path) -> None:
        self.certificates = make_certificates(directory)
        self.tls, self.relp, self.relp_tls, self.lumberjack = (free_port() for _ in range(4))
        ports = {"tcp": self.tls, "relp": self.relp_tls, "lumberjack": self.lumberjack}
        tables = "".join(
            f"[[inputs.{name}]]\nport = {port}\n[inputs.{name}.tls]\n"
            f'certificate = "{self.certificates.server}"\n'
            f'key = "{self.certificates.server.with_suffix(".key")}"\n'
            f'client_ca = "{self.certificates.authority}"\nallow_names = ["client"]\n'
            for name, port in ports.items()
        )
        super().__init__(directory, f"[[inputs.relp]]\nport = {self.relp}\n{tables}")
        self.daemon = Daemon(self.config)

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.daemon.log.read_text().splitlines()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    site = Listening(tmp_path_factory.mktemp("shippers"))
    with site.daemon:
        yield site


def values_of(title: str, site: Listening, own: str = "client") -> dict[str, str]:
    """What stands for the ports and files of a documented configuration."""
    plain = {"UDP": {"5000": str(site.udp)}, "TCP": {"5000": str(site.tcp)}}
    values = plain.get(title.split(",")[0]) or {"2514": str(site.relp)}
    if "TLS" in title:
        files: Certificates = site.certificates
        certificate = files.directory / f"{own}.pem"
        values = {
            "/etc/rsyslog-tls/ca.pem": str(files.authority),
            "/etc/rsyslog-tls/own.pem": str(certificate),
            "/etc/rsyslog-tls/own.key": str(certificate.with_suffix(".key")),
            "logs.example.net": "localhost",
        }
        values |= {"2514": str(site.relp_tls)} if "RELP" in title else {"6514": str(site.tls)}
    return values


@contextmanager
def logging(directory: Path, config: str, *messages: str) -> Iterator[None]:
    """An rsyslog of a host ``mx1`` to whose socket somebody writes."""
    path = directory / "socket"
    shipper = Rsyslog(directory, _SOCKET.format(path) + f' HostName="mx1")\n{config}')
    shipper.start()
    try:
        wait_until(path.exists, "rsyslogd listens")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.connect(str(path))
            for message in messages:
                stamp = time.strftime("%b %e %H:%M:%S")
                log.send(f"<22>{stamp} postfix/smtpd[100]: {message}".encode())
        yield
    finally:
        shipper.kill()


@pytest.mark.parametrize(
    "title",
    [
        *("UDP", "UDP, legacy", "TCP", "TCP, legacy", "TLS", "TLS, legacy"),
        *("RELP", "RELP, legacy", "RELP with TLS"),
    ],
)
def test_each_documented_rsyslog_brings_its_lines(
    title: str, site: Listening, tmp_path: Path
) -> None:
    messages = [f"connect from {title.replace(', ', '.')}.{n}[192.0.2.7]" for n in range(20)]
    config = documented_config(title, values_of(title, site))
    with logging(tmp_path, config, *messages):
        wait_until(lambda: set(messages) <= set(site.messages()), "all of it is stored")
    assert all(site.messages()[message] == 1 for message in messages)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        pytest.param("forged", "not valid: self-signed certificate", id="wrong"),
        pytest.param("expired", "not valid: certificate has expired", id="expired"),
        pytest.param(None, "no certificate was shown", id="none"),
        pytest.param("elsewhere", "elsewhere.example.net", id="not in allow_names"),
    ],
)
def test_an_rsyslog_without_the_right_certificate_brings_nothing(
    own: str | None, reason: str, site: Listening, tmp_path: Path
) -> None:
    config = documented_config("TLS", values_of("TLS", site, own or "client"))
    if own is None:
        authority = f'global(defaultNetstreamDriverCAFile="{site.certificates.authority}")\n'
        config = authority + config[config.index("mail.*") :]

    def reasons() -> list[str]:
        return [str(line.get("reason", line.get("certificate", ""))) for line in site.log()]

    with logging(tmp_path, config, f"connect from {own}.example.net[192.0.2.9]"):
        wait_until(lambda: any(reason in one for one in reasons()), "it is refused, and why")
    assert not any(f"from {own}.example" in message for message in map(str, site.messages()))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="synchronous"),
        pytest.param(("-inflight", "3", "-compress", "3"), id="asynchronous, compressed"),
    ],
)
def test_elastics_own_client_brings_its_lines_by_tls(
    options: tuple[str, ...], site: Listening, tmp_path: Path
) -> None:
    """Headers are those of the file; what has none is the event's."""
    file = tmp_path / "mail.log"
    name = f"lj{len(options)}"
    stamp = time.strftime("%b %e %H:%M:%S")
    texts = [f"postfix/smtpd[9]: connect from {name}.{n}[192.0.2.7]\n" for n in range(901)]
    file.write_text("".join(f"{stamp} mx7 {text}" for text in texts[1:]) + texts[0])
    files = site.certificates
    certificate = ("-cert", str(files.client), "-key", str(files.client.with_suffix(".key")))
    sender = Lumberjack(
        *(tmp_path, file, site.lumberjack, "-once", "-batch", "100", "-host", "mx8"),
        *("-ca", str(files.authority), *certificate, *options),
    )
    sender.start()
    assert sender.wait() == 0, sender.log.read_text()

    def ours() -> list[dict[str, object]]:
        return [one for one in site.stored() if f"from {name}." in str(one["message"])]

    wait_until(lambda: len(ours()) >= 901, "all of it is stored")
    assert len(ours()) == 901
    assert {one["host"] for one in ours()} == {"mx7", "mx8"}
    assert [one["host"] for one in ours() if f"{name}.0[" in str(one["message"])] == ["mx8"]
    assert int((tmp_path / "registry").read_text()) == file.stat().st_size
