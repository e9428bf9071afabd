"""Who works on the lines that the daemon has accepted: its own process, or several others."""

import asyncio
from typing import Protocol

from mailingest.config import Settings
from mailingest.service.changing import Prepared
from mailingest.service.chores import Chore
from mailingest.service.parts import Figures


class Work(Protocol):
    """Takes lines from the spool and stores what they become."""

    @property
    def figures(self) -> Figures:
        """How it is."""

    @property
    def unstored(self) -> int:
        """How many frames were taken from the spool and are not stored."""

    def open(self) -> None:
        """Find out what was done before, and open the spool there; raises UsageError."""

    async def begin(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Work in tasks of that group until these are cancelled; it has begun by then."""

    def chores(self) -> list[Chore]:
        """What is to be done beside it as long as lines come in."""

    async def finish(self, end: float) -> None:
        """Store what can be stored until the event loop has that time, and trim the spool."""

    async def close(self) -> None:
        """Let go of all that is open."""

    async def prepare(self, settings: Settings) -> Prepared:
        """Make ready what other settings describe; raises MailingestError."""

    async def reopen(self) -> None:
        """Open files of the store anew, which may have been rotated; raises MailingestError."""

    @property
    def is_alive(self) -> bool:
        """Whether it gets on, as far as a watchdog has to know."""
