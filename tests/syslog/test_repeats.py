"""A model of senders that repeat what was not acknowledged, against what is counted."""

from hypothesis import given
from hypothesis import strategies as st

from mailingest.syslog import repeats as module
from mailingest.syslog.repeats import Repeats

KEY = b"the same host, second, program, process id and text"
PEER = "192.0.2.1"


def numbers(*frames: tuple[int, bytes], peer: str = PEER) -> list[int]:
    repeats = Repeats()
    return [repeats.occurrence(KEY, peer, stream, frame) for stream, frame in frames]


def test_another_fraction_of_the_second_is_another_line() -> None:
    assert numbers((1, b".1"), (1, b".2"), (2, b".3")) == [0, 1, 2]


def test_what_comes_again_over_another_connection_is_the_line_that_it_was() -> None:
    assert numbers((1, b".1"), (1, b".2"), (2, b".2"), (2, b".3"), (3, b".2")) == [0, 1, 1, 2, 1]


def test_the_same_bytes_over_one_connection_are_counted() -> None:
    assert numbers((1, b"x"), (1, b"x"), (2, b"x"), (2, b"x"), (2, b"x")) == [0, 1, 0, 1, 2]


def test_with_microseconds_the_same_bytes_are_one_line_also_over_one_connection() -> None:
    first, second = (b"<22>2026-11-24T14:41:13.12345%d+00:00 mx1 x: y" % n for n in (6, 7))
    assert numbers((1, first), (1, second), (2, second), (2, second), (2, first)) == [0, 1, 1, 1, 0]


def test_milliseconds_are_not_enough_for_that() -> None:
    frame = b"<22>2026-11-24T14:41:13.123+00:00 mx1 x: y"
    assert numbers((1, frame), (1, frame), (2, frame)) == [0, 1, 0]


def test_two_connections_at_a_time_do_not_disturb_each_other() -> None:
    assert numbers((1, b"x"), (2, b"x"), (1, b"x"), (2, b"x")) == [0, 0, 1, 1]


def test_what_comes_another_way_is_counted_by_itself() -> None:
    repeats = Repeats()
    assert repeats.occurrence(KEY, PEER, 1, b"<22>x.1") == 0
    assert repeats.occurrence(KEY, PEER, 1, b"<22>x.2") == 1
    assert repeats.occurrence(KEY, "192.0.2.2", 2, b"<22>relayed x.1") == 0


def test_a_file_that_filebeat_reads_again_has_the_same_lines() -> None:
    first = b'{"@timestamp":"%s","message":"x","log":{"offset":%d,"file":{"path":"/a"}}}'
    assert numbers(
        (1, first % (b"2026-11-24T14:41:13.123Z", 100)),
        (1, first % (b"2026-11-24T14:41:13.123Z", 200)),
        (2, first % (b"2026-11-24T14:55:00.000Z", 200)),
        (2, first % (b"2026-11-24T14:55:00.000Z", 300)),
    ) == [0, 1, 1, 2]


def test_a_sender_that_repeats_one_line_for_ever_takes_a_bounded_memory() -> None:
    repeats = Repeats()
    most = module._MOST_OF_A_LINE
    found = [repeats.occurrence(KEY, PEER, 1, b"x") for _ in range(3 * most)]
    assert found == [*range(3 * most)]
    (values,) = repeats._recent.values()
    assert not isinstance(values, tuple)
    assert sum(map(len, values.places.values())) <= most


@given(
    st.lists(st.integers(0, 3), max_size=30),
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.booleans()), max_size=6),
)
def test_whatever_breaks_each_line_is_there_once(
    fractions: list[int], breaks: list[tuple[int, int, bool]]
) -> None:
    """Lines of one second, each with its own fraction; connections break after some of them.

    Of what was sent since the last acknowledgement that arrived, only some were stored.  A crash
    goes on with a snapshot, and with the lines after it.
    """
    lines = [b"%d.%d" % (fraction, number) for number, fraction in enumerate(fractions)]
    repeats = Repeats()
    stored: dict[int, bytes] = {}
    acknowledged = 0
    for stream, (sent, unstored, crashes) in enumerate([*breaks, (len(lines), 0, False)], 1):
        under_way = lines[acknowledged : acknowledged + sent]
        arrived = under_way[: max(0, len(under_way) - unstored)]
        for line in arrived:
            number = repeats.occurrence(KEY, PEER, stream, line)
            assert stored.setdefault(number, line) == line
        # The last acknowledgement may be lost with the connection.
        acknowledged += max(0, len(arrived) - 1) if stream <= len(breaks) else len(arrived)
        if crashes:
            rows = [*repeats.snapshot()]
            repeats = Repeats()
            repeats.restore(rows)
    assert sorted(stored.values()) == sorted(lines[: len(stored)])
    assert [*stored] == [*range(len(stored))]
