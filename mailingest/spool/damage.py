"""What cannot be read of a journal: counted once, logged, and kept for people to look into."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mailingest.logs.logger import log
from mailingest.spool.control import ControlFile
from mailingest.spool.reading import Unreadable
from mailingest.spool.segments import Segment

_SUFFIX: Final = ".damaged"
# How many damaged files are kept, of 16 MiB each.
_MOST_KEPT: Final = 4
_HINT: Final = "`mailingest replay` of the mail server's own log files stores what is missing"


class DamageReport:
    """Knows what this process found missing.

    ``frames`` were counted by their numbers, ``bytes`` are those of ends of the journal of which
    nobody knows how many frames they were.
    """

    def __init__(self, control: ControlFile) -> None:
        self.frames = 0
        self.bytes = 0
        self._control = control
        # The file that was logged last, and what else was found missing in it.
        self._logged: Segment | None = None
        self._more = 0

    def missing(self, begin: int, end: int, gaps: Sequence[Unreadable]) -> None:
        """Frames from one number up to another cannot be read, for these gaps in the journal."""
        segments = list(dict.fromkeys(gap.segment for gap in gaps if gap.segment is not None))
        size = sum(gap.size for gap in gaps)
        newly_kept = [segment for segment in segments if _set_aside(segment)]
        frames = self._control.losses.count(begin, end)
        if frames:
            self.frames += frames
            self._control.write_losses()
        if segments and segments[-1] is self._logged:
            self._more += frames
            return
        self.finish()
        if not frames and not newly_kept:
            return  # an earlier process logged it
        kept = [str(_kept_path(segment)) for segment in segments]
        if not frames:
            log.warning(
                "a file of the spool is damaged; what cannot be read in it was stored before",
                kept=kept,
                bytes=size,
            )
        elif segments:
            self._logged = segments[-1]
            log.error(
                "lines of the spool are lost: a file is damaged, what is intact in it is read",
                frames=frames,
                bytes=size,
                kept=kept,
                hint=_HINT,
            )
        else:
            log.error(
                "lines of the spool are lost: a file is missing",
                frames=frames,
                bytes=size,
                hint=_HINT,
            )

    def unknown(self, size: int, segment: Segment) -> None:
        """The last bytes of the journal are no record, and nobody knows how many they were."""
        _set_aside(segment)
        self.bytes += size
        self._control.losses.bytes += size
        self._control.write_losses()
        log.error(
            "the end of the spool cannot be read: lines may be lost, nobody knows how many",
            bytes=size,
            kept=[str(_kept_path(segment))],
            hint=_HINT,
        )

    def finish(self) -> None:
        """The file that was logged last is read to its end."""
        if self._more and self._logged is not None:
            log.error(
                "more lines are lost in the damaged file of the spool",
                frames=self._more,
                kept=[str(_kept_path(self._logged))],
            )
        self._logged, self._more = None, 0


def _kept_path(segment: Segment) -> Path:
    return segment.path.with_name(segment.path.name + _SUFFIX)


def _set_aside(segment: Segment) -> bool:
    """Keep a file under a second name, whether it is removed or not; whether that is news."""
    kept = _kept_path(segment)
    try:
        os.link(segment.path, kept)
    except FileExistsError:
        return False
    except OSError as error:
        log.warning(
            "a damaged file of the spool cannot be kept",
            path=str(segment.path),
            reason=error.strerror,
        )
        return False
    # Their names begin with their place in the journal, which puts them in order.
    for path in sorted(kept.parent.glob(f"*{_SUFFIX}"))[:-_MOST_KEPT]:
        path.unlink()
    return True
