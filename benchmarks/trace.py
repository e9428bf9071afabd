"""Seconds for a question: ``python -m benchmarks.trace KIND ...``.

With ``store``, the directory gets a made-up store of several days (kept for the next run) in the
embedded format, and questions of each kind are asked twice; the second time counts, as what was
read is then in memory.  With ``cluster elasticsearch`` or ``cluster opensearch``, the same is
asked of a real server, which is started for it, and the server's CPU time is measured besides.
With ``files``, the same questions are put to log files, and the figure is
lines a second; most of them find nothing, which is the time that it takes to look at every line.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.generate import generate
from benchmarks.measure import Figures, MeasurementError, cpu_seconds, show
from benchmarks.traffic import SESSIONS_PER_SECOND
from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.inputs.rotation import expand
from mailingest.stores.criteria import Criteria, address_term, id_term, text_term
from mailingest.stores.elastic.store import ElasticStore
from mailingest.stores.events import StoredEvent, time_of
from mailingest.stores.logfiles.reader import LogFilesReader
from mailingest.stores.protocol import Found, Reader, Writer
from mailingest.stores.sqlite.reader import SqliteReader
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.trace.engine import TraceResult, trace
from mailingest.wiring import build_pipeline, build_store, first_time, line_reading
from tests.support.servers import KINDS, SearchServer

START: Final = "2026-03-02T00:00:00+00:00"
REFERENCE: Final = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
_BATCH: Final = 2000
SETTINGS: Final = Settings.model_validate({"syslog": {"timezone": "UTC"}})
_NOBODY: Final = "nobody-has-this"

Questions = Mapping[str, Criteria]


async def fill(output: Writer, lines: int, seed: int, rate: float) -> float:
    """Store the events of a made-up log; returns the CPU seconds of storing alone."""
    return await store(output, generate(lines, seed, style="iso", start=START, rate=rate))


async def store(output: Writer, lines: Iterable[bytes]) -> float:
    """The same for any lines."""
    pipeline = build_pipeline(SETTINGS, live=False)
    await output.open()
    made: list[Document] = []
    spent = 0.0
    for line in lines:
        made += pipeline.feed(line.rstrip(b"\n"), REFERENCE)
        if len(made) >= _BATCH:
            spent += await _write(output, made)
            made = []
    spent += await _write(output, [*made, *pipeline.flush()])
    began = time.process_time()
    await output.close()
    return spent + time.process_time() - began


async def _write(output: Writer, made: list[Document]) -> float:
    began = time.process_time()
    while made:
        result = await output.write(made)
        if result.rejected:
            raise MeasurementError(f"rejected: {result.rejected[0].reason}")
        made = result.retry
    return time.process_time() - began


async def examples(source: Reader) -> tuple[StoredEvent, StoredEvent]:
    """A delivery in the middle of all, and the last one that was handed over."""
    span = await source.span()
    assert span is not None
    middle = span.first + (span.last - span.first) / 2
    found = []
    for until in (middle, span.last):
        newest = await source.find(Criteria(until=until), 20_000)
        found.append(next(one for one in newest.events if "postfix_remote_queueid" in one))
    return found[0], found[1]


async def questions(source: Reader) -> Questions:
    """Questions by name, about mails in the middle and at the end of a store."""
    event, last = await examples(source)
    newest = await source.find(Criteria(), 20_000)
    recipients = Counter(str(one["postfix_to"]) for one in newest.events if "postfix_to" in one)
    [(frequent, _)] = recipients.most_common(1)
    sender, recipient = event["postfix_from"], event["postfix_to"]
    domain = recipient.rpartition("@")[2]
    since = time_of(event) - timedelta(minutes=30)
    until = since + timedelta(hours=1)
    return {
        "sender and recipient": Criteria(
            sender=address_term(sender), recipient=address_term(recipient)
        ),
        "recipient": Criteria(recipient=address_term(recipient)),
        "recipient with the most mails": Criteria(recipient=address_term(frequent)),
        "sender": Criteria(sender=address_term(sender)),
        "queue ID": Criteria(queue_id=event["postfix_queueid"]),
        "the partner's queue ID": Criteria(queue_id=event["postfix_remote_queueid"]),
        "Message-ID": Criteria(message_id=id_term(event["postfix_message-id"])),
        "local part": Criteria(recipient=address_term(recipient.partition("@")[0] + "@")),
        "sender's domain, recipient's domain": Criteria(
            sender=address_term("@" + sender.rpartition("@")[2]),
            recipient=address_term("@" + domain),
        ),
        "domain of the recipient": Criteria(recipient=address_term("@" + domain)),
        "part of a recipient": Criteria(recipient=address_term(recipient[1:12])),
        "nobody's address": Criteria(recipient=address_term(f"{_NOBODY}@example.com")),
        "nobody's domain": Criteria(recipient=address_term(f"@{_NOBODY}.example")),
        "nobody's part": Criteria(sender=address_term(_NOBODY), recipient=address_term(_NOBODY)),
        "text, an hour": Criteria(
            text=text_term(event["postfix_remote_queueid"]), since=since, until=until
        ),
        "client, an hour": Criteria(
            client=text_term(event.get("postfix_client_ip", "192.0.2.1")), since=since, until=until
        ),
        "bounced": Criteria(verdicts=frozenset({"bounced"})),
        "expired": Criteria(verdicts=frozenset({"expired"})),
        "pending": Criteria(verdicts=frozenset({"pending"})),
        "rejected": Criteria(verdicts=frozenset({"rejected"})),
        "bounced, an hour": Criteria(verdicts=frozenset({"bounced"}), since=since, until=until),
        "the newest": Criteria(),
        "the newest, an hour": Criteria(
            until=time_of(last), since=time_of(last) - timedelta(hours=1)
        ),
    }


async def ask(
    source: Reader, criteria: Criteria, server_cpu: Callable[[], float] | None = None
) -> Figures:
    """Ask twice, and measure the second time."""
    await trace(source, criteria)
    began, began_cpu = time.perf_counter(), time.process_time()
    began_there = server_cpu() if server_cpu is not None else 0.0
    answer = await trace(source, criteria)
    there = {"server CPU s": server_cpu() - began_there} if server_cpu is not None else {}
    return {
        "seconds": time.perf_counter() - began,
        "CPU s": time.process_time() - began_cpu,
        **there,
        "stories": len(answer.stories),
        "cut": "yes" if answer.is_cut else "-",
    }


async def _store(options: argparse.Namespace) -> None:
    directory: Path = options.directory
    if not list(directory.glob("*.sqlite")):
        await fill(SqliteWriter(directory), options.lines, options.seed, options.rate)
    size = sum(path.stat().st_size for path in directory.iterdir())
    source = SqliteReader(directory, "mail")
    rows: list[Figures] = []
    for name, criteria in (await questions(source)).items():
        figures = await ask(source, criteria)
        rows.append({"question": name, **figures})
    days = len(list(directory.glob("*.sqlite")))
    show(f"SQLite, {days} days, {size / 1e9:.1f} GB", rows, as_json=options.json)


async def _cluster(options: argparse.Namespace) -> None:
    [kind] = [kind for kind in KINDS if kind.name == options.server]
    with SearchServer(kind, large=True) as server:
        store = build_store(
            Settings.model_validate({"elasticsearch": {"hosts": [server.url], "replicas": 0}})
        )
        assert isinstance(store, ElasticStore)
        await fill(store.writer(), options.lines, options.seed, options.rate)
        async with store.connection().opened("all") as client:
            await client.indices.refresh(index="mail-*")
            totals = (await client.indices.stats(index="mail-*"))["_all"]["primaries"]
        source = store.reader()
        rows: list[Figures] = []
        for name, criteria in (await questions(source)).items():
            figures = await ask(source, criteria, partial(cpu_seconds, server.pid))
            rows.append({"question": name, **figures})
            if not options.json:
                print(rows[-1], flush=True)
        await source.close()
    size = totals["store"]["size_in_bytes"] / totals["docs"]["count"]
    title = f"{kind}, {totals['docs']['count']:,} events of {size:.0f} bytes"
    show(title, rows, as_json=options.json)


async def _files(options: argparse.Namespace) -> None:
    files = expand(options.files, first_time(SETTINGS))
    lines = sum(len(block.lines) for file in files for block in file.blocks())
    source = LogFilesReader(files, line_reading(SETTINGS))
    rows: list[Figures] = []
    found = await source.find(Criteria(), 20_000)
    example = next(one for one in found.events if "postfix_remote_queueid" in one)
    ids = dict.fromkeys(one["postfix_queueid"] for one in found.events)
    some = [one for one in ids if one != "NOQUEUE"]
    nobody = address_term(f"{_NOBODY}@example.com")
    recipient = address_term(example["postfix_to"])
    asked_for: Questions = {
        "nobody's address": Criteria(recipient=nobody),
        "nobody's addresses": Criteria(sender=nobody, recipient=nobody),
        "nobody's domain": Criteria(recipient=address_term(f"@{_NOBODY}.example")),
        "nobody's queue ID": Criteria(queue_id="0123456789ABCDEF"),
        "nobody's Message-ID": Criteria(message_id=id_term(f"{_NOBODY}@example.com")),
        "a text that is nowhere": Criteria(text=text_term(_NOBODY)),
        "a recipient": Criteria(recipient=recipient),
        "the newest": Criteria(),
    }
    for name, criteria in asked_for.items():
        rows.append(await _rate(f"find: {name}", lines, source.find(criteria, 20_000)))
    for count in (1, 8, 1000):
        question = source.of_mails(some[:count], [], None, None, 200_000)
        rows.append(await _rate(f"of_mails: {count} queue IDs", lines, question))
    asked = trace(source, Criteria(recipient=recipient))
    rows.append(await _rate("trace: a recipient", lines, asked))
    show(f"files, {lines:,} lines", rows, as_json=options.json)


async def _rate(
    name: str, lines: int, question: Coroutine[None, None, Found | TraceResult]
) -> Figures:
    began, began_cpu = time.perf_counter(), time.process_time()
    answer = await question
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    found = answer.events if isinstance(answer, Found) else answer.stories
    return {
        "what": name,
        "lines/CPU s": round(lines / cpu),
        "lines/s": round(lines / seconds),
        "seconds": seconds,
        "found": len(found),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trace", description=__doc__)
    kinds = parser.add_subparsers(required=True)
    store = kinds.add_parser("store")
    store.add_argument("directory", metavar="DIRECTORY", type=Path)
    store.set_defaults(ask=_store)
    cluster = kinds.add_parser("cluster")
    cluster.add_argument("server", choices=[kind.name for kind in KINDS])
    cluster.set_defaults(ask=_cluster)
    for kind in (store, cluster):
        kind.add_argument("--lines", type=int, default=1_000_000)
        kind.add_argument("--seed", type=int, default=1)
        kind.add_argument(
            "--rate",
            type=float,
            default=SESSIONS_PER_SECOND,
            help="SMTP sessions a second; 1.6 are a million lines a day",
        )
    files = kinds.add_parser("files")
    files.add_argument("files", metavar="FILE", nargs="+")
    files.set_defaults(ask=_files)
    for kind in (store, cluster, files):
        kind.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    asyncio.run(options.ask(options))


if __name__ == "__main__":
    main()
