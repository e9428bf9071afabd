"""What every output promises, whatever it writes into.

To take part, an output is added to CASES with a function that tells what its store holds.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from mailingest.documents import Document
from mailingest.stores.ndjson.writer import NdjsonWriter
from mailingest.stores.protocol import Writer
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.documents import document
from tests.support.sqlite import StoredDocuments


@dataclass(frozen=True)
class Case:
    """``make`` gives a new output on a place; ``bodies`` reads all that is stored there."""

    make: Callable[[Path], Writer]
    bodies: Callable[[Path], Awaitable[list[dict[str, Any]]]]
    knows_duplicates: bool


async def bodies_in_sqlite(place: Path) -> list[dict[str, Any]]:
    return list(StoredDocuments(place, "mail").find(limit=1_000_000))


async def bodies_in_file(place: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (place / "out.ndjson").read_bytes().splitlines()]


CASES = [
    pytest.param(Case(SqliteWriter, bodies_in_sqlite, knows_duplicates=True), id="sqlite"),
    pytest.param(
        Case(
            lambda place: NdjsonWriter(place / "out.ndjson"),
            bodies_in_file,
            knows_duplicates=False,
        ),
        id="ndjson",
    ),
]

pytestmark = pytest.mark.parametrize("case", CASES)

MIXED = [
    document(1, postfix_to="anna@example.org", postfix_queueid="4cXyZ1"),
    document(2, message='non-ASCII ünïcödé, "quotes" and \\ backslash'),
    document(3, message="control\ncharacters\t\x00"),
    document(4, day="2026.11.25", postfix_from=""),
    document(5, day="2025.12.31", numbers=[1, 2.5], nothing=None),
]


def same(found: list[dict[str, Any]], wanted: list[Document]) -> bool:
    return Counter(map(orjson.dumps, found)) == Counter(one.body for one in wanted)


async def test_documents_are_stored_as_they_are_over_several_days(
    case: Case, tmp_path: Path
) -> None:
    output = case.make(tmp_path)
    await output.open()
    result = await output.write(MIXED)
    assert (result.stored, result.duplicates, result.rejected, result.retry) == (5, 0, [], [])
    assert same(await case.bodies(tmp_path), MIXED)
    await output.close()


async def test_many_documents_in_one_batch_are_all_stored(case: Case, tmp_path: Path) -> None:
    batch = [document(number) for number in range(4567)]
    output = case.make(tmp_path)
    await output.open()
    assert (await output.write(batch)).stored == 4567
    assert same(await case.bodies(tmp_path), batch)
    await output.close()


async def test_an_empty_batch_changes_nothing(case: Case, tmp_path: Path) -> None:
    output = case.make(tmp_path)
    await output.open()
    await output.write(MIXED)
    result = await output.write([])
    assert (result.stored, result.duplicates, result.rejected, result.retry) == (0, 0, [], [])
    assert same(await case.bodies(tmp_path), MIXED)
    await output.close()


async def test_a_batch_written_twice_is_stored_once_and_its_duplicates_are_counted(
    case: Case, tmp_path: Path
) -> None:
    output = case.make(tmp_path)
    await output.open()
    await output.write(MIXED[:2])
    result = await output.write(MIXED)
    expected, held = (2, MIXED) if case.knows_duplicates else (0, MIXED[:2] + MIXED)
    assert (result.stored, result.duplicates) == (5, expected)
    assert same(await case.bodies(tmp_path), held)
    await output.close()


async def test_a_document_twice_in_one_batch_is_stored_once(case: Case, tmp_path: Path) -> None:
    output = case.make(tmp_path)
    await output.open()
    result = await output.write([MIXED[0], MIXED[1], MIXED[0]])
    expected, held = (
        (1, MIXED[:2]) if case.knows_duplicates else (0, [MIXED[0], MIXED[1], MIXED[0]])
    )
    assert (result.stored, result.duplicates) == (3, expected)
    assert same(await case.bodies(tmp_path), held)
    await output.close()


async def test_what_was_stored_is_still_there_for_the_next_run(case: Case, tmp_path: Path) -> None:
    for batch in (MIXED[:3], MIXED[3:]):
        output = case.make(tmp_path)
        await output.open()
        await output.write(batch)
        await output.close()
    assert same(await case.bodies(tmp_path), MIXED)


async def test_opening_again_while_open_loses_nothing(case: Case, tmp_path: Path) -> None:
    output = case.make(tmp_path)
    await output.open()
    await output.write(MIXED[:3])
    await output.open()
    await output.write(MIXED[3:])
    assert same(await case.bodies(tmp_path), MIXED)
    await output.close()


async def test_an_output_that_was_never_opened_can_be_closed(case: Case, tmp_path: Path) -> None:
    await case.make(tmp_path).close()
    assert not list(tmp_path.iterdir())
