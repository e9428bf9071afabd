"""What is particular to a cluster: pages, other indices, and a server that does not answer."""

from uuid import uuid4

import pytest

from mailingest.errors import StoreUnavailable
from mailingest.stores.criteria import Criteria
from mailingest.stores.elastic import reader as module
from mailingest.wiring import build_store
from tests.support.logs import documents_of, lines_of
from tests.support.ports import free_port
from tests.support.servers import SearchServer
from tests.support.stores import elastic_settings, fill

LOG = "".join(f"24T10:00:00 mx1 postfix/qmgr: AAAAAA1: number {number}\n" for number in range(25))


async def test_pages_are_one_answer(
    search_server: SearchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 7)
    settings = elastic_settings(search_server.url, f"mail-{uuid4().hex[:8]}")
    await fill(build_store(settings), documents_of(lines_of(LOG), settings))
    source = build_store(settings).reader()
    for limit in (6, 7, 14, 24, 25, 26):
        found = await source.find(Criteria(), limit)
        numbers = [int(event["message"].rpartition(" ")[2]) for event in found.events]
        assert numbers == list(reversed(range(25)))[:limit]
        assert found.is_cut is (limit < 25)
    await source.close()


async def test_indices_of_another_prefix_are_not_asked(search_server: SearchServer) -> None:
    settings = elastic_settings(search_server.url, f"mail-{uuid4().hex[:8]}")
    other = elastic_settings(search_server.url, f"{settings.index.prefix}-x")
    await fill(build_store(other), documents_of(lines_of(LOG), other))
    source = build_store(settings).reader()
    assert (await source.find(Criteria(), 10)).events == []
    assert await source.span() is None
    await source.close()


async def test_a_server_that_is_away_is_unavailable() -> None:
    settings = elastic_settings(f"http://127.0.0.1:{free_port()}", "mail")
    source = build_store(settings).reader()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await source.span()
    await source.close()
