"""What the benchmarks make of other programs, and of those that are not there."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.generate import generate
from benchmarks.measure import MeasurementError, Usage, run
from benchmarks.peers import joni, logprep, telegraf
from benchmarks.peers.peer import Peer, installed


def peer_of(command: list[str], most_lines: int | None = None) -> Peer:
    return Peer(
        name="a peer",
        package="a-peer",
        leaves_out="everything",
        version=lambda: "1.0",
        run=lambda file, out: run([*command, str(file)], stdout=out),
        is_taken_apart=lambda line: b"postfix" in line,
        most_lines=most_lines,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "mail.log"
    file.write_bytes(b"".join(generate(200, 1)))
    return file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "cache"
    directory.mkdir()
    monkeypatch.setenv("MAILINGEST_BENCH_CACHE", str(directory))
    return directory


def test_a_peer_is_measured_and_the_lines_that_it_took_apart_are_counted(
    log: Path,
) -> None:
    contestants = [peer_of(["cat"]), peer_of(["cat"], most_lines=10)]
    whole, beginning = peers.measure(contestants, log, rounds=2)
    lines = log.read_bytes().splitlines()
    assert whole.usage is not None
    assert (whole.version, whole.lines, beginning.lines) == ("1.0", 200, 10)
    assert whole.taken_apart == sum(b"postfix" in line for line in lines)
    twice = replace(whole, usage=Usage(1.0, whole.usage.cpu * 2, 0))
    assert twice.times(whole) == pytest.approx(2.0)
    assert replace(whole, usage=None).times(whole) is None


def test_a_peer_that_cannot_be_had_is_missing_with_the_reason(log: Path, cache: Path) -> None:
    def no_version() -> str:
        return installed("no-such-program")

    absent = [
        peer_of(["false"]),
        peer_of(["/no/such/program"]),
        Peer("absent", "", "", no_version, lambda file, out: run(["cat"]), None),
    ]
    missing = [one.missing for one in peers.measure(absent, log, rounds=1)]
    reasons = ["ended with 1", "No such file", "is not installed"]
    assert all(reason in one for reason, one in zip(reasons, missing, strict=True)), missing
    (cache / "a-peer.missing").write_text("E: no package of this name\n")
    known, *_ = peers.measure(absent, log, rounds=2)
    assert (known.missing, known.usage) == ("E: no package of this name", None)


def test_what_is_installed_in_the_cache_goes_before_the_system(cache: Path) -> None:
    program = cache / "bin" / "cat"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert installed("cat") == str(program)
    with pytest.raises(MeasurementError, match="is not installed"):
        installed("no-such-program")


def test_joni_gets_each_program_s_pattern_whole(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    joni.write_patterns(file)
    rows = dict(line.split("\t", 1) for line in file.read_text("latin-1").splitlines())
    assert {"HEADER", "smtpd", "qmgr", "cleanup", "smtp", "postscreen"} <= set(rows)
    assert [name for name, source in rows.items() if re.search(r"%\{|\(\?<\w*-", source)] == []


def test_telegraf_and_logprep_get_the_common_rules(tmp_path: Path) -> None:
    settings = tomllib.loads(telegraf.config(tmp_path / "log", tmp_path / "out"))
    [source] = settings["inputs"]["file"]
    assert "%{LINE_REMOVED}" in source["grok_patterns"]
    assert "LINE_REMOVED ^%{STAMP:timestamp}" in source["grok_custom_patterns"]
    pipeline = logprep.config(tmp_path / "log", tmp_path / "out")["pipeline"]
    [text] = [rule["grokker"]["mapping"]["text"] for rule in pipeline[1]["text"]["rules"]]
    assert "%{QUEUEID:queueid}: removed" in text
