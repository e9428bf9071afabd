"""Lines in, lines of JSON out, in order: to try patterns, and to use as a filter."""

from collections.abc import Sequence
from typing import BinaryIO

from mailingest.config import Settings
from mailingest.inputs.rotation import expand
from mailingest.wiring import build_pipeline, first_time


def parse(settings: Settings, arguments: Sequence[str], out: BinaryIO) -> None:
    """Write one JSON object for each line that is not empty.

    Each event comes out at once, so that a delivery line that comes before its qmgr line stays
    without what that one tells.
    """
    pipeline = build_pipeline(settings, live=False, wait=0.0, everything=True)
    for file in expand(arguments, first_time(settings)):
        for batch in file.batches():
            documents = [
                document for line in batch.lines for document in pipeline.feed(line, file.mtime)
            ]
            out.write(b"".join([document.body + b"\n" for document in documents]))
            out.flush()
