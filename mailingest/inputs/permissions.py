"""Why a file of the system cannot be read, and what an administrator does about it."""

import grp
import stat
from pathlib import Path


def hint(path: Path, error: OSError) -> str:
    """What is wrong with `path`, in words, with the way to mend it where there is one."""
    if isinstance(error, PermissionError):
        return f"permission denied: {_fix(path)}"
    return (error.strerror or str(error)).lower()


def _fix(path: Path) -> str:
    for place in (path, *path.parents):
        try:
            status = place.stat()
        except OSError:
            continue
        bits = stat.S_IRGRP if place == path else stat.S_IXGRP
        if not status.st_mode & bits:
            break
        group = group_name(status.st_gid)
        return f"add the group {group} to the service: {group_fix(group)}"
    return f"make {place} readable for a group, and add that one to the service"


def group_fix(group: str) -> str:
    """How the service gets a group."""
    return (
        f"SupplementaryGroups={group} below [Service] with `systemctl edit mailingest`, then "
        "restart it"
    )


def group_name(number: int) -> str:
    """A group's name, or its number if it has none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
