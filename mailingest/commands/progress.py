"""What a user sees on standard error while a search takes long."""

import sys
import time
from types import TracebackType
from typing import Final, Self

# Shorter searches are over before anybody wonders.
_PATIENCE_SECONDS: Final = 2.0
_REMARK: Final = "reading through everything takes a while; --since and --until make it shorter"


class Waiting:
    """Shows the share of a search that is done, on a terminal; elsewhere, one line says why.

    It is the `Progress` of a source, and a context manager, at whose end nothing is left of it.
    ``patience`` is in seconds from when the search begins to read.
    """

    def __init__(self, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._began: float | None = None
        self._bar: _Bar | None = None
        self._is_told = False

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
        """Hear how far it has come."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        if now - self._began < self._patience:
            return
        if not self._is_told:
            self._is_told = True
            if sys.stderr.isatty():
                self._bar = _Bar()
            else:
                print(f"mailingest: {_REMARK}", file=sys.stderr, flush=True)
        if self._bar is not None:
            self._bar.show(share)


class _Bar:
    def __init__(self) -> None:
        # It takes a tenth of a second to import.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(_REMARK.partition(";")[0], total=1.0)
        self._progress.start()

    def show(self, share: float) -> None:
        self._progress.update(self._task, completed=share)

    def stop(self) -> None:
        self._progress.stop()
