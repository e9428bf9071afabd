"""What is not the same in two settings, a line for each key."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from mailingest.config.settings import Settings


def differences(before: Settings, after: Settings) -> list[str]:
    """The keys that differ, with their values where these are plain ones."""
    return list(_different("", before, after))


def _different(key: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    old, new = _parts(before), _parts(after)
    if old is None or new is None:
        yield f"{key}: {_shown(before)} -> {_shown(after)}"
        return
    for name in dict.fromkeys((*old, *new)):
        inner = f"{key}.{name}" if key else name
        if name not in old:
            yield f"{inner}: new"
        elif name not in new:
            yield f"{inner}: gone"
        else:
            yield from _different(inner, old[name], new[name])


def _parts(value: Any) -> Mapping[str, Any] | None:
    """What a section, a table or a list of tables is made of; None for all else."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(name): one for name, one in value.items()}
    if isinstance(value, tuple) and all(isinstance(one, BaseModel) for one in value):
        return {str(number): one for number, one in enumerate(value)}
    return None


def _shown(value: Any) -> str:
    # A secret shows itself as asterisks.
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
