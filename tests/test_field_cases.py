"""Lines of other people's logs, with what is right: one test for each case.

``data/field-cases/*.jsonl`` has a case a line.  ``id`` and ``kind`` say which it is; ``lines`` are
those of a log file, and of it are expected

``events``
    an object a line: fields that the event of this line has.  ``null`` is a field that is not
    there, and a ``@timestamp`` may be the beginning of one.  ``matched`` is whether a pattern of
    Postfix matched, ``unmatched`` whether the line counts as one that none matched.
``trace``
    an object for each answer, in any order: keys that this answer has.  ``chain`` is its queue IDs.
    ``ask`` are the options of the question, such as ``["--to", "bob@example.net"]``.

``encoding`` (a codec's name, UTF-8 by default) and ``end`` (of each line, LF by default) are those
of the file, ``mtime`` is its modification time in ISO 8601, which is now by default.  ``year`` is
that of the option ``--year``.
"""

import io
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer.main

from mailingest.cli import app
from mailingest.commands.parse import parse
from mailingest.config import Settings
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.questions import Question, read_criteria
from mailingest.wiring import build_reader

Case = Mapping[str, Any]

FOLDER = Path(__file__).with_name("data") / "field-cases"
SETTINGS = Settings.model_validate({"syslog": {"timezone": "UTC"}})


CASES: list[Case] = [
    orjson.loads(line)
    for path in sorted(FOLDER.glob("*.jsonl"))
    for line in path.read_bytes().splitlines()
]


def test_each_case_has_an_id_of_its_own_and_expects_something() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES) > 0
    for case in CASES:
        assert case["kind"]
        assert case["lines"]
        assert case.keys() & {"events", "trace"}
        assert case.keys() <= {
            *("id", "source", "kind", "lines", "events", "trace", "ask", "encoding", "end"),
            *("mtime", "year"),
        }


@pytest.mark.parametrize("case", CASES, ids=itemgetter("id"))
async def test_a_case_is_read_right(case: Case, tmp_path: Path) -> None:
    log = written(case, tmp_path)
    year = case.get("year")
    if "events" in case:
        events = events_of(log, year)
        assert [seen(event, want) for event, want in zip(events, case["events"], strict=True)] == [
            dict(want) for want in case["events"]
        ]
    if "trace" in case:
        answers = await answers_to(case.get("ask", []), log, year)
        # Each answer that is expected, or else those that there are, for the one who looks.
        missing = [want for want in case["trace"] if not any(has(one, want) for one in answers)]
        shown = [{key: one[key] for key in ("recipient", "verdict", "chain")} for one in answers]
        assert (missing, len(answers)) == ([], len(case["trace"])), shown


def written(case: Case, folder: Path) -> Path:
    """The file of a case."""
    log = folder / "mail.log"
    text = "".join(line + case.get("end", "\n") for line in case["lines"])
    log.write_bytes(text.encode(case.get("encoding", "utf-8")))
    if "mtime" in case:
        mtime = datetime.fromisoformat(case["mtime"]).timestamp()
        os.utime(log, (mtime, mtime))
    return log


def events_of(log: Path, year: int | None = None) -> list[dict[str, Any]]:
    out = io.BytesIO()
    parse(SETTINGS, [str(log)], out, year=year)
    return [orjson.loads(line) for line in out.getvalue().splitlines()]


def seen(event: Mapping[str, Any], want: Mapping[str, Any]) -> dict[str, Any]:
    """What an event has for the keys of what is wanted."""
    tags = event["tags"]
    values = {
        **{key: event.get(key) for key in want},
        "matched": "_grok_postfix_success" in tags,
        "unmatched": any(tag.endswith("_nomatch") for tag in tags),
    }
    if event["@timestamp"].startswith(want.get("@timestamp", "-")):
        values["@timestamp"] = want["@timestamp"]
    return {key: values[key] for key in want}


async def answers_to(
    arguments: list[str], log: Path, year: int | None = None
) -> list[dict[str, Any]]:
    """The answers of `mailingest trace --file LOG --limit 0 ARGUMENTS`."""
    source = build_reader(SETTINGS, [str(log)], year=year)
    try:
        criteria = read_criteria(question(arguments), now=datetime.now(UTC), zone=UTC)
        found = await trace(source, criteria, limit=0)
    finally:
        await source.close()
    answers = [story_to_json(story) for story in found.stories]
    return [{**one, "chain": [link["queue_id"] for link in one["chain"]]} for one in answers]


def question(arguments: list[str]) -> Question:
    """The question of a command line, read as the command reads it."""
    command = typer.main.get_command(app).get_command(None, "trace")  # type: ignore[attr-defined]
    options = command.make_context("trace", list(arguments)).params
    renamed = {name: options[name] for name in Question.__dataclass_fields__ if name in options}
    return Question(**{**renamed, "status": renamed.get("status") or ()})


def has(answer: Mapping[str, Any], want: Mapping[str, Any]) -> bool:
    return all(answer.get(key) == value for key, value in want.items())
