"""How far what is read was read: as far as the spool has it, whatever is lost with the process."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mailingest.inputs.protocol import BEGUN
from mailingest.service.readings import SpooledReading
from mailingest.spool.positions import Positions
from mailingest.spool.queue import Spool
from mailingest.spool.records import Position
from mailingest.syslog.sources import Source

SOURCE = Source("mail", "auto")


def opened(directory: Path) -> tuple[Spool, Positions]:
    """Those of a process that starts; the one before is gone without a word."""
    spool = Spool(directory, max_bytes=1 << 20)
    spool.open(Position())
    positions = Positions(directory / "positions", spool, syncs=False)
    positions.open()
    return spool, positions


def reading_of(spool: Spool, positions: Positions) -> SpooledReading:
    reading = SpooledReading(spool, positions, "file mail.log", SOURCE)
    reading.begin()
    return reading


def place(number: int) -> dict[str, int]:
    return {BEGUN: 1, "number": number}


@pytest.mark.parametrize("is_saved", [True, False])
async def test_a_place_is_that_of_the_last_lines_in_the_spool(
    tmp_path: Path, is_saved: bool
) -> None:
    spool, positions = opened(tmp_path)
    reading = reading_of(spool, positions)
    await reading.take([b"a"], place(1))
    if is_saved:
        await positions.save()
    await reading.take([b"b", b"c"], place(2))
    spool.close()
    spool, positions = opened(tmp_path)
    assert positions.of("file mail.log") == place(2)
    assert [batch.frames for batch in iter(spool.take, None)] == [[b"a"], [b"b", b"c"]]
    spool.close()


async def test_who_was_replaced_hands_nothing_on(tmp_path: Path) -> None:
    spool, positions = opened(tmp_path)
    old = reading_of(spool, positions)
    new = reading_of(spool, positions)
    await old.take([b"a"], place(1))
    await new.take([b"a"], place(1))
    assert [batch.frames for batch in iter(spool.take, None)] == [[b"a"]]
    spool.close()


async def test_a_damaged_file_is_told_and_the_spool_is_asked(tmp_path: Path) -> None:
    spool, positions = opened(tmp_path)
    await reading_of(spool, positions).take([b"a"], place(1))
    await positions.save()
    spool.close()
    path = tmp_path / "positions"
    path.write_bytes(path.read_bytes().replace(b"number", b"nubmer"))
    with capture_logs() as log:
        spool, positions = opened(tmp_path)
    assert positions.of("file mail.log") == place(1)
    assert [row["log_level"] for row in log if "positions" in row["event"]] == ["warning"]
    spool.close()
