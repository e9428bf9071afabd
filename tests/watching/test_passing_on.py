"""What workers see of relays, accounts and unknown lines is noticed as if one had seen it all."""

import json

from mailingest.postfix.event import Event
from mailingest.watching.passing_on import _MOST_SIGHTS, PassingWatch, show
from mailingest.watching.watch import Watch

NOW = 1_795_600_000
DAY = 86_400


def delivery(number: int, outcome: str, seconds: int) -> Event:
    fields = {
        "postfix_relay": "mx.example.net[198.51.100.9]:25",
        "postfix_relay_hostname": "mx.example.net",
        "postfix_to": "bob@example.net",
        "message": outcome,
    }
    return Event(seconds, "mx1", "postfix", "smtp", f"4AB12C{number:05X}", "", fields, type="mail")


def see(watch: Watch, number: int) -> None:
    """A line of each kind, one after the other; all is well, and then nothing is."""
    taken = number < 300
    seconds = NOW + number * 10
    watch.outcome(delivery(number, "", seconds), "sent" if taken else "deferred")
    watch.submitted("ann", 1 if taken else 60, seconds)
    event = Event(seconds, "mx1", "postfix", "smtpd", None, "", {"message": f"odd {number}"})
    watch.line_unmatched(event, float(seconds))


def noticed(watch: Watch) -> list[tuple[str, str]]:
    watch.look(float(NOW + 6000))
    return [(one.kind, one.subject) for one in watch.board.current]


def test_what_two_have_seen_is_noticed_as_one_would() -> None:
    alone, first, second = Watch(), Watch(), PassingWatch()
    for number in range(500):
        see(alone, number)
        see((first, second)[number % 2], number)
        if number % 7 == 0:
            show(first, json.loads(json.dumps(second.take())))
    show(first, second.take())
    assert noticed(first) == noticed(alone) != []
    assert noticed(second) == []


def test_what_is_not_taken_is_bounded_and_counted() -> None:
    watch = PassingWatch()
    for number in range(_MOST_SIGHTS + 10):
        watch.submitted("ann", 1, NOW + number)
    assert watch.not_watched == 10
    assert len(watch.take()) == _MOST_SIGHTS
    assert watch.take() == []
