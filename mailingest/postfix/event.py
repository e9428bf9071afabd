"""An event: what one line says, as facts."""

from dataclasses import dataclass
from typing import Any, Final

from mailingest.syslog.sources import DEFAULT_TYPE

POSTFIX_SUCCESS: Final = "_grok_postfix_success"
"""The tag of a line of Postfix that its pattern matches."""


@dataclass(slots=True)
class Event:
    """One line as facts.

    ``fields`` has declared names only (see mailingest.postfix.fields), among them what follows as
    far as it is known.  ``service`` is the Postfix daemon, "" if the program is not Postfix;
    ``instance`` is its Postfix instance.  ``queue_id`` is None for NOQUEUE, for lines without one,
    and for other programs, which do not say whose it is.  ``nomatch`` is the tag that says what did
    not match, "" if all did.  ``id`` is that of its document, "" as long as it has none; ``type``
    names its index, whatever a pattern of a site's own has captured under that name.
    """

    seconds: int
    hostname: str
    instance: str
    service: str
    queue_id: str | None
    nomatch: str
    fields: dict[str, Any]
    id: str = ""
    type: str = DEFAULT_TYPE
