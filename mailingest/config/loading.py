"""One TOML file and the environment -> Settings, or all mistakes at once.

Loading reads files and the environment, and has no other effect.  Each mistake is reported with
its place and what is allowed.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from mailingest.config.places import default_config
from mailingest.config.settings import ENV_PREFIX, NESTED, Settings
from mailingest.errors import UsageError

ENV_CONFIG = "MAILINGEST_CONFIG"
_SECRETS = tuple(
    ("elasticsearch", name) for name in ("hosts", "password", "api_key", "bearer_token")
)


def load(path: Path | None) -> Settings:
    """Settings of a file and the environment; raises UsageError, one line for each mistake.

    ``path`` None stands for the file named by $MAILINGEST_CONFIG, or else `default_config` if it is
    there, or else the defaults.
    """
    if path is None and (named := os.environ.get(ENV_CONFIG)):
        path = Path(named)
    file = path or default_config()
    content = _read(file, may_be_missing=path is None)
    mistakes = [*_unknown_variables(os.environ)]
    try:
        settings = Settings(**content)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # What is not in the environment is in the file, if there is one.
        source = file if content else None
        mistakes += [_describe(detail, source, os.environ) for detail in details]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return settings


def _read(path: Path, *, may_be_missing: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        if may_be_missing and isinstance(error, FileNotFoundError):
            return {}
        raise UsageError(f"{path}: cannot read the configuration: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from None


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """pydantic-settings ignores a variable that no setting has; but it is a misspelt one."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    for variable in environment:
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or name == ENV_CONFIG:
            continue
        if name.split(NESTED)[0] not in known:
            yield f"environment: {variable}: no such setting{_did_you_mean(name, known)}"


def _describe(detail: ErrorDetails, path: Path | None, environment: Mapping[str, str]) -> str:
    loc = detail["loc"]
    if loc[-1:] == ("[key]",):
        loc = loc[:-1]  # it is the name of a table that is wrong
    given = detail["input"]
    message = detail["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if detail["type"] == "extra_forbidden":
        known = _known_keys(loc[:-1])
        guess = _did_you_mean(str(loc[-1]), known)
        message = f"no such setting{guess}; there are {', '.join(known)}"
    elif loc and not isinstance(given, dict | BaseModel | SecretStr) and not _is_secret(loc):
        message = f"{given!r}: {message}"
    # A mistake in several settings has no place of its own.
    return ": ".join([*_place(loc, path, environment), message]) if loc else message


def _place(
    loc: Sequence[int | str], path: Path | None, environment: Mapping[str, str]
) -> list[str]:
    key = ".".join(map(str, loc))
    variables = {name.upper() for name in environment}
    for end in range(len(loc), 0, -1):
        variable = ENV_PREFIX + NESTED.join(map(str, loc[:end])).upper()
        if variable in variables:
            return ["environment", variable, key] if end < len(loc) else ["environment", variable]
    return [str(path), key] if path else [key]


def _is_secret(loc: Sequence[int | str]) -> bool:
    """Whether a value may hold a secret, be it at the wrong place."""
    return loc == ("elasticsearch",) or loc[:2] in _SECRETS


def _known_keys(loc: Sequence[int | str]) -> list[str]:
    model: Any = Settings
    is_named = False
    for name in loc:
        if isinstance(name, int) or is_named:
            is_named = False
            continue
        annotation = model.model_fields[name].annotation
        is_named = get_origin(annotation) is dict
        # Of tuple[UdpListener, ...] the listener, of dict[str, EventType] the type.
        inner = get_args(annotation) or (annotation,)
        model = inner[1] if is_named else inner[0]
    return list(model.model_fields)


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f", did you mean {close[0]}?" if close else ""
