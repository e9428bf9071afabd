"""One TOML file and the environment -> Settings, or all mistakes at once.

Loading reads files and the environment, and has no other effect.  Each mistake is reported with
its place and what is allowed.
"""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from mailingest.config.mistakes import describe, given_at, line_of, shown
from mailingest.config.places import default_config
from mailingest.config.settings import ENV_PREFIX, NESTED, Settings
from mailingest.config.toml_file import read_toml
from mailingest.errors import UsageError

ENV_CONFIG = "MAILINGEST_CONFIG"
# Addresses may have a name and a password in them, which is refused.
_ADDRESSES = {("elasticsearch", "hosts"), ("victorialogs", "url")}
_SECRETS = _ADDRESSES | {
    (section, name)
    for section, field in Settings.model_fields.items()
    for name, one in getattr(field.annotation, "model_fields", {}).items()
    if SecretStr in (one.annotation, *get_args(one.annotation))
}
_WITH_SECRETS = {(section,) for section, _ in _SECRETS}


class _Source(NamedTuple):
    """A file, its text, and what it says."""

    path: Path
    text: str
    content: dict[str, Any]


def load(path: Path | None) -> Settings:
    """Settings of a file and the environment; raises UsageError, one line for each mistake.

    ``path`` None stands for the file named by $MAILINGEST_CONFIG, or else `default_config` if it is
    there, or else the defaults.
    """
    if path is None and (named := os.environ.get(ENV_CONFIG)):
        path = Path(named)
    file = path or default_config()
    text, content = read_toml(file, may_be_missing=path is None)
    mistakes = [*_unknown_variables(os.environ)]
    try:
        settings = Settings(**content)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # What is not in the environment is in the file, if there is one.
        source = _Source(file, text, content) if content else None
        mistakes += [_describe(detail, source, os.environ) for detail in details]
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return settings


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """pydantic-settings ignores a variable that no setting has; but it is a misspelt one."""
    known = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
    for variable in environment:
        name = variable.upper()
        if not name.startswith(ENV_PREFIX) or name == ENV_CONFIG:
            continue
        if name.split(NESTED)[0] not in known:
            yield f"environment: {variable}: no such setting{_did_you_mean(name, known)}"


def _describe(detail: ErrorDetails, source: _Source | None, environment: Mapping[str, str]) -> str:
    loc = detail["loc"]
    is_name = loc[-1:] == ("[key]",)
    if is_name:
        loc = loc[:-1]  # it is the name of a table that is wrong
    variable = _variable_of(loc, environment)
    message = describe(detail, is_variable=variable is not None)
    if not loc:
        return message  # a mistake in several settings has no place of its own
    given = detail["input"]
    if variable is None and source is not None and detail["type"] != "missing" and not is_name:
        # What was written, and not what it was taken for.
        written = given_at(source.content, loc)
        given = given if written is None else written
    is_shown = detail["type"] not in ("extra_forbidden", "missing") and not _is_secret(loc)
    if is_shown and not isinstance(given, dict | BaseModel | SecretStr):
        message = f"{shown(given)}: {message}"
    return ": ".join([*_place(loc, source, variable), message])


def _variable_of(loc: Sequence[int | str], environment: Mapping[str, str]) -> str | None:
    """The variable that a value is from, None if it is from the file."""
    variables = {name.upper() for name in environment}
    names = (
        ENV_PREFIX + NESTED.join(map(str, loc[:end])).upper() for end in range(len(loc), 0, -1)
    )
    return next((name for name in names if name in variables), None)


def _place(loc: Sequence[int | str], source: _Source | None, variable: str | None) -> list[str]:
    key = ".".join(map(str, loc))
    if variable is not None:
        is_whole = variable == ENV_PREFIX + NESTED.join(map(str, loc)).upper()
        return ["environment", variable] if is_whole else ["environment", variable, key]
    if source is None:
        return [key]
    line = line_of(source.text, loc)
    return [f"{source.path}:{line}" if line is not None else str(source.path), key]


def _is_secret(loc: Sequence[int | str]) -> bool:
    """Whether a value may hold a secret, be it at the wrong place."""
    return tuple(loc) in _WITH_SECRETS or tuple(loc[:2]) in _SECRETS


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f", did you mean {close[0]}?" if close else ""
