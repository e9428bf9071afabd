"""Settings become the parts that they describe."""

import os
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from mailingest.config import Elasticsearch, Settings, data_directory
from mailingest.errors import UsageError
from mailingest.grok import library
from mailingest.grok.oniguruma import compile_plain
from mailingest.postfix.enrichment import LIFETIME
from mailingest.stores.elastic.reader import ElasticReader
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.elastic.template import IndexTemplate
from mailingest.stores.elastic.writer import ElasticWriter
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.stores.ndjson.writer import NdjsonWriter
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.syslog.sources import Source
from mailingest.wiring import (
    build_parser,
    build_pipeline,
    build_reader,
    build_store,
    first_time,
    read_definitions,
)

NOW = 1_795_500_000.0  # 2026-11-24 06:00:00 UTC
SENT = "to=<bob@example.net>, relay=none, delay=1, delays=0/0/0.5/0.5, dsn=2.0.0, status=sent (ok)"


def settings(**sections: Any) -> Settings:
    return Settings.model_validate(sections)


def line(text: str, host: str = "mx1", service: str = "qmgr") -> bytes:
    return f"Nov 24 07:00:00 {host} postfix/{service}[7]: 4AB12CD34: {text}".encode()


@pytest.mark.parametrize(
    ("name", "file"), [("patterns", "postfix.grok"), ("config", "mailingest.toml")]
)
def test_the_data_is_found(name: str, file: str) -> None:
    assert (data_directory(name) / file).is_file()


def test_later_patterns_replace_shipped_ones_by_name(tmp_path: Path) -> None:
    (tmp_path / "own").write_text(
        r"POSTFIX_QMGR_REMOVED %{POSTFIX_QUEUEID:postfix_queueid}: (?<postfix_message>gone)" + "\n"
    )
    (tmp_path / ".own.swp").write_bytes(b"\xff\0 what an editor leaves")
    (tmp_path / "sub").mkdir()
    pipeline = build_pipeline(settings(grok={"patterns_dirs": [tmp_path]}), live=True)
    gone, removed = (pipeline.feed(line(text), NOW)[0].fields for text in ("gone", "removed"))
    assert gone["postfix_message"] == "gone"
    assert removed["tags"] == ["_grok_postfix_qmgr_nomatch"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param(
            "own", b"A \xff\n", "{file}: the patterns are not UTF-8: convert the file", id="latin1"
        ),
        pytest.param("own", b"POSTFIX_QMGR (\n", "{file}:1: ", id="no regular expression"),
        pytest.param("own", b"POSTFIX_QMGR %{NOWHERE}\n", "{file}:1: ", id="no such pattern"),
    ],
)
def test_a_pattern_that_is_wrong_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        build_pipeline(settings(grok={"patterns_dirs": [tmp_path]}), live=True)
    assert str(caught.value).startswith(message.format(file=file))
    assert "\n" not in str(caught.value)


def test_a_shipped_pattern_that_refers_to_a_wrong_one_is_named_before_a_line_needs_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "own").write_text("# mine\nPOSTFIX_QUEUEID (?<=a|bc)\n")
    with pytest.raises(UsageError, match=r"own:2: pattern POSTFIX_QUEUEID: look-behind"):
        build_pipeline(settings(grok={"patterns_dirs": [tmp_path]}), live=False)


@pytest.mark.parametrize("live", [pytest.param(True, id="live"), pytest.param(False, id="once")])
def test_shipped_patterns_are_compiled_before_a_live_line_or_with_the_first_one(
    live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def count(expanded: str, omitted: Collection[str] = ()) -> re.Pattern[str]:
        compiled.append(expanded)
        return compile_plain(expanded, omitted)

    build_parser.__globals__["_parser"].cache_clear()
    monkeypatch.setattr(library, "compile_plain", count)
    pipeline = build_pipeline(settings(), live=live)
    before = len(compiled)
    for text in ("removed", "removed", "from=<a@b.example>, size=1, nrcpt=1 (queue active)"):
        assert pipeline.feed(line(text), NOW)
    assert (before > 100, len(compiled) - before > 0) == ((True, False) if live else (False, True))
    assert len(compiled) - before < 20


def test_a_directory_of_patterns_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        list(read_definitions(settings(grok={"patterns_dirs": [tmp_path / "none"]})))
    assert str(caught.value) == (
        f"grok.patterns_dirs: cannot read {tmp_path / 'none'}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("host", "time"),
    [("mx1", "2026-11-24T06:00:00.000Z"), ("mx2", "2026-11-24T12:00:00.000Z")],
    ids=["the zone of all", "the zone of a host"],
)
def test_zones_are_those_of_the_settings(host: str, time: str) -> None:
    syslog = {"timezone": "Europe/Berlin", "host_timezones": {"mx2": "America/New_York"}}
    pipeline = build_pipeline(settings(syslog=syslog), live=True)
    (document,) = pipeline.feed(line("removed", host), NOW)
    assert document.fields["@timestamp"] == time


@pytest.mark.parametrize("charset", ["utf-8", "iso8859-1", "koi8-r"])
def test_the_charset_is_that_of_the_settings(charset: str) -> None:
    pipeline = build_pipeline(settings(syslog={"charset": charset}), live=True)
    text = "Grüße".encode()
    (document,) = pipeline.feed(b"Nov 24 07:00:00 mx1 x: " + text, NOW)
    assert document.fields["message"] == text.decode(charset)


def test_the_prefix_of_indices_is_that_of_the_settings() -> None:
    pipeline = build_pipeline(settings(index={"prefix": "post"}), live=True)
    (document,) = pipeline.feed(line("removed"), NOW)
    assert document.index == "post-2026.11.24"


def test_a_line_is_as_old_as_the_retention_of_its_type_lets_it_be() -> None:
    given = settings(retention={"days": 30}, types={"mbox": {"retention_days": 7}})
    pipeline = build_pipeline(given, live=True)
    ten_days_later = NOW + 10 * 86_400
    for name, index in (("mbox", "mbox-2026.12.04"), ("mail", "mail-2026.11.24")):
        pipeline.use(Source(name))
        (document,) = pipeline.feed(line("removed"), ten_days_later)
        assert document.index == index


def test_queue_ids_are_bounded_by_the_settings() -> None:
    correlation = {"max_queue_ids": 1000, "lifetime_days": 1}
    pipeline = build_pipeline(settings(correlation=correlation), live=True)
    for number in range(1100):
        text = line(f"from=<{number}@example.org>, size=1, nrcpt=1 (queue active)")
        pipeline.feed(text.replace(b"4AB12CD34", b"4AB12%04X" % number), NOW)
    assert len(pipeline.queue_map) == 1000
    pipeline.tick(NOW + 86_400)
    assert len(pipeline.queue_map) == 0


def test_the_default_lifetime_is_that_of_the_queue_map() -> None:
    assert settings().correlation.lifetime_days * 86_400 == LIFETIME


@pytest.mark.parametrize(("wait", "documents"), [(0.0, 1), (2.0, 0)])
def test_delivery_lines_wait_as_long_as_set(wait: float, documents: int) -> None:
    pipeline = build_pipeline(settings(), live=True, wait=wait)
    assert len(pipeline.feed(line(SENT, service="smtp"), NOW)) == documents


def test_the_time_of_a_line_is_read_for_putting_files_in_order() -> None:
    read = first_time(settings(syslog={"timezone": "Europe/Berlin"}))
    assert read(line("removed"), NOW) == NOW
    assert read(line("removed"), NOW - 3 * 86_400) == NOW - 365 * 86_400
    assert read(b"no header", NOW) is None


@pytest.mark.parametrize(
    ("sections", "kind"),
    [
        pytest.param({}, SqliteWriter, id="SQLite if nothing is set"),
        pytest.param({"sqlite": {"directory": "/mail"}}, SqliteWriter, id="SQLite"),
        pytest.param({"ndjson": {"path": "-"}}, NdjsonWriter, id="NDJSON on standard output"),
        pytest.param({"ndjson": {"path": "/mail.ndjson"}}, NdjsonWriter, id="NDJSON"),
        pytest.param(
            {"elasticsearch": {"hosts": ["http://127.0.0.1:9"]}}, ElasticWriter, id="Elasticsearch"
        ),
    ],
)
def test_the_store_is_the_one_that_is_set(sections: dict[str, Any], kind: type) -> None:
    assert isinstance(build_store(settings(**sections)).writer(), kind)


@pytest.mark.parametrize(
    ("sections", "files", "kind"),
    [
        pytest.param({}, [], SqliteReader, id="SQLite if nothing is set"),
        pytest.param(
            {"elasticsearch": {"hosts": ["http://127.0.0.1:9"]}}, [], ElasticReader, id="a server"
        ),
        pytest.param({"ndjson": {"path": "-"}}, ["mail.log"], LogFilesReader, id="log files"),
    ],
)
def test_the_reader_is_that_of_the_store_unless_files_are_named(
    tmp_path: Path, sections: dict[str, Any], files: list[str], kind: type
) -> None:
    (tmp_path / "mail.log").write_bytes(b"")
    named = [str(tmp_path / file) for file in files]
    assert isinstance(build_reader(settings(**sections), named), kind)


def test_lines_of_json_cannot_be_searched() -> None:
    with pytest.raises(UsageError, match=r"^ndjson\.path: lines of JSON cannot be searched: name"):
        build_reader(settings(ndjson={"path": "-"}))


@pytest.mark.parametrize(
    ("sections", "clients"),
    [
        pytest.param({}, [], id="SQLite"),
        pytest.param({"ndjson": {"path": "-"}}, [], id="NDJSON"),
        pytest.param(
            {"elasticsearch": {"hosts": ["http://127.0.0.1:9"]}}, ["elasticsearch"], id="a server"
        ),
    ],
)
def test_a_store_imports_no_other_ones_client(sections: dict[str, Any], clients: list[str]) -> None:
    program = f"""if True:
        import sys
        from mailingest.config import Settings
        from mailingest.wiring import build_store
        build_store(Settings.model_validate({sections!r})).writer()
        print(*({{"elasticsearch"}} & {{*sys.modules}}))
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == clients


@pytest.mark.parametrize("key", ["password_file", "api_key_file"])
def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path, key: str) -> None:
    section: dict[str, Any] = {"hosts": ["http://127.0.0.1:9"], key: tmp_path / "none"}
    if key == "password_file":
        section["username"] = "ann"
    with pytest.raises(UsageError, match=rf"^elasticsearch\.{key}: cannot read .*/none: No such"):
        build_store(settings(elasticsearch=section)).writer()


async def test_the_default_store_writes_below_the_state(tmp_path: Path) -> None:
    writer = build_store(settings(state={"directory": tmp_path})).writer()
    (document,) = build_pipeline(settings(), live=True).feed(line("removed"), NOW)
    await writer.open()
    await writer.write([document])
    await writer.close()
    assert f"{document.index}.sqlite" in os.listdir(tmp_path / "mail")


OWN_PATTERNS = "MINE %{WORD:[mine][verdict]} %{NUMBER:mine_score} (?<mine_ip>\\S+)\n"
OWN_FIELDS = {"mine.verdict": "keyword", "mine_score": "float", "mine_ip": "ip"}


def own_settings(tmp_path: Path, **grok: Any) -> Settings:
    (tmp_path / "own").mkdir(exist_ok=True)
    (tmp_path / "own" / "mine").write_text(OWN_PATTERNS)
    defaults = {"fields": OWN_FIELDS, "programs": {"mine": "MINE"}}
    return settings(grok={"patterns_dirs": [tmp_path / "own"], **defaults, **grok})


@pytest.mark.parametrize(
    ("text", "fields", "tags"),
    [
        pytest.param(
            "pass -1.5 192.0.2.5",
            {"mine.verdict": "pass", "mine_score": -1.5, "mine_ip": "192.0.2.5"},
            ["_grok_mine_success"],
            id="typed",
        ),
        pytest.param(
            "pass 7 nowhere",
            {"mine.verdict": "pass", "mine_score": 7.0, "unfit": ["mine_ip=nowhere"]},
            ["_grok_mine_success", "_type_mismatch"],
            id="a value that does not fit",
        ),
        pytest.param("something else", {}, [], id="no match is no fault"),
    ],
)
def test_users_have_programs_and_fields_of_their_own(
    tmp_path: Path, text: str, fields: dict[str, Any], tags: list[str]
) -> None:
    pipeline = build_pipeline(own_settings(tmp_path), live=True)
    (document,) = pipeline.feed(f"Nov 24 07:00:00 mx1 mine[7]: {text}".encode(), NOW)
    given = {
        name: value
        for name, value in document.fields.items()
        if name.startswith("mine") or name == "unfit"
    }

    assert given == fields
    assert document.fields["tags"] == tags


def template_of(settings: Settings) -> IndexTemplate:
    elasticsearch = Elasticsearch(hosts=("http://127.0.0.1:9",))
    store = build_store(settings.model_copy(update={"elasticsearch": elasticsearch}))
    assert isinstance(store, ElasticStore)
    return store.template("mail")


def test_own_fields_are_in_the_index_template(tmp_path: Path) -> None:
    properties = template_of(own_settings(tmp_path)).body["mappings"]["properties"]

    assert properties["mine_score"]["type"] == "float"
    assert properties["mine"]["properties"]["verdict"] == properties["postfix_status"]


@pytest.mark.parametrize(
    ("grok", "message"),
    [
        pytest.param(
            {"fields": {"mine.verdict": "keyword", "mine_score": "float"}},
            "{own}/mine:1: pattern MINE: there is no field mine_ip: declare its type (keyword, "
            "text, integer, float, ip) in the configuration:\n"
            '[grok.fields]\nmine_ip = "keyword"  # ',
            id="an undeclared field",
        ),
        pytest.param(
            {"programs": {"mine": "YOURS"}},
            "grok.programs: 'mine': there is no pattern YOURS: define it in a pattern file",
            id="no such pattern",
        ),
        pytest.param(
            {"programs": {"postfix/smtpd": "MINE"}},
            "grok.programs: 'postfix/smtpd': that is Postfix: give its patterns another text",
            id="a program of Postfix",
        ),
        pytest.param(
            {"programs": {"postfix": "MINE"}},
            "grok.programs: 'postfix': that is Postfix: give its patterns another text",
            id="all of Postfix",
        ),
    ],
)
def test_what_users_declare_has_to_fit(tmp_path: Path, grok: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        build_parser(own_settings(tmp_path, **grok))

    assert str(refused.value).startswith(message.format(own=tmp_path / "own"))


def test_a_directory_of_another_program_may_hold_anything_readable(tmp_path: Path) -> None:
    for name in ("mine", "postfix.grok", "linux-syslog"):
        (tmp_path / name).write_text(f"{name[:4].upper()} a\n")
    for name in (
        ".hidden",
        "mine~",
        "#mine#",
        "mine.bak",
        "mine.dpkg-old",
        "mine.rpmsave",
        "x.swp",
    ):
        (tmp_path / name).write_text("not patterns")
    definitions = read_definitions(settings(grok={"patterns_dirs": [tmp_path]}))
    own = [one for one in definitions if one.file.startswith(str(tmp_path))]

    assert [(one.name, Path(one.file).name) for one in own] == [
        *(("LINU", "linux-syslog"), ("MINE", "mine"), ("POST", "postfix.grok")),
    ]


def test_directories_are_read_in_their_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text(f"MINE (?<mine_ip>{name}.*)\n")
    dirs = [tmp_path / "b", tmp_path / "a"]
    parser = build_pipeline(own_settings(tmp_path, patterns_dirs=dirs), live=True)
    fed = [parser.feed(f"Nov 24 07:00:00 mx1 mine: {text}".encode(), NOW)[0] for text in "ab"]

    assert [one.fields["tags"] != [] for one in fed] == [True, False]
