"""JSON lines: files that are rotated or full, and a standard output that nobody reads."""

import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailingest.errors import StoreUnavailable, UsageError
from mailingest.stores.appending import append_whole
from mailingest.stores.ndjson.writer import NdjsonWriter
from tests.support.documents import document, files_limited_to, public_directory, unprivileged
from tests.support.lab.polling import PATIENCE


@asynccontextmanager
async def opened(path: Path | None) -> AsyncIterator[NdjsonWriter]:
    writer = NdjsonWriter(path)
    try:
        await writer.open()
        yield writer
    finally:
        await writer.close()


def lines(*numbers: int) -> bytes:
    return b"".join(document(number).body + b"\n" for number in numbers)


async def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    path.write_bytes(lines(1))
    async with opened(path) as writer:
        await writer.write([document(2), document(3)])
        assert path.read_bytes() == lines(1, 2, 3)


async def test_a_line_that_a_crash_left_unfinished_stays_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    path.write_bytes(lines(1) + b'{"half')
    async with opened(path) as writer:
        await writer.write([document(2)])
    assert path.read_bytes() == lines(1) + b'{"half\n' + lines(2)


async def test_the_file_is_private_to_owner_and_group(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(tmp_path / "out.ndjson"):
            assert stat.S_IMODE((tmp_path / "out.ndjson").stat().st_mode) == 0o640
    finally:
        os.umask(before)


async def test_a_file_that_was_moved_away_gets_nothing_more(tmp_path: Path) -> None:
    path, rotated = tmp_path / "out.ndjson", tmp_path / "out.ndjson.1"
    async with opened(path) as writer:
        await writer.write([document(1)])
        path.rename(rotated)
        await writer.write([document(2)])
    assert (rotated.read_bytes(), path.read_bytes()) == (lines(1), lines(2))


async def test_reopening_leaves_the_moved_file_at_once(tmp_path: Path) -> None:
    path, rotated = tmp_path / "out.ndjson", tmp_path / "out.ndjson.1"
    async with opened(path) as writer:
        await writer.write([document(1)])
        path.rename(rotated)
        await writer.reopen()
        assert path.read_bytes() == b""
        identities = {os.stat(f"/proc/self/fd/{fd}").st_ino for fd in open_descriptors()}
        assert rotated.stat().st_ino not in identities


def open_descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]


async def test_reopening_a_file_that_is_in_place_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    async with opened(path) as writer:
        await writer.write([document(1)])
        await writer.reopen()
        await writer.write([document(2)])
    assert path.read_bytes() == lines(1, 2)


async def test_a_truncated_file_is_filled_from_its_start(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    async with opened(path) as writer:
        await writer.write([document(1)])
        os.truncate(path, 0)  # copytruncate of logrotate
        await writer.write([document(2)])
    assert path.read_bytes() == lines(2)


@pytest.mark.parametrize("room", [0, 1, 30, 100])
async def test_a_full_disk_leaves_no_half_line_and_the_retry_is_whole(
    tmp_path: Path, room: int
) -> None:
    path = tmp_path / "out.ndjson"
    batch = [document(2), document(3), document(4)]
    async with opened(path) as writer:
        await writer.write([document(1)])
        with (
            files_limited_to(len(lines(1)) + room),
            pytest.raises(StoreUnavailable, match=r"out\.ndjson: File too large"),
        ):
            await writer.write(batch)
        assert path.read_bytes() == lines(1)
        assert (await writer.write(batch)).stored == 3
    assert path.read_bytes() == lines(1, 2, 3, 4)


def test_a_half_written_file_without_append_mode_goes_on_at_its_end(tmp_path: Path) -> None:
    with (tmp_path / "redirected").open("wb", buffering=0) as file:
        append_whole(file.fileno(), b"one\n")
        with files_limited_to(6), pytest.raises(OSError, match="File too large"):
            append_whole(file.fileno(), b"two\n")
        append_whole(file.fileno(), b"three\n")
    assert (tmp_path / "redirected").read_bytes() == b"one\nthree\n"


async def test_a_device_without_space_is_unavailable() -> None:
    async with opened(Path("/dev/full")) as writer:
        with pytest.raises(StoreUnavailable, match="/dev/full: No space left on device"):
            await writer.write([document(1)])


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        pytest.param("missing/out.ndjson", "No such file or directory", id="no directory"),
        pytest.param("", "Is a directory", id="a directory"),
        pytest.param("file/out.ndjson", "Not a directory", id="below a file"),
    ],
)
async def test_an_unusable_place_is_refused_at_start(
    tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=reason):
        async with opened(tmp_path / place):
            pass


async def test_a_place_that_may_come_right_by_itself_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    async with opened(path) as writer:
        path.unlink()
        path.symlink_to(path)
        with pytest.raises(StoreUnavailable, match="Too many levels of symbolic links"):
            await writer.write([document(1)])
        path.unlink()
        assert (await writer.write([document(1)])).stored == 1
    assert path.read_bytes() == lines(1)


async def test_a_file_that_may_not_be_written_is_refused() -> None:
    with public_directory() as directory:
        path = directory / "out.ndjson"
        path.touch(0o444)
        with unprivileged(), pytest.raises(UsageError, match="Permission denied"):
            async with opened(path):
                pass


async def test_standard_output_gets_the_lines_and_stays_open(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    async with opened(None) as writer:
        await writer.write([document(1), document(2)])
    os.write(1, b"still open\n")
    assert capfdbinary.readouterr().out == lines(1, 2) + b"still open\n"


async def test_a_reader_that_has_gone_is_no_outage() -> None:
    program = """if True:
        import asyncio
        from mailingest.stores.ndjson.writer import NdjsonWriter
        from tests.support.documents import document

        async def main():
            writer = NdjsonWriter(None)
            await writer.open()
            try:
                while True:
                    await writer.write([document(1)])
            except BrokenPipeError:
                raise SystemExit(7) from None

        asyncio.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == lines(1)
        process.stdout.close()
        assert process.wait(PATIENCE) == 7
        assert process.stderr.read() == b""
