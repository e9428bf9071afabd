"""A daemon that passes lines on, with a real broker: what is in the topic, and what is told.

It is what docs/scaling.md says of edges.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Message

from mailingest.delivery.deadletters import read_letters
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import wait_until
from tests.support.servers.kafka import PASSWORD, USER, Broker
from tests.support.site import LIFE, Site, numbered

_numbers = count()


@pytest.fixture
def topic(broker: Broker) -> str:
    name = f"lines-{next(_numbers)}"
    broker.make_topic(name, 3)
    return name


def edge(directory: Path, broker: Broker, topic: str, more: str = "") -> Site:
    directory.mkdir(exist_ok=True)
    return Site(directory, f'[kafka]\nservers = ["{broker.address}"]\ntopic = "{topic}"\n{more}')


Messages = list["Message[bytes, bytes]"]


def lines_of(messages: "Iterator[Message[bytes, bytes]]", wanted: int) -> Messages:
    """The messages up to the one with which so many different lines have come."""
    ids: set[str] = set()
    found: Messages = []
    for message in messages:
        found.append(message)
        ids.add(orjson.loads(message.value() or b"")["id"])
        if len(ids) == wanted:
            return found
    raise AssertionError("they never end")


def ask(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailingest", *arguments, "--config", str(site.config)],
        capture_output=True,
        text=True,
    )


def test_lines_are_in_the_topic_as_they_came(tmp_path: Path, broker: Broker, topic: str) -> None:
    site = edge(tmp_path, broker, topic)
    odd = b"Nov 24 15:41:22 mx1 postfix/smtpd[867]: caf\xe9 \xff"
    with Daemon(site.config):
        site.hand_over_bytes(*(line.encode() for line in LIFE), odd)
        messages = lines_of(broker.records(topic), len(LIFE) + 1)
    records = [orjson.loads(message.value() or b"") for message in messages]
    lines = [one["line"].encode(one.get("encoding", "utf-8")) for one in records]
    assert lines == [*(line.encode() for line in LIFE), odd]
    assert {message.key() for message in messages} == {b"mx1"}
    assert {one["peer"] for one in records} == {"127.0.0.1"}


def test_what_a_broker_that_died_did_not_confirm_is_sent_again(tmp_path: Path) -> None:
    """The sender knows nothing of it; each line is there, in its order, and once for workers."""
    lines = numbered(0, 3000)
    with Broker() as broker:
        broker.make_topic("lines", 2)
        site = edge(tmp_path, broker, "lines", "timeout = 1\n")
        with Daemon(site.config):
            for start in range(0, len(lines), 500):
                site.hand_over(*lines[start : start + 500])
                if start == 1000:
                    broker.kill()
                elif start == 2000:
                    broker.start()
            messages = lines_of(broker.records("lines"), len(lines))
    texts = [orjson.loads(message.value() or b"")["line"] for message in messages]
    assert set(texts) == set(lines)
    first_times = list(dict.fromkeys(texts))
    assert first_times == lines


def test_an_edge_that_was_killed_goes_on_where_it_was(
    tmp_path: Path, broker: Broker, topic: str
) -> None:
    lines = numbered(0, 2000)
    site = edge(tmp_path, broker, topic)
    records = broker.records(topic)
    with Daemon(site.config) as daemon:
        site.hand_over(*lines[:1000])
        lines_of(records, 1)
        daemon.kill()
    with Daemon(site.config):
        site.hand_over(*lines[1000:])
        messages = lines_of(broker.records(topic), len(lines))
    ids: Counter[str] = Counter()
    texts: dict[str, str] = {}
    for message in messages:
        record = orjson.loads(message.value() or b"")
        ids[record["id"]] += 1
        texts[record["id"]] = record["line"]
    # What came twice has the id that it had before.
    assert Counter(texts.values()) == Counter(lines)


def test_a_login_over_tls(tmp_path: Path, broker: Broker, topic: str) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    site = Site(
        tmp_path,
        f'[kafka]\nservers = ["{broker.secured_address}"]\ntopic = "{topic}"\ntls = true\n'
        f'ca_certs = "{broker.certificates.authority}"\nsasl_mechanism = "PLAIN"\n'
        f'username = "{USER}"\npassword_file = "{secret}"\n',
    )
    with Daemon(site.config):
        site.hand_over(*LIFE)
        assert len(lines_of(broker.records(topic), len(LIFE))) == len(LIFE)
    secret.write_text("another")
    told = ask(site, "check")
    assert told.returncode == 2
    assert "refuses the connection: check username, password_file" in told.stdout
    assert "another" not in told.stdout + told.stderr


def test_a_topic_that_is_not_there_is_made_by_setup(tmp_path: Path, broker: Broker) -> None:
    name = f"lines-{next(_numbers)}"
    site = edge(tmp_path, broker, name, "partitions = 5\nreplication = 1\n")
    told = ask(site, "check")
    assert told.returncode == 2
    assert f"there is no topic {name}: make it with `mailingest setup`" in told.stdout
    assert "would be made" in ask(site, "setup", "--dry-run").stdout
    assert ask(site, "setup").stdout == (
        f"topic {name} made, with partitions: 5, each on brokers: 1\n"
    )
    assert "nothing is changed" in ask(site, "setup").stdout
    assert f"{name} has partitions: 5" in ask(site, "check").stdout


def test_lines_wait_for_a_topic_that_is_made_later(tmp_path: Path, broker: Broker) -> None:
    name = f"lines-{next(_numbers)}"
    site = edge(tmp_path, broker, name)
    with Daemon(site.config) as daemon:
        site.hand_over(*LIFE)
        wait_until(lambda: "there is no topic" in daemon.log.read_text(), "it says so")
        broker.make_topic(name, 1)
        assert len(lines_of(broker.records(name), len(LIFE))) == len(LIFE)


def test_a_line_that_the_topic_does_not_take_is_a_dead_letter(
    tmp_path: Path, broker: Broker
) -> None:
    name = f"lines-{next(_numbers)}"
    broker.make_topic(name, 1, **{"max.message.bytes": "2000"})
    site = edge(tmp_path, broker, name, 'compression = "off"\n')
    with Daemon(site.config):
        site.hand_over(f"{LIFE[0]} {'x' * 3000}", LIFE[1])
        assert len(lines_of(broker.records(name), 1)) == 1
        wait_until(lambda: list(read_letters(site.state)), "it is a dead letter")
    (letter,) = read_letters(site.state)
    assert letter.reason.endswith(f"raise max.message.bytes of the topic {name}")
    # Raised, the line goes on its way as it came.
    broker.limit_size(name, 20_000)
    assert ask(site, "deadletter", "retry").returncode == 0
    assert len(lines_of(broker.records(name), 2)) == 2


@pytest.mark.parametrize("command", [["trace", "--to", "bob@example.net"], ["replay", "-"]])
def test_what_an_edge_cannot_do_is_told(
    tmp_path: Path, broker: Broker, topic: str, command: list[str]
) -> None:
    told = ask(edge(tmp_path, broker, topic), *command)
    assert told.returncode == 2
    assert told.stderr.startswith("mailingest: kafka.servers: ")
    assert "workers store" in told.stderr
