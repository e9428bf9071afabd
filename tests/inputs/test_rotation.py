import gzip
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailingest.errors import UsageError
from mailingest.inputs.rotation import expand


def first_time(line: bytes, _mtime: float) -> float | None:
    """ISO time stamps are enough here."""
    try:
        return datetime.fromisoformat(line[:25].decode()).timestamp()
    except ValueError:
        return None


def names(tmp_path: Path, *arguments: str) -> list[str]:
    """What the arguments, which are relative to `tmp_path`, become."""
    files = expand([str(tmp_path / argument) for argument in arguments], first_time)
    return [str(file.path.relative_to(tmp_path)) for file in files]


def line_at(day: int) -> bytes:
    return f"2026-11-{day:02}T00:00:00+00:00 mx1 postfix/qmgr[1]: 4F2A11E0: removed\n".encode()


SETS = [
    pytest.param(["mail.log.10.gz", "mail.log.2.gz", "mail.log.1", "mail.log"], id="numbers"),
    pytest.param(["mail.3.log", "mail.2.log", "mail.log"], id="numbers before the extension"),
    pytest.param(
        ["mail.log-20251231.xz", "mail.log-20261123.zst", "mail.log-20261124", "mail.log"],
        id="dates",
    ),
    pytest.param(
        ["maillog-2026-11-23.bz2", "maillog-2026-11-24", "maillog"], id="dates with hyphens"
    ),
    pytest.param(
        ["mail-20261123.log.gz", "mail-20261124.log", "mail.log"], id="dates before the extension"
    ),
    pytest.param(
        [
            "maillog.20261123-235959",
            "maillog.20261124-000001",
            "maillog.20261124-154511",
            "maillog",
        ],
        id="as Postfix rotates its own log",
    ),
    pytest.param(
        ["mail.log-20261124-1764000000", "mail.log-20261124-1764003600", "mail.log"],
        id="dates with seconds",
    ),
]


@pytest.mark.parametrize("oldest_first", SETS)
def test_a_set_without_times_is_ordered_by_its_names(
    tmp_path: Path, oldest_first: list[str]
) -> None:
    for age, name in enumerate(oldest_first):
        (tmp_path / name).write_bytes(b"nothing with a time\n")
        # As after a copy: the modification times say the contrary.
        os.utime(tmp_path / name, (1.7e9 - age, 1.7e9 - age))
    for seed in range(5):
        shuffled = random.Random(seed).sample(oldest_first, len(oldest_first))
        assert names(tmp_path, *shuffled) == oldest_first


def test_times_in_the_files_outrank_names_and_modification_times(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"no time here\n" + line_at(3))
    (tmp_path / "mx1").mkdir()
    (tmp_path / "mx1/mail.log").write_bytes(line_at(4))
    (tmp_path / "mx1/mail.log.1").write_bytes(line_at(2))
    (tmp_path / "mx2.log").write_bytes(gzip.compress(line_at(1)))
    assert names(tmp_path, "mx1/mail.log", "a.log", "mx1/mail.log.1", "mx2.log") == [
        "mx2.log",
        "mx1/mail.log.1",
        "a.log",
        "mx1/mail.log",
    ]


def test_a_file_without_time_stays_beside_its_newer_neighbour(tmp_path: Path) -> None:
    for name, content in {
        "mail.log": b"",
        "mail.log.1": line_at(20),
        "mail.log.2": b"junk\n",
        "mail.log.3": line_at(10),
        "other.log": line_at(15),
    }.items():
        (tmp_path / name).write_bytes(content)
    assert names(tmp_path, "mail.log*", "other.log") == [
        "mail.log.3",
        "other.log",
        "mail.log.2",
        "mail.log.1",
        "mail.log",
    ]


def test_without_anything_else_the_modification_time_decides(tmp_path: Path) -> None:
    for age, name in enumerate(["c", "a", "b"]):
        (tmp_path / name).write_bytes(b"junk\n")
        os.utime(tmp_path / name, (1.7e9 + age, 1.7e9 + age))
    assert names(tmp_path, "a", "b", "c") == ["c", "a", "b"]


def test_a_damaged_file_is_ordered_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_bytes(line_at(20))
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress(line_at(19))[:5])
    (tmp_path / "mail.log.2").write_bytes(line_at(18))
    assert names(tmp_path, "mail.log*") == ["mail.log.2", "mail.log.1.gz", "mail.log"]


def test_the_year_of_a_time_stamp_may_be_known_by_the_modification_time(tmp_path: Path) -> None:
    def traditional(line: bytes, mtime: float) -> float:
        year = datetime.fromtimestamp(mtime, UTC).year
        stamp = f"{year} {line[:15].decode()} +0000"
        return datetime.strptime(stamp, "%Y %b %d %H:%M:%S %z").timestamp()

    for name, line, year in (
        ("x", b"Dec 31 23:00:00 mx1 a: b\n", 2025),
        ("y", b"Jan  1 00:00:00 mx1 a: b\n", 2026),
    ):
        (tmp_path / name).write_bytes(line)
        written = datetime(year, 12, 31, tzinfo=UTC).timestamp()
        os.utime(tmp_path / name, (written, written))
    files = expand([str(tmp_path / "y"), str(tmp_path / "x")], traditional)
    assert [file.path.name for file in files] == ["x", "y"]


def test_a_file_that_is_named_twice_comes_once(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_bytes(line_at(1))
    (tmp_path / "link.log").symlink_to("mail.log")
    os.link(tmp_path / "mail.log", tmp_path / "hard.log")
    assert names(tmp_path, "mail.log", "mail.*", "link.log", "hard.log") == ["mail.log"]


def test_patterns_pass_over_directories(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_bytes(line_at(2))
    (tmp_path / "mail.d").mkdir()
    (tmp_path / "mail.d/mail.log").write_bytes(line_at(1))
    assert names(tmp_path, "mail.*") == ["mail.log"]
    assert names(tmp_path, "**/mail.lo[g]") == ["mail.d/mail.log", "mail.log"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "mail[1].log").write_bytes(line_at(2))
    (tmp_path / "mail1.log").write_bytes(line_at(1))
    assert names(tmp_path, "mail[1].log") == ["mail[1].log"]


def test_relative_patterns_begin_where_the_process_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mail.log").write_bytes(line_at(1))
    monkeypatch.chdir(tmp_path)
    assert [file.path for file in expand(["mail*"], first_time)] == [Path("mail.log")]


def test_the_standard_input_is_not_touched_before_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mail.log").write_bytes(line_at(1))
    read_end, write_end = os.pipe()
    with open(write_end, "wb") as writing:
        writing.write(line_at(2))
    with open(read_end) as standard_input:
        monkeypatch.setattr("sys.stdin", standard_input)
        files = expand(["-", "-", str(tmp_path / "mail.log")], first_time)
        assert [str(file.path) for file in files] == [str(tmp_path / "mail.log"), "-"]
        assert [block.lines for block in files[1].blocks()] == [[line_at(2)[:-1]]]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        pytest.param("missing.log", "no such file", id="a missing file"),
        pytest.param("", "is a directory; name its files, for instance", id="a directory"),
        pytest.param("*.log", "no file matches this pattern", id="a pattern without a match"),
        pytest.param("**x/*", "not a pattern for files (Invalid pattern", id="a broken pattern"),
    ],
)
def test_arguments_that_name_nothing_are_refused(
    tmp_path: Path, argument: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        names(tmp_path, argument)
    assert str(caught.value).startswith(f"{tmp_path / argument}: {message}")
