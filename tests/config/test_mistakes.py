"""No mistake in a configuration, of whatever kind, has a message without key and fix.

The mistakes are made from the declaration of the settings: each key is given each wrong kind of
value.
"""

import getpass
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from mailingest.config import Settings, load
from mailingest.errors import UsageError

VALUES = {
    "a text": '"text"',
    "no text": '""',
    "a number": "3",
    "a negative number": "-1",
    "a fraction": "0.5",
    "a huge number": "1" + "0" * 40,
    "no number": "nan",
    "a truth": "true",
    "a list": "[1]",
    "a list of texts": '["x", "y"]',
    "a table": "{ x = 1 }",
    "a list of tables": "[{ x = 1 }]",
    "a zero byte": '"a\\u0000b"',
}
PYDANTIC = re.compile(
    r"input should|valid (?!name)|unable to|instance of|extra inputs|validation|value error|None",
    re.IGNORECASE,
)
FIX = re.compile(
    r"must |no such setting|is missing: write|set |take |there is such a field|a name has"
)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """All keys, sections too; those of a list of tables with the brackets that it is written in."""
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        yield f"{prefix}{name}"
        if inner is not None:
            yield from keys(inner, f"{prefix}{name}.")


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for one in get_args(annotation):
        if (found := _model_of(one)) is not None:
            return found
    return None


def written(key: str, value: str) -> str:
    """A file that gives a key a value, below the tables that it is in."""
    *parents, name = key.split(".")
    table = ""
    model: type[BaseModel] = Settings
    opened = []
    for parent in parents:
        annotation: Any = model.model_fields[parent].annotation
        inner = _model_of(annotation)
        assert inner is not None
        table = f"{table}.{parent}" if table else parent
        if get_origin(annotation) is dict:
            table += ".some"
        opened = [f"[[{table}]]" if get_origin(annotation) is tuple else f"[{table}]"]
        model = inner
    return "\n".join([*opened, f"{name} = {value}"])


def complaints(path: Path, text: str) -> list[str]:
    path.write_text(text)
    try:
        load(path)
    except UsageError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("kind", VALUES)
def test_each_key_with_a_wrong_kind_of_value_has_a_message_with_a_fix(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "mailingest.toml"
    for key in keys(Settings):
        for line in complaints(path, written(key, VALUES[kind])):
            assert line.startswith(f"{path}:"), (key, line)
            assert FIX.search(line), (key, line)
            assert not PYDANTIC.search(line.removeprefix(str(path))), (key, line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "[[batch]]\nmax_age = 1",
            "1: batch: [a table]: must be a table: write [batch] above its keys",
            id="a list of tables for a table",
        ),
        pytest.param(
            '[syslog]\nhost_timezones = ["mx2"]',
            '2: syslog.host_timezones: ["mx2"]: must be a table: write [syslog.host_timezones] '
            "above its keys",
            id="a list for a table",
        ),
        pytest.param(
            "[batch]\ndays = 3",
            "2: batch.days: no such setting here: it belongs below [retention]",
            id="in the wrong section",
        ),
        pytest.param(
            "[spool]\nmax_bytes = 1000",
            "2: spool.max_bytes: 1000: must be at least 16MiB",
            id="below a bound, which has a unit",
        ),
        pytest.param(
            "[[inputs.udp]]\nport = 1\n[[inputs.udp]]\nport = 70000",
            "4: inputs.udp.1.port: 70000: must be at most 65535",
            id="in the second of several tables",
        ),
        pytest.param(
            "[elasticsearch]\nhosts = 'http://es1.example.net:9200'\nca_certs = '/ca.pem'",
            "1: elasticsearch: set https:// in hosts, or take out ca_certs: http:// has no "
            "certificates",
            id="certificates without TLS",
        ),
        pytest.param(
            "[log]\nlevel = warning",
            '2: not TOML: Invalid value of level: texts need quotes: key = "value"',
            id="no quotes",
        ),
        pytest.param(
            "[web]\nmask_local_parts = True",
            "2: not TOML: Invalid value of mask_local_parts: write true or false",
            id="a truth of another language",
        ),
        pytest.param(
            "[log]\nlevel: info\n",
            "2: not TOML: Expected '=' after a key in a key/value pair in `level: info`: write key "
            "= value, with an equals sign",
            id="YAML",
        ),
        pytest.param(
            "[log]\n[log]\n",
            "2: not TOML: Cannot declare ('log',) twice in `[log]`: this key or table stands "
            "twice: leave one of them, and write [[...]] for a list",
            id="twice",
        ),
    ],
)
def test_a_mistake_has_the_line_and_what_to_write(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mailingest.toml"
    assert complaints(path, text) == [f"{path}:{message}"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[elasticsearch]\nhosts = "https://es1.example.net:9200"', id="hosts"),
        pytest.param('[inputs.udp]\nallow = "192.0.2.0/24"', id="a table, and a text, for lists"),
        pytest.param('[[inputs.tcp]]\nport = "5000"\nidle_timeout = "60"', id="numbers as texts"),
        pytest.param('\ufeff[log]\nlevel = "info"', id="a mark of the byte order"),
    ],
)
def test_what_can_only_mean_one_thing_is_taken(tmp_path: Path, text: str) -> None:
    assert complaints(tmp_path / "mailingest.toml", text) == []


def test_another_charset_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mailingest.toml"
    for content, hint in (
        ("# für\n".encode("latin-1"), ":1: it is not UTF-8: save it as UTF-8"),
        ("[log]\n".encode("utf-16"), ": it is UTF-16: save it as UTF-8"),
        (b"a = " + b"9" * 5000, ": not TOML: a number or a nesting is too large"),
        (b"a = " + b"[" * 100_000, ": not TOML: a number or a nesting is too large"),
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=re.escape(f"{path}{hint}")):
            load(path)


def test_a_file_that_may_not_be_read_says_who_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mailingest.toml"
    path.write_text("")
    path.chmod(0o640)

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")  # to root nothing is forbidden

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UsageError) as caught:
        load(path)
    owner, group, me = path.owner(), path.group(), getpass.getuser()
    assert str(caught.value) == (
        f"{path}: cannot read the configuration: Permission denied: it belongs to {owner}, group "
        f"{group}, mode 0640, and this is the user {me}: let its group read it (chmod g+r {path}) "
        "and be in that group, or run this as root"
    )
