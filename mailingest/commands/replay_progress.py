"""How far a replay is: shown on a terminal."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mailingest.commands.progress import progress_bar
from mailingest.inputs.files import LogFile

ShowProgress = Callable[[str, int, int], None]
"""Takes the name of the file that is read, the bytes that were read of all files as they lie on the
disk, and the number of lines."""


@contextmanager
def shown_progress(files: Sequence[LogFile]) -> Iterator[ShowProgress]:
    """Shows how much of files is read, on a terminal only."""
    began = time.monotonic()
    with progress_bar("{task.fields[rate]}") as bar:
        size = sum(file.size_bytes for file in files)
        task = bar.add_task("", total=size or None, rate="")

        def show(name: str, done: int, lines: int) -> None:
            rate = lines / max(time.monotonic() - began, 0.001)
            bar.update(task, description=name, completed=done, rate=f"{rate:,.0f} lines/s")

        yield show
