"""Where a line came in: the type that its documents have, and the charset that it is in."""

import re
from typing import Final, NamedTuple

DEFAULT_TYPE: Final = "mail"
TYPE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
"""What a type may be: it names indices and files, `TYPE-YYYY.MM.dd`."""


class Source(NamedTuple):
    """What an input says of all its lines.

    ``type`` is that of their documents, and names the index.  ``charset`` is a Python codec name,
    or ``auto``, see `mailingest.syslog.header.RecordDecoder`.
    """

    type: str = DEFAULT_TYPE
    charset: str = "auto"
