"""Log files as they really are: compressed, rotated, damaged, from a pipe, in every format."""

import asyncio
import bz2
import gzip
import lzma
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from benchmarks.generate import FORMATS, generate
from mailingest.config import Settings
from mailingest.core.lookups import linked_queue_id
from mailingest.inputs.logfile import LogFile, Text
from mailingest.inputs.rotation import expand
from mailingest.trace.criteria import Criteria, address_term, text_term
from mailingest.trace.file_source import FileSource
from mailingest.trace.sources import Source
from mailingest.wiring import first_time
from tests.trace.conftest import file_source
from tests.trace.logs import REFERENCE, SETTINGS, documents_of, lines_of
from tests.trace.test_stories import BORN, CHAIN, SENT

MAIL = BORN + SENT
QUEUE_ID = "AAAAAA1"


def octets(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


async def messages(source: Source, queue_id: str = QUEUE_ID, limit: int = 100) -> list[str]:
    """The lines of a queue ID, oldest first, without it."""
    found = await source.of_mails([queue_id], [], None, None, limit)
    return [event["message"].partition(": ")[2] for event in reversed(found.events)]


async def ids_of(source: Source, criteria: Criteria) -> list[str]:
    return [event["_id"] for event in (await source.find(criteria, 100_000)).events]


@pytest.mark.parametrize(
    "compress",
    [
        pytest.param(bytes, id="plain"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(bz2.compress, id="bzip2"),
        pytest.param(lzma.compress, id="xz"),
        pytest.param(zstandard.compress, id="zstd"),
    ],
)
async def test_a_compressed_file_is_read_as_it_was(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    lines = lines_of(MAIL)
    path = tmp_path / "mail.log"
    path.write_bytes(compress(octets(lines)))
    source = FileSource([LogFile(path)], SETTINGS)
    assert len(await messages(source)) == len(lines)
    span = await source.span()
    assert span is not None
    assert f"{span.first:%H:%M:%S} {span.last:%H:%M:%S}" == "10:00:00 10:00:02"


# A made-up log of all kinds of lines.  Postfix's own are compared: those of other programs about a
# mail are given as far as they name it as Postfix does.
@pytest.mark.parametrize("style", FORMATS)
async def test_events_are_those_that_a_store_has(tmp_path: Path, style: str) -> None:
    lines = [line.rstrip(b"\n") for line in generate(4000, 3, style=style, pri=style == "rfc5424")]
    stored = [(one.id, one.fields) for one in documents_of(lines)]
    source = file_source(tmp_path / "mail.log", lines)
    about_mails = {
        document_id: fields
        for document_id, fields in stored
        if "postfix_queueid" in fields and fields["program"].startswith("postfix")
    }
    found = await source.find(Criteria(), 100_000)
    events = {event["_id"]: event for event in found.events}
    assert about_mails.keys() <= events.keys()
    for document_id, fields in about_mails.items():
        event = events[document_id]
        assert (
            event.items() - {("_id", document_id), ("_position", event["_position"])}
            <= (fields.items())
            if not isinstance(fields["tags"], list)
            else True
        )
        for name, value in event.items():
            assert name.startswith("_") or name == "tags" or fields[name] == value, name
        assert ("postfix_tls_version" in event) is ("postfix_tls_version" in fields)
    ids = {fields["postfix_queueid"] for fields in about_mails.values()} - {"NOQUEUE"}
    of_mails = await source.of_mails(ids, [], None, None, 100_000)
    assert {event["_id"] for event in of_mails.events} == {
        document_id
        for document_id, fields in stored
        if fields.get("postfix_queueid") in ids or linked_queue_id(fields) in ids
    }
