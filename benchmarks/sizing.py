"""Bytes on disk for each event: ``python -m benchmarks.sizing --lines 250000``.

Indexes a made-up log with mailingest's own outputs: into a real Elasticsearch and OpenSearch (see
tests.support.servers),
then force-merged to one segment, and into SQLite.  With all events and with those
of deliveries, and with mappings that leave something out.  Prints a table.
"""

import argparse
import asyncio
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any, Final

import structlog

from benchmarks.generate import DEFAULT_START, generate
from mailingest.config import Settings
from mailingest.documents import Document
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.elastic.template import IndexTemplate
from mailingest.stores.elastic.writer import ElasticWriter
from mailingest.stores.protocol import Writer
from mailingest.stores.sqlite.writer import SqliteWriter
from mailingest.wiring import build_pipeline
from tests.support.servers import KINDS, SearchServer

_BATCH: Final = 1000
_MERGE_SECONDS: Final = 300.0

Template = dict[str, Any]


def _whole(template: Template) -> Template:
    return template


def _without_keyword_of_keywords(template: Template) -> Template:
    for mapping in template["mappings"]["properties"].values():
        if mapping["type"] == "keyword":
            mapping.pop("fields", None)
    return template


def _without_any_keyword(template: Template) -> Template:
    for mapping in template["mappings"]["properties"].values():
        mapping.get("fields", {}).pop("keyword", None)
    return template


def _with_message_keyword(template: Template) -> Template:
    mapping = template["mappings"]["properties"]["message"]
    mapping["fields"] = {"keyword": {"type": "keyword", "ignore_above": 256}}
    return template


def _default_codec(template: Template) -> Template:
    del template["settings"]["index"]["codec"]
    return template


VARIANTS: Final[dict[str, Callable[[Template], Template]]] = {
    "as shipped": _whole,
    "keywords without .keyword": _without_keyword_of_keywords,
    "message with .keyword": _with_message_keyword,
    "nothing with .keyword": _without_any_keyword,
    "default codec": _default_codec,
}


def documents(lines: int, events: str) -> list[Document]:
    """The documents of a made-up log, all of one day so that they make one index."""
    settings = Settings.model_validate({"index": {"events": events}})
    pipeline = build_pipeline(settings, live=False)
    made = [
        document
        for line in generate(lines, 1, style="traditional", pri=False, start=DEFAULT_START)
        for document in pipeline.feed(line.rstrip(b"\n"), 1_800_000_000.0)
    ]
    made += pipeline.flush()
    day = made[0].index
    return [document for document in made if document.index == day]


def batches(made: Sequence[Document]) -> Iterator[list[Document]]:
    """Batches as the daemon writes them."""
    rest = iter(made)
    while batch := list(islice(rest, _BATCH)):
        yield batch


async def write(writer: Writer, made: Sequence[Document]) -> None:
    """Write all documents, and make sure that all were stored."""
    await writer.open()
    stored = 0
    for batch in batches(made):
        stored += (await writer.write(batch)).stored
    if stored != len(made):
        raise RuntimeError(f"{stored} of {len(made)} documents were stored")


async def in_cluster(server: SearchServer, made: Sequence[Document], body: Template) -> int:
    """Bytes of an index of these documents in one segment; the index is deleted again."""
    template = IndexTemplate("mail", index_patterns("mail"), body)
    writer = ElasticWriter(ElasticConnection([server.url]), template)
    try:
        await write(writer, made)
        index = made[0].index
        client = writer.connection.client.options(request_timeout=_MERGE_SECONDS)
        await client.indices.refresh(index=index)
        await client.indices.forcemerge(index=index, max_num_segments=1)
        # The segments that were merged are let go, and then deleted.
        await client.indices.refresh(index=index)
        await client.indices.flush(index=index, force=True)
        statistics = await client.indices.stats(index=index, metric="store,docs,segments")
        primaries = statistics["indices"][index]["primaries"]
        if (primaries["docs"]["count"], primaries["segments"]["count"]) != (len(made), 1):
            raise RuntimeError(f"expected {len(made)} documents in one segment: {primaries}")
        await client.indices.delete(index=index)
        return int(primaries["store"]["size_in_bytes"])
    finally:
        await writer.close()


async def in_sqlite(made: Sequence[Document]) -> int:
    """Bytes of a SQLite file of these documents, closed."""
    with tempfile.TemporaryDirectory() as directory:
        writer = SqliteWriter(Path(directory))
        try:
            await write(writer, made)
        finally:
            await writer.close()
        return sum(path.stat().st_size for path in Path(directory).iterdir())


def main() -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--lines", type=int, default=250_000)
    options = parser.parse_args()
    # What the writer puts on the server is no part of the table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sets = {events: documents(options.lines, events) for events in ("all", "deliveries")}
    whole = len(sets["all"])
    print(
        f"{'store':24}{'variant':28}{'events':12}{'number':>9}{'bytes each':>12}{'bytes/line':>12}"
    )

    def report(store: str, variant: str, events: str, size: int) -> None:
        made = len(sets[events])
        print(
            f"{store:24}{variant:28}{events:12}{made:9,}{size / made:12.0f}{size / whole:12.0f}",
            flush=True,
        )

    for events, made in sets.items():
        report("JSON", "", events, sum(len(document.body) for document in made))
        report("SQLite", "", events, asyncio.run(in_sqlite(made)))
    for kind in KINDS:
        with SearchServer(kind, large=True) as server:
            for variant, change in VARIANTS.items():
                for events, made in sets.items():
                    body = change(deepcopy(index_template(replicas=0)))
                    report(str(kind), variant, events, asyncio.run(in_cluster(server, made, body)))


if __name__ == "__main__":
    main()
