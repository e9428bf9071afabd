"""Authorities and certificates for tests, made with openssl at test time."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

SERVER_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files in one directory; every ``.pem`` of a certificate has a ``.key`` beside it."""

    directory: Path

    @property
    def authority(self) -> Path:
        """What signed ``server``, ``expired`` and ``client``."""
        return self.directory / "authority.pem"

    @property
    def stranger(self) -> Path:
        """An authority that signed none of these."""
        return self.directory / "stranger.pem"

    @property
    def server(self) -> Path:
        """For localhost and 127.0.0.1."""
        return self.directory / "server.pem"

    @property
    def expired(self) -> Path:
        """For the same, but of the year 2020."""
        return self.directory / "expired.pem"

    @property
    def elsewhere(self) -> Path:
        """For another host."""
        return self.directory / "elsewhere.pem"

    @property
    def forged(self) -> Path:
        """Has the name of ``client``, and signed itself."""
        return self.directory / "forged.pem"

    @property
    def client(self) -> Path:
        return self.directory / "client.pem"

    def chain(self, certificate: Path) -> Path:
        """A file of the certificate followed by its authority's, as servers present them."""
        path = certificate.with_suffix(".chain")
        path.write_bytes(certificate.read_bytes() + self.authority.read_bytes())
        return path

    def fingerprint(self, certificate: Path) -> str:
        """Its SHA-256 as openssl prints it, in capitals with colons."""
        told = _openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256")
        return told.strip().rpartition("=")[2]


def make_certificates(directory: Path) -> Certificates:
    """Make all of them; takes some tenths of a second."""
    made = Certificates(directory)
    _authority(made.authority)
    _authority(made.stranger)
    (directory / "index").touch()
    (directory / "authority.cnf").write_text(
        f"""[ca]
default_ca = authority
[authority]
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = policy
copy_extensions = copy
[policy]
commonName = supplied
"""
    )
    _certificate(made, made.server, SERVER_NAMES)
    _certificate(made, made.expired, SERVER_NAMES, end="20200201000000Z")
    _certificate(made, made.elsewhere, "subjectAltName=DNS:elsewhere.example.net")
    _certificate(made, made.client, "extendedKeyUsage=clientAuth")
    _openssl(
        *("req", "-x509", *_new_key(made.forged), "-days", "2", "-subj", "/CN=client"),
        *("-addext", "extendedKeyUsage=clientAuth", "-out", made.forged),
    )
    return made


def _authority(path: Path) -> None:
    _openssl(
        *("req", "-x509", *_new_key(path), "-days", "2", "-subj", f"/CN={path.stem}"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", path),
    )


def _certificate(
    made: Certificates,
    path: Path,
    extension: str,
    end: str = "20991231000000Z",
) -> None:
    request = path.with_suffix(".csr")
    _openssl(
        *("req", *_new_key(path), "-subj", f"/CN={path.stem}", "-addext", extension),
        *("-out", request),
    )
    # Of openssl's commands only this one makes certificates of the past.
    _openssl(
        *("ca", "-config", made.directory / "authority.cnf", "-batch", "-notext"),
        *("-cert", made.authority, "-keyfile", made.authority.with_suffix(".key")),
        *("-startdate", "20200101000000Z", "-enddate", end, "-in", request, "-out", path),
    )


def _new_key(path: Path) -> tuple[str | Path, ...]:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    return (*curve, "-keyout", path.with_suffix(".key"))


def _openssl(*arguments: str | Path) -> str:
    return subprocess.run(
        ["openssl", *arguments], check=True, capture_output=True, text=True
    ).stdout
