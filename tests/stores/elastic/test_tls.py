"""TLS settings: what is wrong with files is reported at the start, with the setting's name."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.tls import Tls, tls_hint
from tests.support.servers.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def files(made: Certificates, tmp_path: Path) -> Path:
    """Copies, for tests to spoil."""
    shutil.copytree(made.directory, tmp_path / "pki")
    subprocess.run(
        [
            *("openssl", "pkey", "-aes256", "-passout", "pass:secret"),
            *("-in", tmp_path / "pki/client.key", "-out", tmp_path / "pki/encrypted.key"),
        ],
        check=True,
    )
    (tmp_path / "pki/text.pem").write_text("no certificate\n")
    return tmp_path / "pki"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"ca_certs": "none.pem"}, r"ca_certs: cannot use .*/none\.pem: No such file or directory"),
        (
            {"ca_certs": "text.pem"},
            r"ca_certs: cannot use .*/text\.pem: no certificate in PEM form",
        ),
        ({"client_cert": "none.pem"}, r"client_cert: cannot use .*/none\.pem: No such file"),
        ({"client_cert": "text.pem"}, r"client_cert: cannot use .*/text\.pem: no certificate in"),
        ({"client_cert": "client.pem"}, r"client_cert: .*/client\.pem: .*, or no key with it"),
        (
            {"client_cert": "client.pem", "client_key": "none.key"},
            r"client_key: cannot use .*/none\.key: No such file",
        ),
        (
            {"client_cert": "client.pem", "client_key": "server.key"},
            r"client_cert: .*/client\.pem: the key belongs to another certificate",
        ),
        (
            {"client_cert": "client.pem", "client_key": "encrypted.key"},
            "client_key: the key is encrypted: store it without a passphrase",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named_at_the_start(
    files: Path, names: dict[str, str], message: str
) -> None:
    options: dict[str, Any] = {key: files / name for key, name in names.items()}
    tls = Tls(**options)
    with pytest.raises(UsageError, match=f"^elasticsearch.{message}"):
        ElasticConnection(["https://127.0.0.1:9"], tls=tls)


def test_files_that_no_host_needs_are_not_read(files: Path) -> None:
    ElasticConnection(["http://127.0.0.1:9"], tls=Tls(ca_certs=files / "none.pem"))


def test_authorities_may_be_in_a_folder_and_a_key_beside_its_certificate(files: Path) -> None:
    folder = files / "folder"
    folder.mkdir()
    shutil.copy(files / "authority.pem", folder)
    subprocess.run(["openssl", "rehash", folder], check=True)
    both = files / "both.pem"
    both.write_bytes((files / "client.pem").read_bytes() + (files / "client.key").read_bytes())

    Tls(ca_certs=folder, client_cert=both).context()


def test_without_settings_the_systems_authorities_count(made: Certificates) -> None:
    everyone, one = Tls().context(), Tls(ca_certs=made.authority).context()

    assert [dict(one.get_ca_certs()[0])["subject"]] == [((("commonName", "authority"),),)]
    assert everyone.get_ca_certs() != one.get_ca_certs()


async def test_a_fingerprint_waits_for_a_server_that_is_away() -> None:
    connection = ElasticConnection(["https://127.0.0.1:9"], tls=Tls(fingerprint="0" * 64))
    with pytest.raises(StoreUnavailable, match=r"cannot be reached \(https://127.0.0.1:9: "):
        await connection.open()


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired",
            "renew",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] ...: certificate is not yet valid", "check the clocks"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] Hostname mismatch, certificate is not valid for 'a'",
            "name",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] ...: unable to get local issuer certificate",
            "ca_certs",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "http://"),
        (
            "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required",
            "client_cert",
        ),
        ("[SSL: SSLV3_ALERT_BAD_CERTIFICATE] sslv3 alert bad certificate", "client_cert"),
    ],
)
def test_what_openssl_says_has_a_hint(said: str, what: str) -> None:
    assert what in str(tls_hint(said))


def test_a_lost_connection_has_none() -> None:
    assert tls_hint("Connection reset by peer") is None
