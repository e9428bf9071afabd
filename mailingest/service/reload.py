"""Another configuration for the service that runs: all of it is tried, then all of it is taken.

What takes long, or may fail, is done beside the service, which goes on with the old one.  The
change itself is one step of the event loop, between two records of the spool: no frame is read half
by the old patterns and half by the new.  What is known of queue IDs, the events that are held,
counters and receipts stay.

After a crash the lines behind the last snapshot are read again, by the configuration of then.
Their ids are the same, unless the time of a line without a zone is read differently; so a snapshot
is taken at once, and that can only be until what is under way is stored.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailingest.config import Settings
from mailingest.config.differences import differences
from mailingest.errors import MailingestError, UsageError
from mailingest.logs.configuration import configure
from mailingest.logs.logger import log
from mailingest.service.changing import Prepared, Prepares
from mailingest.service.descriptors import within_limits
from mailingest.service.intake import plan_inputs
from mailingest.service.listeners import Change
from mailingest.service.parts import Receiving
from mailingest.stores.threads import in_thread

# What the daemon does not take from a reload, and when it counts.
_ELSEWHERE: Final = {
    "metrics.": " (after a restart)",
    "workers": " (after a restart)",
    "web.": " (with SIGHUP to `mailingest web`)",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reload: refused for a reason, or done with these changes."""

    refused: str | None = None
    changes: Sequence[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What the new settings describe, all of it ready to be used."""

    settings: Settings
    prepared: Prepared
    listeners: Change


class Reloader:
    """Reads the configuration again, with ``read``, and has all go on with it.

    ``prepare`` is for what works on lines.  ``settings`` are those in force.
    """

    def __init__(
        self,
        settings: Settings,
        receiving: Receiving,
        prepare: Prepares,
        read: Callable[[], Settings],
    ) -> None:
        self.settings = settings
        self._receiving = receiving
        self._prepare_work = prepare
        self._read = read
        self._one_at_a_time = asyncio.Lock()
        self._is_over = False

    def stop(self) -> None:
        """Refuse whatever comes now: the service is about to end."""
        self._is_over = True

    async def reload(self) -> Outcome:
        """Take the configuration of now, or refuse it; either is logged."""
        async with self._one_at_a_time:
            try:
                candidate = await self._prepare()
                # Nothing is awaited from here on.
            except MailingestError as error:
                log.error(
                    "the configuration is refused, and the one before stays in force",
                    reason=str(error),
                )
                return Outcome(refused=str(error))
            changes = [
                line + next((hint for key, hint in _ELSEWHERE.items() if line.startswith(key)), "")
                for line in differences(self.settings, candidate.settings)
            ]
            if candidate.prepared.patterns_changed:
                changes.append("patterns: the files have changed")
            if candidate.prepared.store_changed and candidate.settings == self.settings:
                changes.append("store: its credentials or certificates have changed")
            self._change(candidate)
            log.info("the configuration is read again", changes=changes)
            return Outcome(changes=changes)

    async def _prepare(self) -> _Candidate:
        settings = await in_thread(self._read)
        if settings.state.directory != self.settings.state.directory:
            raise UsageError(
                f"state.directory: {self.settings.state.directory} is in use, and cannot be "
                "changed without a restart"
            )
        if "kafka" in {settings.store_kind, self.settings.store_kind} and (
            settings.store_kind != self.settings.store_kind
        ):
            # What is on its way would be lines for a store, or documents for workers.
            raise UsageError("kafka.servers: a store is not changed for a topic without a restart")
        settings = within_limits(settings)
        prepared = await self._prepare_work(settings)
        try:
            if self._is_over:
                raise UsageError("the service is stopping")
            receiving = self._receiving
            listeners = receiving.listeners.prepare(plan_inputs(settings, receiving.intake))
        except UsageError:
            await prepared.give_up()
            raise
        return _Candidate(settings, prepared, listeners)

    def _change(self, candidate: _Candidate) -> None:
        """Nothing of this can fail, and nothing waits: no frame comes in between."""
        receiving, settings = self._receiving, candidate.settings
        configure(settings.log)
        receiving.intake.syncs_first = settings.spool.sync == "always"
        receiving.listeners.change(candidate.listeners)
        receiving.spool.limit(settings.spool.max_bytes)
        candidate.prepared.change()
        self.settings = settings
