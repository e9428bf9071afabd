"""A store of several types: all are asked, or one, and in the order of time across them."""

from datetime import date
from typing import Any

import pytest

from mailingest.config import Settings
from mailingest.stores.counts import TimeBuckets
from mailingest.stores.criteria import Criteria, text_term
from mailingest.stores.opening import opened
from mailingest.stores.protocol import CountingReader, Expired, Found
from mailingest.wiring import build_store
from tests.support.documents import MIDNIGHT
from tests.support.logs import documents_of, lines_of
from tests.support.stores import StoreCase, fill

# Of ten mails, those with an odd number are of the other type; of the older day, one is.
LOG = "".join(
    f"""
    24T10:00:{number:02} mx1 postfix/qmgr: A0000{number:X}: from=<ann@example.org>, size=1, nrcpt=1 (queue active)
    24T10:00:{number:02} mx1 postfix/smtp: A0000{number:X}: to=<bob@example.net>, relay=mx.example.net[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 queued as R{number:X})
    """  # noqa: E501
    for number in range(10)
)
BEFORE = (
    "23T10:00:00 mx1 postfix/qmgr: B00001: from=<ann@example.org>, size=1, nrcpt=1 (queue active)"
)


class Types:
    """A case with two types."""

    def __init__(self, case: StoreCase) -> None:
        self.first = case.prefix
        self.other = f"{case.prefix}-other"
        values = case.settings.model_dump(exclude_unset=True)
        self.settings = Settings.model_validate({**values, "types": {self.other: {}}})

    async def fill(self) -> None:
        lines = lines_of(LOG)
        odd = [line for line in lines if int(line.split(b"A0000")[1][:1], 16) % 2]
        even = [line for line in lines if line not in odd]
        store = build_store(self.settings)
        await fill(store, documents_of(even, self.settings))
        other = self.settings.for_source(self.other, None)
        await fill(store, documents_of([*lines_of(BEFORE), *odd], other))

    def reader(self, only: str | None = None) -> CountingReader:
        return build_store(self.settings, only).reader()


@pytest.fixture
async def types(searched_case: StoreCase) -> Types:
    made = Types(searched_case)
    await made.fill()
    return made


def queue_ids(found: Found) -> list[str]:
    return [event["postfix_queueid"] for event in found.events]


def newest(*numbers: int) -> list[str]:
    return [f"A0000{number:X}" for number in numbers for _ in range(2)]


async def test_the_newest_of_all_types_are_found_whatever_is_asked(types: Types) -> None:
    reader = types.reader()
    try:
        for question in (
            Criteria(),
            Criteria(sender=text_term("ann@")),
            Criteria(relay=text_term("mx.example.net")),
            Criteria(text=text_term("0")),
        ):
            relayed = question.relay is not None
            found = await reader.find(question, 6)
            expected = newest(9, 8, 7) if not relayed else [f"A0000{n}" for n in range(9, 3, -1)]
            assert queue_ids(found) == expected, question
            assert found.is_cut
            everything = await reader.find(question, 100)
            assert len(everything.events) == (10 if relayed else 21), question
            assert not everything.is_cut
        of_mails = await reader.of_mails([f"A0000{n}" for n in range(4)], [], None, None, 4)
        assert (queue_ids(of_mails), of_mails.is_cut) == (newest(3, 2), True)
    finally:
        await reader.close()


async def test_one_type_is_asked_alone(types: Types) -> None:
    expected: list[Any] = [
        (types.first, newest(8, 6, 4, 2, 0), "24T10:00:00"),
        (types.other, [*newest(9, 7, 5, 3, 1), "B00001"], "23T10:00:00"),
    ]
    for only, ids, first in expected:
        reader = types.reader(only)
        try:
            found = await reader.find(Criteria(), 100)
            assert queue_ids(found) == ids
            assert {event["type"] for event in found.events} == {only}
            span = await reader.span()
            assert span is not None
            assert f"{span.first:%dT%H:%M:%S}" == first
            counts = await reader.counts(TimeBuckets(MIDNIGHT, 86_400, 1))
            assert counts.total("sent") == 5
        finally:
            await reader.close()
    reader = types.reader()
    try:
        assert (await reader.counts(TimeBuckets(MIDNIGHT, 86_400, 1))).total("sent") == 10
        span = await reader.span()
        assert span is not None
        assert f"{span.first:%d} {span.last:%d %S}" == "23 24 09"
    finally:
        await reader.close()


async def test_each_type_has_a_retention_of_its_own(types: Types) -> None:
    store = build_store(types.settings)
    today, deleted = date(2026, 11, 26), list[Expired]()
    days = {types.first: 30, types.other: 3}
    await store.delete_old(days, today=today, dry_run=False, report=deleted.append)
    assert {one.name.removesuffix(".sqlite") for one in deleted} == {f"{types.other}-2026.11.23"}
    deleted.clear()
    await store.delete_old({types.first: 2}, today=today, dry_run=False, report=deleted.append)
    assert {one.name.removesuffix(".sqlite") for one in deleted} == {f"{types.first}-2026.11.24"}
    reader = types.reader()
    try:
        assert queue_ids(await reader.find(Criteria(), 100)) == newest(9, 7, 5, 3, 1)
    finally:
        await reader.close()


async def test_a_line_that_both_types_have_is_one_event(types: Types) -> None:
    other = types.settings.for_source(types.other, None)
    lines = lines_of(LOG)[:2]
    async with opened(build_store(types.settings).writer()) as writer:
        again = await writer.write(documents_of(lines, types.settings))
        assert (again.stored, again.duplicates) == (2, 2)
        copies = documents_of(lines, other)
        result = await writer.write(copies)
    assert (result.stored, result.duplicates) == (2, 0)
    assert [one.id for one in copies] == [one.id for one in documents_of(lines, types.settings)]
