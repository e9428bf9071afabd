"""Group commit: who waits for the disk, for how many syncs, and what a disk that fails means."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailingest.errors import MailingestError
from mailingest.spool.journal import Journal
from mailingest.spool.records import FrameBatch
from mailingest.spool.syncing import GroupCommit


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path, max_bytes=1 << 20, segment_bytes=300)
    journal.open(None)
    yield journal
    journal.close()


def append(journal: Journal, count: int = 1) -> None:
    for _ in range(count):
        assert journal.append([FrameBatch(1.0, "192.0.2.1", 7, [bytes(50)])])


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files and directories that were synced, in order."""
    names: list[str] = []
    fdatasync, fsync = os.fdatasync, os.fsync

    def noted(descriptor: int) -> None:
        names.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fdatasync(descriptor)

    def noted_whole(descriptor: int) -> None:
        names.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fdatasync", noted)
    monkeypatch.setattr(os, "fsync", noted_whole)
    return names


def segment_names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.journal"))


async def test_each_file_with_something_new_is_synced_and_then_their_names(
    journal: Journal, synced: list[str], tmp_path: Path
) -> None:
    commit = GroupCommit(journal)
    append(journal, 10)
    await commit.sync()
    files = segment_names(tmp_path)
    assert len(files) > 2
    assert synced == [*files, tmp_path.name]
    assert commit.synced == journal.end
    synced.clear()
    await commit.sync()
    assert synced == []
    append(journal)
    while segment_names(tmp_path) == files:
        append(journal)
    await commit.sync()
    assert synced == [files[-1], segment_names(tmp_path)[-1], tmp_path.name]


async def test_what_an_earlier_process_left_is_synced_too(
    journal: Journal, synced: list[str], tmp_path: Path
) -> None:
    append(journal)
    journal.close()
    again = Journal(tmp_path, max_bytes=1 << 20)
    again.open(None)
    synced.clear()
    await GroupCommit(again).sync()
    assert synced == [*segment_names(tmp_path), tmp_path.name]
    again.close()


async def test_those_who_come_while_one_is_under_way_share_the_next(
    journal: Journal, synced: list[str]
) -> None:
    commit = GroupCommit(journal)
    append(journal)
    waiting = [asyncio.create_task(commit.sync())]
    await asyncio.sleep(0)
    for _ in range(20):
        append(journal)
        waiting.append(asyncio.create_task(commit.sync()))
        await asyncio.sleep(0)
    end = journal.end
    await asyncio.gather(*waiting)
    assert commit.synced == end
    assert synced.count(journal.directory.name) <= 3


async def test_a_file_that_was_removed_because_all_of_it_is_stored_is_no_fault(
    journal: Journal,
) -> None:
    commit = GroupCommit(journal)
    append(journal, 10)
    syncing = asyncio.create_task(commit.sync())
    await asyncio.sleep(0)
    journal.forget(journal.end)
    await syncing
    assert commit.synced == journal.end


async def test_a_disk_that_cannot_sync_is_an_error_and_nothing_counts_as_synced(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    commit = GroupCommit(journal)
    append(journal)
    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(MailingestError, match=r"cannot sync the spool.*Input/output error"):
        await commit.sync()
    assert commit.synced.bytes == 0
