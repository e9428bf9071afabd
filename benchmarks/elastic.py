"""Throughput into a real server: the daemon's output against the bare client.

    python -m benchmarks.elastic [--lines 250000] [--rounds 3]

Both write the same documents to the same server (1 GB of heap), each time into a fresh index, with
two requests under way.  The bare client has the bodies of its requests ready; the output gets
documents, one by one, through its batcher.  Rounds alternate, and the best of each counts.  Client
and server share the cores of this machine.
"""

import argparse
import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any, Final, cast

import structlog
import uvloop
from elasticsearch import AsyncElasticsearch

from benchmarks.sizing import documents
from mailingest.delivery.batcher import Batcher
from mailingest.documents import Document
from mailingest.stores.elastic.bulk import cut, encode
from mailingest.stores.elastic.connection import ElasticConnection
from mailingest.stores.elastic.lifecycle import index_patterns
from mailingest.stores.elastic.schema import index_template
from mailingest.stores.elastic.template import IndexTemplate
from mailingest.stores.elastic.writer import BULK_ANSWER, ElasticWriter
from mailingest.stores.protocol import Rejection
from tests.support.servers import KINDS, SearchServer

_IN_FLIGHT: Final = 2  # as the daemon has it
_PUT: Final = 100  # documents, about what a chunk of a TCP connection makes
_TEMPLATE: Final = IndexTemplate("mail", index_patterns("mail"), index_template(replicas=0))


class NoRejections:
    """Where none is expected."""

    def write(self, rejections: list[Rejection], /) -> int:
        raise RuntimeError(f"rejected: {rejections[0].reason}")


async def bare(client: AsyncElasticsearch, bodies: Sequence[bytes]) -> None:
    """Send ready-made bodies, and look at nothing but whether all went well."""
    rest = iter(bodies)

    async def work() -> None:
        for body in rest:
            answer = await client.bulk(operations=cast(Any, body), filter_path=BULK_ANSWER)
            if answer["errors"]:
                raise RuntimeError("a document was not stored")

    await asyncio.gather(*(work() for _ in range(_IN_FLIGHT)))


async def whole(writer: ElasticWriter, made: Sequence[Document]) -> None:
    """Hand documents to the batcher as the daemon does, until all are stored."""
    batcher = Batcher(writer, NoRejections(), in_flight=_IN_FLIGHT)
    running = asyncio.create_task(batcher.run())
    rest = iter(made)
    while some := list(islice(rest, _PUT)):
        await batcher.put_many(some)
    await batcher.drain()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def rate(
    client: AsyncElasticsearch, count: int, write: Callable[[], Awaitable[None]]
) -> float:
    """Documents a second of one round, after which the index is deleted."""
    began = time.perf_counter()
    await write()
    seconds = time.perf_counter() - began
    await client.indices.refresh(index="mail-*")
    found = (await client.count(index="mail-*"))["count"]
    await client.indices.delete(index="mail-*")
    if found != count:
        raise RuntimeError(f"{found} of {count} documents are in the index")
    return count / seconds


async def measure(server: SearchServer, made: Sequence[Document], rounds: int) -> None:
    bodies = [encode(part) for part in cut(made)]
    ways: dict[str, list[float]] = {"bare": [], "writer": [], "compressed": []}
    writer = ElasticWriter(ElasticConnection([server.url]), _TEMPLATE)
    compressing = ElasticWriter(ElasticConnection([server.url], compress=True), _TEMPLATE)
    try:
        await writer.open()
        await compressing.open()
        client = writer.connection.client
        await rate(client, len(made), lambda: bare(client, bodies))  # the virtual machine warms up
        for _ in range(rounds):
            ways["bare"].append(await rate(client, len(made), lambda: bare(client, bodies)))
            ways["writer"].append(await rate(client, len(made), lambda: whole(writer, made)))
            ways["compressed"].append(
                await rate(client, len(made), lambda: whole(compressing, made))
            )
    finally:
        await writer.close()
        await compressing.close()
    best = {way: max(rates) for way, rates in ways.items()}
    print(
        f"{server.kind}: bare client {best['bare']:,.0f}/s, writer {best['writer']:,.0f}/s "
        f"({best['writer'] / best['bare']:.0%}), compressed {best['compressed']:,.0f}/s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.elastic", description=__doc__)
    parser.add_argument("--lines", type=int, default=250_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # What the writer puts on the server is no part of the table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    made = documents(options.lines, "all")
    octets = sum(len(one.body) for one in made) / len(made)
    print(f"{len(made):,} documents of {octets:.0f} bytes on average", flush=True)
    for kind in KINDS:
        with SearchServer(kind, large=True) as server:
            uvloop.run(measure(server, made, options.rounds))


if __name__ == "__main__":
    main()
