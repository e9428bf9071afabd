"""Whether the service can take lines, and if not, why."""

from dataclasses import dataclass

from mailingest.spool.queue import Spool


@dataclass(slots=True)
class Readiness:
    """``phase`` says what the daemon does; only one that is ``serving`` takes lines."""

    spool: Spool
    phase: str = "starting"

    @property
    def reasons(self) -> list[str]:
        """Why it takes no lines now; empty if it does.

        That the store is away is no reason as long as the spool has room: lines are safe there.
        """
        reasons = []
        if self.phase != "serving":
            reasons.append(f"mailingest is {self.phase}")
        if self.spool.full is not None:
            reasons.append(f"the spool is full: {self.spool.full}")
        return reasons
