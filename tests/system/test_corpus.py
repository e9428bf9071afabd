"""The log of a real Postfix that is led through what it can log: every line and fact is found."""

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
import pytest

from mailingest.config import Settings
from mailingest.wiring import build_pipeline
from tests.support.lab import TIMEZONE
from tests.support.lab.corpus import Corpus
from tests.support.lab.corpus_facts import fact
from tests.support.pflogsumm import assert_totals_of_pflogsumm

pytest_plugins = ["tests.support.lab.fixture"]
pytestmark = pytest.mark.lab

Fields = dict[str, Any]
_SERVICES = {
    *("smtpd", "postscreen", "tlsproxy", "pickup", "qmqpd"),
    *("cleanup", "qmgr", "bounce", "verify", "anvil", "scache"),
    *("smtp", "lmtp", "local", "virtual", "pipe", "error", "discard"),
    *("master", "postfix-script", "postsuper"),
}
_KNOWN_OF_A_MAIL = ("postfix_from", "postfix_size", "postfix_nrcpt")


@dataclass(frozen=True, slots=True)
class Run:
    """What is true, and what the pipeline has made of the log."""

    corpus: Corpus
    events: list[Fields]

    @property
    def of_postfix(self) -> Iterator[Fields]:
        return (event for event in self.events if event["program"].startswith("postfix"))


@pytest.fixture(scope="module")
def run(corpus: Corpus) -> Run:
    settings = Settings.model_validate({"syslog": {"timezone": TIMEZONE}})
    pipeline = build_pipeline(settings, live=False)
    now = time.time()
    documents = [each for line in corpus.log.splitlines() for each in pipeline.feed(line, now)]
    documents += pipeline.flush()
    return Run(corpus, [orjson.loads(document.body) for document in documents])


def test_every_line_becomes_one_event(run: Run) -> None:
    assert len(run.events) == run.corpus.log.count(b"\n")


def test_the_corpus_has_lines_of_these_daemons(run: Run) -> None:
    services = {event["program"].rpartition("/")[2] for event in run.of_postfix}
    assert services >= _SERVICES
    instances = {event["program"].partition("/")[0] for event in run.of_postfix}
    assert instances == {"postfix", "postfix-internal"}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"message": "no text", "postfix_to": "x@example.net"}, id="other text"),
        pytest.param({"message": "text", "postfix_to": "y@example.net"}, id="other value"),
        pytest.param({"message": "text"}, id="no field"),
    ],
)
def test_a_fact_is_only_told_by_an_event_that_has_all_of_it(event: Fields) -> None:
    known = fact("mail", "text: ", to="x@example.net")
    assert known.is_told_by({"message": "a text: here", "postfix_to": "x@example.net"})
    assert not known.is_told_by(event)


def test_every_line_of_postfix_is_understood(run: Run) -> None:
    unmatched = {
        f"{event['program']}: {event['message']}"
        for event in run.of_postfix
        if "_grok_postfix_success" not in event["tags"]
    }
    assert not unmatched


def test_every_value_fits_its_field(run: Run) -> None:
    assert not [event for event in run.of_postfix if "unfit" in event]


def test_every_fact_is_told_by_an_event(run: Run) -> None:
    missing = [
        each
        for each in run.corpus.facts
        if not any(each.is_told_by(event) for event in run.of_postfix)
    ]
    assert not missing


def test_every_recipient_has_its_outcome(run: Run) -> None:
    statuses = defaultdict(list)
    for event in run.of_postfix:
        if "postfix_status" in event and "postfix_queueid" in event:
            queue_id, status = event["postfix_queueid"], event["postfix_status"]
            for address in {event.get("postfix_to"), event.get("postfix_orig_to")}:
                statuses[queue_id, address].append(status)
    for outcome in run.corpus.outcomes:
        found = statuses[outcome.queue_id, outcome.address]
        assert tuple(status for status, _ in groupby(found)) == outcome.statuses, outcome


def test_every_delivery_carries_what_the_queue_manager_knew_of_the_mail(run: Run) -> None:
    known: dict[tuple[str, str], Fields] = {}
    deliveries = 0
    for event in run.of_postfix:
        instance = event["program"].partition("/")[0]
        key = (instance, event.get("postfix_queueid", ""))
        if "/qmgr" in event["program"] and "postfix_size" in event:
            known[key] = {name: event[name] for name in _KNOWN_OF_A_MAIL}
        elif "postfix_status" in event and "postfix_relay" in event and key in known:
            deliveries += 1
            assert event.items() >= known[key].items()
            assert "_correlation_nomatch" not in event["tags"]
    assert deliveries > 300


def test_a_report_has_the_totals_of_pflogsumm(run: Run, tmp_path: Path) -> None:
    assert_totals_of_pflogsumm(run.corpus.log.splitlines(), tmp_path)
