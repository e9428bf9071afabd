import bz2
import gzip
import lzma
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mailingest.errors import UsageError
from mailingest.inputs import files as logfile
from mailingest.inputs.files import DamagedFile, LogFile, identity
from mailingest.syslog.framing import MAX_FRAME_OCTETS, FrameCounters, FrameReader

LINE = b"Nov 24 15:41:13 mx1 postfix/qmgr[318]: %08X: removed"
TEXT = b"".join(LINE % number + b"\n" for number in range(5000))

Compress = Callable[[bytes], bytes]
COMPRESSIONS = [
    pytest.param(bytes, id="plain"),
    # It does not say when it was written, so that the time is that of the file.
    pytest.param(partial(gzip.compress, mtime=0), id="gzip"),
    pytest.param(bz2.compress, id="bzip2"),
    pytest.param(lzma.compress, id="xz"),
    pytest.param(zstandard.compress, id="zstd"),
]
COMPRESSED = COMPRESSIONS[1:]


def lines_of(file: LogFile, start: int = 0) -> list[bytes]:
    return [line for block in file.blocks(start) for line in block.lines]


def readable(file: LogFile) -> tuple[list[bytes], int, DamagedFile]:
    """What a damaged file gives: lines, the last `offset_after`, and the error."""
    lines: list[bytes] = []
    offset = 0
    try:
        for block in file.blocks():
            lines += block.lines
            offset = block.offset_after
    except DamagedFile as error:
        return lines, offset, error
    raise AssertionError("the damage was not noticed")


def written(tmp_path: Path, content: bytes) -> LogFile:
    path = tmp_path / "mail.log"
    path.write_bytes(content)
    return LogFile(path)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_every_format_gives_the_same_lines(tmp_path: Path, compress: Compress) -> None:
    file = written(tmp_path, compress(TEXT))
    blocks = list(file.blocks())
    assert [line for block in blocks for line in block.lines] == TEXT.splitlines()
    assert blocks[-1].offset_after == len(TEXT)
    assert blocks[-1].progress == file.size_bytes == file.path.stat().st_size
    progress = [block.progress for block in blocks]
    assert progress == sorted(progress)
    assert file.mtime == file.path.stat().st_mtime
    assert file.counters == FrameCounters(received=5000)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_replay_can_go_on_after_any_block(
    tmp_path: Path, compress: Compress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logfile, "_BLOCK_BYTES", 1000)
    text = b"".join(TEXT.splitlines(keepends=True)[:100])
    file = written(tmp_path, compress(text))
    read: list[bytes] = []
    for block in list(file.blocks()):
        read += block.lines
        assert read + lines_of(file, block.offset_after) == text.splitlines()


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_start_behind_the_end_gives_nothing(tmp_path: Path, compress: Compress) -> None:
    assert lines_of(written(tmp_path, compress(TEXT)), len(TEXT) + 1000) == []


@pytest.mark.parametrize("compress", COMPRESSED)
def test_files_of_several_streams_are_read_through(tmp_path: Path, compress: Compress) -> None:
    parts = [TEXT[:100], b"", TEXT[100:5000], TEXT[5000:]]
    file = written(tmp_path, b"".join(compress(part) for part in parts))
    assert lines_of(file) == TEXT.splitlines()


def test_zstd_files_that_begin_with_a_skippable_frame_are_known(tmp_path: Path) -> None:
    skippable = b"\x51\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"pzst"
    assert lines_of(written(tmp_path, skippable + zstandard.compress(TEXT))) == TEXT.splitlines()


@pytest.mark.parametrize("compress", COMPRESSED)
@pytest.mark.parametrize(
    "left", [pytest.param(left, id=f"{left} bytes are missing") for left in (1, 9, 3000)]
)
def test_a_file_that_ends_too_early_gives_what_it_has(
    tmp_path: Path, compress: Compress, left: int
) -> None:
    # Random names keep it from being compressed into nothing.
    text = b"".join(os.urandom(20).hex().encode() + b"\n" for _ in range(20_000))
    file = written(tmp_path, compress(text)[:-left])
    lines, offset, error = readable(file)
    whole = text[:offset].splitlines()
    assert lines[: len(whole)] == whole
    assert text.startswith(b"\n".join(lines))
    assert error.path == file.path
    assert offset <= error.offset <= len(text)
    # bzip2 and zstd know nothing of a block that is not whole.
    assert len(text) - error.offset < 900_000
    assert str(error).startswith(f"{file.path}: cannot be read further than byte {error.offset} (")


@pytest.mark.parametrize("compress", COMPRESSED)
@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(lambda _stream: b"not compressed" * 100, id="no stream at all"),
        pytest.param(lambda stream: stream[:20] + b"not compressed" * 100, id="half a stream"),
    ],
)
def test_a_file_with_foreign_bytes_gives_what_is_before_them(
    tmp_path: Path, compress: Compress, foreign: Compress
) -> None:
    file = written(tmp_path, compress(TEXT) + foreign(compress(TEXT)))
    lines, _, error = readable(file)
    assert lines[:5000] == TEXT.splitlines()
    assert error.offset >= len(TEXT)


def test_a_wrong_checksum_is_noticed_after_the_last_line(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(TEXT))
    content[-8] ^= 1
    lines, offset, _ = readable(written(tmp_path, bytes(content)))
    assert lines == TEXT.splitlines()
    assert offset == len(TEXT)


@pytest.mark.parametrize(
    "compress", [pytest.param(gzip.compress, id="gzip"), pytest.param(lzma.compress, id="xz")]
)
def test_zeros_behind_a_compressed_stream_are_padding(tmp_path: Path, compress: Compress) -> None:
    half = len(TEXT) // 2
    content = compress(TEXT[:half]) + bytes(2048) + compress(TEXT[half:]) + bytes(700)
    assert lines_of(written(tmp_path, content)) == TEXT.splitlines()


def test_a_file_that_is_gone_when_its_turn_comes_is_damaged(tmp_path: Path) -> None:
    file = written(tmp_path, TEXT)
    file.path.unlink()
    with pytest.raises(DamagedFile, match="No such file"):
        lines_of(file)


@pytest.mark.parametrize(
    ("content", "lines", "counters"),
    [
        pytest.param(b"", [], FrameCounters(), id="an empty file"),
        pytest.param(b"a\r\nb\n", [b"a", b"b"], FrameCounters(received=2), id="LF and CR LF"),
        pytest.param(
            b"a\n\n\r\nb\n", [b"a", b"b"], FrameCounters(received=2, empty=2), id="empty lines"
        ),
        pytest.param(
            b"a\nb",
            [b"a", b"b"],
            FrameCounters(received=2, unterminated=1),
            id="a last line without LF",
        ),
        pytest.param(b"17 <22>a\n", [b"17 <22>a"], FrameCounters(received=1), id="no counts here"),
        pytest.param(
            b"a\n" + b"\0" * 200_000 + b"b\n",
            [b"a", b"b"],
            FrameCounters(received=2, empty=200_000),
            id="the hole that a crash leaves",
        ),
        pytest.param(
            b"x" * 300_000 + b"\nb\n" + b"y" * MAX_FRAME_OCTETS + b"\n",
            [b"x" * MAX_FRAME_OCTETS, b"b", b"y" * MAX_FRAME_OCTETS],
            FrameCounters(received=3, oversized=1),
            id="an over-long line",
        ),
        pytest.param(
            b"b\n" + b"x" * 300_000,
            [b"b", b"x" * MAX_FRAME_OCTETS],
            FrameCounters(received=2, oversized=1, unterminated=1),
            id="an over-long line without end",
        ),
    ],
)
def test_lines_of_a_file(
    tmp_path: Path, content: bytes, lines: list[bytes], counters: FrameCounters
) -> None:
    file = written(tmp_path, content)
    assert lines_of(file) == lines
    assert file.counters == counters


def test_a_line_that_is_not_whole_is_read_again_when_it_is(tmp_path: Path) -> None:
    file = written(tmp_path, b"one\ntwo\nthr")
    *_, last = file.blocks()
    assert (last.lines, last.offset_after) == ([b"thr"], 8)
    file.path.write_bytes(b"one\ntwo\nthree\nfour\n")
    assert lines_of(LogFile(file.path), last.offset_after) == [b"three", b"four"]


@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"\n", b"\r\n", b"\0", b"a" * 40])),
    st.integers(1, 50),
)
def test_a_file_gives_the_frames_of_a_stream(pieces: list[bytes], block: int) -> None:
    # Neither the magic bytes of a compressed file nor the SP of octet counting.
    content = b"<22>" + b"".join(pieces).replace(b" ", b"_")
    reader = FrameReader()
    frames = reader.receive_data(content) + reader.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "_BLOCK_BYTES", block)
        read_end, write_end = os.pipe()
        with open(write_end, "wb") as writing:
            writing.write(content)
        path = Path(f"/dev/fd/{read_end}")
        file = LogFile(path)
        lines = lines_of(file)
        os.close(read_end)
    assert lines == frames
    assert file.counters == reader.counters


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_the_standard_input_is_read_in_every_format(
    compress: Compress, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_end, write_end = os.pipe()
    content = compress(TEXT)

    def write() -> None:
        with open(write_end, "wb", buffering=0) as writing:
            for at in range(3):  # fewer bytes than it takes to know the format
                writing.write(content[at : at + 1])
            writing.write(content[3:])

    with open(read_end) as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        file = LogFile(Path("-"))
        assert (file.size_bytes, file.is_regular) == (0, False)
        writer = threading.Thread(target=write)
        writer.start()
        blocks = list(file.blocks(start=100))
        writer.join()
    assert b"".join(line + b"\n" for block in blocks for line in block.lines) == TEXT[100:]
    assert (blocks[-1].offset_after, blocks[-1].progress) == (len(TEXT), len(content))


def test_a_named_pipe_is_opened_only_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[TEXT])
    writer.start()
    file = LogFile(path)
    assert lines_of(file) == TEXT.splitlines()
    writer.join()


def test_a_pipe_gives_each_line_when_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    with open(read_end) as standard_input, open(write_end, "wb", buffering=0) as writing:
        monkeypatch.setattr("sys.stdin", standard_input)
        blocks = LogFile(Path("-")).blocks()
        for _ in range(3):
            writing.write(b"a whole line\n")
            assert next(blocks).lines == [b"a whole line"]


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize(
    "text", [pytest.param(b"", id="empty"), pytest.param(TEXT[:500], id="short"), TEXT]
)
def test_rotation_and_compression_do_not_change_the_identity(
    tmp_path: Path, compress: Compress, text: bytes
) -> None:
    current, rotated = tmp_path / "mail.log", tmp_path / "mail.log.1.xz"
    current.write_bytes(text)
    rotated.write_bytes(compress(text))
    assert identity(current) == identity(rotated)


def test_identity_is_that_of_the_first_kilobyte(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    identities = set()
    for content in (TEXT[:1023], TEXT[:1024], TEXT[:1025], TEXT, b"x" + TEXT[1:]):
        path.write_bytes(content)
        identities.add(identity(path))
    assert len(identities) == 3


def test_a_damaged_file_has_no_identity(tmp_path: Path) -> None:
    file = written(tmp_path, gzip.compress(TEXT[:500])[:-9])
    with pytest.raises(DamagedFile):
        identity(file.path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("missing", "no such file", id="a missing file"),
        pytest.param(
            ".",
            "is a directory; name its files, for instance with a pattern in quotes",
            id="a directory",
        ),
        pytest.param("loop", "too many levels of symbolic links", id="a link to itself"),
    ],
)
def test_what_cannot_be_opened_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError) as caught:
        LogFile(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {message}"
