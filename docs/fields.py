"""Writes ``docs/fields.md``: ``python -m docs.fields``.

All is from where it is declared: name, type, meaning and example of a field from
``mailingest.postfix.fields``, and the programs from the patterns that capture it.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from mailingest.config import Settings
from mailingest.grok.definitions import Definition
from mailingest.postfix.fields import FIELDS, Field
from mailingest.postfix.programs import COMPANIONS, PROGRAMS
from mailingest.wiring import read_definitions

FILE: Final = Path(__file__).with_suffix(".md")

_CAPTURE = re.compile(r"%\{(\w+)(?::([\w-]+))?\}|\(\?<([A-Za-z][\w-]*)>")
_OTHER: Final = "any other transport"
# A long list of programs is told by its name.
_GROUPS: Final[Mapping[str, frozenset[str]]] = {
    "every Postfix program": frozenset(program or _OTHER for program in PROGRAMS),
    "every delivery agent": frozenset(
        {"smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard", _OTHER}
    ),
}
_READ_FROM_REPLIES: Final = (
    *("postfix_remote_queueid", "postfix_forwarded_queueid"),
    *("postfix_lmtp_session", "postfix_disposition"),
)
_OF_WHOLE_LINE: Final = ("postfix_reason",)
_OF_QUEUE_ID: Final = {"postfix_received_size": "qmgr"}
_TOP: Final = """\
# Fields

Made by `python -m docs.fields` from the declaration in `mailingest/postfix/fields.py` and the
patterns in `patterns/`; do not edit it by hand.  An event has no other fields than these, and the
index template declares them all.

The last column says which programs' lines have the field.  The event of a delivery also has what
other lines of its queue ID say: sender, size, number of recipients and Message-ID, the client
or user that the mail came from, and how the connection to the next hop was encrypted.

A value that does not fit its type is in `unfit` instead.  In Elasticsearch and OpenSearch the
types are: `keyword` (whole and exact), `address` (text as Logstash has it, `.keyword` whole,
`.domain` and `.parts`; all in lower case), `text` (words, and `.keyword`), `integer` (`long`),
`float`, `ip`, `date`, `binary` (base64); see [cluster.md](cluster.md#mapping).
"""


def document() -> str:
    """The whole text of the file."""
    programs = programs_by_field(read_definitions(Settings()))
    postfix = [field for field in FIELDS if field.name.startswith("postfix_")]
    begin = FIELDS.index(postfix[0])
    header = FIELDS[:begin]
    others = [field for field in FIELDS[begin:] if field not in postfix]
    return "\n".join(
        [
            _TOP,
            "## Every event",
            "",
            *_table(header, dict.fromkeys((field.name for field in header), "all")),
            "",
            "## Postfix",
            "",
            *_table(postfix, programs),
            "",
            "## Other programs",
            "",
            *_table(others, programs),
            "",
        ]
    )


def programs_by_field(definitions: Iterable[Definition]) -> dict[str, str]:
    """Which programs' patterns capture a field, by its name."""
    patterns = {definition.name: definition.pattern for definition in definitions}
    found: dict[str, dict[str, None]] = {}
    names = {program or _OTHER: pattern for program, pattern in PROGRAMS.items()}
    for program, pattern in (names | {tag: one.pattern for tag, one in COMPANIONS.items()}).items():
        for name in _captured(pattern, patterns):
            found.setdefault(name, {})[program] = None
    for name in _READ_FROM_REPLIES:
        found[name] = {"from a reply": None} | found.get(name, {})
    for name in _OF_WHOLE_LINE:
        found[name] = {"from the whole line": None}
    for name, program in _OF_QUEUE_ID.items():
        found[name] = {program: None}
    return {name: ", ".join(_grouped(list(programs))) for name, programs in found.items()}


def _captured(name: str, patterns: Mapping[str, str]) -> set[str]:
    fields: set[str] = set()
    for reference, field, group in _CAPTURE.findall(patterns.get(name, "")):
        fields |= {field or group} - {""}
        if reference:
            fields |= _captured(reference, patterns)
    return fields


def _grouped(programs: list[str]) -> list[str]:
    for group, members in _GROUPS.items():
        if members <= set(programs):
            return [group, *(program for program in programs if program not in members)]
    return programs


def _table(fields: Iterable[Field], programs: Mapping[str, str]) -> list[str]:
    return [
        "| field | type | meaning | example | programs |",
        "|---|---|---|---|---|",
        *(
            f"| `{field.name}` | {field.type} | {_cell(field.meaning)} | "
            f"`{_cell(field.example)}` | {programs[field.name]} |"
            for field in fields
        ),
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(document(), "utf-8")
