"""What is wrong with a value of the settings -> what would be right, to be pasted.

Nothing of pydantic's own wording gets through: what a key takes is told by its declaration, and how
that is written by the commented file of all settings.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mailingest.config.places import CONFIG_NAME, data_directory
from mailingest.config.quantities import (
    duration_text,
    read_days,
    read_seconds,
    read_size,
    read_whole_days,
    size_text,
)
from mailingest.config.settings import Settings

Place = Sequence[int | str]

_LONGEST_GIVEN: Final = 80
_OWN: Final = "Value error, "
_BOUNDS: Final = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}
_QUANTITIES: Final[Mapping[object, Callable[[Any], str]]] = {
    read_size: size_text,
    read_seconds: duration_text,
    read_days: lambda days: f"{days:g}d",
    read_whole_days: lambda days: f"{days}d",
}
_NOT_JSON: Final = ("model_type", "model_attributes_type", "dict_type", "tuple_type")
_HEADER: Final = re.compile(r"\s*(?:#\s)?(\[\[?)\s*([\w.\"-]+)\s*\]\]?\s*(?:#.*)?")


def describe(detail: ErrorDetails, *, is_variable: bool = False) -> str:
    """What is wrong, without place and value: what the key takes, and how that is written.

    In a variable of the environment, lists and tables are written as JSON.
    """
    place, kind = detail["loc"], detail["type"]
    if is_variable and kind in _NOT_JSON:
        return "must be JSON: a list in brackets, or a table in braces with its keys in quotes"
    if kind == "extra_forbidden":
        return _unknown(place)
    if kind in ("value_error", "assertion_error"):
        message = detail["msg"].removeprefix(_OWN)
        return message[:1].lower() + message[1:]
    field = field_of(place)
    if kind == "missing":
        return f"is missing: {_written(place)}"
    if field is None:
        return f"must be a table: {_written(place)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {_quantity(field, detail['ctx'][name])}"
    if kind == "literal_error":
        # Where it is in a table, the declaration of the key says nothing of it.
        names = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        return f"must be one of {', '.join(map(shown, names))}: {_written(place)}"
    if kind == "string_type":
        return f"must be a text in quotes: {_written(place)}"
    return f"must be {_kind(field)}: {_written(place)}"


def shown(given: Any) -> str:
    """A value as TOML has it, or nearly so, and not too much of it."""
    if isinstance(given, bool):
        text = str(given).lower()
    elif isinstance(given, str):
        text = '"' + given + '"' if given.isprintable() else repr(given)
    elif isinstance(given, list | tuple):
        text = f"[{', '.join(map(shown, given[:3]))}{', ...' if len(given) > 3 else ''}]"
    elif isinstance(given, dict):
        text = "a table"
    elif isinstance(given, int):
        text = "a number" if abs(given) > 10**18 else str(given)
    else:
        text = str(given)
    return text if len(text) <= _LONGEST_GIVEN else text[:_LONGEST_GIVEN] + "..."


def given_at(content: Any, place: Place) -> Any:
    """The value at a place of what was read, None if there is none."""
    for name in place:
        if isinstance(content, dict):
            content = content.get(name)
        elif isinstance(content, list | tuple) and isinstance(name, int) and name < len(content):
            content = content[name]
        elif not (name == 0 and isinstance(content, str)):
            # A text stands for a list of it.
            return None
    return content


def line_of(text: str, place: Place) -> int | None:
    """The number of the line of a TOML text that a place is in, as far as that can be told.

    It is that of the key, or else of its table.
    """
    names = [str(name) for name in place]
    seen: dict[str, int] = {}
    found, table, wanted = None, "", _tables(place)
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        if header is not None and not line.lstrip().startswith("#"):
            name = header[2].replace('"', "")
            if name in wanted:
                found = number
            if header[1] == "[[":
                seen[name] = seen.get(name, -1) + 1
                name = f"{name}.{seen[name]}"
            table = name
            if table in wanted:
                found = number
            continue
        key = line.partition("=")[0].strip().replace('"', "")
        if not key or "=" not in line or line.lstrip().startswith("#"):
            continue
        whole = f"{table}.{key}" if table else key
        if whole in wanted:
            if whole == ".".join(names):
                return number
            found = number
    return found


def _tables(place: Place) -> set[str]:
    """A place, and each that it is in."""
    names = [str(name) for name in place]
    return {".".join(names[:end]) for end in range(1, len(names) + 1)}


def field_of(place: Place) -> FieldInfo | None:
    """The declaration of a key, be the place within its value; None for a table or no key."""
    model: type[BaseModel] | None = Settings
    field: FieldInfo | None = None
    for name in place:
        if model is None:
            return field
        if isinstance(name, int) or name not in model.model_fields:
            continue
        field = model.model_fields[name]
        model = _model_of(field.annotation)
    return field


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation is, or is a list or a table of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_of(one) for one in get_args(annotation) if one is not Ellipsis)
    return next((one for one in inner if one is not None), None)


def _plain(annotation: Any) -> Any:
    """An annotation without None and without what Annotated adds."""
    if get_origin(annotation) in (Union, UnionType):
        return _plain(next(one for one in get_args(annotation) if one is not type(None)))
    return _plain(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else annotation


def _reader(field: FieldInfo) -> object:
    """What reads the text of a size or duration; None for other kinds."""
    metadata = [*field.metadata]
    for one in get_args(field.annotation):
        metadata += getattr(one, "__metadata__", ())
    readers = [one.func for one in metadata if isinstance(one, BeforeValidator)]
    return next((reader for reader in readers if reader in _QUANTITIES), None)


def _quantity(field: FieldInfo, bound: float) -> str:
    text = _QUANTITIES.get(_reader(field))
    return f"{bound:g}" if text is None else text(bound)


def _kind(field: FieldInfo) -> str:
    """What a key takes, in words."""
    if (reader := _reader(field)) is not None:
        return "a size" if reader is read_size else "a duration"
    kind = _plain(field.annotation)
    origin = get_origin(kind)
    if origin is tuple:
        return "a list of tables" if _model_of(kind) else "a list in brackets"
    if origin is dict or _model_of(kind):
        return "a table"
    names = {
        bool: "true or false, without quotes",
        int: "a whole number",
        float: "a number",
        SecretStr: "a text in quotes",
        str: "a text in quotes",
        Path: "a path in quotes",
    }
    return names.get(kind, "of another kind")


def _written(place: Place) -> str:
    """How a key is written, as the commented file has it."""
    names = [name for name in place if isinstance(name, str)]
    known: list[str] = []
    model: type[BaseModel] | None = Settings
    for name in names:
        if model is None or name not in model.model_fields:
            break
        known.append(name)
        model = _model_of(model.model_fields[name].annotation)
    table, key = ".".join(known[:-1]), known[-1] if known else ""
    example = _examples().get((table, key))
    if example is not None and not _is_list(".".join(known)):
        return f"write {example}" + (f" below [{table}]" if table and not _is_list(table) else "")
    whole = ".".join(known)
    return f"write [[{whole}]]" if _is_list(whole) else f"write [{whole}] above its keys"


def _is_list(table: str) -> bool:
    field = field_of(table.split("."))
    return field is not None and get_origin(_plain(field.annotation)) is tuple


@cache
def _examples() -> Mapping[tuple[str, str], str]:
    """A line for each table and key, of the shipped file: with its default, or an example."""
    lines: dict[tuple[str, str], str] = {}
    table = ""
    for line in (data_directory("config") / CONFIG_NAME).read_text("utf-8").splitlines():
        header = _HEADER.fullmatch(line)
        if header is not None:
            table = header[2]
            continue
        key, equals, _ = line.removeprefix("# ").partition(" = ")
        if equals and re.fullmatch(r"\w+", key) and _is_toml(line.removeprefix("# ")):
            lines[table, key] = line.removeprefix("# ").strip()
    return lines


def _is_toml(line: str) -> bool:
    try:
        tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return False  # a sentence about it
    return True


def _unknown(place: Place) -> str:
    """A key that there is not: perhaps misspelt, or in the wrong section."""
    *parents, name = place
    known = known_keys(parents)
    close = difflib.get_close_matches(str(name), known, 1)
    if close:
        return f"no such setting, did you mean {close[0]}?; there are {', '.join(known)}"
    homes = [section for section, keys in _sections() if str(name) in keys]
    if homes:
        return f"no such setting here: it belongs below {' or '.join(homes)}"
    return f"no such setting; there are {', '.join(known)}"


def _sections() -> Iterator[tuple[str, list[str]]]:
    """Each table as it is written, with its keys."""
    for name, field in Settings.model_fields.items():
        model = _model_of(field.annotation)
        if model is None:
            continue
        yield f"[{name}]", list(model.model_fields)
        for inner, part in model.model_fields.items():
            if (section := _model_of(part.annotation)) is not None:
                yield f"[[{name}.{inner}]]", list(section.model_fields)


def known_keys(place: Place) -> list[str]:
    """The keys of a section."""
    field = field_of(place)
    model = Settings if field is None else _model_of(field.annotation)
    return list(model.model_fields) if model is not None else []
