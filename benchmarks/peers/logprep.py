"""Logprep: two grokkers, the header and then the text, JSON lines out."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import MeasurementError, Usage, finish
from benchmarks.peers.peer import COMMON, Peer, cache, first_line, grok_definitions, line_patterns

_PROGRAM: Final = cache() / "logprep" / "bin" / "logprep"
_MOST_LINES: Final = 50_000
_WAIT_SECONDS: Final = 600.0


def config(file: Path, out: Path) -> dict[str, Any]:
    """A pipeline, in JSON, which is YAML too."""
    definitions = grok_definitions(COMMON)
    header = definitions["HEADER"].removeprefix("^").removesuffix("$")
    # A pattern that is a mere name is put in place by the grokker itself.
    texts = [definitions[name].removeprefix("^").removesuffix("$") for name in line_patterns()]

    def grokker(source: str, mapping: list[str]) -> dict[str, Any]:
        rule = {
            "filter": source,
            "grokker": {"id": source, "mapping": {source: mapping}, "patterns": definitions},
        }
        return {"type": "grokker", "rules": [rule]}

    return {
        "version": "1",
        "process_count": 1,
        "timeout": 0.5,
        "logger": {"loggers": {"root": {"level": "ERROR"}}},
        "input": {
            "log": {
                "type": "file_input",
                "logfile_path": str(file),
                "start": "begin",
                "watch_file": False,
            }
        },
        "pipeline": [{"header": grokker("message", [header])}, {"text": grokker("text", texts)}],
        "output": {"json": {"type": "jsonl_output", "output_file": str(out)}},
    }


def _run(file: Path, out: Path) -> Usage:
    settings = out.with_suffix(".yml")
    # It reads UTF-8 only.
    utf8 = out.with_suffix(".log")
    lines = _recode(file, utf8)
    settings.write_text(json.dumps(config(utf8, out)))
    log = out.with_suffix(".stderr")
    began = time.perf_counter()
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [_PROGRAM, "run", str(settings)], stdout=stderr, stderr=stderr, cwd=out.parent
        )
    try:
        _wait(process, out, lines, log)
        process.send_signal(signal.SIGTERM)
        return finish(process, began)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", out: Path, lines: int, log: Path) -> None:
    """Until as many lines are written as were read; it does not end by itself."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not out.is_file() or _count(out) < lines:
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise MeasurementError(f"logprep did not write all: {last}")
        time.sleep(0.5)


def _recode(file: Path, utf8: Path) -> int:
    with (
        file.open(encoding="latin-1", newline="\n") as source,
        utf8.open("w", encoding="utf-8", newline="\n") as recoded,
    ):
        recoded.writelines(source)
    return _count(utf8)


def _count(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)


def _version() -> str:
    if not _PROGRAM.is_file():
        raise MeasurementError("logprep is not installed (.ci/bench-packages)")
    python = str(_PROGRAM.parent / "python")
    ask = "from importlib.metadata import version; print(version('logprep'))"
    return first_line([python, "-c", ask])


PEER: Final = Peer(
    name="Logprep, two grokkers, JSON",
    package="logprep",
    leaves_out="rarer lines, types, correlation, charsets other than UTF-8",
    version=_version,
    run=_run,
    is_taken_apart=lambda line: not _only_header(line),
    most_lines=_MOST_LINES,
)


def _only_header(line: bytes) -> bool:
    known = {"message", "timestamp", "host", "program", "pid", "text", "tags"}
    return not set(json.loads(line)) - known
