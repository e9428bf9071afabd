"""Lines in, documents out as JSON lines: to try patterns, and to use as a filter."""

from collections.abc import Sequence
from typing import BinaryIO, TextIO

import orjson

from mailingest.config import Settings
from mailingest.escaping import escape_terminal, escape_terminal_json
from mailingest.grok.message_templates import TemplateCount, TemplateCounter
from mailingest.inputs.rotation import expand
from mailingest.service import gc_tuning
from mailingest.syslog.header import HEADER_NOMATCH
from mailingest.wiring import build_decoder, build_parser, build_pipeline, first_time


def parse(settings: Settings, arguments: Sequence[str], out: BinaryIO) -> None:
    """Write one JSON object for each line that is not empty.

    Each event comes out at once, so that a delivery line that comes before its qmgr line is not
    enriched from it.
    """
    pipeline = build_pipeline(settings, live=False, wait=0.0, everything=True)
    gc_tuning.tune()
    for file in expand(arguments, first_time(settings)):
        feed, mtime = pipeline.feed, file.mtime
        for block in file.blocks():
            bodies = [document.body for line in block.lines for document in feed(line, mtime)]
            out.write(_lines(bodies))
            out.flush()


def _lines(bodies: Sequence[bytes]) -> bytes:
    """Bodies as lines of output.  JSON has no control characters but DEL; most of it is ASCII."""
    lines = b"".join([body + b"\n" for body in bodies])
    if lines.isascii() and b"\x7f" not in lines:
        return lines
    return "".join([f"{escape_terminal_json(body)}\n" for body in bodies]).encode()


def unmatched(
    settings: Settings, arguments: Sequence[str], out: TextIO, *, as_json: bool = False
) -> None:
    """Write the lines of Postfix that no pattern matches, grouped by program and template.

    As JSON, it is an object a group; the one without a program counts the lines of all templates
    beyond those that are kept.
    """
    counter = TemplateCounter()
    lines, without_header = _collect(settings, arguments, counter)
    groups = list(counter.counts())
    count = sum(group.count for group in groups) + counter.other
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
    out.write(f"{lines} lines, {count} of Postfix that no pattern matches")
    out.write(f", {without_header} without a syslog header\n" if without_header else "\n")


def _group(group: TemplateCount) -> dict[str, object]:
    """A group for scripts, which know the template as its shape."""
    return {
        "program": group.program,
        "shape": group.template,
        "count": group.count,
        "example": group.example,
    }


def _collect(
    settings: Settings, arguments: Sequence[str], counter: TemplateCounter
) -> tuple[int, int]:
    """Count what does not match; the number of lines, and of those without a header."""
    decoder = build_decoder(settings, live=False)
    parser = build_parser(settings)
    lines = without_header = 0
    for file in expand(arguments, first_time(settings)):
        for block in file.blocks():
            for line in block.lines:
                if not line or line.isspace():
                    continue
                lines += 1
                record = decoder.decode(line, reference=file.mtime)
                event = parser.parse(record)
                if event.nomatch == HEADER_NOMATCH:
                    without_header += 1
                elif event.nomatch:
                    counter.add(event.service or record.program, record.text)
    return lines, without_header
