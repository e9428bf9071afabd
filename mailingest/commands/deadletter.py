"""Dead letters for an operator: list, show, retry, purge; safe beside a running daemon."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

import orjson

from mailingest.config import Settings, load_zone
from mailingest.delivery.deadletters import Letter, letter_line, read_letters, read_lines, rewrite
from mailingest.documents import Document
from mailingest.errors import UsageError
from mailingest.escaping import escape_terminal, escape_terminal_json
from mailingest.stores.protocol import Rejection, Writer
from mailingest.trace.times import read_time
from mailingest.wiring import build_store

# What a bulk request takes comfortably, and little to send again if the run is interrupted.
_BATCH = 500
_REASON_WIDTH = 100
# What differs between documents with the same fault: quoted values, places, numbers.
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\[[0-9:, -]*\]|[0-9]{4,}")


def list_letters(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Print the newest letters and how many there are for each reason.

    ``limit`` 0 prints all.  As JSON: one object a line with time, index, id and reason.
    """
    letters = list(read_letters(settings.state.directory))
    shown = letters[-limit:] if limit else letters
    if as_json:
        for one in shown:
            print(escape_terminal_json(orjson.dumps(_summary(one), option=orjson.OPT_UTC_Z)))
        return
    zone = load_zone(settings.syslog.timezone)
    for one in shown:
        time = f"{one.time.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
        print(f"{time}  {one.index}  {one.id}  {_short(one.reason)}")
    if len(shown) < len(letters):
        print(f"({len(letters) - len(shown)} older ones: --limit 0 shows all)")
    _print_reasons(one.reason for one in letters)
    print(f"{len(letters)} dead letters in {settings.state.directory}")


def show_letters(settings: Settings, identity: str) -> None:
    """Print all letters of a document id as JSON; raises UsageError if there is none."""
    for one in _chosen(settings, [identity]):
        whole = {**_summary(one), "document": one.fields}
        print(
            escape_terminal_json(orjson.dumps(whole, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
        )


def retry_letters(settings: Settings, identities: Collection[str]) -> bool:
    """Send letters to the output once more, all if no ids are given; True if all were stored.

    A document that is stored now, or was there already, is removed.  One that is rejected again
    stays, with the new reason.  Interrupted, it stays as well, and is not stored twice later.
    """
    letters = _chosen(settings, identities) if identities else _all(settings)
    if not letters:
        print(f"no dead letters in {settings.state.directory}")
        return True
    return asyncio.run(_retry(settings, letters))


def purge_letters(
    settings: Settings,
    *,
    before: str | None,
    index: str | None = None,
    confirm: Callable[[str], bool],
) -> None:
    """Remove the letters rejected before a time and for an index; asks before it does.

    Without either, all are removed.  Raises UsageError for what is no time.
    """
    zone = load_zone(settings.syslog.timezone)
    end = None if before is None else read_time(before, now=datetime.now(UTC), zone=zone)
    lines = (
        list(read_lines(settings.state.directory))
        if end is None and index is None
        else [
            one.line
            for one in _all(settings)
            if (end is None or one.time < end) and index in (None, one.index)
        ]
    )
    if not lines:
        print(f"no dead letters to remove in {settings.state.directory}")
        return
    if not confirm(f"Remove {len(lines)} dead letters for good?"):
        print("nothing removed")
        return
    count = rewrite(settings.state.directory, dict.fromkeys(lines))
    print(f"{count} dead letters removed")


async def _retry(settings: Settings, letters: list[Letter]) -> bool:
    output = build_store(settings).writer()
    changes: dict[bytes, bytes | None] = {}
    reasons: list[str] = []
    try:
        await output.open()
        for batch in _batches(letters):
            reasons += await _send(output, batch, changes)
    finally:
        # Also when the store is gone half-way: what it has taken is dead no more.
        if changes:
            rewrite(settings.state.directory, changes)
        await output.close()
    stored = sum(line is None for line in changes.values())
    print(f"{stored} stored, {len(letters) - stored} left")
    _print_reasons(reasons)
    return stored == len(letters)


async def _send(
    output: Writer, letters: Sequence[Letter], changes: dict[bytes, bytes | None]
) -> list[str]:
    """Write a batch, and note in ``changes`` what becomes of its lines; the reasons of the rest."""
    documents: dict[int, Letter] = {}
    batch: list[Document] = []
    reasons: list[str] = []
    for one in letters:
        try:
            document = one.document()
        except ValueError:
            reasons.append("the document has no @timestamp")
            continue
        documents[id(document)] = one
        batch.append(document)
    result = await output.write(batch)
    now = datetime.now(UTC)
    for rejection in (*result.rejected, *result.held):
        changes[documents.pop(id(rejection.document)).line] = _line(rejection, now)
        reasons.append(rejection.reason)
    for document in result.retry:
        documents.pop(id(document))
        reasons.append(str(result.why or "the store is too busy: try again later"))
    changes.update({one.line: None for one in documents.values()})
    return reasons


def _line(rejection: Rejection, now: datetime) -> bytes:
    return letter_line(rejection, now).removesuffix(b"\n")


def _batches(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    rest = iter(letters)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _all(settings: Settings) -> list[Letter]:
    return list(read_letters(settings.state.directory))


def _chosen(settings: Settings, identities: Collection[str]) -> list[Letter]:
    chosen = [one for one in _all(settings) if one.id in identities]
    missing = sorted(set(identities) - {one.id for one in chosen})
    if missing:
        raise UsageError(f"no dead letter in {settings.state.directory} has id {missing[0]}")
    return chosen


def _summary(letter: Letter) -> dict[str, object]:
    return {
        "time": letter.time,
        "index": letter.index,
        "id": letter.id,
        "reason": letter.reason,
    }


def _short(reason: str) -> str:
    # The reason repeats what stood in a log.
    reason = escape_terminal(reason)
    return reason if len(reason) <= _REASON_WIDTH else reason[: _REASON_WIDTH - 1] + "…"


def _print_reasons(reasons: Iterable[str]) -> None:
    """One line for each kind of reason, the most frequent first."""
    counts = Counter(_VARYING.sub("…", reason) for reason in reasons)
    for reason, count in counts.most_common():
        print(f"{count:8d}  {_short(reason)}")
