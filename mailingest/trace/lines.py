"""What a line about a mail, a client or a session says by itself.  Pure."""

from typing import NamedTuple

from mailingest.postfix.names import (
    ACTION,
    ENHANCED_STATUS_CODE,
    INSTANCE,
    MILTER_MESSAGE,
    MILTER_RESULT,
    ORIGINAL_CLIENT_HOSTNAME,
    ORIGINAL_CLIENT_IP,
    PROXY_STATUS_CODE,
    SASL_METHOD,
    SASL_SENDER,
    SASL_USERNAME,
    SERVICE,
    SMTP_STAGE,
    STATUS_CODE,
)
from mailingest.postfix.refusals import refusal_of
from mailingest.stores.events import StoredEvent

Session = tuple[str, str, str]
"""Host, program and process id: one SMTP session at a time."""


class Client(NamedTuple):
    """Who gave a mail in: name and address, as far as they are known."""

    hostname: str | None
    ip: str | None

    def __str__(self) -> str:
        return f"{self.hostname or 'unknown'}[{self.ip or 'unknown'}]"


class Login(NamedTuple):
    """How a client of smtpd logged in (SASL)."""

    username: str | None
    method: str | None
    sender: str | None


def is_hold(event: StoredEvent) -> bool:
    """Whether a line says that a mail is to be held when it is taken."""
    return _what(event).endswith("hold")


def is_intent(event: StoredEvent) -> bool:
    """Whether a line says what is to become of a mail when it is taken, if it is."""
    return _what(event).endswith(("hold", "discard"))


def _what(event: StoredEvent) -> str:
    return str(event.get(ACTION) or event.get(MILTER_RESULT) or "")


def original_client_of(event: StoredEvent) -> Client | None:
    """The client before a filter that an event names (XFORWARD)."""
    if ORIGINAL_CLIENT_HOSTNAME not in event and ORIGINAL_CLIENT_IP not in event:
        return None
    return Client(event.get(ORIGINAL_CLIENT_HOSTNAME), event.get(ORIGINAL_CLIENT_IP))


def login_of(event: StoredEvent) -> Login | None:
    """The login that an event names."""
    login = Login(event.get(SASL_USERNAME), event.get(SASL_METHOD), event.get(SASL_SENDER))
    return login if any(login) else None


def host_of(event: StoredEvent) -> str:
    """The host that wrote a line; "" in a document of others that does not say it."""
    return str(event.get("host", ""))


def instance_of(event: StoredEvent) -> str:
    """The Postfix instance of an event; "" if the program is not Postfix."""
    return str(event.get(INSTANCE, ""))


def service_of(event: StoredEvent) -> str:
    """The Postfix daemon of an event; "" if it is not known."""
    return str(event.get(SERVICE, ""))


def session_of(event: StoredEvent) -> Session:
    """The SMTP session that an event may be of."""
    return host_of(event), event.get("program", ""), event.get("pid", "")


def is_whole_mail_refused(event: StoredEvent) -> bool:
    """Whether smtpd refused the mail as a whole, not one of its recipients."""
    return event.get(SMTP_STAGE) in ("DATA", "BDAT", "END-OF-MESSAGE")


def is_temporary(event: StoredEvent) -> bool:
    """Whether a refusal is one for the time being (RFC 5321 4.2.1, RFC 3463)."""
    refusal = refusal_of(event)
    if refusal is not None:
        return refusal.is_temporary
    code = event.get(STATUS_CODE, event.get(PROXY_STATUS_CODE))
    if code is not None:
        return bool(400 <= code < 500)
    enhanced = event.get(ENHANCED_STATUS_CODE)
    if enhanced is None:
        enhanced = str(event.get(MILTER_MESSAGE, "")).rpartition(": ")[2]
    return str(enhanced).startswith("4.")
