"""Root works on the files of the service: the service goes on, and its group may read."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailingest.config import Settings
from mailingest.delivery.deadletters import DeadLetters, read_lines
from mailingest.errors import UsageError
from mailingest.spool.files import make_directory, replace_file
from mailingest.spool.queue import Spool
from mailingest.spool.records import FrameBatch
from mailingest.spool.status import spool_status
from mailingest.stores.criteria import Criteria
from mailingest.stores.protocol import Rejection
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from tests.support.documents import acting_as, document, public_directory

SERVICE, MEMBER, STRANGER = 64_001, 64_002, 64_003
TODAY = "mail-2026.11.24.sqlite"


@pytest.fixture
def state() -> Iterator[Path]:
    """The state directory of the service, as systemd makes it."""
    with public_directory() as parent:
        directory = parent / "state"
        directory.mkdir(mode=0o750)
        os.chown(directory, SERVICE, SERVICE)
        yield directory


async def test_what_root_makes_belongs_to_whom_the_directory_belongs_to(state: Path) -> None:
    before = os.umask(0o077)
    writer = SqliteWriter(state / "mail")
    try:
        await writer.open()
        await writer.write([document(1)])
        DeadLetters(state).write([Rejection(document(2), "400")])
        replace_file(state / "queue-ids", [b"row"])
        make_directory(state / "spool", "state.directory")
        spool = Spool(state / "spool", max_bytes=1 << 30)
        spool.open(None)
        assert spool.append([FrameBatch(1.0, "192.0.2.1", 0, [b"line"])])
        made = [state, *state.rglob("*")]
        assert {f"{TODAY}-wal", f"{TODAY}-shm", "control"} <= {path.name for path in made}
        owners = {path: (path.stat().st_uid, path.stat().st_gid) for path in made}
        modes = {path: path.stat().st_mode & 0o777 for path in made}
        spool.close()
    finally:
        os.umask(before)
        await writer.close()
    assert set(owners.values()) == {(SERVICE, SERVICE)}, owners
    assert set(modes.values()) == {0o750, 0o640}, modes


def test_root_follows_no_link_that_the_service_has_made(state: Path) -> None:
    other = state.parent / "shadow"
    other.write_text("root's")
    (state / "queue-ids.new").symlink_to(other)
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(state / "queue-ids", [b"row"])
    assert other.read_text() == "root's"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644], ids=oct)
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_a_day_of_root_holds_up_only_itself(state: Path, mode: int, suffix: str) -> None:
    with acting_as(SERVICE, SERVICE):
        writer = SqliteWriter(state)
        await writer.open()
        await writer.write([document(1), document(2, day="2026.11.25")])
        kept = {path.name: path.read_bytes() for path in state.iterdir()}
        await writer.close()
    for name, content in kept.items():  # as if it had been killed
        (state / name).write_bytes(content)
        os.chown(state / name, SERVICE, SERVICE)
    broken = state / f"{TODAY}{suffix}"
    os.chown(broken, 0, 0)
    broken.chmod(mode)
    writer = SqliteWriter(state)
    for _ in range(2):
        with acting_as(SERVICE, SERVICE):
            await writer.open()
            result = await writer.write([document(3), document(4, day="2026.11.25")])
        assert (result.stored, len(result.held), result.retry) == (1, 1, [])
    [held] = result.held
    assert held.document.index == "mail-2026.11.24"
    assert held.reason.startswith(f"{broken} belongs to root, and {SERVICE} may not write to it")
    command = held.reason.partition("as root, ")[2]
    assert command.startswith(f"chown --reference={state} {broken}")
    subprocess.run(command, shell=True, check=True)
    with acting_as(SERVICE, SERVICE):
        result = await writer.write([held.document])
        await writer.close()
    assert (result.stored, result.held) == (1, [])


@pytest.mark.parametrize("when", ["written", "closed", "killed"])
async def test_a_member_of_the_group_may_trace_and_a_stranger_is_told_what_to_do(
    state: Path, when: str
) -> None:
    with acting_as(SERVICE, SERVICE):
        writer = SqliteWriter(state / "mail")
        await writer.open()
        await writer.write([document(1, postfix_queueid="4AB")])
        DeadLetters(state).write([Rejection(document(2), "400")])
        if when == "killed":
            shutil.copytree(state / "mail", state / "copy")
        if when != "written":
            await writer.close()
        if when == "killed":
            shutil.rmtree(state / "mail")
            (state / "copy").rename(state / "mail")
    reader = SqliteReader(state / "mail", "mail")
    with acting_as(MEMBER, SERVICE):
        found = await reader.find(Criteria(), 10)
        assert ([event["number"] for event in found.events], found.gaps) == ([1], [])
        assert len(list(read_lines(state))) == 1
    told = f"{state} belongs to {SERVICE}:{SERVICE}, and {STRANGER} may not read it: "
    told += f"as root, usermod -aG {SERVICE} {STRANGER}, and log in again"
    settings = Settings.model_validate({"state": {"directory": state}})
    with acting_as(STRANGER, STRANGER):
        for ask in (lambda: list(read_lines(state)), lambda: spool_status(settings)):
            with pytest.raises(UsageError) as refused:
                ask()
            assert str(refused.value) == told
        with pytest.raises(UsageError) as refused:
            await reader.find(Criteria(), 10)
        assert str(refused.value) == told
    if when == "written":
        await writer.close()
