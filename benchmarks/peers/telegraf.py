"""Telegraf's grok parser, JSON lines out."""

import re
from pathlib import Path
from typing import Final

from benchmarks.measure import MeasurementError, Usage, run
from benchmarks.peers.peer import (
    COMMON,
    Peer,
    first_line,
    grok_definitions,
    installed,
    line_patterns,
)

_CONFIG: Final = """\
[agent]
metric_batch_size = 10000
metric_buffer_limit = {most}
omit_hostname = true
[[inputs.file]]
files = ["{file}"]
data_format = "grok"
grok_patterns = [{patterns}]
grok_custom_patterns = '''
{definitions}
'''
[[outputs.file]]
files = ["{out}"]
data_format = "json"
"""
_MOST_LINES: Final = 50_000


def config(file: Path, out: Path) -> str:
    """One expression a kind of line, header included: Telegraf takes a line apart in one step."""
    definitions = grok_definitions(COMMON)
    head = definitions.pop("HEADER").removesuffix("%{REST:text}$")
    whole = {
        name: head + text.removeprefix("^") if name.startswith("LINE_") else text
        for name, text in definitions.items()
    }
    whole["LINE_OTHER"] = f"{head}%{{REST:text}}$"
    patterns = ", ".join(f'"%{{{name}}}"' for name in [*line_patterns(), "LINE_OTHER"])
    rows = "\n".join(f"{name} {text}" for name, text in whole.items())
    return _CONFIG.format(
        file=file, out=out, most=2 * _MOST_LINES, patterns=patterns, definitions=rows
    )


def _version() -> str:
    found = re.search(r"\d+\.\d+\.\d+", first_line([installed("telegraf"), "--version"]))
    return found[0] if found else "1.37.2"


def _run(file: Path, out: Path) -> Usage:
    settings = out.with_suffix(".conf")
    settings.write_text(config(file, out))
    used = run([installed("telegraf"), "--config", str(settings), "--once"])
    if not out.is_file():
        raise MeasurementError("telegraf wrote nothing")
    return used


PEER: Final = Peer(
    name="Telegraf, grok parser, JSON",
    package="telegraf",
    leaves_out="rarer lines, types, correlation",
    version=_version,
    run=_run,
    is_taken_apart=lambda line: b'"text":' not in line,
    most_lines=_MOST_LINES,
)
