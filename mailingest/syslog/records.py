"""A syslog message taken apart: what `header` makes of a frame."""

import re
from dataclasses import dataclass
from typing import Final

from mailingest.syslog.timestamps import Moment

REPEATED: Final = "_syslog_repeated"

REPEATS: Final = "message repeat"
"""What every text has that `unwrap` knows, to be looked for first."""
# rsyslog's $RepeatedMsgReduction, and the older form of sysklogd, which has no tag; with dashes
# around it on macOS, and in the words of HP-UX.
_REPEATED = re.compile(
    r"(?:message repeated (\d{1,9}) times: \[ ?(.*)\]"
    r"|(?:--- )?(?:last message repeated|above message repeats) (\d{1,9}) times?(?: ---)?)",
    re.DOTALL,
)


@dataclass(slots=True)
class Record:
    """One syslog message.

    ``msg`` is the text after the tag; ``text`` is the same, taken out of rsyslog's wrapper if the
    line stands for ``repeated`` more of its kind.  ``program`` is the tag without process id, ""
    if there is none.  ``relay`` is the host that passed the line on, "" if none did or said so.
    ``raw`` holds the frame's bytes where decoding did not do them justice.
    """

    moment: Moment
    hostname: str
    program: str
    procid: str
    msg: str
    text: str
    pri: int | None = None
    msgid: str = ""
    structured_data: str = ""
    repeated: int = 0
    problems: tuple[str, ...] = ()
    raw: bytes | None = None
    relay: str = ""


def unwrap(record: Record) -> None:
    """Take the text out of rsyslog's wrapper, if it is in one."""
    match = _REPEATED.fullmatch(record.msg)
    if match is not None:
        times, inner, times_before = match.groups()
        record.repeated = int(times or times_before)
        record.text = inner or ""
        if inner is None:
            record.problems += (REPEATED,)
