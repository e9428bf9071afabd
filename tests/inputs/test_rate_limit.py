import pytest

from mailingest.inputs import rate_limit as module
from mailingest.inputs.rate_limit import OverLimit, RateLimit, Telling, sender_of
from tests.support.lab.polling import until


@pytest.mark.parametrize(
    ("peer", "sender"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1", "fe80::/64"),
    ],
)
def test_a_sender_is_an_address_or_a_network_of_64_bits(peer: str, sender: str) -> None:
    assert sender_of(peer) == sender


def test_a_sender_may_send_its_burst_and_then_its_rate() -> None:
    limit = RateLimit(10.0, 3)
    assert [limit.admits("192.0.2.7", 100.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert limit.admits("192.0.2.8", 100.0)
    assert [limit.admits("192.0.2.7", 100.25) for _ in range(4)] == [True, True, False, False]
    assert [limit.admits("192.0.2.7", 999.0) for _ in range(5)] == [True] * 3 + [False] * 2


def test_whoever_can_wait_waits_until_its_rate_is_kept() -> None:
    limit = RateLimit(10.0, 30)
    assert limit.delay("2001:db8::1", 30, 100.0) == 0.0
    assert limit.delay("2001:db8::2", 20, 100.0) == pytest.approx(2.0)
    assert limit.delay("2001:db8::1", 0, 101.0) == pytest.approx(1.0)
    assert limit.delay("2001:db8::1", 10, 103.0) == 0.0


def test_made_up_senders_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SENDERS", 100)
    limit = RateLimit(1.0, 1)
    for number in range(1000):
        limit.admits(f"2001:db8:0:{number:x}::1", 0.0)
        limit.admits("192.0.2.7", 0.0)
    assert len(limit._left) == 100
    assert len(limit._senders) <= 100
    # One that is seen all the while is not forgotten for them.
    assert not limit.admits("192.0.2.7", 0.0)


def test_the_worst_are_named_and_the_rest_are_counted_together() -> None:
    over = OverLimit()
    for number in range(300):
        over.count(f"192.0.2.{number}")
    for _ in range(5):
        over.count("192.0.2.3")
    told = over.take(3)
    assert told == {"others": 200, "192.0.2.3": 6, "192.0.2.0": 1}
    assert over.take() == {}


async def test_it_is_told_of_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TELL_SECONDS", 0.0)
    told: list[dict[str, int]] = []
    telling = Telling(told.append)
    for _ in range(3):
        telling.count("192.0.2.1")
    await until(lambda: told)
    telling.count("192.0.2.2")
    await until(lambda: told[1:])
    telling.end()
    assert told == [{"192.0.2.1": 3}, {"192.0.2.2": 1}]
