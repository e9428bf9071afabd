"""Scenarios: a log in, the documents that come of it, checked by hand once.

``goldens/NAME.log`` is replayed and has to give ``goldens/NAME.jsonl``, one line a document, in
order.  After a change that is meant to change them, ``python -m tests.test_goldens`` writes all
.jsonl files anew; read the difference before it is committed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from mailingest.config import Settings
from mailingest.wiring import build_pipeline

GOLDENS = Path(__file__).with_name("goldens")
SCENARIOS = sorted(path.stem for path in GOLDENS.glob("*.log"))
SETTINGS = Settings.model_validate({"syslog": {"timezone": "Europe/Berlin"}})
MTIME = 1_795_600_000.0  # 2026-11-25 09:46:40 UTC

Fields = dict[str, Any]


def documents(scenario: str) -> Iterator[bytes]:
    """What a replay makes of a scenario, as lines of JSON."""
    pipeline = build_pipeline(SETTINGS, live=False)
    lines = (GOLDENS / f"{scenario}.log").read_bytes().splitlines()
    ready = [document for line in lines for document in pipeline.feed(line, MTIME)]
    for one in (*ready, *pipeline.flush()):
        source = orjson.Fragment(one.body)
        yield orjson.dumps({"_index": one.index, "_id": one.id, "_source": source}) + b"\n"


def golden(scenario: str) -> Path:
    return GOLDENS / f"{scenario}.jsonl"


def deliveries(scenario: str, *names: str) -> list[tuple[Any, ...]]:
    """Fields of the delivery documents of a scenario."""
    sources: list[Fields] = [orjson.loads(line)["_source"] for line in documents(scenario)]
    return [
        tuple(source.get(f"postfix_{name}") for name in names)
        for source in sources
        if "postfix_status" in source
    ]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_gives_its_documents(scenario: str) -> None:
    assert list(documents(scenario)) == golden(scenario).read_bytes().splitlines(keepends=True)


def test_there_are_no_other_files_among_the_goldens() -> None:
    assert {path.name for path in GOLDENS.iterdir()} == {
        f"{scenario}.{kind}" for scenario in SCENARIOS for kind in ("log", "jsonl")
    }


# What matters in each scenario, in short; the golden files have the rest.


def test_deferred_mail_keeps_its_sender_until_it_is_sent() -> None:
    names = ("status", "from", "size", "sasl_username", "message-id", "client_ip")
    known = ("ann@example.org", 1874, "ann@example.org", "20261124225801.1@example.org")
    assert deliveries("deferred_then_sent", *names) == [
        ("deferred", *known, "192.0.2.5"),
        ("deferred", *known, "192.0.2.5"),
        ("sent", *known, "192.0.2.5"),
    ]


def test_a_queue_id_that_is_used_again_tells_of_the_new_mail() -> None:
    names = ("to", "from", "size", "message-id", "client_ip", "sasl_username", "uid")
    assert deliveries("queue_id_reused", *names) == [
        ("bob@example.net", "ann@example.org", 1000, "first@example.org", "192.0.2.5", "ann", None),
        ("dora@example.net", "carl@example.org", 2000, "second@example.org", None, None, 1000),
        ("eve@example.com", "", 3000, "third@mx1.example.org", None, None, None),
        ("eve@example.com", None, None, None, None, None, None),
    ]


def test_each_recipient_has_an_outcome_and_the_same_mail() -> None:
    names = ("to", "status", "from", "nrcpt", "sasl_username")
    assert deliveries("several_recipients", *names) == [
        (to, status, "ann@example.org", 4, "ann")
        for to, status in [
            ("carl@example.org", "sent"),
            ("bob@example.net", "sent"),
            ("dora@example.net", "bounced"),
            ('"odd, relay=x"@example.com', "deferred"),
        ]
    ]


def test_a_bounce_has_the_empty_sender_and_no_user() -> None:
    assert deliveries("bounce", "to", "orig_to", "status", "from", "uid") == [
        ("gone@example.net", "root", "bounced", "root@mx1.example.org", 0),
        ("admin@mx1.example.org", "root@mx1.example.org", "sent", "", None),
    ]


def test_the_way_through_a_filter_has_its_links() -> None:
    names = ("queueid", "remote_queueid", "client_ip", "size")
    assert deliveries("content_filter", *names) == [
        ("6C00000001", "6C00000002", "203.0.113.7", 4096),
        ("6C00000002", None, "127.0.0.1", 4400),
    ]


def test_lines_out_of_order_find_their_mail() -> None:
    assert deliveries("out_of_order", "to", "from", "message-id", "client_ip") == [
        ("bob@example.net", "ann@example.org", None, "192.0.2.5"),
        ("carl@example.net", "ann@example.org", "out.of.order@example.org", "192.0.2.5"),
        ("dora@example.net", None, None, None),
    ]


def test_an_alias_has_its_link() -> None:
    names = ("to", "orig_to", "forwarded_queueid", "from")
    assert deliveries("local_and_alias", *names) == [
        ("team@mx1.example.org", "team@example.org", "9E00000002", "ann@example.org"),
        ("bob@mx1.example.org", None, None, "ann@example.org"),
        ("carl@lists.example.org", None, None, "ann@example.org"),
    ]


def test_what_is_refused_has_no_queue_id_and_no_mail() -> None:
    sources: list[Fields] = [orjson.loads(line)["_source"] for line in documents("noqueue_reject")]
    rejects = [source for source in sources if source.get("postfix_action") == "reject"]
    assert [
        (one["postfix_queueid"], one["postfix_status_code"], one["postfix_from"], one["postfix_to"])
        for one in rejects
    ] == [
        ("NOQUEUE", 554, "eve@example.com", "bob@example.net"),
        ("NOQUEUE", 450, "", "ann@example.org"),
        ("4gXk2h1Bc0zPjfw", 550, "ann@example.org", "nobody@example.net"),
    ]
    assert not any("postfix_message-id" in one or "postfix_size" in one for one in rejects)


if __name__ == "__main__":
    for name in SCENARIOS:
        golden(name).write_bytes(b"".join(documents(name)))
