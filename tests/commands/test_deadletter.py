"""Dead letters by command: listed, shown, sent again and removed, beside a daemon that writes."""

import asyncio
import fcntl
import json
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from mailingest.commands.deadletter import (
    list_letters,
    purge_letters,
    retry_letters,
    show_letters,
)
from mailingest.config import Settings
from mailingest.delivery.batcher import Batcher
from mailingest.delivery.deadletters import DeadLetters, read_letters, rewrite
from mailingest.documents import Document
from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.protocol import Rejection
from mailingest.wiring import build_store
from tests.support.documents import MIDNIGHT, document
from tests.support.elastic import asking
from tests.support.lab.polling import PATIENCE
from tests.support.servers import SearchServer
from tests.support.sqlite import StoredDocuments

CONFLICT = "400 mapper_parsing_exception: failed to parse field [tags] with id '{}'"
DAY = 86_400


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """State and SQLite store in one directory."""
    return Settings.model_validate({"state": {"directory": tmp_path}})


def put(settings: Settings, *numbers: int, days: int = 0, reason: str = CONFLICT) -> None:
    letters = DeadLetters(settings.state.directory, clock=lambda: float(MIDNIGHT + days * DAY))
    letters.write([Rejection(document(n), reason.format(n)) for n in numbers])


def numbers(settings: Settings) -> list[int]:
    return [one.fields["number"] for one in read_letters(settings.state.directory)]


def stored(settings: Settings) -> list[int]:
    reader = StoredDocuments(settings.sqlite_directory, "mail")
    return sorted(one["number"] for one in reader.find())


def identity(number: int) -> str:
    return document(number).id


# ---- list and show


def test_the_list_has_the_newest_last_and_counts_by_reason(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, 1, 2)
    put(settings, 3, days=1, reason="413 larger than it takes")
    list_letters(settings, limit=2, as_json=False)

    assert capsys.readouterr().out.splitlines() == [
        f"2026-11-24 00:00:00 UTC  mail-2026.11.24  {identity(2)}  {CONFLICT.format(2)}",
        f"2026-11-25 00:00:00 UTC  mail-2026.11.24  {identity(3)}  413 larger than it takes",
        "(1 older ones: --limit 0 shows all)",
        "       2  400 mapper_parsing_exception: failed to parse field [tags] with id …",
        "       1  413 larger than it takes",
        f"3 dead letters in {settings.state.directory}",
    ]


def test_a_reason_does_nothing_to_a_terminal(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, 1, reason="400 cannot parse \x1b]0;owned\x07 \x9b2J \u202etxt.exe")
    list_letters(settings, limit=0, as_json=False)
    shown = capsys.readouterr().out
    assert r"400 cannot parse \x1b]0;owned\x07 \x9b2J \u202etxt.exe" in shown
    assert all(line.isprintable() for line in shown.split("\n"))


def test_json_does_nothing_to_a_terminal_either(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "\x1b]0;owned\x07 \x7f \x9b2J \u202etxt.exe \U000e0041 größe"
    put(settings, 1, reason=reason)
    show_letters(settings, identity(1))
    shown = capsys.readouterr().out
    list_letters(settings, limit=0, as_json=True)
    listed = capsys.readouterr().out
    assert all(line.isprintable() for line in (shown + listed).split("\n"))
    assert json.loads(shown)["reason"] == json.loads(listed)["reason"] == reason
    assert "größe" in shown


def test_the_list_for_scripts_has_one_object_a_line(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, 1, 2)
    list_letters(settings, limit=0, as_json=True)

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {
            "time": "2026-11-24T00:00:00Z",
            "index": "mail-2026.11.24",
            "id": identity(number),
            "reason": CONFLICT.format(number),
        }
        for number in (1, 2)
    ]


def test_show_has_the_whole_document(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, 1, 2)
    show_letters(settings, identity(2))

    shown = json.loads(capsys.readouterr().out)
    assert shown["document"] == document(2).fields
    assert shown["reason"] == CONFLICT.format(2)


def test_an_id_that_is_not_there_is_refused(settings: Settings) -> None:
    put(settings, 1)
    for command in (lambda: show_letters(settings, "x"), lambda: retry_letters(settings, ["x"])):
        with pytest.raises(UsageError, match=r"no dead letter in .* has id x"):
            command()


# ---- retry


def test_what_is_stored_now_is_a_dead_letter_no_more(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, 1, 2)
    put(settings, 3, days=1)
    assert retry_letters(settings, []) is True

    assert stored(settings) == [1, 2, 3]
    assert list(settings.state.directory.glob("dead-letters-*")) == []
    assert capsys.readouterr().out.splitlines()[0] == "3 stored, 0 left"
    assert retry_letters(settings, []) is True


def test_only_the_ones_that_are_named_are_sent(settings: Settings) -> None:
    put(settings, 1, 2, 3)
    assert retry_letters(settings, [identity(2)]) is True

    assert (stored(settings), numbers(settings)) == ([2], [1, 3])


def test_one_that_was_stored_meanwhile_is_stored_once(settings: Settings) -> None:
    put(settings, 1)
    retry_letters(settings, [])
    put(settings, 1)
    assert retry_letters(settings, []) is True

    assert (stored(settings), numbers(settings)) == ([1], [])


def test_a_document_without_a_time_stays_and_the_others_go(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Document("mail-2026.11.24", "bad", b'{"number":9}', 0, {})
    letters = DeadLetters(settings.state.directory)
    letters.write([Rejection(document(1), "x"), Rejection(bad, "x"), Rejection(document(2), "x")])
    assert retry_letters(settings, []) is False

    assert (stored(settings), numbers(settings)) == ([1, 2], [9])
    assert "the document has no @timestamp" in capsys.readouterr().out


def test_a_store_that_is_away_leaves_all_letters(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "state": {"directory": tmp_path},
            "elasticsearch": {"hosts": ["http://127.0.0.1:9"], "timeout": 5},
        }
    )
    put(settings, 1, 2)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        retry_letters(settings, [])
    assert numbers(settings) == [1, 2]


def test_a_line_that_is_no_letter_stays_where_it_is(settings: Settings) -> None:
    put(settings, 1)
    [file] = settings.state.directory.glob("dead-letters-*")
    with file.open("ab") as appended:
        appended.write(b'{"time": "2026\n')
    put(settings, 2)
    assert retry_letters(settings, []) is True

    assert stored(settings) == [1, 2]
    assert file.read_bytes() == b'{"time": "2026\n'


# ---- purge


def yes(_: str) -> bool:
    return True


def test_purge_removes_what_is_older_and_asks_before(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, 1, 2)
    put(settings, 3, days=1)
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    before = "2026-11-25T00:00Z"
    purge_letters(settings, before=before, confirm=no)
    assert numbers(settings) == [1, 2, 3]
    assert asked == ["Remove 2 dead letters for good?"]
    purge_letters(settings, before=before, confirm=yes)
    assert numbers(settings) == [3]
    purge_letters(settings, before=before, confirm=no)
    assert capsys.readouterr().out.splitlines() == [
        "nothing removed",
        "2 dead letters removed",
        f"no dead letters to remove in {settings.state.directory}",
    ]


def test_purge_removes_what_is_for_an_index(settings: Settings) -> None:
    put(settings, 1)
    letters = DeadLetters(settings.state.directory, clock=lambda: float(MIDNIGHT))
    letters.write([Rejection(document(2, day="2026.11.20"), "closed")])
    purge_letters(settings, before=None, index="mail-2026.11.20", confirm=yes)
    assert numbers(settings) == [1]
    before = "2026-11-23T00:00Z"
    purge_letters(settings, before=before, index="mail-2026.11.24", confirm=yes)
    assert numbers(settings) == [1]


def test_purge_of_all_takes_what_is_no_letter_along(settings: Settings) -> None:
    put(settings, 1)
    [file] = settings.state.directory.glob("dead-letters-*")
    file.write_bytes(file.read_bytes() + b"what?\n")
    purge_letters(settings, before=None, confirm=yes)
    assert list(settings.state.directory.iterdir()) == []


# ---- beside a daemon


def test_owner_and_mode_of_a_file_stay(settings: Settings) -> None:
    put(settings, 1, 2)
    [file] = settings.state.directory.glob("dead-letters-*")
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
    file.chmod(0o600)
    before = file.stat()
    rewrite(settings.state.directory, {next(read_letters(settings.state.directory)).line: None})

    after = file.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )
    assert after.st_ino != before.st_ino
    assert numbers(settings) == [2]


def test_the_daemon_puts_a_letter_off_while_files_are_changed(settings: Settings) -> None:
    put(settings, 1)
    descriptor = os.open(settings.state.directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match="being changed by another command"):
            put(settings, 2)
    finally:
        os.close(descriptor)
    put(settings, 2)
    assert numbers(settings) == [1, 2]


def test_no_letter_is_lost_or_doubled_while_both_sides_work(settings: Settings) -> None:
    total = 300

    def daemon() -> None:
        for number in range(total):
            while True:
                try:
                    put(settings, number, days=number % 3)
                    break
                except StoreUnavailable:
                    continue

    writer = threading.Thread(target=daemon)
    writer.start()
    while writer.is_alive():
        retry_letters(settings, [])
    writer.join()
    retry_letters(settings, [])
    assert (stored(settings), numbers(settings)) == (list(range(total)), [])


# ---- poison documents on real servers

POISON_REASONS = {
    "conflict": "mapper_parsing_exception",
    "immense": "immense term",
    "address": "'300.1.1.1' is not an IP string literal",
    "dots": "object field starting or ending with a [.]",
}


def poison(prefix: str) -> dict[str, Document]:
    time = {"@timestamp": "2026-11-24T06:00:00.000Z"}
    fields: dict[str, dict[str, object]] = {
        "conflict": {**time, "postfix_nrcpt": {"a": "an object where a number should be"}},
        "immense": {**time, "postfix_to": "x" * 40_000},
        "address": {**time, "postfix_client_ip": "300.1.1.1"},
        "dots": {**time, "a..b": "a name that no mapping takes"},
    }
    return {
        name: Document(
            f"{prefix}-2026.11.24", name.ljust(20, "0"), orjson.dumps(values), MIDNIGHT, values
        )
        for name, values in fields.items()
    }


def good(prefix: str, number: int) -> Document:
    fields = {"@timestamp": "2026-11-24T06:00:00.000Z", "postfix_to": f"{number}@example.org"}
    return Document(
        f"{prefix}-2026.11.24", f"{number:020d}", orjson.dumps(fields), MIDNIGHT, fields
    )


@asynccontextmanager
async def running(batcher: Batcher) -> AsyncIterator[None]:
    task = asyncio.create_task(batcher.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def cluster_settings(server: SearchServer, directory: Path) -> Settings:
    return Settings.model_validate(
        {
            "state": {"directory": directory},
            "elasticsearch": {"hosts": [server.url], "replicas": 0},
            "index": {"prefix": f"mail-{uuid4().hex[:8]}"},
        }
    )


def nested(levels: int) -> object:
    value: object = "deep"
    for _ in range(levels):
        value = {"a": value}
    return value


async def test_poison_goes_to_the_dead_letters_delays_nothing_and_is_sent_again(
    search_server: SearchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = cluster_settings(search_server, tmp_path)
    prefix = settings.index.prefix
    bad = poison(prefix)
    output = build_store(settings).writer()
    batcher = Batcher(output, DeadLetters(tmp_path), max_documents=100)
    try:
        async with running(batcher):
            for number in range(1000):
                batcher.add(good(prefix, number))
                if number % 250 == 100:
                    batcher.add(list(bad.values())[number // 250])
            assert await batcher.drain(PATIENCE) == 0
        # Nothing was tried a second time for the sake of the bad ones.
        assert (batcher.documents_stored, batcher.documents_rejected) == (1000, 4)
        assert batcher.retries == 0
    finally:
        await output.close()
    reasons = {one.id.rstrip("0"): one.reason for one in read_letters(tmp_path)}
    assert set(reasons) == set(bad)
    for name, part in POISON_REASONS.items():
        assert part in reasons[name], reasons[name]

    # Sent again, they are refused again, and nothing is lost.
    assert await asyncio.to_thread(retry_letters, settings, []) is False
    assert "0 stored, 4 left" in capsys.readouterr().out
    assert len(list(read_letters(tmp_path))) == 4

    async with asking(search_server) as client:
        # An operator's fix: the day anew, with a setting by which malformed values do no harm.
        index = bad["address"].index
        await client.indices.delete(index=index)
        await client.indices.create(index=index, settings={"mapping": {"ignore_malformed": True}})
        assert await asyncio.to_thread(retry_letters, settings, []) is False
        left = {one.id for one in read_letters(tmp_path)}
        # OpenSearch 2.19 passes over an object as well.
        assert left - {bad["conflict"].id} == {bad["immense"].id, bad["dots"].id}
        found = await client.get(index=index, id=bad["address"].id)
        assert found["_source"] == bad["address"].fields


# What the day's index was made with, before the template that is shipped, and what does not fit.
OLD_MAPPINGS = {
    "dynamic": True,
    "properties": {
        "host": {"properties": {"name": {"type": "keyword"}}},
        "postfix_relay": {"type": "keyword"},
        "postfix_size": {"type": "byte"},
        "expires": {"type": "date"},
    },
}
MISFITS: dict[str, tuple[dict[str, object], str]] = {
    "a text where an object was": ({"host": "mx1"}, "found a concrete value"),
    "a keyword over 32,766 bytes": ({"postfix_relay": "ü" * 20_000}, "immense term"),
    "a number out of range": ({"postfix_size": 4_000_000}, "out of range"),
    "a date out of range": ({"expires": "2026-02-30T25:00:00Z"}, "failed to parse"),
    "values in a hundred levels": ({"deep": nested(100)}, "depth"),
}


async def test_what_did_not_fit_is_stored_whole_when_the_mapping_is_mended(
    search_server: SearchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = cluster_settings(search_server, tmp_path)
    index = f"{settings.index.prefix}-2026.11.24"
    bad = {
        f"{number:020d}": {**good(settings.index.prefix, 0).fields, **fields}
        for number, (fields, _) in enumerate(MISFITS.values(), 5000)
    }
    async with asking(search_server) as client:
        await client.indices.create(index=index, mappings=OLD_MAPPINGS)
        output = build_store(settings).writer()
        batcher = Batcher(output, DeadLetters(tmp_path), max_documents=1000)
        try:
            async with running(batcher):
                for number in range(500):
                    batcher.add(good(settings.index.prefix, number))
                    if number % 50 == 0 and number // 50 < len(bad):
                        identity = list(bad)[number // 50]
                        fields = bad[identity]
                        body = orjson.dumps(fields)
                        batcher.add(Document(index, identity, body, MIDNIGHT, fields))
                assert await batcher.drain(PATIENCE) == 0
        finally:
            await output.close()
        assert (batcher.batches_written, batcher.retries, batcher.documents_stored) == (1, 0, 500)
        reasons = {one.id: one.reason for one in read_letters(tmp_path)}
        assert reasons.keys() == bad.keys()
        for identity, (name, (_, part)) in zip(bad, MISFITS.items(), strict=True):
            assert part in reasons[identity], name

        await client.indices.delete(index=index)  # the template makes it anew
        assert await asyncio.to_thread(retry_letters, settings, []) is True
        assert capsys.readouterr().out.splitlines()[-1] == f"{len(bad)} stored, 0 left"
        assert list(read_letters(tmp_path)) == []
        for identity, fields in bad.items():
            assert (await client.get(index=index, id=identity))["_source"] == fields
