"""Settings: one file, the environment before it, and mistakes that name place and remedy."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mailingest.config import (
    Elasticsearch,
    Settings,
    credential,
    data_directory,
    default_state_directory,
    load,
    load_zone,
    places,
    read_secret,
)
from mailingest.errors import UsageError

SHIPPED = data_directory("config") / "mailingest.toml"
SECRET = "hunter2-and-more"

# The defaults that TOML has no value for, or that depend on the machine.
A_TYPE = (
    "must be a name such as mbox: lower-case letters, digits, _ and -, of which the first is a "
    "letter or a digit, at most 64"
)
UNSET = (None, default_state_directory(os.environ))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("MAILINGEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(places, "SYSTEM_DIRECTORY", tmp_path / "etc")
    (tmp_path / "etc").mkdir()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mailingest.toml"
    path.write_text(text)
    return path


def mistakes(path: Path | None) -> list[str]:
    """The lines of the error, each without the file's name and the number of the line."""
    with pytest.raises(UsageError) as caught:
        load(path)
    place = re.compile(rf"{re.escape(str(path))}(:\d+)?: ")
    return [place.sub("", line, count=1) for line in str(caught.value).splitlines()]


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """All keys with their declarations; of a list of tables those of its first table."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        inner = next(iter(get_args(annotation)), annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


FIELDS = dict(fields(Settings))


def section(name: str) -> str:
    """The text of a section of the shipped file, with its comments."""
    if not name:
        return SHIPPED.read_text().split("\n[")[0]
    head, text = re.escape(name), SHIPPED.read_text()
    found = re.search(rf"^(# )?\[\[?{head}\]\]?\n(.*?)(?=^(# )?\[|\Z)", text, re.M | re.S)
    return "\n" + found[2] if found else ""


def is_commented_out(table: str) -> bool:
    """Whether there is no such table by default, and the shipped file shows it as a comment."""
    return re.search(rf"^# \[\[?{re.escape(table)}\]\]?$", SHIPPED.read_text(), re.M) is not None


@pytest.mark.parametrize("key", FIELDS)
def test_each_key_stands_in_the_shipped_file_with_its_default(key: str) -> None:
    table, _, name = key.rpartition(".")
    default = FIELDS[key].get_default(call_default_factory=True)
    if is_commented_out(table):
        shown = re.search(rf"^# {name} = (.*)", section(table), re.M)
        assert shown, "as a comment"
        if default not in (None, (), PydanticUndefined):
            assert tomllib.loads(f"value = {shown[1]}")["value"] == default
        return
    if default in UNSET:
        assert f"\n# {name} = " in f"\n{section(table)}", "commented out, with an example"
        return
    content: Any = tomllib.loads(SHIPPED.read_text())
    for part in key.split("."):
        content = content[0] if isinstance(content, list) else content
        content = content[part]
    assert TypeAdapter(declared(key)).validate_python(content) == default


def declared(key: str) -> Any:
    field = FIELDS[key]
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def test_the_shipped_file_has_no_other_keys() -> None:
    known = set(FIELDS)

    def walk(content: Any, prefix: str) -> Iterator[str]:
        for name, value in content.items():
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(value, dict) and f"{prefix}{name}" not in known:
                yield from walk(value, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}"

    assert set(walk(tomllib.loads(SHIPPED.read_text()), "")) <= known


def test_the_shipped_file_is_the_defaults() -> None:
    assert load(SHIPPED) == load(None) == Settings()


def test_the_examples_in_the_shipped_file_are_right(tmp_path: Path) -> None:
    lines = SHIPPED.read_text().splitlines()
    examples = [
        line.removeprefix("# ") for line in lines if line.startswith("# ") and " = " in line
    ]
    for example in examples:
        if "below [" in example or "MAILINGEST" in example:
            continue
        assert tomllib.loads(example), example


@pytest.mark.parametrize("key", FIELDS)
def test_each_key_is_described(key: str) -> None:
    assert FIELDS[key].description


def test_a_file_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [inputs]
        udp = []
        [[inputs.tcp]]
        port = 6000
        [[inputs.tcp]]
        host = "::1"
        [syslog]
        timezone = "Europe/Berlin"
        charset = "latin1"
        [syslog.host_timezones]
        "mx2.example.net" = "America/New_York"
        """,
    )
    settings = load(path)
    assert settings.inputs.udp == ()
    assert [(one.host, one.port) for one in settings.inputs.tcp] == [
        ("127.0.0.1", 6000),
        ("::1", 5000),
    ]
    assert settings.syslog.charset == "iso8859-1"
    assert settings.syslog.host_timezones == {"mx2.example.net": "America/New_York"}


def test_the_file_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILINGEST_CONFIG", str(written(tmp_path, "shutdown_timeout = 7")))
    assert load(None).shutdown_timeout == 7
    other = tmp_path / "other.toml"
    other.write_text("shutdown_timeout = 8")
    assert load(other).shutdown_timeout == 8


def test_the_systems_file_is_read_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "etc", "shutdown_timeout = 7")
    assert load(None).shutdown_timeout == 7
    path.write_text("shutdown_timeout = 0")
    with pytest.raises(UsageError, match="^" + str(path)):
        load(None)


def test_the_systems_file_may_be_missing_but_not_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "etc" / "mailingest.toml"
    path.mkdir()
    with pytest.raises(UsageError, match=f"^{path}: cannot read the configuration"):
        load(None)


@pytest.mark.parametrize(
    ("variable", "value", "key", "expected"),
    [
        ("MAILINGEST_SHUTDOWN_TIMEOUT", "5", "shutdown_timeout", 5.0),
        ("MAILINGEST_BATCH__MAX_AGE", "0.5", "batch.max_age", 0.5),
        ("mailingest_batch__max_age", "0.5", "batch.max_age", 0.5),
        ("MAILINGEST_BATCH", '{"max_age": 0.5}', "batch.max_age", 0.5),
        ("MAILINGEST_ELASTICSEARCH__VERIFY_CERTS", "false", "elasticsearch.verify_certs", False),
        (
            "MAILINGEST_ELASTICSEARCH__HOSTS",
            '["https://es1.example.net:9200"]',
            "elasticsearch.hosts",
            ("https://es1.example.net:9200",),
        ),
        (
            "MAILINGEST_GROK__PATTERNS_DIRS",
            '["/a", "/b"]',
            "grok.patterns_dirs",
            (Path("/a"), Path("/b")),
        ),
        ("MAILINGEST_INPUTS__UDP", "[]", "inputs.udp", ()),
        (
            "MAILINGEST_SYSLOG__HOST_TIMEZONES",
            '{"mx2": "UTC"}',
            "syslog.host_timezones",
            {"mx2": "UTC"},
        ),
        ("MAILINGEST_STATE__DIRECTORY", "/var/lib/x", "state.directory", Path("/var/lib/x")),
    ],
)
def test_the_environment_goes_before_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    key: str,
    expected: Any,
) -> None:
    monkeypatch.setenv(variable, value)
    found: Any = load(written(tmp_path, "shutdown_timeout = 9\n[batch]\nmax_age = 9"))
    for part in key.split("."):
        found = getattr(found, part)
    assert found == expected


def test_the_environment_leaves_the_rest_of_a_section_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILINGEST_BATCH__MAX_AGE", "0.5")
    batch = load(written(tmp_path, "[batch]\nmax_documents = 9")).batch
    assert (batch.max_age, batch.max_documents) == (0.5, 9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "[batch]\nmax_age = 0",
            "batch.max_age: 0: must be more than 0s",
            id="too small",
        ),
        pytest.param(
            "[batch]\nmax_documents = 1000000",
            "batch.max_documents: 1000000: must be at most 100000",
            id="too large",
        ),
        pytest.param(
            '[[inputs.udp]]\nport = 5000\n[[inputs.udp]]\nport = "smtp"',
            'inputs.udp.1.port: "smtp": must be a whole number: write port = 5000',
            id="not a number, in the second of several tables",
        ),
        pytest.param(
            '[log]\nlevel = "loud"',
            'log.level: "loud": must be one of "debug", "info", "warning", "error": write level = '
            '"info" below [log]',
            id="none of the words",
        ),
        pytest.param(
            '[index]\nprefix = "Mail"',
            f'index.prefix: "Mail": {A_TYPE}',
            id="no name for an index",
        ),
        pytest.param(
            'batch = "x"',
            'batch: "x": must be a table: write [batch] above its keys',
            id="not a section",
        ),
        pytest.param(
            "[batch]\nmax_agee = 1",
            "batch.max_agee: no such setting, did you mean max_age?; there are max_documents, "
            "max_bytes, max_age, capacity",
            id="misspelt",
        ),
        pytest.param(
            "[[inputs.tcp]]\nprot = 1",
            "inputs.tcp.0.prot: no such setting, did you mean port?; there are type, "
            "charset, host, port, max_connections, idle_timeout, allow, rate_limit, rate_burst, "
            "tls",
            id="misspelt, in a list of tables",
        ),
        pytest.param(
            '[syslog.host_timezones]\n"mx2.example.net" = "Mars/Base"',
            'syslog.host_timezones.mx2.example.net: "Mars/Base": must be `local` or an IANA name '
            "such as Europe/Berlin",
            id="no zone, for one host",
        ),
        pytest.param(
            '[sqlite]\ndirectory = "/a"\n[ndjson]\npath = "-"',
            "there can be one store: set one of sqlite.directory, ndjson.path",
            id="two stores",
        ),
        pytest.param(
            '[[inputs.udp]]\ntype = "M Box"',
            f'inputs.udp.0.type: "M Box": {A_TYPE}',
            id="no name for a type",
        ),
        pytest.param(
            '[types."../mbox"]', f'types.../mbox: "../mbox": {A_TYPE}', id="no name for a file"
        ),
        pytest.param(
            "[types.mbox]\nretention_day = 7",
            "types.mbox.retention_day: no such setting, did you mean retention_days?; there are "
            "retention_days",
            id="misspelt, of a type",
        ),
        pytest.param(
            '[[inputs.udp]]\ntype = "mail-2026"',
            "inputs.udp.0.type: days of the type mail-2026 would be taken for days of the type "
            "mail (index.prefix): take another name",
            id="a type whose days look like those of another",
        ),
        pytest.param(
            "[types.a]\n[types.a-19]",
            "types.a-19: days of the type a-19 would be taken for days of the type a (types.a): "
            "take another name",
            id="the same in the last century",
        ),
    ],
)
def test_a_mistake_names_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, text)
    assert mistakes(path) == [message]


def test_a_section_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (message,) = mistakes(written(tmp_path, "[elastic]\nhosts = []"))
    assert message.startswith("elastic: no such setting, did you mean elasticsearch?; there are ")
    assert message.endswith("shutdown_timeout")


def test_a_mistake_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[batch]\nmax_age = 0")
    with pytest.raises(UsageError, match=rf"^{path}:2: batch\.max_age: 0: must be more"):
        load(path)


def test_all_mistakes_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILINGEST_BATCH__MAX_BYTES", "1")
    monkeypatch.setenv("MAILINGEST_INPUTS__UDP", "[broken")
    monkeypatch.setenv("MAILINGEST_BACTH", "{}")
    path = written(tmp_path, 'oops = 1\n[batch]\nmax_age = 0\n[log]\nlevel = "loud"')
    places = sorted(": ".join(line.split(": ")[:2]) for line in mistakes(path))
    assert places == [
        "batch.max_age: 0",
        "environment: MAILINGEST_BACTH",
        "environment: MAILINGEST_BATCH__MAX_BYTES",
        "environment: MAILINGEST_INPUTS__UDP",
        'log.level: "loud"',
        "oops: no such setting; there are inputs, syslog, grok, correlation, index, types, "
        "retention, batch, sqlite, ndjson, elasticsearch, victorialogs, kafka, state, spool, "
        "trace, web, metrics, log, workers, shutdown_timeout",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        pytest.param(
            "MAILINGEST_BATHC__MAX_AGE",
            "1",
            "environment: MAILINGEST_BATHC__MAX_AGE: no such setting",
            id="a misspelt section",
        ),
        pytest.param(
            "MAILINGEST_SHUTDOWN_TIMEOT",
            "1",
            "environment: MAILINGEST_SHUTDOWN_TIMEOT: no such setting, did you mean "
            "MAILINGEST_SHUTDOWN_TIMEOUT?",
            id="a misspelt key",
        ),
        pytest.param(
            "MAILINGEST_BATCH__MAXAGE",
            "1",
            "environment: MAILINGEST_BATCH__MAXAGE: no such setting, did you mean max_age?; there "
            "are max_documents, max_bytes, max_age, capacity",
            id="a misspelt key of a section",
        ),
        pytest.param(
            "MAILINGEST_BATCH__MAX_AGE",
            "soon",
            'environment: MAILINGEST_BATCH__MAX_AGE: "soon": must be a duration such as "30s", '
            '"5min", "1h" or "7d", or a number of seconds',
            id="not a number",
        ),
        pytest.param(
            "MAILINGEST_INPUTS__UDP",
            '[{"port": 1}, {"port": -1}]',
            "environment: MAILINGEST_INPUTS__UDP: inputs.udp.1.port: -1: must be at least 0",
            id="wrong within JSON",
        ),
        pytest.param(
            "MAILINGEST_GROK__PATTERNS_DIRS",
            "[/etc/grok]",
            'environment: MAILINGEST_GROK__PATTERNS_DIRS: "[/etc/grok]": must be JSON in the '
            "environment, and a list in the file",
            id="a list that is no JSON",
        ),
        pytest.param(
            "MAILINGEST_BATCH",
            "x",
            'environment: MAILINGEST_BATCH: "x": must be JSON: a list in brackets, or a table in '
            "braces with its keys in quotes",
            id="a section that is no JSON",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    (line,) = mistakes(None)
    assert line == message or line.startswith(f"{message}, did you mean MAILINGEST_BATCH")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "cannot read the configuration: there is no such file", id="missing"),
        pytest.param(b"[batch\n", "not TOML: Expected ']'", id="not TOML"),
        pytest.param(b"a = 1\na = 2\n", "not TOML: Cannot overwrite a value", id="twice"),
        pytest.param(b'a = "\xff"\n', "it is not UTF-8: save it as UTF-8", id="not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "mailingest.toml"
    if content is not None:
        path.write_bytes(content)
    (line,) = mistakes(path)
    assert line.startswith(reason)


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    assert mistakes(tmp_path) == [
        "cannot read the configuration: it is a directory: name the file in it, such as "
        f"{tmp_path}/mailingest.toml"
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("utf-16", "utf-32", "cp037", "utf-7", "idna", "punycode", "hz"),
        *("unicode_escape", "raw_unicode_escape", "undefined"),
        *("base64", "rot13", "hex", "zlib", "bz2", "mbcs"),
        *("nonsense", "", " ", "ü", "a\\u0000b", "../../etc/passwd"),
    ],
)
def test_what_is_no_charset_of_log_lines_is_refused(tmp_path: Path, name: str) -> None:
    (line,) = mistakes(written(tmp_path, f'[syslog]\ncharset = "{name}"'))
    assert line.startswith("syslog.charset: ")
    assert line.endswith(": must be `auto` or a charset that contains ASCII, such as iso-8859-1")


@pytest.mark.parametrize(
    "name", ["auto", "iso-8859-1", "ISO-8859-15", "utf-8", "windows-1252", "koi8-r", "shift_jis"]
)
def test_a_charset_that_contains_ascii_decodes_or_says_that_it_cannot(
    tmp_path: Path, name: str
) -> None:
    charset = load(written(tmp_path, f'[syslog]\ncharset = "{name}"')).syslog.charset
    if charset != "auto":
        for byte in range(256):
            try:
                text = bytes([byte, 0x2E, 0x2E]).decode(charset)
            except UnicodeDecodeError:
                continue
            text.encode("utf-8")


@pytest.mark.parametrize("name", ["", "Mars/Base", "Europe", "../etc/passwd", "a\\u0000b", "+1"])
def test_what_is_no_zone_is_refused(tmp_path: Path, name: str) -> None:
    (line,) = mistakes(written(tmp_path, f'[syslog]\ntimezone = "{name}"'))
    assert line.endswith(": must be `local` or an IANA name such as Europe/Berlin")


@pytest.mark.parametrize(
    ("variable", "hours"),
    [
        pytest.param("Asia/Tokyo", 9, id="a name"),
        pytest.param(":Asia/Tokyo", 9, id="a name after a colon"),
        pytest.param("/usr/share/zoneinfo/Asia/Tokyo", 9, id="a file"),
        pytest.param(":/usr/share/zoneinfo/Asia/Tokyo", 9, id="a file after a colon"),
        pytest.param("/nowhere", 0, id="no such file, as on a machine without /etc/localtime"),
    ],
)
def test_the_local_zone_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, hours: int
) -> None:
    monkeypatch.setenv("TZ", variable)
    offset = datetime(2026, 11, 24, tzinfo=load_zone("local")).utcoffset()
    assert offset is not None
    assert offset.total_seconds() == hours * 3600


def test_the_local_zone_is_else_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    moment = datetime(2026, 11, 24, 12, tzinfo=UTC)
    here = moment.astimezone().utcoffset()
    assert moment.astimezone(load_zone("local")).utcoffset() == here


@pytest.mark.parametrize("content", [b"", b"no zone"])
def test_a_local_zone_that_is_broken_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "zone").write_bytes(content)
    monkeypatch.setenv("TZ", str(tmp_path / "zone"))
    with pytest.raises(ValueError, match="IANA"):
        load_zone("local")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        pytest.param(f"https://ann:{SECRET}@es1:9200", "username and password_file", id="login"),
        pytest.param(f"{SECRET}://es1:9200", "a URL with a port", id="another scheme"),
        pytest.param(f"https://{SECRET}", "a URL with a port", id="no port"),
        pytest.param(f"https://{SECRET}:99999", "a URL with a port", id="no such port"),
        pytest.param(f"https://[{SECRET}:9200", "a URL with a port", id="half a bracket"),
        pytest.param(f"{SECRET}:9200", "a URL with a port", id="no scheme"),
        pytest.param("https://:9200", "a URL with a port", id="no host"),
    ],
)
def test_what_is_no_address_of_a_server_is_refused(tmp_path: Path, url: str, hint: str) -> None:
    (line,) = mistakes(written(tmp_path, f'[elasticsearch]\nhosts = ["{url}"]'))
    assert line.startswith("elasticsearch.hosts.0: must ")
    assert hint in line
    assert SECRET not in line


@pytest.mark.parametrize("url", ["http://127.0.0.1:9200", "https://[::1]:9200", "https://es:443/x"])
def test_an_address_of_a_server_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    path = written(tmp_path, f'[elasticsearch]\nhosts = ["{url}"]')
    assert load(path).elasticsearch.hosts == (url,)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('password = "x"\npassword_file = "y"', "set password or password_file, not both"),
        ('api_key = "x"\napi_key_file = "y"', "set api_key or api_key_file, not both"),
        ('username = "a"\npassword = "x"\napi_key = "y"', "set username or api_key, not both"),
        ('password = "x"', "a password needs a username: set username"),
        ('password_file = "x"', "a password needs a username: set username"),
    ],
)
def test_there_is_one_way_to_log_in(tmp_path: Path, text: str, hint: str) -> None:
    assert mistakes(written(tmp_path, f"[elasticsearch]\n{text}")) == [f"elasticsearch: {hint}"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'password = "{SECRET}"', id="without the username"),
        pytest.param(f'password = ["{SECRET}"]', id="of another type"),
        pytest.param(f'api_key = {{ x = "{SECRET}" }}', id="a table"),
        pytest.param(f'pasword = "{SECRET}"', id="under a misspelt key"),
        pytest.param(f'hosts = "{SECRET}"', id="in place of the hosts"),
        pytest.param(
            f'username = "a"\npassword = "{SECRET}"\nreplicas = -1', id="beside a mistake"
        ),
    ],
)
def test_no_secret_is_in_an_error(tmp_path: Path, text: str) -> None:
    assert SECRET not in str(mistakes(written(tmp_path, f"[elasticsearch]\n{text}")))


@pytest.mark.parametrize(
    "key", [key for key, field in FIELDS.items() if "SecretStr" in str(field.annotation)]
)
def test_no_secret_of_any_section_is_in_an_error(tmp_path: Path, key: str) -> None:
    section, _, name = key.rpartition(".")
    for text in (f'[{section}]\n{name} = ["{SECRET}"]', f'{section} = "{SECRET}"'):
        lines = mistakes(written(tmp_path, text))
        assert lines
        assert SECRET not in str(lines)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAILINGEST_ELASTICSEARCH__PASSWORD", SECRET),
        ("MAILINGEST_ELASTICSEARCH__HOSTS", SECRET),
        ("MAILINGEST_ELASTICSEARCH", f'{{"password": "{SECRET}"'),
        ("MAILINGEST_ELASTICSEARCH", json.dumps({"password": SECRET})),
    ],
)
def test_no_secret_of_the_environment_is_in_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    (line,) = mistakes(None)
    assert line.startswith((f"environment: {variable}: ", "elasticsearch: a password needs"))
    assert SECRET not in line


def test_no_secret_is_shown_with_the_settings(tmp_path: Path) -> None:
    login = f'username = "ann"\npassword = "{SECRET}"'
    settings = load(written(tmp_path, f"[elasticsearch]\n{login}"))
    for shown in (repr(settings), str(settings), settings.model_dump_json(), f"{settings!s}"):
        assert SECRET not in shown
    assert read_secret(settings.elasticsearch.password, None, "x") == SECRET


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    assert read_secret(None, file, "elasticsearch.password_file") == SECRET
    assert read_secret(None, None, "elasticsearch.password_file") is None
    assert read_secret(SecretStr(""), None, "elasticsearch.password_file") is None


def test_a_bare_file_name_is_a_credential_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(SECRET)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(None, Path("password"), "x") == SECRET
    with pytest.raises(UsageError, match="cannot read sub/password"):
        read_secret(None, Path("sub/password"), "x")


def test_the_users_of_the_page_may_be_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credential(Path("users")) == tmp_path / "users"
    assert credential(Path("/etc/mailingest/users")) == Path("/etc/mailingest/users")


def test_without_systemd_a_bare_file_name_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(SECRET)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    assert read_secret(None, Path("password"), "x") == SECRET


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read {file}: No such file or directory"),
        (b"\xff", "cannot read {file}: not UTF-8"),
        (b" \n", "{file} is empty"),
    ],
)
def test_a_secret_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_secret(None, file, "elasticsearch.password_file")
    assert str(caught.value) == "elasticsearch.password_file: " + reason.format(file=file)


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"STATE_DIRECTORY": "/var/lib/mailingest"}, "/var/lib/mailingest"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x"}, "/var/lib/a"),
        ({"XDG_STATE_HOME": "/home/ann/state"}, "/home/ann/state/mailingest"),
    ],
)
def test_the_state_is_where_systemd_or_the_user_has_it(
    environment: dict[str, str], directory: str
) -> None:
    assert default_state_directory(environment) == Path(directory)


def test_the_state_is_else_in_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert default_state_directory({}) == Path("/home/ann/.local/state/mailingest")


@pytest.mark.parametrize("is_installed", [True, False], ids=["installed", "in a source tree"])
@pytest.mark.parametrize("target", ["private", None], ids=["of an earlier version", "own"])
def test_the_state_is_the_services_for_everybody_but_a_developer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_installed: bool, target: str | None
) -> None:
    monkeypatch.setattr(places, "source_tree", lambda: None if is_installed else tmp_path)
    monkeypatch.setattr(places, "SERVICE_STATE", tmp_path / "state")
    own = {"XDG_STATE_HOME": "/home/ann/state"}
    assert default_state_directory(own) == Path("/home/ann/state/mailingest")
    if target is None:
        (tmp_path / "state").mkdir()
    else:  # where only root comes
        (tmp_path / "state").symlink_to(tmp_path / target)
    expected = tmp_path / "state" if is_installed else Path("/home/ann/state/mailingest")
    assert default_state_directory(own) == expected
    assert default_state_directory({**own, "STATE_DIRECTORY": "/x"}) == Path("/x")


def test_the_configuration_is_that_of_the_source_tree_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "source_tree", lambda: tmp_path)
    assert places.default_config() == tmp_path / "etc" / "mailingest.toml"
    own = written(tmp_path, "shutdown_timeout = 7")
    assert places.default_config() == own
    assert load(None).shutdown_timeout == 7


def test_a_credential_is_also_found_where_the_units_have_it_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    fix = f"LoadCredential=password:{tmp_path / 'etc' / 'password'}"
    with pytest.raises(UsageError, match=fix):
        read_secret(None, Path("password"), "x")
    (tmp_path / "etc" / "password").write_text(SECRET)
    assert read_secret(None, Path("password"), "x") == SECRET
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(UsageError, match=fix):
        read_secret(None, Path("password"), "x")


def test_a_user_without_a_home_has_to_set_the_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    with pytest.raises(UsageError, match=r"^state\.directory: "):
        load(None)
    path = written(tmp_path, f'[state]\ndirectory = "{tmp_path}"')
    assert load(path).state.directory == tmp_path


def test_the_embedded_store_is_below_the_state_unless_it_is_set() -> None:
    settings = Settings.model_validate({"state": {"directory": "/state"}})
    assert settings.sqlite_directory == Path("/state/mail")
    settings = Settings.model_validate({"sqlite": {"directory": "/mail"}})
    assert settings.sqlite_directory == Path("/mail")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Elasticsearch().timeout = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param('x = "flaot"', 'grok.fields.x: "flaot": must be one of "keyword",', id="type"),
        pytest.param(
            'postfix_to = "keyword"', "postfix_to: there is such a field already", id="old"
        ),
        pytest.param('"host.name" = "ip"', "host.name: host is a field, and can have", id="a part"),
        pytest.param(
            'a = "ip"\n"a.b.c" = "ip"', "a.b.c: a is a field, and can", id="a part of own"
        ),
        pytest.param('"[a][b]" = "ip"', "[a][b]: a name has letters, digits", id="brackets"),
        pytest.param('"a..b" = "ip"', "a..b: a name has letters, digits", id="an empty part"),
    ],
)
def test_own_fields_have_a_type_and_a_name_that_is_free(
    tmp_path: Path, fields: str, message: str
) -> None:
    (mistake,) = mistakes(written(tmp_path, f"[grok.fields]\n{fields}\n"))

    assert mistake.removeprefix("grok.fields: ").startswith(message)


def test_own_fields_and_programs_are_tables(tmp_path: Path) -> None:
    text = '[grok.fields]\n"client.ip" = "ip"\n"@x" = "text"\n[grok.programs]\nmine = "MINE"\n'
    grok = load(written(tmp_path, text)).grok

    assert grok.fields == {"client.ip": "ip", "@x": "text"}
    assert grok.programs == {"mine": "MINE"}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('password = "x"\npassword_file = "y"', "set password or password_file, not both"),
        (
            'bearer_token = "x"\nbearer_token_file = "y"',
            "set bearer_token or bearer_token_file, not both",
        ),
        ('password = "x"', "a password needs a username: set username"),
        (
            'username = "a"\npassword = "x"\nbearer_token = "y"',
            "set username or bearer_token, not both",
        ),
        (
            'url = "http://logs.example.net:9428"\nca_certs = "/x.pem"',
            "set https:// in url, or take out ca_certs: http:// has none",
        ),
        (
            'url = "https://logs.example.net:9428"\nca_certs = "/x.pem"\nverify_certs = false',
            "verify_certs = false trusts all: take out ca_certs",
        ),
    ],
)
def test_victorialogs_has_one_way_to_log_in_and_to_trust(
    tmp_path: Path, text: str, hint: str
) -> None:
    assert mistakes(written(tmp_path, f"[victorialogs]\n{text}")) == [f"victorialogs: {hint}"]


def test_two_servers_are_no_store(tmp_path: Path) -> None:
    text = (
        '[elasticsearch]\nhosts = ["https://es1.example.net:9200"]\n'
        '[victorialogs]\nurl = "http://logs.example.net:9428"'
    )
    assert mistakes(written(tmp_path, text)) == [
        "there can be one store: set one of elasticsearch.hosts, victorialogs.url"
    ]


def test_a_server_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILINGEST_VICTORIALOGS__URL", "http://logs.example.net:9428")
    assert load(None).victorialogs.url == "http://logs.example.net:9428"
