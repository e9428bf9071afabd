"""What an answer adds to its verdict, or says instead of it where a line is missing.  Pure.

A note has a code, by which pages find their own words, and values; `TEXTS` has it in English.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

NoteCode = Literal[
    "being_tried",
    "no_end",
    "only_an_operator",
    "not_told_anew",
    "out_of_order",
    "no_recipient",
    "undecided",
    "circle",
    "forwarded",
    "passed_on",
    "no_recipient_end",
    "passed_over",
    "silent",
    "on_hold",
    "to_be_held",
    "to_be_discarded",
    "sender_untold",
    "nobody_told",
    "untold",
    "taken_away",
    "not_there",
]

TEXTS: Final[Mapping[NoteCode, str]] = {
    "being_tried": "no line tells yet how the try ended that has begun",
    "no_end": (
        "it was tried, and no line tells how that ended: it may still be in the queue or not"
    ),
    "only_an_operator": (
        "its queue file is damaged and kept aside (corrupt): only an operator can help"
    ),
    "not_told_anew": "requeued, and no line tells the new queue ID",
    "out_of_order": "its lines are out of order: whether it was taken is not told",
    "no_recipient": "removed, but no line tells of any recipient",
    "undecided": "the lines end before anything was decided",
    "circle": "the mail goes round in a circle",
    "forwarded": "forwarded, but no line tells of the new queue ID",
    "passed_on": "passed on within this system, and no line tells how it went on",
    "no_recipient_end": "removed, but no line tells how it ended for this recipient",
    "passed_over": "others were tried again, and no line tells of this recipient",
    "silent": (
        "it should have been tried again, but no line tells of it since {since}: an operator may "
        "have deleted all mail (postsuper -d ALL)"
    ),
    "on_hold": "on hold since {since}; no later line says that it was released or deleted",
    "to_be_held": "it was to be held, and no line tells whether it was taken",
    "to_be_discarded": "it was to be discarded, and no line tells whether it was taken",
    "sender_untold": (
        "it cannot be delivered; the sender could not be told yet, and the mail stays queued"
    ),
    "nobody_told": "it cannot be delivered, and nobody is told: it is a notification itself",
    "untold": "no line tells what became of it",
    "taken_away": "no line tells of {count} more recipients; a milter may have taken them away",
    "not_there": "no line of {queue_id} tells of this recipient",
}


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on an answer; ``values`` are those that its text names."""

    code: NoteCode
    values: Mapping[str, datetime | int | str] = field(default_factory=dict)

    def in_words(self, shown: Callable[[datetime], str]) -> str:
        """In English; ``shown`` writes a time."""
        return TEXTS[self.code].format(**self.shown(shown))

    def shown(self, shown: Callable[[datetime], str]) -> dict[str, str]:
        """The values as text."""
        return {
            name: shown(value) if isinstance(value, datetime) else str(value)
            for name, value in self.values.items()
        }
