"""Commands with several types: which one is meant, what each is given, and what is refused."""

import csv
import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mailingest.commands.checkpoint import Checkpoint, ResumePoint
from mailingest.commands.retention import run as run_retention
from mailingest.commands.setup import write_saved_objects
from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.inputs.files import LogFile
from mailingest.stores.elastic.saved_objects import saved_objects
from mailingest.syslog.sources import Source
from mailingest.wiring import build_pipeline, build_store
from tests.support.lab.polling import PATIENCE
from tests.support.sqlite import StoredDocuments

LINES = (
    "2026-11-24T10:00:00Z mbox1 postfix/qmgr[7]: AAAAAA1: from=<ann@example.org>, size=1, nrcpt=1",
    "2026-11-24T10:00:01Z mbox1 postfix/lmtp[8]: AAAAAA1: to=<bob@example.net>, relay=mbox1[/x],"
    " delay=1, delays=0/0/0/1, dsn=4.2.2, status=deferred (host mbox1 said: 452 pay 100 €)",
)
TODAY = date(2026, 11, 26)


class Commands:
    """A log in ISO-8859-15, and settings that know the type mbox."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "mail.log"
        self.log.write_bytes("".join(f"{line}\n" for line in LINES).encode("iso-8859-15"))
        self.config = directory / "mailingest.toml"
        self.config.write_text(
            f'[state]\ndirectory = "{directory}"\n[syslog]\ntimezone = "UTC"\n[types.mbox]\n'
        )
        self.store = directory / "mail"

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "mailingest", command, "-c", str(self.config)]
        return subprocess.run(
            [*program, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def stored(self, name: str) -> list[dict[str, Any]]:
        return list(StoredDocuments(self.store, name).find())


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_a_file_is_replayed_as_of_a_type_and_in_a_charset(commands: Commands) -> None:
    for arguments in (["--type", "mbox", "--charset", "ISO-8859-15"], []):
        done = commands.run("replay", "--json", *arguments, str(commands.log))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["documents_stored"] == len(LINES)
    for name, reply in (("mbox", "100 €"), ("mail", "100 ¤")):
        delivery, active = commands.stored(name)
        assert delivery["type"] == active["type"] == name
        assert delivery["message"].endswith(f"pay {reply})")
    told = commands.run("trace", "--type", "mbox", "--text", "100 €")
    assert told.stdout.startswith("PENDING  bob@example.net")
    assert "\n  type      mbox\n" in told.stdout
    # `--limit 0` asks in another way.
    told = commands.run("trace", "--type", "mbox", "--limit", "0", "--csv")
    assert [row["types"] for row in csv.DictReader(told.stdout.splitlines())] == ["mbox"]


def test_without_a_line_of_a_type_that_is_said_of_the_type(commands: Commands) -> None:
    commands.run("replay", "--type", "mbox", str(commands.log))
    told = commands.run("trace", "--type", "mail", "--to", "bob@example.net")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (
        "mailingest: there are no logs of the type mail: nothing has been stored yet in "
        f"{commands.store}\n"
    )


def test_parse_shows_what_a_replay_would_store(commands: Commands) -> None:
    done = commands.run("parse", "--type", "mbox", "--charset", "iso-8859-15", str(commands.log))
    events = list(map(json.loads, done.stdout.splitlines()))
    assert [event["type"] for event in events] == ["mbox", "mbox"]
    assert events[1]["message"].endswith("pay 100 €)")


def test_a_trace_of_files_reads_them_in_a_charset(commands: Commands) -> None:
    question = ["trace", "--json", "--file", str(commands.log), "--text", "100 €"]
    assert commands.run(*question).returncode == 1
    told = commands.run(*question, "--charset", "iso-8859-15")
    [answer] = map(json.loads, told.stdout.splitlines())
    assert "pay 100 €" in answer["reply"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(
            ["replay", "--type", "spam", "LOG"],
            "--type spam: there is no such type; there are mail, mbox: name it in [types] of the "
            "configuration",
            id="a type that there is not",
        ),
        pytest.param(
            ["trace", "--type", "mbox", "--file", "LOG"],
            "trace: --file or --type, not both: log files have no types",
            id="the type of a file",
        ),
        pytest.param(
            ["trace", "--charset", "utf-8"],
            "trace: --charset is that of --file: what is stored is decoded already",
            id="the charset of a store",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    commands: Commands, arguments: list[str], complaint: str
) -> None:
    done = commands.run(*(str(commands.log) if one == "LOG" else one for one in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"mailingest: {complaint}")
    assert not commands.store.exists()


@pytest.mark.parametrize(
    ("name", "charset", "complaint"),
    [
        pytest.param("", None, "--type : there is no such type", id="an empty type"),
        pytest.param("../mbox", None, "--type ../mbox: there is no such type", id="no name"),
        pytest.param(
            "mbox",
            "klingon",
            "--charset klingon: must be `auto` or a charset that contains ASCII",
            id="no charset",
        ),
        pytest.param(None, "utf-16", "--charset utf-16: must be", id="a charset without ASCII"),
    ],
)
def test_a_type_or_charset_that_there_is_not_is_refused(
    name: str | None, charset: str | None, complaint: str
) -> None:
    settings = Settings.model_validate({"types": {"mbox": {}}})
    with pytest.raises(UsageError, match=f"^{re.escape(complaint)}"):
        settings.for_source(name, charset)


async def test_an_interrupted_replay_does_not_go_on_as_of_another_type(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_bytes(LINES[0].encode())
    pipeline = build_pipeline(Settings(), live=False)

    def checkpoint(source: Source) -> Checkpoint:
        return Checkpoint(tmp_path, [LogFile(log)], source)

    await checkpoint(Source("mbox", "auto")).save(ResumePoint(0, 41), pipeline)
    for other in (Source(), Source("mail", "auto"), Source("mbox", "utf-8")):
        assert checkpoint(other).restore(pipeline) is None
    assert checkpoint(Source("mbox", "auto")).restore(pipeline) == ResumePoint(0, 41)


def test_retention_goes_over_all_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = ("2026.11.26", "2026.11.20", "2026.10.01")
    names = ("mail", "mbox", "spam", "kept", "unknown")
    for name in (f"{name}-{day}.sqlite" for name in names for day in days):
        (tmp_path / name).write_bytes(b"x")
    types = {"mbox": {"retention_days": 5}, "spam": {"retention_days": 30}}

    def left(values: dict[str, Any]) -> set[str]:
        settings = Settings.model_validate({"sqlite": {"directory": tmp_path}, **values})
        run_retention(settings, dry_run=False, today=TODAY)
        return {f"{name}-{day}" for name in names for day in days} - {
            path.stem for path in tmp_path.iterdir()
        }

    assert left({"types": {**types, "kept": {}}}) == {
        "mbox-2026.11.20",
        "mbox-2026.10.01",
        "spam-2026.10.01",
    }
    assert capsys.readouterr().out.splitlines()[-1] == (
        "3 files deleted; days that are kept: mail all, mbox 5, spam 30, kept all, today included"
    )
    gone = left({"types": types, "retention": {"days": 7}})
    assert gone == {"mbox-2026.11.20", "mbox-2026.10.01", "spam-2026.10.01", "mail-2026.10.01"}
    assert capsys.readouterr().out.splitlines()[-1] == (
        "1 files deleted; days that are kept: mail 7, mbox 5, spam 30, today included"
    )


async def test_days_of_types_that_are_not_set_are_named_by_a_check(tmp_path: Path) -> None:
    for name in ("mail-2026.11.24", "old-2026.11.24", "a-2026.11.23", "mbox-2026.11.24"):
        (tmp_path / f"{name}.sqlite").touch()
    (tmp_path / "copy.sqlite").touch()
    settings = Settings.model_validate({"sqlite": {"directory": tmp_path}, "types": {"mbox": {}}})
    warnings: list[str] = []
    assert await build_store(settings).check(warnings.append) == f"{tmp_path} is writable"
    assert warnings == [
        f"{tmp_path} has days of types that are not set: a, old: name them in [types] for traces "
        "and retention to know them"
    ]


def test_each_type_has_its_dashboard(tmp_path: Path) -> None:
    write_saved_objects(Settings.model_validate({"types": {"mbox": {}}}), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == saved_objects("mail") + saved_objects("mbox")
