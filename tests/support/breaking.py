"""Days that cannot be read any more, for real, and how they are put right again."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import pytest
from elasticsearch import AsyncElasticsearch

from mailingest.stores.elastic.store import ElasticStore
from tests.support.elastic import searched
from tests.support.servers import KINDS
from tests.support.stores import StoreCase


class Break(Protocol):
    """Makes a day unreadable for as long as its context lasts."""

    __name__: str

    def __call__(self, case: StoreCase, day: str) -> AbstractAsyncContextManager[None]: ...


@asynccontextmanager
async def damaged(case: StoreCase, day: str) -> AsyncIterator[None]:
    """The file is no database any more."""
    path = case.settings.sqlite_directory / f"{case.prefix}-{day}.sqlite"
    whole = path.read_bytes()
    path.write_bytes(b"no database" * 1000)
    try:
        yield
    finally:
        path.write_bytes(whole)


@asynccontextmanager
async def unopenable(case: StoreCase, day: str) -> AsyncIterator[None]:
    """The file cannot be opened, whoever asks: root may read all files."""
    path = case.settings.sqlite_directory / f"{case.prefix}-{day}.sqlite"
    aside = path.rename(path.with_suffix(".aside"))
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        aside.rename(path)


@asynccontextmanager
async def set_aside(case: StoreCase, day: str) -> AsyncIterator[None]:
    """A writer that met a damaged file has begun the day anew."""
    path = case.settings.sqlite_directory / f"{case.prefix}-{day}.sqlite"
    aside = path.with_name(f"{path.name}.damaged-20261124T000000000000Z")
    shutil.copy(path, aside)
    try:
        yield
    finally:
        aside.unlink()


@asynccontextmanager
async def closed(case: StoreCase, day: str) -> AsyncIterator[None]:
    """The index is closed."""
    index = f"{case.prefix}-{day}"
    async with _client(case) as client:
        await client.indices.close(index=index)
        try:
            yield
        finally:
            await client.indices.open(index=index)
            await searched(client, index, size=0)


@asynccontextmanager
async def blocked(case: StoreCase, day: str) -> AsyncIterator[None]:
    """The index has a block for reads."""
    index = f"{case.prefix}-{day}"
    async with _client(case) as client:
        await client.indices.put_settings(index=index, settings={"index.blocks.read": True})
        try:
            yield
        finally:
            await client.indices.put_settings(index=index, settings={"index.blocks.read": None})


@asynccontextmanager
async def unassigned(case: StoreCase, day: str) -> AsyncIterator[None]:
    """The primary shard is on no node, as after the loss of one."""
    index = f"{case.prefix}-{day}"
    nowhere = {"index.routing.allocation.require._name": "nobody", "index.number_of_replicas": 0}
    async with _client(case) as client:
        hits = (await searched(client, index, size=100))["hits"]["hits"]
        await client.indices.delete(index=index)
        await client.indices.create(index=index, settings=nowhere, wait_for_active_shards="0")
        try:
            yield
        finally:
            await client.indices.delete(index=index)
            for hit in hits:
                await client.index(index=index, id=hit["_id"], document=hit["_source"])
            await searched(client, index, size=0)


def _cases(*ways: Break) -> list[Any]:
    """Each of the ways with each kind of store that it is one of."""
    return [
        pytest.param(kind, way, id=f"{way.__name__}-{kind}", marks=marks)
        for way in ways
        for kind, marks in (
            [("sqlite", ())]
            if way in (damaged, unopenable, set_aside)
            else [(kind, pytest.mark.servers) for kind in KINDS]
        )
    ]


WAYS = _cases(damaged, unopenable, set_aside, closed, blocked, unassigned)
"""Kinds of stores, and what can happen to a day of each."""

CASES = _cases(damaged, closed)
"""One for each kind."""


@asynccontextmanager
async def _client(case: StoreCase) -> AsyncIterator[AsyncElasticsearch]:
    store = case.store
    assert isinstance(store, ElasticStore)
    async with store.connection().opened("all") as client:
        yield client
