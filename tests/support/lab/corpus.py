"""A corpus: the log of two real Postfix instances that are led through what they can log.

What is true of it is learned outside the log, as `Fact`, `Outcome` and `Ending`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.lab.corpus_endings import (
    Ending,
    ending_in_box,
    ending_without_copy,
    endings_of_copy,
    endings_of_notification,
    endings_of_queue,
    known_best,
)
from tests.support.lab.corpus_facts import (
    Fact,
    Outcome,
    fact,
    facts_of_copy,
    facts_of_filter,
    facts_of_notification,
    facts_of_proxy,
    facts_of_queue,
    scenario_of,
)
from tests.support.lab.corpus_mails import MAILS, SUBMITTED, WHILE_DOWN
from tests.support.lab.corpus_rudeness import REFUSALS, RUDENESSES
from tests.support.lab.corpus_sessions import Sessions
from tests.support.lab.corpus_stage import Stage
from tests.support.lab.corpus_tables import DELAY_WARNING, USERS
from tests.support.lab.polling import wait_until

# Mails that wait for the second attempt or for the operator, and whose senders hear of it.
_LATE = {"greylisted", "mixed", "held", "quarantined", "header-hold", WHILE_DOWN.name}
_NOTIFIED = {"for-expiry", "waits-busy"}
_EXPIRED = ("for-expiry", "null-expires")


@dataclass(frozen=True, slots=True)
class Corpus:
    """The log, and what is true of it."""

    log: bytes
    facts: list[Fact]
    outcomes: list[Outcome]
    endings: list[Ending]


def record_corpus(directory: Path) -> Corpus:
    """Lead Postfix through everything; raises RuntimeError if the machine lacks something."""
    with ExitStack() as stack:
        stage = Stage(directory, stack)
        sessions = Sessions(stage.ports)
        _send_all(stage, sessions)
        _wait_until_decided(stage)
        facts = list(facts_of_queue(stage.edge.queue()))
        operated, waiting = _operate(stage, sessions)
        facts += operated
        stage.edge.do("stop")
        stage.internal.do("stop")
        stage.syslog.close()
        for mail in stage.mails():
            facts += facts_of_copy(mail)
            if b"report-type=" in mail.content:
                facts += facts_of_notification(mail)
        facts += (each for mail in stage.filter.taken for each in facts_of_filter(mail))
        facts += (each for mail in stage.proxy.taken for each in facts_of_proxy(mail))
        log = stage.syslog.traditional_log.read_bytes()
        endings = [*sessions.endings, *waiting, *_endings(stage, sessions)]
        return Corpus(log, facts + sessions.facts, sessions.outcomes, known_best(endings))


def _endings(stage: Stage, sessions: Sessions) -> Iterator[Ending]:
    """How the mails ended, but for those that waited for the operator."""
    expired = frozenset(sessions.queue_ids[name] for name in _EXPIRED)
    for mail in stage.mails():
        yield from endings_of_copy(mail)
        if b"report-type=" in mail.content:
            yield from endings_of_notification(mail.content, expired)
    for address, message in stage.boxes():
        yield ending_in_box(address, message)
        if b"report-type=" in message.as_bytes():
            yield from endings_of_notification(message.as_bytes(), expired)
    for each in sessions.outcomes:
        without = ending_without_copy(each.about, each.queue_id, each.address, each.statuses)
        if without is not None:
            yield without


def _send_all(stage: Stage, sessions: Sessions) -> None:
    """Send all mails; at the same time others misbehave, some of them slowly."""
    with ThreadPoolExecutor(len(RUDENESSES)) as pool:
        futures = [
            pool.submit(sessions.offend, rudeness, f"127.0.2.{number}")
            for number, rudeness in enumerate(RUDENESSES, start=1)
        ]
        futures += [pool.submit(sessions.try_in_vain, refusal) for refusal in REFUSALS]
        for mail in MAILS:
            sessions.send(mail)
        for user, sender, recipients, options in SUBMITTED:
            content = b"X-Scenario: submitted\nSubject: hello\n\nHello.\n"
            stage.edge.sendmail(USERS[user], sender, recipients, content, options=options)
        for future in futures:
            future.result()
    sessions.send_bad_contents()
    sessions.connect_too_often()
    sessions.come_from_afar()
    sessions.send_by_qmqp()


def _wait_until_decided(stage: Stage) -> None:
    """Wait until all mail that is left waits for another attempt or for a person."""

    def is_quiet() -> bool:
        # The edge first: what it has handed over meanwhile is then seen inside.
        return all(
            mail["queue_name"] in ("deferred", "hold")
            for instance in (stage.edge, stage.internal)
            for mail in instance.queue()
        )

    # A mail on its way from the deferred to the active queue may be missing in a listing.
    wait_until(lambda: is_quiet() and is_quiet(), "only waiting mail is left")


def _operate(stage: Stage, sessions: Sessions) -> tuple[list[Fact], list[Ending]]:
    """What an operator does: with Postfix itself, and with the mails that wait, to the last."""
    stage.internal.do("stop")
    sessions.send(WHILE_DOWN)
    _wait_until_decided(stage)
    stage.internal.start()
    ids = sessions.queue_ids
    held = [mail["queue_id"] for mail in stage.edge.queue() if mail["queue_name"] == "hold"]
    actions = [
        *(("-H", queue_id, "released from hold") for queue_id in held),
        ("-f", ids["for-expiry"], "expired"),
        ("-h", ids["for-requeue"], "placed on hold"),
        ("-r", ids["for-requeue"], "requeued"),
        ("-d", ids["for-deletion"], "removed"),
    ]
    facts = []
    for action, queue_id, text in actions:
        stage.edge.operate(action, queue_id)
        facts.append(fact("operator", text, program="postfix/postsuper", queueid=queue_id))
    # After it, pickup(8) looks for what was requeued.
    stage.edge.do("reload")
    # Not before that time do senders hear that their mail waits.
    time.sleep(DELAY_WARNING)
    stage.edge.flush()

    def is_told() -> bool:
        notified = {scenario_of(mail.content) for mail in stage.mails() if not mail.sender}
        delivered = {scenario_of(mail.content) for mail in stage.mails()}
        return notified >= _NOTIFIED and delivered >= _LATE

    wait_until(is_told, "all late mail has come, and the senders have heard")
    _wait_until_decided(stage)
    waiting = stage.edge.queue()
    stage.edge.operate("-d", "ALL")
    # No line of its own tells of each of them.
    count = len(waiting)
    told = fact("operator", postsuper_summary_action="Deleted", postsuper_summary_count=count)
    facts.append(told)
    deleted = Ending("operator", "deleted", (ids["for-deletion"],), "trouble@example.net")
    requeued = {"from-for-requeue@example.net": ids["for-requeue"]}
    return facts, [deleted, *endings_of_queue(waiting, requeued)]
