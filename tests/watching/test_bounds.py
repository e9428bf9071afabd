"""Whatever lines say, what is watched stays within its bounds, and what does not fit is counted."""

import tracemalloc
from collections.abc import Callable

import pytest

from mailingest.watching.accounts import MOST_ACCOUNTS
from mailingest.watching.hosts import MOST_HOSTS, SLOT_SECONDS
from mailingest.watching.notices import MOST_OF_A_KIND, Notice, NoticeBoard
from mailingest.watching.relays import MOST_RELAYS
from mailingest.watching.unmatched import MOST_KNOWN, MOST_NEW
from mailingest.watching.watch import Watch
from tests.watching.days import DAY, MONDAY

LONG = "x" * 60_000


def hosts(watch: Watch, number: int) -> None:
    watch.hosts.add(f"host{number}", MONDAY)


def hosts_with_long_names(watch: Watch, number: int) -> None:
    watch.hosts.add(f"{LONG}{number}", MONDAY)


def accounts(watch: Watch, number: int) -> None:
    watch.accounts.feed(f"{number}{LONG}", 1, int(MONDAY))


def relays(watch: Watch, number: int) -> None:
    fields = {"postfix_relay_hostname": f"{number}{LONG}", "postfix_to": "a@example.com"}
    watch.relays.feed(f"mx{number % 9}", "A", "sent", fields, int(MONDAY))


def relays_of_long_names(watch: Watch, number: int) -> None:
    fields = {"postfix_relay_hostname": "a.example"}
    watch.relays.feed(f"{LONG}{number}", "A", "sent", fields, int(MONDAY))


def shapes(watch: Watch, number: int) -> None:
    words = "".join(chr(97 + int(digit)) for digit in str(number))
    later = DAY * 2 if number > MOST_KNOWN else 0
    watch.unmatched.feed(LONG, f"odd {words}", MONDAY + later + number)


@pytest.mark.parametrize(
    "make",
    [hosts, hosts_with_long_names, accounts, relays, relays_of_long_names, shapes],
    ids=lambda make: make.__name__,
)
def test_made_up_names_do_not_fill_the_memory(make: Callable[[Watch, int], None]) -> None:
    watch, count = Watch(), 21_000 if make is accounts else 9_000
    tracemalloc.start()
    try:
        for number in range(count):
            make(watch, number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 20 * 1024 * 1024
    assert len(watch.hosts.last_line) <= MOST_HOSTS
    assert len(watch.relays) <= MOST_RELAYS
    assert len(watch.accounts) <= MOST_ACCOUNTS
    assert len(watch.unmatched) <= MOST_KNOWN + MOST_NEW
    assert make in (shapes, relays) or watch.not_watched >= 1000
    assert sum(map(len, watch.snapshot())) < 20 * 1024 * 1024


def test_hosts_that_somebody_made_up_make_room_for_real_ones() -> None:
    watch = Watch()
    watch.advance(MONDAY)
    for slot in range(3):
        watch.hosts.add("mx1", MONDAY) if not slot else None
        watch.hosts.last_line["mx1"] = MONDAY + slot * SLOT_SECONDS
        for number in range(MOST_HOSTS if not slot else 0):
            hosts(watch, number)
        watch.advance(MONDAY + (slot + 1) * SLOT_SECONDS)
    assert set(watch.hosts.last_line) == {"mx1"}


def test_of_many_notices_the_ones_that_began_first_are_told() -> None:
    board = NoticeBoard()
    board.update(Notice("host_silent", f"mx{number}", number, "") for number in range(500, 0, -1))
    assert [one.subject for one in board.current] == [f"mx{n}" for n in range(1, 51)]
    assert board.count("host_silent") == board.begun["host_silent"] == MOST_OF_A_KIND
    board.update([])
    assert board.current == []
    assert len(board.take()) == 2 * MOST_OF_A_KIND
