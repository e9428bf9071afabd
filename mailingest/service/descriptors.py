"""How many files and connections the process may have open, known before it accepts anything.

Without descriptors neither a connection nor the file for what it brings can be opened.  So some are
left for files, and connections have the rest: those over it are refused, and counted.
"""

import resource
from typing import Final

from mailingest.config import Settings, StreamListener
from mailingest.errors import UsageError
from mailingest.logs.logger import log

# Spool, snapshot, dead letters and three days of SQLite are some 25 at a time, the event loop, the
# listeners and standard input to error some 15, a cluster's connections 10 for each of its nodes.
_FOR_FILES: Final = 100
# Each further type has two more days of SQLite, of three files each.
_FOR_A_TYPE: Final = 6
# With fewer it does not start; half of so few is for files.
_LEAST: Final = 80


def within_limits(settings: Settings) -> Settings:
    """The settings with as many connections as the process may have open.

    The limit is raised as far as that is allowed.  Raises UsageError if there are too few
    descriptors to work at all.
    """
    wanted = sum(one.max_connections for _, one in settings.inputs.streams)
    for_files = _FOR_FILES + _FOR_A_TYPE * (len(settings.type_names) - 1)
    files = _raised(wanted + for_files)
    if files >= wanted + for_files:
        return settings
    if files < _LEAST:
        raise UsageError(
            f"only {files} files and connections may be open (ulimit -n), and mailingest needs "
            f"{_LEAST} at least: raise LimitNOFILE= of the systemd unit, or `ulimit -n`"
        )
    allowed = files - min(for_files, files // 2)
    if wanted <= allowed:
        return settings
    log.warning(
        "fewer connections can be open than max_connections says; raise LimitNOFILE= of the "
        "systemd unit, or `ulimit -n`",
        connections=allowed,
        max_connections=wanted,
        files=files,
    )
    fewer: dict[str, list[StreamListener]] = {}
    for name, one in settings.inputs.streams:
        share = max(1, one.max_connections * allowed // wanted)
        fewer.setdefault(name, []).append(one.model_copy(update={"max_connections": share}))
    inputs = settings.inputs.model_copy(
        update={name: tuple(listeners) for name, listeners in fewer.items()}
    )
    return settings.model_copy(update={"inputs": inputs})


def _raised(wanted: int) -> int:
    """The limit of descriptors, raised to what is wanted if that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
