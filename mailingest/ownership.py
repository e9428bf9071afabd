"""To whom files of the state belong, and what to do where somebody may not read or write them.

The service is a user of its own, whose group may read its files.  An operator works beside it as
root: what root makes there belongs to whom the directory belongs to, so that the service can go on
with it.
"""

import grp
import os
import pwd
from pathlib import Path
from typing import Final

_FILE_MODE: Final = 0o640
_DIRECTORY_MODE: Final = 0o750


def open_own(path: Path, flags: int, *, follow_links: bool = False) -> int:
    """Open a file of the state, made if there is none; returns the descriptor, raises OSError.

    The service may be somebody else's by now: root only follows its links if it is told to.
    """
    try:
        return create_own(path, flags)
    except FileExistsError:
        is_trusted = follow_links or not _is_root()
        return os.open(path, flags | os.O_CLOEXEC | (0 if is_trusted else os.O_NOFOLLOW))


def create_own(path: Path, flags: int) -> int:
    """The same of a file that is not there; raises FileExistsError if it is."""
    made = flags | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL
    descriptor = os.open(path, made, _FILE_MODE)
    if _is_root():
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fchmod(descriptor, _FILE_MODE)  # whatever root's umask is
    return descriptor


def make_own_directories(path: Path) -> None:
    """Make a directory of the state and those above it that are missing; raises OSError."""
    if path.is_dir():
        return
    try:
        path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
    except FileNotFoundError:
        make_own_directories(path.parent)
        path.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
    if _is_root():
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        path.chmod(_DIRECTORY_MODE)


def why_unreadable(path: Path) -> str:
    """What keeps this user from reading a file or directory, and the fix, in one line."""
    denied = _first_denied(path, os.R_OK)
    status = denied.stat()
    needed = 0o050 if denied.is_dir() else 0o040
    owner, group, user = _user(status.st_uid), _group(status.st_gid), _user(os.geteuid())
    why = f"{denied} belongs to {owner}:{group}, and {user} may not read it"
    if status.st_mode & needed == needed and status.st_gid != 0:
        return f"{why}: as root, usermod -aG {group} {user}, and log in again"
    return f"{why}: ask as root"


def why_not_writable(path: Path, *more: Path) -> str:
    """The same of writing; the ``more`` have the same fault.

    Where the directory is this user's own, somebody else has made the file.
    """
    denied = _first_denied(path, os.W_OK)
    owner, user = _user(denied.stat().st_uid), _user(os.geteuid())
    why = f"{denied} belongs to {owner}, and {user} may not write to it"
    if denied.parent.stat().st_uid == os.geteuid():
        all_denied = " ".join(map(str, (denied, *more)))
        return (
            f"{why}: as root, chown --reference={denied.parent} {all_denied} && "
            f"chmod u+rw {all_denied}"
        )
    return f"{why}: work as root" + (f", or with sudo -u {owner}" if owner != "root" else "")


def foreign_files(*directories: Path) -> str | None:
    """What is below them and belongs to somebody else than they do, with the fix; None if nothing.

    The service, whose directories they are, could not go on with it.
    """
    for directory in directories:
        if not directory.is_dir():
            continue
        owner = directory.stat().st_uid
        found = [path for path in sorted(directory.rglob("*")) if path.lstat().st_uid != owner]
        if found:
            return (
                f"{found[0]} belongs to {_user(found[0].lstat().st_uid)}, and {directory} to "
                f"{_user(owner)}, who cannot go on with it: "
                f"chown -R --no-dereference --reference={directory} {directory}"
            )
    return None


def is_denied(path: Path, mode: int) -> bool:
    """Whether this user may not read (os.R_OK) or write (os.W_OK) what is there."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(path, mode, effective_ids=True)


def _first_denied(path: Path, mode: int) -> Path:
    """The directory on the way that may not be passed, or else the place itself."""
    path = path.absolute()
    for parent in reversed(path.parents):
        if not os.access(parent, os.X_OK, effective_ids=True):
            return parent if parent.exists() else parent.parent
    return path if path.exists() else path.parent


def _is_root() -> bool:
    return os.geteuid() == 0


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
