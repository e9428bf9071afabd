"""Stories -> lines of JSON and CSV, for files.  Pure.

Log content is untrusted: control characters and bidirectional controls are shown as escapes, and
no cell is a formula to a spreadsheet.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

import orjson

from mailingest.escaping import escape_terminal, escape_terminal_json
from mailingest.stores.gaps import Gap, wholeness
from mailingest.trace.answer import KEYS, story_to_json
from mailingest.trace.explanations import Explanations
from mailingest.trace.story import Story

StoryToJson = Callable[[Story], dict[str, Any]]
"""Makes the object of a story: all of it, or what its reader may see."""

EXPLANATION: Final = "explanation"
"""The key that `explaining` adds."""

_COLUMNS: Final = [key for key in KEYS if key != "proof"]
# A cell that begins like this is a formula to spreadsheets; Japanese ones take wide characters.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def json_line(
    story: Story, why: Sequence[Gap] = (), *, to_json: StoryToJson = story_to_json, **more: Any
) -> bytes:
    """The JSON object of a story as one line, in which all that is not printable is escaped.

    ``why`` the answer is not whole, as far as that is known.  Keys may be added.
    """
    return _json({**to_json(story), **wholeness(why), **more})


def explaining(to_json: StoryToJson, explanations: Explanations, language: str) -> StoryToJson:
    """The same objects, with what the reply means and what to do: null if nobody knows."""

    def explained(story: Story) -> dict[str, Any]:
        values = to_json(story)
        return {**values, EXPLANATION: explanations.json(values, language)}

    return explained


def json_of_nothing(why: Sequence[Gap]) -> bytes:
    """The line that says that the answer is not whole, and no more: there is no verdict."""
    return _json({**dict.fromkeys((*KEYS, EXPLANATION)), **wholeness(why)})


def _json(values: Mapping[str, Any]) -> bytes:
    return f"{escape_terminal_json(orjson.dumps(values))}\n".encode()


def write_csv(
    stories: Iterable[Story],
    out: TextIO,
    *,
    with_names: bool = True,
    to_json: StoryToJson = story_to_json,
) -> None:
    """All but the proof as comma-separated values, with a header line of names (RFC 4180)."""
    writer = csv.writer(out, lineterminator="\n")
    if with_names:
        writer.writerow(_COLUMNS)
    for story in stories:
        row = to_json(story)
        writer.writerow([_cell(row[name]) for name in _COLUMNS])


def write_csv_note(text: str, out: TextIO) -> None:
    """A row that has only a note, such as why the rows before it are not all."""
    row = dict.fromkeys(_COLUMNS, "") | {"note": _cell(text)}
    csv.writer(out, lineterminator="\n").writerow(row.values())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        value = " > ".join(
            one if isinstance(one, str) else f"{one['host']} {one['instance']} {one['queue_id']}"
            for one in value
        )
    elif isinstance(value, dict):
        value = "/".join(f"{part:g}" for part in list(value.values())[1:])
    text = escape_terminal(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
