"""What every writer promises, whatever it writes into."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from mailingest.documents import Document
from tests.support.documents import document
from tests.support.stores import StoreCase


def mixed(prefix: str) -> list[Document]:
    """Documents of three days, with texts that are not plain."""
    return [
        document(1, prefix=prefix, postfix_to="anna@example.org", postfix_queueid="4cXyZ1"),
        document(2, prefix=prefix, message='non-ASCII ünïcödé, "quotes" and \\ backslash'),
        document(3, prefix=prefix, message="control\ncharacters\t\x00"),
        document(4, prefix=prefix, day="2026.11.25", postfix_from=""),
        document(5, prefix=prefix, day="2025.12.31", numbers=[1, 2.5], nothing=None),
    ]


def same(found: list[dict[str, Any]], wanted: list[Document]) -> bool:
    """Whether these are the documents, whatever the order of their fields."""

    def ordered(document: dict[str, Any]) -> bytes:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    return Counter(map(ordered, found)) == Counter(
        ordered(orjson.loads(one.body)) for one in wanted
    )


async def test_documents_are_stored_as_they_are_over_several_days(case: StoreCase) -> None:
    batch = mixed(case.prefix)
    writer = case.store.writer()
    await writer.open()
    result = await writer.write(batch)
    assert (result.stored, result.duplicates, result.rejected, result.retry) == (5, 0, [], [])
    assert same(await case.bodies(), batch)
    await writer.close()


async def test_many_documents_in_one_batch_are_all_stored(case: StoreCase) -> None:
    batch = [document(number, prefix=case.prefix) for number in range(4567)]
    writer = case.store.writer()
    await writer.open()
    assert (await writer.write(batch)).stored == 4567
    assert same(await case.bodies(), batch)
    await writer.close()


async def test_an_empty_batch_changes_nothing(case: StoreCase) -> None:
    batch = mixed(case.prefix)
    writer = case.store.writer()
    await writer.open()
    await writer.write(batch)
    result = await writer.write([])
    assert (result.stored, result.duplicates, result.rejected, result.retry) == (0, 0, [], [])
    assert same(await case.bodies(), batch)
    await writer.close()


async def test_a_batch_written_twice_is_stored_once_and_its_duplicates_are_counted(
    case: StoreCase,
) -> None:
    batch = mixed(case.prefix)
    writer = case.store.writer()
    await writer.open()
    await writer.write(batch[:2])
    result = await writer.write(batch)
    expected, held = (2, batch) if case.knows_duplicates else (0, batch[:2] + batch)
    assert (result.stored, result.duplicates) == (5, expected)
    assert same(await case.bodies(), held)
    await writer.close()


async def test_a_document_twice_in_one_batch_is_stored_once(case: StoreCase) -> None:
    first, second, *_ = mixed(case.prefix)
    writer = case.store.writer()
    await writer.open()
    result = await writer.write([first, second, first])
    expected, held = (1, [first, second]) if case.knows_duplicates else (0, [first, second, first])
    assert (result.stored, result.duplicates) == (3, expected)
    assert same(await case.bodies(), held)
    await writer.close()


async def test_what_was_stored_is_still_there_for_the_next_run(case: StoreCase) -> None:
    batch = mixed(case.prefix)
    for part in (batch[:3], batch[3:]):
        writer = case.store.writer()
        await writer.open()
        await writer.write(part)
        await writer.close()
    assert same(await case.bodies(), batch)


async def test_opening_again_while_open_loses_nothing(case: StoreCase) -> None:
    batch = mixed(case.prefix)
    writer = case.store.writer()
    await writer.open()
    await writer.write(batch[:2])
    await writer.open()
    await writer.write(batch[2:3])
    await writer.reopen()
    await writer.write(batch[3:])
    assert same(await case.bodies(), batch)
    await writer.close()


async def test_a_writer_that_was_never_opened_can_be_closed(
    case: StoreCase, tmp_path: Path
) -> None:
    await case.store.writer().close()
    assert not list(tmp_path.iterdir())
