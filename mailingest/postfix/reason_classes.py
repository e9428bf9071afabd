"""Fields of a line -> the class of its reason: a closed list, for counting.

It is the subject of the enhanced status code (RFC 3463, section 2, second number), so that neither
a server's words nor an address decide what is counted under.
"""

from collections.abc import Mapping
from typing import Any, Final

NO_CLASS: Final = "none"
"""What has no enhanced status code, or needs no reason."""

_SUBJECTS: Final[Mapping[str, str]] = {
    "0": "other",
    "1": "address",
    "2": "mailbox",
    "3": "mail_system",
    "4": "network",
    "5": "protocol",
    "6": "content",
    "7": "policy",
}
REASON_CLASSES: Final = (NO_CLASS, *_SUBJECTS.values())

_CODES: Final = (
    "postfix_dsn",
    "postfix_status_code_enhanced",
    "postfix_proxy_status_code_enhanced",
)


def reason_class(fields: Mapping[str, Any]) -> str:
    """The class of the reason of a line that was deferred, bounced, expired or rejected."""
    for name in _CODES:
        code = fields.get(name)
        if code is not None:
            return _SUBJECTS.get(str(code)[2:].partition(".")[0], "other")
    return NO_CLASS
