"""Log files as they really are: compressed, rotated, damaged, from a pipe, in every format."""

import asyncio
import bz2
import gzip
import lzma
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
import zstandard

from benchmarks.generate import FORMATS, generate
from mailingest.config import Settings
from mailingest.inputs.files import LogFile, Text
from mailingest.inputs.rotation import expand
from mailingest.postfix.index_keys import linked_queue_id
from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.stores.protocol import Reader
from mailingest.wiring import first_time, line_reading
from tests.support.lab.polling import PATIENCE
from tests.support.logs import REFERENCE, SETTINGS, documents_of, lines_of
from tests.support.stores import log_file_reader
from tests.trace.test_stories import ACCEPTED, CHAIN, SENT

MAIL = ACCEPTED + SENT
QUEUE_ID = "AAAAAA1"


def joined(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


async def messages(reader: Reader, queue_id: str = QUEUE_ID, limit: int = 100) -> list[str]:
    """The lines of a queue ID, oldest first, without it."""
    found = await reader.of_mails([queue_id], [], None, None, limit)
    return [event["message"].partition(": ")[2] for event in reversed(found.events)]


async def ids_of(reader: Reader, criteria: Criteria) -> list[str]:
    return [event["_id"] for event in (await reader.find(criteria, 100_000)).events]


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
    path.write_bytes(compress(joined(lines)))
    reader = LogFilesReader([LogFile(path)], line_reading(SETTINGS))
    assert len(await messages(reader)) == len(lines)
    span = await reader.span()
    assert span is not None
    assert f"{span.first:%H:%M:%S} {span.last:%H:%M:%S}" == "10:00:00 10:00:02"


# What correlation adds; a trace has the lines that it comes from.
ADDED = {
    *("postfix_from", "postfix_size", "postfix_nrcpt", "postfix_message-id", "postfix_uid"),
    *("postfix_client_hostname", "postfix_client_ip", "postfix_sasl_username", "tags"),
    "postfix_received_size",
}


@pytest.mark.parametrize("style", FORMATS)
async def test_events_are_those_that_a_store_has(tmp_path: Path, style: str) -> None:
    lines = [line.rstrip(b"\n") for line in generate(4000, 3, style=style, pri=style == "rfc5424")]
    stored = {one.id: orjson.loads(one.body) for one in documents_of(lines)}
    reader = log_file_reader(tmp_path / "mail.log", lines)
    found = await reader.find(Criteria(), 100_000)
    events = {event["_id"]: event for event in found.events}
    of_postfix = {
        document_id
        for document_id, fields in stored.items()
        if "postfix_queueid" in fields and fields["program"].startswith("postfix")
    }
    assert len(of_postfix) > 1000
    assert of_postfix <= events.keys() <= stored.keys()
    for document_id in of_postfix:
        fields, event = stored[document_id], events[document_id]
        assert fields.keys() - event.keys() <= ADDED
        assert [name for name in fields.keys() & event.keys() if fields[name] != event[name]] in (
            [],
            ["tags"],
        )
    ids = {stored[document_id]["postfix_queueid"] for document_id in of_postfix} - {"NOQUEUE"}
    of_mails = await reader.of_mails(ids, [], None, None, 100_000)
    assert {event["_id"] for event in of_mails.events} == {
        document_id
        for document_id, fields in stored.items()
        if fields.get("postfix_queueid") in ids or linked_queue_id(fields) in ids
    }


async def test_delivery_lines_have_the_facts_of_their_tls_session(tmp_path: Path) -> None:
    lines = [line.rstrip(b"\n") for line in generate(4000, 3)]
    encrypted = {
        one.id
        for one in documents_of(lines)
        if {"postfix_status", "postfix_tls_version"} <= one.fields.keys()
    }
    assert encrypted
    found = await log_file_reader(tmp_path / "mail.log", lines).find(Criteria(), 100_000)
    assert encrypted == {
        event["_id"]
        for event in found.events
        if {"postfix_status", "postfix_tls_version"} <= event.keys()
    }


async def test_a_set_of_rotated_files_is_one_log(tmp_path: Path) -> None:
    lines = lines_of(CHAIN)
    (tmp_path / "mail.log.2.gz").write_bytes(gzip.compress(joined(lines[:5])))
    (tmp_path / "mail.log.1").write_bytes(joined(lines[5:9]))
    (tmp_path / "mail.log").write_bytes(joined(lines[9:]))
    whole = log_file_reader(tmp_path / "whole.log", lines)
    parts = LogFilesReader(
        expand([f"{tmp_path}/mail.log*"], first_time(SETTINGS)), line_reading(SETTINGS)
    )
    assert await ids_of(parts, Criteria()) == await ids_of(whole, Criteria())
    assert await messages(parts) == await messages(whole)
    assert await parts.span() == await whole.span()


async def test_files_of_several_hosts_are_one_log(tmp_path: Path) -> None:
    lines = lines_of(CHAIN)
    for host in (b"mx1", b"mbox"):
        name = tmp_path / f"{host.decode()}.log"
        name.write_bytes(joined([line for line in lines if line.split(b" ")[1] == host]))
        os.utime(name, (REFERENCE, REFERENCE))
    whole = log_file_reader(tmp_path / "whole.log", lines)
    parts = LogFilesReader(
        expand([f"{tmp_path}/m*.log"], first_time(SETTINGS)), line_reading(SETTINGS)
    )
    for limit in (2, 5, 100):
        newest = [
            [event["@timestamp"] for event in (await reader.find(Criteria(), limit)).events]
            for reader in (parts, whole)
        ]
        assert newest[0] == newest[1]


async def test_older_files_are_not_read_if_the_newest_one_has_enough(tmp_path: Path) -> None:
    lines = lines_of("\n".join(MAIL.replace("24T", f"{day}T") for day in range(10, 25)))
    old, new = tmp_path / "mail.log.1.gz", tmp_path / "mail.log"
    day = datetime(2026, 11, 18, tzinfo=UTC).timestamp()
    text = joined([*lines[:30], *(b"x" * 1000 for _ in range(300))])
    old.write_bytes(gzip.compress(text, mtime=int(day))[:-20])
    os.utime(old, (day, day))
    new.write_bytes(joined(lines[32:]))
    reader = LogFilesReader([LogFile(old), LogFile(new)], line_reading(SETTINGS))
    enough = await reader.find(Criteria(), 5)
    assert (len(enough.events), enough.is_cut, enough.gaps) == (5, True, [])
    every = await reader.find(Criteria(), 1000)
    assert len(every.events) == 30 + len(lines[32:])
    assert not every.is_cut
    damage, unread = every.gaps
    assert damage.code == "file_unreadable"
    assert "mail.log.1.gz: cannot be read further" in damage.text
    assert unread.code == "lines_unreadable"
    assert re.search(r"mail\.log\.1\.gz: \d+ of \d+ lines could not be read", unread.text)


async def test_the_standard_input_is_kept_for_several_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    reading, writing = os.pipe()
    os.write(writing, gzip.compress(joined(lines_of(MAIL))))
    os.close(writing)
    with open(reading) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        reader = LogFilesReader(expand(["-"], first_time(SETTINGS)), line_reading(SETTINGS))
        assert await reader.span() is not None
        assert await messages(reader) == await messages(reader) != []
    [kept] = (tmp_path / "temporary").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    await reader.close()
    assert list((tmp_path / "temporary").iterdir()) == []


async def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = LogFilesReader(
        expand([str(tmp_path / "pipe")], first_time(SETTINGS)), line_reading(SETTINGS)
    )
    writing = asyncio.to_thread((tmp_path / "pipe").write_bytes, joined(lines_of(MAIL)))
    _, span = await asyncio.gather(writing, reader.span())
    assert span is not None
    assert len(await messages(reader)) == 4
    await reader.close()


async def test_lines_are_cut_as_a_replay_cuts_them(tmp_path: Path) -> None:
    whole = joined(lines_of(MAIL))
    text = whole.replace(b"\n", b"\r\n", 1).replace(b"\n", b"\0")
    path = tmp_path / "mail.log"
    path.write_bytes(text + b"x" * 200_000 + b"\n" + whole[:-1])
    os.utime(path, (REFERENCE, REFERENCE))
    found = await LogFilesReader([LogFile(path)], line_reading(SETTINGS)).of_mails(
        [QUEUE_ID], [], None, None, 100
    )
    lines = [line for block in LogFile(path).blocks() for line in block.lines]
    assert {event["_id"] for event in found.events} == {
        one.id for one in documents_of(lines) if one.fields.get("postfix_queueid") == QUEUE_ID
    }
    assert len(found.events) == 8


async def test_a_repeated_line_is_found_by_what_is_in_it(tmp_path: Path) -> None:
    line = (
        "24T10:00:05 mx1 postfix/smtp: message repeated 2 times: [ AAAAAA1: host mx[192.0.2.1] "
        "said: 450 4.7.1 later]"
    )
    reader = log_file_reader(tmp_path / "mail.log", lines_of(line))
    found = await reader.of_mails([QUEUE_ID], [], None, None, 10)
    assert [event["syslog_repeated"] for event in found.events] == [2]
    assert len((await reader.find(Criteria(text=text_term("4.7.1 LATER")), 10)).events) == 1


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize("asked", ["grün@example.net", "GRÜN@example.net", "Ü", "@bücher.example"])
async def test_texts_beyond_ascii_are_found_in_each_charset(
    tmp_path: Path, charset: str, asked: str
) -> None:
    to = "Grün@Bücher.example" if asked.startswith("@") else "Grün@example.net"
    lines = [
        line.decode().replace("bob@example.net", to).encode(charset) for line in lines_of(MAIL)
    ]
    reader = log_file_reader(tmp_path / "mail.log", lines)
    found = await reader.find(Criteria(recipient=address_term(asked)), 10)
    assert [event["postfix_to"] for event in found.events] == [to]


async def test_the_hour_that_is_there_twice_is_told_apart(tmp_path: Path) -> None:
    settings = Settings.model_validate({"syslog": {"timezone": "Europe/Berlin"}})
    # 25 October 2026, 03:00 is 02:00 again; a line each ten minutes.
    stamps = [f"{hour:02d}:{minute:02d}:00" for hour in (1, 2, 2, 3) for minute in range(0, 60, 10)]
    lines = [
        f"Oct 25 {stamp} mx1 postfix/qmgr[1]: {number:06X}: removed".encode()
        for number, stamp in enumerate(stamps, 0xAAAAA0)
    ]
    reader = log_file_reader(tmp_path / "mail.log", lines, settings)
    stored = [one.id for one in documents_of(lines, settings)]
    assert await ids_of(reader, Criteria()) == stored[::-1]


async def test_earlier_lines_of_a_mail_that_may_still_be_there_are_found(tmp_path: Path) -> None:
    reader = log_file_reader(tmp_path / "mail.log", lines_of(MAIL))
    since = datetime(2026, 11, 25, tzinfo=UTC)
    sender = address_term("ann@example.com")
    assert len((await reader.find(Criteria(sender=sender, since=since), 10)).events) == 1
    assert (await reader.find(Criteria(since=since), 10)).events == []


class _Endless(LogFile):
    """A file without an end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.is_read = threading.Event()
        self.is_over = threading.Event()

    def texts(self, start: int = 0) -> Iterator[Text]:
        try:
            while True:
                self.is_read.set()
                yield Text(joined(lines_of(MAIL)), False, 1, 1)
        finally:
            self.is_over.set()


async def test_a_question_that_is_withdrawn_ends_its_work(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_bytes(b"")
    file = _Endless(tmp_path / "mail.log")
    asking = asyncio.create_task(LogFilesReader([file], line_reading(SETTINGS)).span())
    assert await asyncio.to_thread(file.is_read.wait, PATIENCE)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert file.is_over.is_set()
