"""SMTP sessions whose lines are displaced -> what the numbers of mails and commands tell.  Pure."""

from collections.abc import Sequence
from typing import NamedTuple, Self

from mailingest.stores.events import StoredEvent
from mailingest.trace.facts import Queue, Refusal
from mailingest.trace.lines import is_hold
from mailingest.trace.session_lines import (
    SessionLine,
    accepted_commands,
    break_off,
    completed_mails,
    counts_commands,
    intend,
    is_same_recipient,
    never_came,
    was_waiting,
)


def settle_by_numbers(lines: Sequence[SessionLine]) -> None:
    """Write into mails and refusals what the numbers leave no choice about.

    ``lines`` are those of one process and client whose order proves nothing.
    """
    kinds = [line.kind for line in lines]
    is_whole = kinds.count("begin") == kinds.count("end")
    every = {id(line.queue): line.queue for line in lines if line.queue is not None}.values()
    # What was refused in the end is counted as begun.
    accepted = [queue for queue in every if not queue.is_not_taken]
    intents = [line.intent for line in lines if line.intent is not None]
    intents = [one for one in _each_once(intents) if not _is_of_released(one, accepted)]
    undecided = [queue for queue in accepted if queue.is_undecided]
    plain = [queue for queue in undecided if not queue.intents]
    intended = [queue for queue in undecided if queue.intents]
    ends = _Ends.of(lines, len(every) - len(accepted))
    incomplete = ends.incomplete(accepted, undecided) if is_whole else None
    # What smtpd discards, cleanup never sees: the mail has no line about its Message-ID.
    has_holds = any(is_hold(intent.event) for intent in intents)
    seen = [queue for queue in plain if queue.message_id and not has_holds]
    if is_whole and intents and ends.last and len(seen) <= ends.most_missing:
        break_off(seen, ends.last)
        undecided = [queue for queue in undecided if queue.is_undecided]
        plain = [queue for queue in plain if queue.is_undecided]
        incomplete = None if incomplete is None else incomplete - len(seen)
    if incomplete == len(undecided) and undecided and ends.last:
        intend(undecided, intents)
        break_off(undecided, ends.last)
        return
    if intents:
        if not undecided:
            refused = [line.event for line in lines if line.kind == "refused"]
            for intent in intents:
                intent.is_overruled = any(is_same_recipient(intent.event, one) for one in refused)
            if is_whole and ends.are_counted and ends.completed <= len(accepted):
                never_came(intents, ends.last[0])
        elif incomplete == 0 and _is_one_choice(plain or undecided, intents):
            intend(plain or undecided, intents)
    elif is_whole and ends.last and len(plain) <= ends.most_missing:
        break_off(plain, ends.last)
        incomplete = None if incomplete is None else incomplete - len(plain)
    for queue in intended:
        queue.is_doubtful = incomplete is None or incomplete > 0


class _Ends(NamedTuple):
    """What the ends of one or more sessions say of their mails."""

    ends: Sequence[StoredEvent]
    lost: Sequence[StoredEvent]
    not_taken: int

    @classmethod
    def of(cls, lines: Sequence[SessionLine], not_taken: int) -> Self:
        return cls(
            [line.event for line in lines if line.kind == "end"],
            [line.event for line in lines if line.kind == "lost"],
            not_taken,
        )

    @property
    def last(self) -> Sequence[StoredEvent]:
        """The line that proves that a mail was not complete; empty if there is none."""
        return (self.lost or self.ends)[-1:]

    @property
    def are_counted(self) -> bool:
        return bool(self.ends) and all(map(counts_commands, self.ends))

    @property
    def begun(self) -> int:
        """Of how many mails no other line tells that they were refused."""
        return sum(accepted_commands(end, "mail") for end in self.ends) - self.not_taken

    @property
    def completed(self) -> int:
        return sum(map(completed_mails, self.ends))

    @property
    def most_missing(self) -> int:
        """How many mails may have been begun and not completed."""
        return self.begun - self.completed if self.are_counted else len(self.ends or self.lost)

    def incomplete(self, accepted: Sequence[Queue], undecided: Sequence[Queue]) -> int | None:
        """How many of the mails that got a queue ID were not completed; None in doubt."""
        if not self.are_counted:
            return 0 if self.ends and not self.lost else None
        completed = self.completed
        if completed <= len(accepted) - len(undecided):
            return len(undecided)
        if not self.most_missing:
            return 0
        # Others may have lines that are not here.
        are_all = len(accepted) >= self.begun or not self.lost
        return max(0, len(accepted) - completed) if are_all else None


def _each_once(intents: Sequence[Refusal]) -> list[Refusal]:
    """Without those whose line came twice, which are told by the first."""
    first: dict[object, Refusal] = {}
    for intent in intents:
        line = (intent.event.get("message"), intent.event["@timestamp"])
        intent.is_told |= first.setdefault(line, intent) is not intent
    return list(first.values())


def _is_of_released(intent: Refusal, accepted: Sequence[Queue]) -> bool:
    """Whether a mail that was to be held is one that an operator released; it is then told so."""
    fit = [
        queue
        for queue in accepted
        if queue.sender == intent.sender and not queue.intents and was_waiting(queue)
    ]
    if len(fit) == 1 and is_hold(intent.event):
        intend(fit, [intent])
    return intent.is_told


def _is_one_choice(queues: Sequence[Queue], intents: Sequence[Refusal]) -> bool:
    """Whether there is one way only for intentions to be about all of some mails."""
    are_alike = len({(one.action, one.sender, one.recipient) for one in intents}) == 1
    return len(queues) == 1 or (0 < len(queues) <= len(intents) and are_alike)
