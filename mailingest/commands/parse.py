"""Lines in, documents out as JSON lines: to try patterns, and to use as a filter."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO, Final, TextIO

import orjson

from mailingest.config import Settings
from mailingest.escaping import escape_terminal, escape_terminal_json
from mailingest.grok.message_templates import TemplateCount, TemplateCounter
from mailingest.inputs.files import LogFile
from mailingest.inputs.years import tell_doubt
from mailingest.service import gc_tuning
from mailingest.syslog.header import HEADER_NOMATCH, PROGRAM_NOMATCH
from mailingest.wiring import build_decoder, build_parser, build_pipeline, log_files

# What stands for the program of lines that do not say it.
_WITHOUT: Final = {HEADER_NOMATCH: "(no syslog header)", PROGRAM_NOMATCH: "(no program)"}


def parse(
    settings: Settings, arguments: Sequence[str], out: BinaryIO, *, year: int | None = None
) -> None:
    """Write one JSON object for each line that is not empty.

    Each event comes out at once, so that a delivery line that comes before its qmgr line is not
    enriched from it.
    """
    pipeline = build_pipeline(settings, live=False, wait=0.0, everything=True)
    gc_tuning.tune()
    for file in log_files(settings, arguments, year):
        span = pipeline.begin_file()
        for block in file.blocks():
            out.write(_lines(pipeline.bodies(block.lines, file.mtime)))
            out.flush()
        tell_doubt(file, span)


def _lines(bodies: Sequence[bytes]) -> bytes:
    """Bodies as lines of output.  JSON has no control characters but DEL; most of it is ASCII."""
    lines = b"\n".join([*bodies, b""])
    if _is_harmless(lines):
        return lines
    escaped = (
        body if _is_harmless(body) else escape_terminal_json(body).encode() for body in bodies
    )
    return b"\n".join([*escaped, b""])


def _is_harmless(json: bytes) -> bool:
    """Whether a terminal only shows it: nothing has to be looked for in what is long."""
    return json.isascii() and b"\x7f" not in json


def unmatched(
    settings: Settings,
    arguments: Sequence[str],
    out: TextIO,
    *,
    as_json: bool = False,
    year: int | None = None,
) -> None:
    """Write the lines of Postfix that no pattern matches, grouped by program and template.

    Those without a header that is known, or without a program, are groups of their own.

    As JSON, it is an object a group; the one without a program counts the lines of all templates
    beyond those that are kept.
    """
    counter = TemplateCounter()
    tags = _collect(settings, log_files(settings, arguments, year), counter)
    groups = list(counter.counts())
    if as_json:
        rows = list(map(_group, groups))
        if counter.other:
            rows.append({"program": None, "shape": None, "count": counter.other, "example": None})
        out.writelines(f"{escape_terminal_json(orjson.dumps(row))}\n" for row in rows)
        return
    for group in groups:
        program = escape_terminal(group.program)
        out.write(f"{group.count:>8}  {program}: {escape_terminal(group.template)}\n")
        out.write(f"{'':8}  {'':{len(program)}}  {escape_terminal(group.example)}\n")
    if counter.other:
        out.write(f"{counter.other:>8}  lines of further templates\n")
    out.write(_summary(tags))


def _summary(tags: Mapping[str, int]) -> str:
    """How many lines there are, and how many of them are not understood."""
    without = sum(tags[tag] for tag in _WITHOUT)
    parts = [
        f"{sum(tags.values())} lines",
        f"{sum(tags.values()) - tags[''] - without} of Postfix that no pattern matches",
    ]
    if tags[HEADER_NOMATCH]:
        parts.append(f"{tags[HEADER_NOMATCH]} without a syslog header")
    if tags[PROGRAM_NOMATCH]:
        parts.append(f"{tags[PROGRAM_NOMATCH]} without a program")
    return f"{', '.join(parts)}\n"


def _group(group: TemplateCount) -> dict[str, object]:
    """A group for scripts, which know the template as its shape."""
    return {
        "program": group.program,
        "shape": group.template,
        "count": group.count,
        "example": group.example,
    }


def _collect(
    settings: Settings, files: Iterable[LogFile], counter: TemplateCounter
) -> Counter[str]:
    """Count what does not match; the number of lines by the tag that says so, "" if all did."""
    decoder = build_decoder(settings, live=False)
    parser = build_parser(settings)
    tags: Counter[str] = Counter()
    for file in files:
        for block in file.blocks():
            for line in block.lines:
                if not line or line.isspace():
                    continue
                record = decoder.decode(line, reference=file.mtime)
                event = parser.parse(record)
                tags[event.nomatch] += 1
                if event.nomatch:
                    program = _WITHOUT.get(event.nomatch, event.service or record.program)
                    counter.add(program, record.text)
    return tags
