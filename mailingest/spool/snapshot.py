"""The snapshot file: what the pipeline knew at a place in the spool, to go on from after the start.

Its first line is that place, the others are the pipeline's.
"""

from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import orjson

from mailingest.logs.logger import log
from mailingest.spool.records import Position

if TYPE_CHECKING:
    from mailingest.pipeline import Pipeline


def position_row(position: Position) -> bytes:
    """The first line of a snapshot: which place in the spool it belongs to."""
    return orjson.dumps([position.bytes, position.frames, _checksum(position)])


def read_position(row: bytes) -> Position:
    """The place that a first line names; raises ValueError or TypeError if it is damaged."""
    place, frames, checksum = orjson.loads(row)
    position = Position(place, frames)
    if checksum != _checksum(position):
        raise ValueError("not as it was written")
    return position


def restore(pipeline: "Pipeline", path: Path) -> Position | None:
    """Give a pipeline its snapshot; returns where to read on in the spool.

    None stands for the beginning.  A damaged snapshot is set aside, and the start goes on.
    """
    try:
        first, *rows = path.read_bytes().splitlines()
        position = read_position(first)
        pipeline.restore(rows)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        log.warning(
            "snapshot is damaged and set aside; mails under way lose their sender",
            path=str(aside),
            reason=str(error),
        )
        return None
    log.info("snapshot restored", path=str(path), queue_ids=len(pipeline.queue_map))
    return position


def _checksum(position: Position) -> int:
    # These words are those of the first snapshots, which are still read.
    return crc32(f"Position(octets={position.bytes}, frames={position.frames})".encode())
