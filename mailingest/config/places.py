"""Where files are: the state directory, the shipped data, secrets and systemd credentials."""

import importlib.resources
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from mailingest.errors import UsageError


def default_state_directory(environment: Mapping[str, str]) -> Path:
    """systemd's StateDirectory=, or the XDG state directory of the user; raises UsageError."""
    # systemd separates several directories with colons.
    if given := environment.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(given)
    try:
        base = environment.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    except RuntimeError:
        raise UsageError("state.directory: this user has no home directory: set it") from None
    return Path(base) / "mailingest"


def data_directory(name: str) -> Path:
    """`patterns` or `config`: inside the installed package, or beside it in a source tree."""
    package = Path(str(importlib.resources.files("mailingest")))
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


def read_secret(value: SecretStr | None, file: Path | None, key: str) -> str | None:
    """A secret given as it is or by a file; a bare file name is a systemd credential."""
    if file is None:
        return value.get_secret_value() if value else None
    file = credential(file)
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{key}: cannot read {file}: {reason}") from None
    if not secret:
        raise UsageError(f"{key}: {file} is empty")
    return secret


def credential(file: Path) -> Path:
    """Where a file is that may be a systemd credential (LoadCredential=): a bare name is one."""
    if file.parent == Path() and (credentials := os.environ.get("CREDENTIALS_DIRECTORY")):
        return Path(credentials) / file
    return file
