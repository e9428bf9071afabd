"""Progress on standard error while something takes long."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from rich.progress import Progress

# Seconds; shorter searches are over before anybody wonders.
_PATIENCE: Final = 2.0
_REMARK: Final = "reading through everything takes a while; --since and --until make it shorter"


def progress_bar(*details: str, is_transient: bool = False) -> "Progress":
    """A bar with description, share done, ``details`` and time left; only a terminal shows it.

    ``details`` are format strings of `rich.progress.TextColumn`.  Of a transient bar nothing is
    left at its end.
    """
    # Importing rich takes a tenth of a second.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        # Names of files are not rich's markup.
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        *map(TextColumn, details),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=is_transient,
        disable=not sys.stderr.isatty(),
    )


class SearchProgress:
    """Shows on a terminal which share of a search is done; elsewhere, one line says why it waits.

    It is a `mailingest.stores.protocol.Progress`, and a context manager that takes the bar away
    at its end.  ``patience`` is in seconds from when the search begins to read.
    """

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._began: float | None = None
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, share: float) -> None:
        """Show the share that is done, from 0 to 1, once patience is over."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        if now - self._began < self._patience:
            return
        if self._bar is None:
            self._bar = self._started()
        self._bar.update(self._bar.task_ids[0], completed=share)

    def _started(self) -> "Progress":
        bar = progress_bar(is_transient=True)
        bar.add_task(_REMARK.partition(";")[0], total=1.0)
        bar.start()
        if not sys.stderr.isatty():
            print(f"mailingest: {_REMARK}", file=sys.stderr, flush=True)
        return bar
