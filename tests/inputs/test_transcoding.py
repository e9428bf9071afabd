"""Files in any form give the lines of the plain file, also from a place on and compressed."""

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from mailingest.inputs.files import LogFile

LINES = [
    f"Nov 24 15:41:22 mx1 postfix/smtp[{n}]: Grüße \U0001f600 {n}".encode() for n in range(5000)
]
TEXT = b"".join(line + b"\n" for line in LINES).decode()

Codec = Callable[[bytes], bytes]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress], ids=["", "gz", "bz2"])
def test_utf_16_is_read_as_utf_8(tmp_path: Path, encoding: str, compress: Codec) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(compress(TEXT.encode(encoding)))
    file = LogFile(path)
    assert [line for block in file.blocks() for line in block.lines] == LINES
    # A replay goes on where it stopped.
    first = next(iter(file.blocks()))
    rest = [line for block in file.blocks(first.offset_after) for line in block.lines]
    assert first.lines + rest == LINES


def test_half_a_character_at_the_end_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes("Nov 24 15:41:22 mx1 a: b\n".encode("utf-16") + b"x")
    lines = [line for block in LogFile(path).blocks() for line in block.lines]
    assert lines == [b"Nov 24 15:41:22 mx1 a: b", "\ufffd".encode()]


@pytest.mark.parametrize(
    "text", [b"", b"a", b"\0\0\0\0\0\0", b"ab\0cd\0ef\0", b"\xff", b"\xff\xfe"]
)
def test_short_files_are_taken_as_they_are(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "mail.log"
    path.write_bytes(text)
    lines = [line for block in LogFile(path).blocks() for line in block.lines]
    assert b"".join(lines) == text.removeprefix(b"\xff\xfe").replace(b"\0", b"")
