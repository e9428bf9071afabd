"""`mailingest import-logstash`: what is written, what is printed, and what is refused."""

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from mailingest.cli import app
from mailingest.commands import import_logstash as module
from mailingest.commands.check import check
from mailingest.commands.import_logstash import Wanted, run
from mailingest.commands.parse import parse
from mailingest.config import load
from mailingest.errors import UsageError
from mailingest.grok.definitions import parse_definitions
from mailingest.grok.library import Library
from tests.docs.blocks import ROOT, blocks_of

PIPELINES = Path(__file__).parents[1] / "data" / "logstash-pipelines"
NO_POSTFIX = ("11-ninech-amavis-dovecot", "12-whm-exim")
DOCUMENT = ROOT / "docs" / "logstash.md"


def imported(
    *paths: Path, output: Path, force: bool = False, patterns: list[Path] | None = None, **how: Any
) -> tuple[int, str]:
    out = io.StringIO()
    how.setdefault("as_json", False)
    code = run(Wanted(list(paths), patterns or [], output, force), out, **how)
    return code, out.getvalue()


def site(directory: Path, text: str, patterns: str = "") -> Path:
    (directory / "conf.d").mkdir()
    (directory / "conf.d" / "mail.conf").write_text(text)
    if patterns:
        (directory / "patterns.d").mkdir()
        (directory / "patterns.d" / "mail").write_text(patterns)
    return directory


@pytest.fixture
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To probe patterns takes seconds."""
    monkeypatch.setattr(module, "find_slow", lambda probes: ([], 0))


@pytest.mark.usefixtures("unprobed")
def test_the_example_of_docs_logstash_md(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, patterns, report, toml = [
        block.text
        for block in blocks_of(DOCUMENT)
        if "tested" in block.marks and block.language in ("text", "toml")
    ]
    site(tmp_path, pipeline, patterns)
    monkeypatch.chdir(tmp_path)
    code, printed = imported(Path("."), output=Path("out"))

    assert (code, printed) == (3, report)
    written = (tmp_path / "out" / "mailingest.toml").read_text()
    assert written.replace(str(tmp_path / "out"), "/etc/mailingest") == toml
    everything = printed + "".join(path.read_text() for path in tmp_path.glob("out/**/*.*"))
    assert "hunter2" not in everything


@pytest.mark.usefixtures("unprobed")  # check does
def test_what_is_written_is_right_and_reads_lines_as_the_pipeline_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other programs keep their patterns: names that mailingest has too, paths, types, literals."""
    patterns = (
        "POSTFIX_QUEUEID own-[0-9]++\n"
        "QUOTA %{INT:[quota][percent]:int}% (?<quota-state>ok|full)\n"
        "UNUSED %{NONE}\n"
    )
    text = """
    input { tcp { port => 5140 host => "127.0.0.1" } }
    filter {
      if [program] == "postfix/smtpd" { grok { match => { "message" => "%{POSTFIX_SMTPD}" } } }
      else if [program] =~ /^quota/ or [program] in ["sub/own", "x-y"] {
        grok {
          patterns_dir => "/nowhere/patterns.d"
          pattern_definitions => { "SCORE" => "%{NUMBER:score}" }
          match => { "message" => [ "^%{POSTFIX_QUEUEID:own_id}: %{QUOTA}$" ] }
          match => { "message" => [ "^score %{SCORE} of %{WORD:host}$" ] }
        }
      }
      mutate { convert => { "score" => "float" } }
    }
    output { file { path => "/tmp/out.ndjson" } }
    """
    out = tmp_path / "out"
    code, printed = imported(site(tmp_path, text, patterns), output=out)
    settings = load(out / "mailingest.toml")
    log = tmp_path / "log"
    log.write_text(
        "Nov 24 15:41:22 mx1 quota[5]: own-12: 93% full\n"
        "Nov 24 15:41:22 mx1 sub/own[5]: score 1.5 of mx9\n"
        "Nov 24 15:41:22 mx1 x-y[5]: own-12: 93% full of it\n"
        "Nov 24 15:41:22 mx1 postfix/qmgr[5]: 4F2A11E0ABC: removed\n"
    )
    lines = io.BytesIO()
    parse(settings, [str(log)], lines)
    events = [orjson.loads(line) for line in lines.getvalue().splitlines()]

    assert code == 3
    assert "host: not captured, since it is the event's own here" in printed
    assert settings.grok.fields == {
        "own_id": "keyword",
        "quota.percent": "integer",
        "quota-state": "keyword",
        "score": "float",
    }
    own = ("own_id", "quota.percent", "quota-state", "score", "host", "postfix_queueid")
    assert [{name: one[name] for name in own if name in one} for one in events] == [
        {"own_id": "own-12", "quota.percent": 93, "quota-state": "full", "host": "mx1"},
        {"score": 1.5, "host": "mx1"},
        {"host": "mx1"},
        {"host": "mx1", "postfix_queueid": "4F2A11E0ABC"},
    ]
    # The same as Logstash would search for.
    library = Library(parse_definitions("own", patterns.replace("UNUSED %{NONE}\n", "")), {})
    search = library.compile_search("^%{POSTFIX_QUEUEID:own_id}: %{QUOTA}$")
    assert search.search("own-12: 93% full") == {
        "own_id": "own-12",
        "quota.percent": "93",
        "quota-state": "full",
    }
    assert settings.ndjson.path == "/tmp/out.ndjson"
    assert not check(settings)
    assert "WRONG" not in capsys.readouterr().out


def test_check_takes_what_comes_of_a_pipeline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the server and the password, which are not here.

    None of the pipelines needs patterns, so that what is checked of them is the same for all.
    """
    file = tmp_path / "out" / "mailingest.toml"
    assert imported(PIPELINES / "08-rgielen-docker-elk", output=file.parent)[0] == 3
    text = re.sub(r"^port = .*", "port = 0", file.read_text(), flags=re.MULTILINE)
    text = re.sub(r"^hosts = .*", 'hosts = ["http://127.0.0.1:1"]', text, flags=re.MULTILINE)
    file.write_text(f"{text}\n[state]\ndirectory = '{tmp_path}/state'\n")
    check(load(file))
    said = capsys.readouterr().out.splitlines()

    assert [line for line in said if line.startswith("ok     patterns: ")]
    others = [line for line in said if not line.startswith(("ok ", "WRONG  store: "))]
    assert others == []


def test_a_pattern_with_which_the_daemon_would_not_start_is_told_of(tmp_path: Path) -> None:
    text = """filter { if [program] == "own" {
        grok { match => { "message" => "%{EMAILADDRESS:user} is over" } } } else if [postfix] { } }
    """
    code, printed = imported(site(tmp_path, text), output=tmp_path / "out")

    assert code == 3
    assert "pattern SITE_OWN: is slow with ReDoS payloads: " in printed


@pytest.mark.parametrize("name", NO_POSTFIX)
def test_a_pipeline_without_postfix_is_no_empty_success(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = imported(PIPELINES / name, output=tmp_path / "out")

    assert (code, printed) == (1, "")
    assert capsys.readouterr().err.startswith("nothing to import: ")
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_to_do_where_all_is_replaced(tmp_path: Path) -> None:
    text = """
    input { tcp { port => 5000 } }
    filter { grok { match => { "message" => "^%{POSTFIX_QMGR}$" } patterns_dir => "no" } }
    """
    code, printed = imported(site(tmp_path, text), output=tmp_path / "out")

    assert code == 0
    assert printed.endswith("\n2 carried, 3 replaced, 0 not carried, 0 wrong\n")


def test_json_has_an_object_for_each(tmp_path: Path) -> None:
    text = 'input { udp { port => 5000 codec => plain { charset => "UTF-8" } } }'
    _, printed = imported(site(tmp_path, text), output=tmp_path / "out", as_json=True)
    found = [json.loads(line) for line in printed.splitlines()]

    assert found[0] == {
        "file": "conf.d/mail.conf",
        "line": 1,
        "column": 9,
        "what": "udp",
        "kind": "plugin",
        "verdict": "carried",
        "text": "as [[inputs.udp]]",
    }
    assert [one["what"] for one in found] == [
        "udp",
        "udp port",
        "udp codec",
        "udp plain",
        "udp plain charset",
    ]


def test_nothing_is_replaced_without_force(tmp_path: Path) -> None:
    where = site(tmp_path, "input { udp { port => 5000 } }")
    file = tmp_path / "out" / "mailingest.toml"
    imported(where, output=file.parent)
    file.write_text("mine")

    with pytest.raises(UsageError, match="is there already: name another --out"):
        imported(where, output=file.parent)
    assert file.read_text() == "mine"
    imported(where, output=file.parent, force=True)
    assert "port = 5000" in file.read_text()


def test_patterns_of_another_machine_are_named(tmp_path: Path) -> None:
    where = PIPELINES / "15-dedi27-missing-pattern"
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in (where / "conf.d").iterdir():
        (alone / file.name).write_text(file.read_text())
    _, without = imported(alone, output=tmp_path / "without")
    _, given = imported(alone, output=tmp_path / "given", patterns=[where / "patterns.d"])

    # Without the files nobody knows what they define.
    assert "POSTFIX_MAIL_ADDRESS_FROM}: nobody" not in without
    assert "POSTFIX_MAIL_ADDRESS_FROM}: nobody defines it" in given


def test_escapes_are_those_of_logstash_yml(tmp_path: Path) -> None:
    where = site(tmp_path, r'input { udp { port => 5000 type => "m\x" host => "a\"b" } }')
    imported(where, output=tmp_path / "plain")
    (tmp_path / "logstash.yml").write_text("config.support_escapes: true\n")
    imported(where, output=tmp_path / "escaped")

    assert r'host = "a\\\"b"' in (tmp_path / "plain" / "mailingest.toml").read_text()
    assert r'host = "a\"b"' in (tmp_path / "escaped" / "mailingest.toml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filter { grok }", "conf.d/mail.conf:1:15: expected `{` after grok, but found '}'"),
        (None, "has no *.conf, nor have conf.d, pipeline, config below it"),
        (b"filter { }\xff", "mail.conf: is not UTF-8: convert the file"),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_is_written(
    text: str | bytes | None, message: str, tmp_path: Path
) -> None:
    if text is not None:
        site(tmp_path, "")
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "conf.d" / "mail.conf").write_bytes(content)
    with pytest.raises(UsageError) as refused:
        imported(tmp_path, output=tmp_path / "out")

    assert message in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path))
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_is_told_of_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        imported(tmp_path / "none.conf", output=tmp_path / "out")

    assert str(refused.value) == f"{tmp_path}/none.conf: cannot be read: No such file or directory"


def test_an_output_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    where = site(tmp_path, "input { udp { port => 5000 } }")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written: "):
        imported(where, output=tmp_path / "file")


def test_the_command_line(tmp_path: Path) -> None:
    arguments = ["import-logstash", str(PIPELINES / "12-whm-exim"), "-o", str(tmp_path / "out")]
    runner = CliRunner()

    assert runner.invoke(app, arguments).exit_code == 1
    arguments[1] = str(PIPELINES / "04-whyscream-2014")
    done = runner.invoke(app, [*arguments, "--json"])
    assert (done.exit_code, len(done.stdout.splitlines())) == (3, 79)


def test_names_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    where = site(tmp_path, 'input { udp { port => 5000 "\x1b[31m" => 1 } }')
    _, printed = imported(where, output=tmp_path / "out")

    assert "\x1b" not in printed
    assert os.linesep in printed
