"""The corpus: from each kind of source, a trace tells how every mail ended for every recipient."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import orjson
import pytest

from mailingest.stores.criteria import Criteria, address_term, text_term
from mailingest.stores.events import StoredEvent
from mailingest.trace.answer import story_to_json
from mailingest.trace.engine import trace
from mailingest.trace.gathering import gather
from mailingest.trace.stories import build_stories
from tests.support.lab.corpus import Corpus
from tests.support.lab.corpus_endings import Ending
from tests.support.logs import documents_of
from tests.support.stores import MakeReader
from tests.support.told import faults_of

pytest_plugins = ["tests.support.lab.fixture"]
pytestmark = pytest.mark.lab

Row = dict[str, Any]
# Clients that misbehave are refused more often than is counted, and `come_from_afar` is one.
_RUDE = ("127.0.2.", "2001:db8:")


def events_of(lines: Iterable[bytes]) -> list[StoredEvent]:
    return [{**orjson.loads(one.body), "_id": one.id} for one in documents_of(lines)]


def rows_of(lines: Iterable[bytes]) -> list[Row]:
    return [story_to_json(story) for story in build_stories(gather(events_of(lines)))]


def in_order(rows: Iterable[Row]) -> list[bytes]:
    return sorted(map(orjson.dumps, rows))


def ids_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(step["queue_id"] for step in row["chain"])


@pytest.fixture(scope="module")
def lines(corpus: Corpus) -> list[bytes]:
    return corpus.log.splitlines()


@pytest.fixture(scope="module")
def rows(lines: list[bytes]) -> list[Row]:
    return rows_of(lines)


def test_a_story_tells_every_ending(corpus: Corpus, rows: list[Row]) -> None:
    wrong = {}
    for ending in corpus.endings:
        right = [row for row in rows if not ending.differences(row)]
        if len(right) != 1:
            nearest = min(rows, key=lambda row: len(ending.differences(row)))
            wrong[ending] = (len(right), ending.differences(nearest), nearest)
    assert not wrong


def test_nothing_else_is_told(corpus: Corpus, rows: list[Row]) -> None:
    for row in rows:
        if not any(not ending.differences(row) for ending in corpus.endings):
            client = (row["client"] or "").rpartition("[")[2]
            is_rude = row["verdict"] == "rejected" and client.startswith(_RUDE)
            # smtpd(8) asks whether an address exists, and goes away when it has heard it.
            is_question = row["sender"] == "double-bounce@mx1.example.com" or (
                row["verdict"] == "not_accepted" and row["instance"] == "postfix-internal"
            )
            # It cannot be known without SMTPUTF8 that there was none.
            is_untold = row["recipient"] == "from-no-utf8@example.net"
            assert is_rude or is_question or is_untold, row


def test_all_is_told_in_one_answer(lines: list[bytes]) -> None:
    assert faults_of(events_of(lines)) == []


def test_the_endings_are_of_all_kinds(corpus: Corpus) -> None:
    verdicts = Counter(ending.verdict for ending in corpus.endings)
    assert verdicts.keys() == {
        *("delivered", "handed_over", "pending", "bounced", "expired", "rejected", "discarded"),
        *("deleted", "not_accepted", "probe", "unknown"),
    }
    assert verdicts["unknown"] == 1
    lengths = Counter(len(ending.chain or ()) for ending in corpus.endings)
    assert lengths.keys() >= {1, 2, 3, 4}


def test_every_mail_has_an_ending(corpus: Corpus) -> None:
    begun = {ending.chain[0] for ending in corpus.endings if ending.chain}
    later = {queue_id for ending in corpus.endings for queue_id in ending.chain or ()}
    for outcome in corpus.outcomes:
        assert outcome.queue_id in (later if outcome.about == "proxied" else begun), outcome


async def test_every_source_tells_the_same(
    make_reader: MakeReader, lines: list[bytes], rows: list[Row]
) -> None:
    result = await trace(await make_reader(lines), Criteria(), limit=0)
    assert not result.is_cut
    assert in_order(map(story_to_json, result.stories)) == in_order(rows)


async def test_a_question_about_a_mail_is_answered_as_well_as_one_about_all(
    make_reader: MakeReader, corpus: Corpus, lines: list[bytes], rows: list[Row]
) -> None:
    source = await make_reader(lines)
    # One of each scenario.
    for ending in {ending.about: ending for ending in corpus.endings}.values():
        [row] = (row for row in rows if not ending.differences(row))
        for criteria in questions_about(ending, row):
            result = await trace(source, criteria, limit=0)
            assert is_among(row, map(story_to_json, result.stories)), criteria


def is_among(row: Row, rows: Iterable[Row]) -> bool:
    """Whether a row is among others; the session before the mail may be missing in its proof."""
    return any(
        {**row, "proof": each["proof"]} == each and set(each["proof"]) <= set(row["proof"])
        for each in rows
    )


def questions_about(ending: Ending, row: Row) -> Iterable[Criteria]:
    if ending.chain:
        yield Criteria(queue_id=ending.chain[-1])
    if ending.recipient and row["sender"] is not None:
        sender, recipient = address_term(row["sender"]), address_term(ending.recipient)
        yield Criteria(sender=sender, recipient=recipient)
    if ending.client:
        yield Criteria(client=text_term(ending.client))


def test_lines_that_come_twice_change_no_verdict(lines: list[bytes], rows: list[Row]) -> None:
    def verdicts(rows: Iterable[Row]) -> set[tuple[str, str, tuple[str, ...]]]:
        return {(row["verdict"], row["recipient"] or "", ids_of(row)) for row in rows}

    assert verdicts(rows_of([line for line in lines for _ in range(2)])) == verdicts(rows)


# After what postsuper(1) did, the log goes on as if nothing had happened.
_SILENT = b"postfix/postsuper["


def test_a_lost_line_makes_a_verdict_unknown_at_worst(lines: list[bytes], rows: list[Row]) -> None:
    assert not list(wrong_after_a_loss(lines, rows))


def wrong_after_a_loss(lines: list[bytes], rows: list[Row]) -> Iterator[tuple[bytes, Row]]:
    """Lines that were left out of the log of a mail, and the answers that are then not true."""
    lines_of: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, event in enumerate(events_of(lines)):
        lines_of["ID", event.get("postfix_queueid", "")].append(number)
        if event["program"].endswith("smtpd") and "postfix_queueid" not in event:
            lines_of["IP", event.get("postfix_client_ip", "")].append(number)
    by_chain: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["chain"]:
            by_chain[ids_of(row)].append(row)
    # Mails that differ in nothing but the recipient are one mail here.
    for chain, answers in by_chain.items():
        true = {(row["verdict"], (row["recipient"] or "").lower()) for row in answers}
        others = {key: rows for key, rows in by_chain.items() if key[0] == chain[0]}
        true |= {
            (row["verdict"], (row["recipient"] or "").lower())
            for rows in others.values()
            for row in rows
        }
        own = {number for key in others for one in key for number in lines_of["ID", one]}
        client = (answers[0]["client"] or "").rpartition("[")[2].removesuffix("]")
        around = set(lines_of["IP", client]) if client else set()
        for lost in own:
            if _SILENT in lines[lost]:
                continue
            rest = [lines[number] for number in sorted((own | around) - {lost})]
            for row in rows_of(rest):
                if row["chain"] and not is_true(row, true):
                    yield lines[lost], row


def is_true(row: Row, true: Collection[tuple[str, str]]) -> bool:
    """Whether a verdict is one of the true ones, or says less."""
    verdict, recipient = row["verdict"], (row["recipient"] or "").lower()
    verdicts = {each for each, _ in true}
    return (
        verdict == "unknown"
        or (verdict, recipient) in true
        or (not recipient and verdict in verdicts)
        # It was not, whether a line tells why or not.
        or (verdict == "not_accepted" and "rejected" in verdicts)
        # As long as a mail waits for others, nothing tells that it does not for this one.
        or (verdict == "pending" and "pending" in verdicts)
    )
