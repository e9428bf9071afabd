"""Where files are: the state directory, the shipped data, secrets and systemd credentials.

Every command finds the same state and configuration as the service, without being told: those of
the system where there are some, so that root and the members of the service's group meet them.  In
a source tree (`make run`) they are the developer's own, also on a machine that has the service.
"""

import importlib.resources
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from mailingest.errors import UsageError

SYSTEM_DIRECTORY: Final = Path("/etc/mailingest")
"""Configuration, and the files that systemd gives to the services as credentials."""
CONFIG_NAME: Final = "mailingest.toml"
SERVICE_STATE: Final = Path("/var/lib/mailingest")
"""StateDirectory= of the service."""


def default_config() -> Path:
    """The configuration that is read if none is named, and if it is there."""
    tree = source_tree()
    own = tree and tree / CONFIG_NAME
    return own if own and own.is_file() else SYSTEM_DIRECTORY / CONFIG_NAME


def default_state_directory(environment: Mapping[str, str]) -> Path:
    """systemd's StateDirectory=, or that of the service if there is one, or the user's own (XDG).

    Raises UsageError if the user has no home.
    """
    # systemd separates several directories with colons.
    if given := environment.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    # It may be a link to where only root comes.
    if source_tree() is None and os.path.lexists(SERVICE_STATE):
        return SERVICE_STATE
    try:
        base = environment.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    except RuntimeError:
        raise UsageError("state.directory: this user has no home directory: set it") from None
    return Path(base) / "mailingest"


def source_tree() -> Path | None:
    """The source tree that this program runs in, None if it is installed."""
    package = _package()
    return None if (package / "data").is_dir() else package.parent


def data_directory(name: str) -> Path:
    """`patterns`, `config` or `systemd`: in the package, or beside it in a source tree."""
    tree = source_tree()
    return _package() / "data" / name if tree is None else tree / name


def _package() -> Path:
    return Path(str(importlib.resources.files("mailingest")))


def read_secret(value: SecretStr | None, file: Path | None, key: str) -> str | None:
    """A secret given as it is or by a file; a bare file name is a systemd credential."""
    if file is None:
        return value.get_secret_value() if value else None
    file = credential(file)
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{key}: {cannot_read(file, error)}") from None
    if not secret:
        raise UsageError(f"{key}: {file} is empty")
    return secret


def credential(file: Path) -> Path:
    """Where a file is that may be a systemd credential (LoadCredential=): a bare name is one.

    Outside of the service, it is where the units have it from.
    """
    if file.parent != Path():
        return file
    if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
        return Path(credentials) / file
    return file if file.exists() else SYSTEM_DIRECTORY / file


def cannot_read(file: Path, error: OSError | UnicodeError) -> str:
    """What is wrong with a file of secrets, and the fix if it is one for systemd to hand over."""
    reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
    line = f"cannot read {file}: {reason}"
    is_given = str(file.parent) == os.environ.get("CREDENTIALS_DIRECTORY")
    if isinstance(error, OSError) and (is_given or file.parent == SYSTEM_DIRECTORY):
        source = SYSTEM_DIRECTORY / file.name
        line += (
            f": put it into {source}, readable for root only, and into the unit with "
            f"`systemctl edit`: LoadCredential={file.name}:{source}"
        )
    return line
