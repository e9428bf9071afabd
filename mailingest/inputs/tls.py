"""Certificate, key and authority in files -> what a listener needs to speak TLS.

TLS 1.2 at least (RFC 9325 section 3.1.1; RFC 5425 asks for 1.2 in its RFC 9662 revision).
"""

import hashlib
import ssl
from collections.abc import Sequence
from pathlib import Path

from mailingest.errors import UsageError
from mailingest.inputs.channels import TlsChannel


class TlsServer:
    """The server's side of TLS; ``context`` is for the connections that come now.

    ``client_ca`` is a file with the authorities whose certificates clients must show; None asks for
    none.  Of those only the ``allow_names`` may connect, if there are any: DNS names, of which the
    first part may be ``*``, and SHA-256 fingerprints, 64 hexadecimal digits in lower case.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
        allow_names: Sequence[str] = (),
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._allowed = frozenset(name.lower() for name in allow_names)
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """What `load` has read last."""
        if self._context is None:
            raise RuntimeError("context before load()")
        return self._context

    def load(self) -> None:
        """Read the files, for connections that come later; raises UsageError, and changes nothing.

        Connections that there are keep what they began with.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        self._load_own(context)
        if self._client_ca is not None:
            _readable(self._client_ca, "tls.client_ca")
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError:
                raise UsageError(
                    f"tls.client_ca: {self._client_ca}: no certificates in PEM form: name the file "
                    "of the authority that signs the senders' certificates"
                ) from None
            context.verify_mode = ssl.CERT_REQUIRED
            # The certificate of a sender itself may be there instead of its authority's.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._context = context

    def stranger(self, channel: TlsChannel) -> str | None:
        """Who is refused though its certificate is valid; None if it may send."""
        if not self._allowed:
            return None
        names = [name.lower() for name in channel.peer_names()]
        fingerprint = hashlib.sha256(channel.peer_certificate() or b"").hexdigest()
        for name in (fingerprint, *names, *(f"*.{name.partition('.')[2]}" for name in names)):
            if name in self._allowed:
                return None
        return f"{', '.join(names) or 'no name'} ({fingerprint})"

    def _load_own(self, context: ssl.SSLContext) -> None:
        _readable(self._certificate, "tls.certificate")
        _readable(self._key, "tls.key")
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except ssl.SSLError as error:
            raise UsageError(self._why(error)) from None

    def _why(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return (
                f"tls.key: {self._key}: not the key of {self._certificate}: name the two files "
                "that were made together"
            )
        if "ENCRYPTED" in self._key.read_text("latin-1"):
            return (
                f"tls.key: {self._key}: the key has a passphrase: take it off with "
                "`openssl pkey -in KEY -out NEW`"
            )
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "CA_KEY_TOO_SMALL"):
            return f"tls.certificate: {self._certificate}: too weak: {error.reason}: make a new one"
        return (
            f"tls.certificate: {self._certificate} with the key {self._key}: not a certificate "
            f"and its key in PEM form ({error.reason or 'no PEM'}): convert them, or name others"
        )


def _no_password() -> str:
    """Without it, OpenSSL asks on the terminal."""
    return ""


def _readable(path: Path, setting: str) -> None:
    try:
        path.read_bytes()
    except PermissionError:
        raise UsageError(
            f"{setting}: {path}: permission denied: let the group of the service read it "
            f"(chgrp mailingest {path}; chmod 640 {path}), or hand it over by LoadCredential="
        ) from None
    except OSError as error:
        raise UsageError(f"{setting}: {path}: {error.strerror}: name the file (PEM)") from None
