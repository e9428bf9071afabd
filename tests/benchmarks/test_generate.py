"""The made-up logs of the benchmarks: repeatable, well-formed and with a believable mixture."""

import re
from functools import cache
from itertools import islice

import pytest

from benchmarks.generate import FORMATS, generate, summary

LINES = 60_000
QUEUE_ID = re.compile(rb"^(?:warning: )?([0-9A-F]{11}|[0-9B-Zb-z]{15,16}): (.*)$")
HEADERS = {
    "traditional": re.compile(
        rb"^(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([\w/-]+)(?:\[(\d+)\])?: (.+)$"
    ),
    "iso": re.compile(rb"^([\d-]{10}T[\d:]{8}\.\d{6}\+00:00) (\S+) ([\w/-]+)(?:\[(\d+)\])?: (.+)$"),
    "rfc5424": re.compile(
        rb"^<\d+>1 ([\d-]{10}T[\d:]{8}\.\d{6}\+00:00) (\S+) ([\w/-]+) (\d+|-) - - (.+)$"
    ),
}


@cache
def log(style: str, seed: int = 1) -> tuple[bytes, ...]:
    return tuple(line.removesuffix(b"\n") for line in generate(LINES, seed, style=style))


@pytest.mark.parametrize("style", FORMATS)
def test_each_line_has_the_header_of_its_format_and_a_text(style: str) -> None:
    lines = log(style)
    assert len(lines) == LINES
    assert [line for line in lines if not HEADERS[style].match(line)] == []


def test_the_same_seed_gives_the_same_log_and_another_seed_another() -> None:
    again = list(generate(5_000, 1))
    assert [line.removesuffix(b"\n") for line in again] == list(log("traditional")[:5_000])
    assert again != list(generate(5_000, 2))


def test_a_longer_log_begins_with_the_shorter_one() -> None:
    assert list(islice(generate(10**9, 3), 2_000)) == list(generate(2_000, 3))


@pytest.mark.parametrize("style", ["iso", "rfc5424"])
def test_all_formats_tell_the_same(style: str) -> None:
    def told(style: str) -> list[bytes]:
        matches = (HEADERS[style].match(line) for line in log(style))
        return [match[5] for match in matches if match]

    assert told(style) == told("traditional")


def test_pri_says_warnings_by_their_severity() -> None:
    lines = list(generate(20_000, 1, pri=True))
    warnings = [line for line in lines if re.search(rb"\]: warning: ", line)]
    assert warnings
    assert all(line.startswith(b"<20>") for line in warnings)
    assert {line[:4] for line in lines} == {b"<20>", b"<22>"}


def test_lines_are_in_order_of_time() -> None:
    times = [line[:26] for line in log("iso")]
    assert times == sorted(times)


def test_the_start_can_be_chosen() -> None:
    first = next(generate(1, 1, style="iso", start="2024-02-28T23:59:00+00:00"))
    assert first.startswith(b"2024-02-28T23:59:")


def test_each_queue_id_is_born_before_it_is_used_and_is_silent_after_its_end() -> None:
    alive: set[tuple[bytes, bytes]] = set()
    dead: set[tuple[bytes, bytes]] = set()
    for line in log("traditional"):
        header = HEADERS["traditional"].match(line)
        assert header
        subject = QUEUE_ID.match(header[5])
        if subject is None or not header[3].startswith(b"postfix"):
            continue
        key = (header[2], subject[1])
        text = subject[2]
        assert key not in dead, line
        if text.startswith((b"client=", b"uid=", b"message-id=")):
            alive.add(key)
        assert key in alive, line
        if text == b"removed":
            alive.remove(key)
            dead.add(key)
    # Deferred mail and the last few seconds' mail are still under way at the end.
    assert len(dead) > 4_000
    assert 0 < len(alive) < len(dead) / 10


def test_each_hand_over_inside_names_a_queue_id_that_was_seen() -> None:
    text = b"\n".join(log("traditional"))
    born = set(re.findall(rb": (\w{11,16}): (?:client|message-id)=", text))
    named = set(re.findall(rb"relay=(?:mbox1|127).*queued as (\w+)\)", text))
    named |= set(re.findall(rb"notification: (\w+)", text))
    named |= set(re.findall(rb"forwarded as (\w+)", text))
    assert len(named) > 2_000
    assert named <= born


def test_the_mixture_is_that_of_a_mail_site() -> None:
    count, size, kinds = summary(log("traditional"))
    assert count == LINES
    assert 0.04 < kinds["NOQUEUE reject"] / count < 0.06
    assert 0.05 < kinds["other programs"] / count < 0.08
    assert 140 < size / count < 170
    for kind in ("delivery deferred", "delivery bounced", "expired, bounce, pickup", "statistics"):
        assert kinds[kind] > 0, kind


def test_addresses_are_mostly_new_and_hosts_are_not() -> None:
    text = b"\n".join(log("traditional"))
    senders = re.findall(rb": from=<([^>]+)>, size", text)
    relays = re.findall(rb"connect from ([^ \n]+)", text)
    assert len(set(senders)) > len(senders) / 4
    assert len(set(relays)) < len(relays) / 2


def test_a_few_lines_hold_bytes_beyond_ascii() -> None:
    strange = [line for line in log("traditional") if not line.isascii()]
    assert 0 < len(strange) < LINES / 200
    assert any(b"\xfc" in line for line in strange), "ISO-8859-1"
    assert any("ü".encode() in line for line in strange), "UTF-8"
