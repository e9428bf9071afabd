"""TLS settings -> the context that connections to a store are made with, and what failures mean.

A pinned fingerprint may be the server's own certificate's or, as Elasticsearch 8 and later print
it at their first start, that of the authority: what the server presents is looked through once for
it, and from then on trusted as if it were a file of authorities.
"""

import asyncio
import hashlib
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mailingest.errors import StoreUnavailable, UsageError

HANDSHAKE_SECONDS = 10.0
"""Two round trips and some arithmetic; a server that takes longer is tried again later."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How servers are trusted, and what is shown to them.

    ``ca_certs`` is a PEM file or an OpenSSL folder; without it the system's authorities count.
    ``fingerprint`` is the SHA-256 of a certificate, 64 hexadecimal digits in lower case.
    ``client_cert`` is a PEM file, which holds the key as well if there is no ``client_key``.
    """

    ca_certs: Path | None = None
    fingerprint: str | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """A new context; with ``fingerprint`` it trusts nobody yet.  Raises UsageError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.fingerprint is None and self.ca_certs is None:
            context.load_default_certs()
        self.load(context)
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Read the files, again if they were renewed.  Raises UsageError that names the setting."""
        if self.ca_certs is not None:
            try:
                if self.ca_certs.is_dir():
                    context.load_verify_locations(capath=self.ca_certs)
                else:
                    context.load_verify_locations(cafile=self.ca_certs)
            except OSError as error:
                raise _unreadable("ca_certs", self.ca_certs, error) from None
        if self.client_cert is not None:
            # OpenSSL does not say which of two files it cannot open.
            for key, path in (
                ("client_cert", self.client_cert),
                ("client_key", self.client_key or self.client_cert),
            ):
                try:
                    path.open("rb").close()
                except OSError as error:
                    raise _unreadable(key, path, error) from None
            try:
                context.load_cert_chain(self.client_cert, self.client_key, _no_passphrase)
            except OSError as error:
                raise _unreadable("client_cert", self.client_cert, error) from None

    async def pin(self, context: ssl.SSLContext, hosts: Sequence[str]) -> None:
        """Have the context trust the certificate of ``fingerprint``, and only that.

        ``hosts`` are URLs, asked in turn until one presents it.  Raises UsageError if those that
        answer present others, StoreUnavailable if none answers.
        """
        failures: list[str] = []
        presented: list[tuple[str, str]] = []
        for host in hosts:
            try:
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    chain = await self._chain(host)
            except (OSError, TimeoutError) as error:
                failures.append(f"{host}: {str(error) or 'no answer in time'}")
                continue
            for place, certificate in enumerate(chain):
                if (found := hashlib.sha256(certificate).hexdigest()) == self.fingerprint:
                    context.load_verify_locations(cadata=certificate)
                    # It need not be an authority's.  The server has just proved to have the key
                    # of the first, so the names in that say nothing more.
                    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
                    context.check_hostname = place > 0
                    return
                presented.append((host, found))
        if not presented:
            raise StoreUnavailable(f"the server cannot be reached ({'; '.join(failures)})")
        host, found = presented[0]
        raise UsageError(
            f"{host} has another certificate than fingerprint says: its own is {found}; if it was "
            "renewed, look the new one up on the server (openssl x509 -noout -fingerprint -sha256 "
            "-in FILE) and set fingerprint"
        )

    async def _chain(self, host: str) -> list[bytes]:
        """What a server presents: its own certificate, then those of its authorities (DER)."""
        # Some servers end the handshake of a client that has no certificate.
        context = replace(self, ca_certs=None, verify=False).context()
        parts = urlsplit(host)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
        try:
            connection: Any = writer.get_extra_info("ssl_object")
            if sys.version_info >= (3, 13):
                return list(connection.get_unverified_chain())
            # The method is public since Python 3.13 only; the argument stands for DER.
            return [one.public_bytes(2) for one in connection._sslobj.get_unverified_chain()]
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


def _no_passphrase() -> str:
    raise UsageError(
        "elasticsearch.client_key: the key is encrypted: store it without a passphrase, readable "
        "by this service only"
    )


def _unreadable(key: str, path: Path, error: OSError) -> UsageError:
    reason = str(error.strerror)
    if isinstance(error, ssl.SSLError):
        reason = {
            "KEY_VALUES_MISMATCH": "the key belongs to another certificate: set client_key to its "
            "own",
        }.get(error.reason, "no certificate in PEM form, or no key with it")
    return UsageError(f"elasticsearch.{key}: cannot use {path}: {reason}")


TLS_HINTS = (
    ("certificate has expired", "the server's certificate has expired: renew it there"),
    ("not yet valid", "the server's certificate is not valid yet: check the clocks of both"),
    (
        "mismatch, certificate is not valid for",
        "the server's certificate is for another name: write the one that it has in hosts",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not trusted: set ca_certs to the PEM file of the authority "
        "that signed it",
    ),
    ("WRONG_VERSION_NUMBER", "the server does not speak TLS: write http:// in hosts"),
    ("RECORD_LAYER_FAILURE", "the server does not speak TLS: write http:// in hosts"),
    (
        "ALERT",
        "the server refuses this client: set client_cert and client_key to a certificate that it "
        "knows",
    ),
)
"""What OpenSSL says, and what to do about it; the first that fits."""


def tls_hint(detail: str) -> str | None:
    """What the operator has to do about a failed handshake; None if it may pass by itself."""
    return next((what for said, what in TLS_HINTS if said in detail), None)
