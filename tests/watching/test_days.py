"""Each notice comes when it should, and none on ordinary days."""

import pytest

from tests.watching.days import (
    DAY,
    HOUR,
    MONDAY,
    SMART,
    Watched,
    cron1,
    line,
    mail,
    merged,
    mx1,
    out1,
    site,
)

# The tenth day, a Wednesday, at noon: all is known by then, and a weekend was among it.
NOON = MONDAY + 9 * DAY + 12 * HOUR


@pytest.fixture(scope="module")
def days() -> Watched:
    """A site after nine and a half ordinary days."""
    watched = Watched()
    newsletter = mail(MONDAY + DAY + 10 * HOUR, "out1", SMART, user="news", recipients=900)
    watched.feed(merged(site(MONDAY, NOON), newsletter), NOON)
    return watched


@pytest.fixture
def site_at_noon(days: Watched) -> Watched:
    watched = Watched()
    watched.go_on_from(days.pipeline)
    return watched


def test_ordinary_days_are_not_told_of(days: Watched) -> None:
    # Nights, a weekend without people, a host that logs once an hour, a newsletter at first.
    assert days.kinds == [("account_jump", "news")]


def test_a_weekend_and_the_nights_after_it_are_not_told_of(site_at_noon: Watched) -> None:
    end = NOON + 5 * DAY
    site_at_noon.feed(site(NOON, end), end)
    assert site_at_noon.kinds == []


@pytest.mark.parametrize(
    ("host", "hours"), [("mx1", 1.5), ("cron1", 4.5)], ids=["busy", "once an hour"]
)
def test_a_host_that_goes_silent_is_told_of(site_at_noon: Watched, host: str, hours: float) -> None:
    others = {"mx1": mx1, "cron1": cron1}
    del others[host]
    end = NOON + 6 * HOUR
    parts = [make(NOON, end) for make in others.values()]
    site_at_noon.feed(merged(*parts, out1(NOON, end)), NOON + hours * HOUR)
    [notice] = site_at_noon.told
    assert (notice.kind, notice.subject) == ("host_silent", host)
    assert NOON - HOUR <= notice.since <= NOON + 2


def test_a_host_that_logs_again_is_silent_no_more(site_at_noon: Watched) -> None:
    later = NOON + 3 * HOUR
    site_at_noon.feed(merged(out1(NOON, later), cron1(NOON, later)), later)
    assert site_at_noon.kinds == [("host_silent", "mx1")]
    # Also if mailingest begins anew meanwhile, which tells of it again.
    site_at_noon.restart()
    site_at_noon.feed([], later + 60)
    assert site_at_noon.kinds == [("host_silent", "mx1")] * 2
    site_at_noon.feed(mx1(later + 60, later + HOUR), later + HOUR)
    assert [one.subject for one in site_at_noon.ended] == ["mx1"]


def test_a_host_of_people_may_be_silent_on_a_holiday(site_at_noon: Watched) -> None:
    end = NOON + 2 * DAY
    site_at_noon.feed(merged(mx1(NOON, end), cron1(NOON, end)), end)
    assert site_at_noon.kinds == []


def test_a_new_host_is_not_told_of(site_at_noon: Watched) -> None:
    end = NOON + 10 * HOUR
    new = [one for n in range(30) for one in mail(NOON + n * 60, "new1", SMART)]
    site_at_noon.feed(merged(site(NOON, end), new), end)
    assert site_at_noon.kinds == []


def test_an_outage_of_mailingest_is_no_silence(site_at_noon: Watched) -> None:
    site_at_noon.restart()
    up = NOON + 9 * HOUR
    # What senders kept comes all at once, with the times that it has.
    late = [one for one in site(NOON, up) if one[0] < up]
    site_at_noon.feed(late, up, at=up)
    site_at_noon.feed(site(up, up + 3 * HOUR), up + 3 * HOUR)
    assert site_at_noon.kinds == []


def test_lines_of_a_spool_are_as_old_as_they_came(site_at_noon: Watched) -> None:
    now = NOON + 5 * HOUR
    site_at_noon.restart()
    for time, text in site(NOON, now):
        site_at_noon.pipeline.feed(text.encode(), time, "192.0.2.1")
    site_at_noon.tick(now)
    assert site_at_noon.kinds == []


def test_a_relay_that_defers_everything_is_told_of(site_at_noon: Watched) -> None:
    end = NOON + 2 * HOUR
    site_at_noon.feed(
        merged(mx1(NOON, end), cron1(NOON, end), out1(NOON, end, status="deferred")), end
    )
    assert site_at_noon.kinds == [("relay_defers", "smart.example from out1")]
    site_at_noon.feed(site(end, end + HOUR), end + HOUR)
    assert [one.kind for one in site_at_noon.ended] == ["relay_defers"]


def test_a_destination_that_is_dead_among_others_is_not_told_of(site_at_noon: Watched) -> None:
    end = NOON + 5 * HOUR
    dead = [
        one
        for n in range(100)
        for one in mail(NOON + n * 150, "out1", "dead.example[192.0.2.66]:25", status="deferred")
    ]
    before = [
        one for n in range(9) for one in mail(NOON + n, "out1", "dead.example[192.0.2.66]:25")
    ]
    site_at_noon.feed(merged(site(NOON, end), before, dead), end)
    assert site_at_noon.kinds == []


def test_a_host_whose_deliveries_are_all_deferred_is_told_of(site_at_noon: Watched) -> None:
    end = NOON + HOUR
    no_dns = [
        one
        for n in range(40)
        for one in mail(
            NOON + n * 60, "out1", "?", to=f"bob@site{n % 12}.example", status="deferred"
        )
    ]
    site_at_noon.feed(merged(mx1(NOON, end), cron1(NOON, end), no_dns), end)
    assert site_at_noon.kinds == [("relay_defers", "all deliveries from out1")]


def test_a_short_trouble_of_a_relay_is_not_told_of(site_at_noon: Watched) -> None:
    end = NOON + HOUR
    short = [
        one
        for n in range(50)
        for one in mail(NOON + 60 + n * 10, "out1", SMART, user="user1", status="deferred")
    ]
    site_at_noon.feed(merged(site(NOON, end), short), end)
    assert site_at_noon.kinds == []


def test_one_mail_that_is_tried_again_and_again_is_one(site_at_noon: Watched) -> None:
    [*_, (_, attempt)] = mail(NOON, "out1", SMART, status="deferred")
    text = attempt.partition(" postfix/smtp[7]: ")[2]
    tries = [line(NOON + n * 300, "out1", "smtp", text) for n in range(40)]
    end = NOON + 4 * HOUR
    site_at_noon.feed(merged(mx1(NOON, end), tries), NOON + 3 * HOUR)
    assert "relay_defers" not in [one.kind for one in site_at_noon.told]


def test_an_account_that_sends_far_more_than_ever_is_told_of(site_at_noon: Watched) -> None:
    end = NOON + HOUR
    spam = [
        one
        for n in range(60)
        for one in mail(NOON + n * 30, "out1", SMART, user="user3", recipients=20)
    ]
    site_at_noon.feed(merged(site(NOON, end), spam), end)
    [notice] = site_at_noon.told
    assert (notice.kind, notice.subject) == ("account_jump", "user3")
    assert "recipients in an hour" in notice.detail
    later = NOON + 2 * DAY
    site_at_noon.feed(site(end, later), later)
    assert [one.kind for one in site_at_noon.ended] == ["account_jump"]


def test_a_newsletter_of_a_usual_sender_is_not_told_of(site_at_noon: Watched) -> None:
    end = NOON + HOUR
    again = mail(NOON + 60, "out1", SMART, user="news", recipients=1500)
    site_at_noon.feed(merged(site(NOON, end), again), end)
    assert site_at_noon.kinds == []


def test_an_attempt_is_no_mail_of_an_account(site_at_noon: Watched) -> None:
    big = mail(NOON, "out1", SMART, user="user2", recipients=60, status="deferred")
    active = next(text.partition(": ")[2] for _, text in big if "queue active" in text)
    tries = [line(NOON + 60 * n, "out1", "qmgr", active) for n in range(1, 30)]
    site_at_noon.feed(merged(site(NOON, NOON + HOUR), big, tries), NOON + HOUR)
    assert site_at_noon.kinds == []


def test_lines_of_a_new_shape_are_told_of(site_at_noon: Watched) -> None:
    end = NOON + HOUR
    new = [
        line(NOON + n, "mx1", "smtpd", f"frobnication of {n} entries by host{n}.example done")
        for n in range(12)
    ]
    site_at_noon.feed(merged(site(NOON, end), new), end)
    [notice] = site_at_noon.told
    assert (notice.kind, notice.subject) == ("unmatched_new", "postfix/smtpd")
    assert notice.detail == (
        "12 lines of 1 new shapes, most of them: frobnication of NUMBER entries by HOST done"
    )


def test_a_few_odd_lines_are_not_told_of(site_at_noon: Watched) -> None:
    end = NOON + HOUR
    few = [line(NOON + n, "mx1", "smtpd", f"{'odd ' * n}things happen") for n in range(9)]
    site_at_noon.feed(merged(site(NOON, end), few), end)
    assert site_at_noon.kinds == []


def test_a_clock_that_is_off_is_told_of_until_it_is_right(site_at_noon: Watched) -> None:
    end = NOON + HOUR
    wrong = [
        (NOON + n, line(NOON + n + 2 * HOUR, "mx1", "qmgr", f"A{n}: removed")[1]) for n in range(9)
    ]
    site_at_noon.feed(merged(site(NOON, end), wrong), end)
    [notice] = site_at_noon.told
    assert (notice.kind, notice.subject) == ("clock_off", "mx1")
    assert notice.detail == "lines are dated 2 h ahead of their arrival"
    site_at_noon.feed(site(end, end + 2 * HOUR), end + 2 * HOUR)
    assert [one.kind for one in site_at_noon.ended] == ["clock_off"]


def test_a_restart_knows_what_was_known(site_at_noon: Watched) -> None:
    before = list(site_at_noon.pipeline.watch.snapshot())
    site_at_noon.restart()
    assert list(site_at_noon.pipeline.watch.snapshot()) == before
