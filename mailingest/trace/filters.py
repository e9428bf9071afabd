"""What filters say under IDs of their own -> the mails and recipients that it is about.  Pure.

A filter behind Postfix names its ID in its reply to the delivery (pmg-smtp-filter of the Proxmox
Mail Gateway: ``250 2.5.0 OK (ID)``), one before the queue in that to smtpd (``proxy-accept``).
"""

from collections import defaultdict
from typing import Final

from mailingest.postfix.names import (
    CLIENT_HOSTNAME,
    CLIENT_IP,
    FILTER_ACTIONS,
    REMOTE_QUEUE_ID,
    SENDER,
)
from mailingest.stores.events import StoredEvent
from mailingest.trace.facts import Attempt, Facts, FilterLine, Queue, Refusal

# How the words begin by which filters say that they threw a mail away.
_THROWN_AWAY: Final = ("block", "quarantine", "discard", "drop", "delete")
# Those by which they say that a mail goes on, among several.
_GOES_ON: Final = ("deliver", "forward", "bounce", "accept")
_OF_THE_MAIL: Final = (SENDER, CLIENT_HOSTNAME, CLIENT_IP)


class FilterIds:
    """The lines of filters by the IDs that these gave to mails."""

    def __init__(self, facts: Facts) -> None:
        self._lines: dict[str, list[FilterLine]] = defaultdict(list)
        self._thrown_away: dict[tuple[str, str], FilterLine] = {}
        for line in facts.filter_lines:
            if line.filter_id is not None:
                self._lines[line.filter_id].append(line)
                if line.recipient and _is_thrown_away(line):
                    self._thrown_away.setdefault((line.filter_id, line.recipient.lower()), line)

    def attach(self, facts: Facts) -> None:
        """Make the lines that name no queue ID a part of the mails that they are about."""
        for filter_id, queue in (self._givers(facts) | self._takers(facts)).items():
            known = set(map(id, queue.events))
            for line in self._lines[filter_id]:
                if not _names_a_mail(line) and id(line.event) not in known:
                    queue.events.append(line.event)

    def thrown_away_before_the_queue(self, facts: Facts) -> list[Refusal]:
        """Recipients that a filter threw the mail away for, which smtpd had taken it for.

        smtpd's line about the filter's reply names the sender and one recipient.
        """
        takers = self._takers(facts)
        found = []
        for event in facts.proxied:
            of_the_mail = {name: event[name] for name in _OF_THE_MAIL if name in event}
            for line in self._lines.get(event[REMOTE_QUEUE_ID], ()):
                if line.filter_id not in takers and line.recipient and _is_thrown_away(line):
                    found.append(Refusal(None, {**line.event, **of_the_mail}))
        return found

    def thrown_away(self, attempt: Attempt) -> StoredEvent | None:
        """The line that tells that the filter which took a delivery threw the mail away."""
        about = (attempt.remote_queue_id or "", attempt.recipient.lower())
        line = self._thrown_away.get(about)
        return line.event if line is not None else None

    def thrown_away_as_a_whole(self, queue: Queue) -> StoredEvent | None:
        """The line of a filter that took a mail out of the queue, and threw it away for all."""
        for event in queue.events:
            actions = str(event.get(FILTER_ACTIONS, "")).lower().split(",")
            words = [action.strip() for action in actions]
            if any(word.startswith((*_THROWN_AWAY, "store")) for word in words) and not any(
                word.startswith(_GOES_ON) for word in words
            ):
                return event
        return None

    def _takers(self, facts: Facts) -> dict[str, Queue]:
        """The mails that filters took, by the ID in their reply."""
        return {
            attempt.remote_queue_id: queue
            for queue in facts.queues
            for attempt in queue.attempts
            if attempt.remote_queue_id in self._lines
        }

    def _givers(self, facts: Facts) -> dict[str, Queue]:
        """The mails that filters gave back, by the ID that these had for them."""
        by_id = {queue.key.queue_id: queue for queue in facts.queues}
        return {
            filter_id: by_id[line.given_back_as]
            for filter_id, lines in self._lines.items()
            for line in lines
            if line.given_back_as in by_id
        }


def _names_a_mail(line: FilterLine) -> bool:
    return line.queue_id is not None or line.given_back_as is not None


def _is_thrown_away(line: FilterLine) -> bool:
    """Whether a filter says that it threw a mail away, or put it into a quarantine."""
    return line.action.lower().startswith(_THROWN_AWAY)
