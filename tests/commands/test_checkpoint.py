"""The checkpoint of a replay: damaged, or without room on the disk."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailingest.commands.checkpoint import Checkpoint, ResumePoint
from mailingest.config import Settings
from mailingest.errors import UsageError
from mailingest.inputs.files import LogFile
from mailingest.pipeline import Pipeline
from mailingest.wiring import build_pipeline

LINE = (
    b"Nov 24 15:41:22 mx1 postfix/qmgr[550]: 652D1A4A862: from=<ann@example.com>, size=1, nrcpt=1"
)


@pytest.fixture
def pipeline() -> Pipeline:
    made = build_pipeline(Settings(), live=False)
    made.feed(LINE, 1_700_000_000.0)
    return made


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    log = tmp_path / "mail.log"
    log.write_bytes(LINE + b"\n")
    return Checkpoint(tmp_path, [LogFile(log)])


def kept(directory: Path) -> Path:
    [path] = directory.glob("replay-*")
    return path


def another_digit(content: bytes) -> bytes:
    return content.replace(b"[0,41,", b"[0,47,", 1)


async def test_it_gives_back_what_was_saved(
    checkpoint: Checkpoint, pipeline: Pipeline, tmp_path: Path
) -> None:
    await checkpoint.save(ResumePoint(0, 41), pipeline)
    again = build_pipeline(Settings(), live=False)
    assert checkpoint.restore(again) == ResumePoint(0, 41)
    assert list(again.snapshot()) == list(pipeline.snapshot())
    checkpoint.forget()
    assert not list(tmp_path.glob("replay-*"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:20], id="cut in its first line"),
        pytest.param(lambda content: content[:-20], id="cut at its end"),
        pytest.param(another_digit, id="another place"),
        pytest.param(lambda content: bytes(len(content)), id="zeros"),
        pytest.param(lambda content: b"null\n" + content, id="not a place"),
    ],
)
async def test_a_damaged_one_is_set_aside_and_the_replay_begins_anew(
    checkpoint: Checkpoint,
    pipeline: Pipeline,
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    await checkpoint.save(ResumePoint(0, 41), pipeline)
    path = kept(tmp_path)
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with capture_logs() as events:
        assert checkpoint.restore(build_pipeline(Settings(), live=False)) is None
    assert kept(tmp_path) == path.with_name(f"{path.name}.damaged")
    assert kept(tmp_path).read_bytes() == damaged
    assert [event["log_level"] for event in events] == ["warning"]
    assert "begins anew" in events[0]["event"]
    assert checkpoint.restore(pipeline) is None


async def test_one_that_cannot_be_read_nor_set_aside_is_refused(
    checkpoint: Checkpoint, pipeline: Pipeline, tmp_path: Path
) -> None:
    await checkpoint.save(ResumePoint(0, 41), pipeline)
    path = kept(tmp_path)
    path.unlink()
    path.mkdir()
    # A file cannot take the place of a directory, nor the other way round.
    path.with_name(f"{path.name}.damaged").write_text("in the way")
    with pytest.raises(UsageError, match=r"damaged and cannot be set aside \(Not a directory\)"):
        checkpoint.restore(pipeline)


@contextmanager
def no_room() -> Iterator[None]:
    """No file may get longer than a byte, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_without_room_the_one_before_stays_and_the_replay_goes_on(
    checkpoint: Checkpoint, pipeline: Pipeline, tmp_path: Path
) -> None:
    await checkpoint.save(ResumePoint(0, 41), pipeline)
    with capture_logs() as events, no_room():
        await checkpoint.save(ResumePoint(0, 82), pipeline)
    assert [(event["log_level"], event["reason"]) for event in events] == [
        ("error", "File too large")
    ]
    assert checkpoint.restore(pipeline) == ResumePoint(0, 41)
    assert not list(tmp_path.glob("*.new"))
