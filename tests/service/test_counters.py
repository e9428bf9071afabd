"""Counters: each is declared once, read, and shown; and none is kept that is not."""

import dataclasses
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mailingest.config import Settings
from mailingest.service.counters import COUNTERS, read_counters
from mailingest.service.parts import Parts, build_parts
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.site import LIFE, Site

# Numbers in parts that count nothing.
SETTINGS = {"receive_buffer_got", "mark", "most_hosts", "max_bytes"}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """The parts of a daemon that is not started; it has one input of each kind."""
    return build_parts(Settings.model_validate({"state": {"directory": tmp_path}}))


def kept(part: object) -> Iterator[tuple[object, str]]:
    """Each number that a part, or what it shows of itself, keeps under a public name."""
    names = (
        [field.name for field in dataclasses.fields(part)]
        if dataclasses.is_dataclass(part)
        else list(vars(part))
    )
    for name in names:
        if name.startswith("_") or name in SETTINGS:
            continue
        value = getattr(part, name)
        if type(value) is int:
            yield part, name
        elif type(value).__module__.startswith("mailingest."):
            yield from kept(value)


def counting(parts: Parts) -> Iterator[tuple[object, str]]:
    """Each number that some part of the service keeps."""
    for part in (
        *parts.listeners.inputs,
        parts.intake,
        parts.processor,
        parts.pipeline.counters,
        parts.pipeline.queue_map,
        parts.batcher,
        parts.dead_letters,
    ):
        yield from kept(part)


def numbers(values: Mapping[str, object]) -> int:
    """The bits of all numbers."""
    bits = 0
    for value in values.values():
        if isinstance(value, int):
            bits |= value
    return bits


def test_each_has_a_name_of_its_own_and_a_meaning() -> None:
    names = [counter.name for counter in COUNTERS]
    assert len(set(names)) == len(names)
    assert all(counter.help for counter in COUNTERS)


def test_the_kind_says_what_the_value_is(parts: Parts) -> None:
    values = read_counters(parts)
    for counter in COUNTERS:
        value = values[counter.name]
        if counter.kind == "state":
            assert value is None or isinstance(value, str)
        else:
            assert isinstance(value, int | float | dict)


def test_what_inputs_count_is_declared(parts: Parts) -> None:
    declared = {counter.name for counter in COUNTERS}
    assert len(parts.listeners.inputs) == 2
    for one in parts.listeners.inputs:
        assert one.counters().keys() <= declared


def test_every_number_that_a_part_keeps_is_shown(parts: Parts) -> None:
    places = list(counting(parts))
    assert len(places) > 25
    for number, (part, name) in enumerate(places):
        # Each has a bit of its own, so that sums show what is in them.
        setattr(part, name, 1 << number)
    shown = numbers(read_counters(parts))
    hidden = [
        f"{type(part).__name__}.{name}"
        for number, (part, name) in enumerate(places)
        if not shown >> number & 1
    ]
    assert hidden == []


def test_they_are_in_the_log_and_in_the_status_of_the_spool(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with Daemon(site.config) as daemon:
        with socket.create_connection(("127.0.0.1", site.tcp)) as connection:
            connection.sendall("\n\n{}\n\n{}\n{}".format(*LIFE[:3]).encode())
        site.send_udp(*LIFE[3:])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"\r\n", ("127.0.0.1", site.udp))
        wait_until(lambda: site.count_stored() == 5, "all is stored")

        def status(*options: str) -> str:
            command = [sys.executable, "-m", "mailingest", "spool", "status", *options]
            done = subprocess.run(
                [*command, "--config", str(site.config)], capture_output=True, text=True, check=True
            )
            return done.stdout

        wait_until(
            lambda: json.loads(status("--json"))["counters"]["documents_stored"] == 5,
            "the state file has it",
        )
        shown = json.loads(status("--json"))["counters"]
        for_people = status()
    logged = site.counters(daemon.log)
    assert [name for name in logged if name in {counter.name for counter in COUNTERS}] == [
        counter.name for counter in COUNTERS
    ]
    for counters in (shown, logged):
        expected = {
            "datagrams_received": 3,
            "datagrams_empty": 1,
            "connections_accepted": 1,
            "connections_failed": 0,
            "frames_streamed": 3,
            "frames_skipped": 3,
            "frames_unterminated": 1,
            "frames_received": 5,
            "documents_made": 5,
            "documents_stored": 5,
            "documents_held": 0,
            "spool_full": None,
        }
        assert {name: counters[name] for name in expected} == expected
        assert counters["batches_written"] != 0
    # The state file has one size, and so none of those by tag.
    assert [*shown] == [
        counter.name for counter in COUNTERS if not counter.labels and counter.kind != "histogram"
    ]
    for name in shown:
        assert f"\n{name} " in for_people
    assert f"documents_stored {5:>27}" in for_people
    assert json.loads(status("--json"))["counters"] is None
