"""The same log gives the same report, whatever kind of store it is in, and from its lines."""

import gzip
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailingest.report.report import Report
from mailingest.report.tally import Tally
from mailingest.report.values import values
from mailingest.stores.counts import TimeBuckets
from tests.support.logs import documents_below, documents_of
from tests.support.stores import StoreCase, fill

UTC = ZoneInfo("UTC")
START = 1_795_532_400  # 24 November 2026, 15:00 UTC
BUCKETS = TimeBuckets(START, 3600, 2)
SCENARIOS = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """What Postfix 3.7 and 3.10 wrote in an afternoon."""
    return gzip.decompress(SCENARIOS.read_bytes()).splitlines()


async def test_all_stores_give_the_report_of_the_lines(
    searched_case: StoreCase, lines: list[bytes]
) -> None:
    tally = Tally(BUCKETS)
    for document in documents_of(lines):
        tally.add(document.fields)
    expected = values(Report(tally.counts(), tally.breakdown, UTC, ""))
    assert expected["totals"]["received"] > 100
    assert all(expected["names"].values())
    assert expected["warnings"]
    assert expected["tls"]

    await fill(searched_case.store, documents_below(searched_case.prefix, lines))
    reader = searched_case.store.reader()
    try:
        counts, breakdown = await reader.counts(BUCKETS), await reader.breakdown(BUCKETS)
    finally:
        await reader.close()
    found = values(Report(counts, breakdown, UTC, ""))
    assert found == expected
