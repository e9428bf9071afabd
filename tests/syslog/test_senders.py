"""Hosts whose tags arrive cut, or whose clock is far off, are told of once."""

from collections.abc import Iterable

import pytest

from mailingest.syslog.records import Record
from mailingest.syslog.senders import Notice, Senders
from mailingest.syslog.timestamps import moment_of

ARRIVED = 1_795_600_000.0
HOUR = 3600.0


def record(offset: float, *, program: str = "postfix/smtp", host: str = "mx1") -> Record:
    return Record(moment_of(ARRIVED + offset), host, program, "1", "text", "text")


def notices(lines: Iterable[tuple[float, float]], host: str = "mx1") -> list[Notice]:
    """Of lines that arrive at a second, and are dated an offset from it."""
    senders = Senders()
    for second, offset in lines:
        senders.feed(record(second + offset, host=host), ARRIVED + second)
    return senders.take()


@pytest.mark.parametrize(
    ("program", "is_cut"),
    [
        ("postfix", True),
        ("postfix-internal", True),
        ("postfix/smtp", False),
        ("postfixadmin", False),
        ("dovecot", False),
        ("", False),
    ],
)
def test_a_cut_tag_is_told_once(program: str, is_cut: bool) -> None:
    senders = Senders()
    for _ in range(3):
        senders.feed(record(0, program=program), ARRIVED)
    assert senders.take() == ([Notice("mx1", "tags_cut")] if is_cut else [])
    assert senders.take() == []
    assert senders.cut == ({"mx1"} if is_cut else set())
    senders.feed(record(0, program=program, host="mx2"), ARRIVED)
    assert [one.host for one in senders.take()] == (["mx2"] if is_cut else [])


def test_lines_from_the_future_are_told_soon() -> None:
    assert notices((second, 2 * HOUR) for second in range(3)) == [
        Notice("mx1", "clock_off", 2 * HOUR)
    ]
    assert notices((second, 2 * HOUR) for second in range(2)) == []


def test_lines_that_stay_behind_are_told_after_a_while() -> None:
    [told] = notices((10.0 * number, -HOUR) for number in range(40))
    assert (told.kind, told.offset) == ("clock_off", -HOUR)
    assert notices((10.0 * number, -HOUR) for number in range(25)) == []


def test_a_queue_that_is_sent_late_is_no_wrong_clock() -> None:
    assert notices((10.0 * number, -3 * HOUR + 100 * number) for number in range(100)) == []


def test_a_few_minutes_are_nothing() -> None:
    assert notices((second, 600.0) for second in range(100)) == []
    assert notices((second, -2000.0) for second in range(1000)) == []


def test_made_up_hosts_do_not_fill_the_memory() -> None:
    senders = Senders()
    for number in range(10_000):
        senders.feed(record(HOUR, host=f"h{number}", program="postfix"), ARRIVED)
    assert len(senders.cut) == len(senders.take()) == 4096
