"""In what order several workers take the modules of the tests, and which ones one worker takes.

pytest-xdist begins with the modules of the most tests.  Those that take longest have few: they
would come last, and the other workers would idle.  And what a worker makes once, a corpus or a
laboratory, should not be made by each.
"""

from collections import Counter
from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER: Final = (
    # The secured servers.
    (
        "stores/elastic/test_writer.py",
        "stores/elastic/test_security.py",
        "stores/elastic/test_cluster_setup.py",
        "service/test_daemon_secured.py",
        "docs/test_cluster_docs.py",
    ),
    # The corpus, and the laboratory.
    ("trace/test_corpus_verdicts.py", "system/test_corpus.py"),
    ("system/test_end_to_end.py", "support/test_lab.py"),
)
"""Modules below ``tests`` that share what is made once for a worker, by unit."""

LONGEST_FIRST: Final = (
    "stores/elastic/test_writer.py",
    "trace/test_disorder.py",
    "trace/test_corpus_verdicts.py",
    "system/test_faults.py",
    "system/test_compiled.py",
    "system/test_debian_package.py",
    "system/test_packaging.py",
    "stores/elastic/test_logstash_days.py",
    "system/test_end_to_end.py",
    "system/test_systemd.py",
    "system/test_upgrade.py",
    "system/test_power.py",
    "system/test_make_run.py",
    "system/test_damaged_spool.py",
    "system/test_shippers.py",
    "system/test_reload.py",
    "system/test_backup.py",
    "docs/test_blocks.py",
    "web/test_browser.py",
    "service/test_holding.py",
    "report/test_stores.py",
    "web/test_limited_users.py",
)
"""Modules below ``tests`` that take long for the number of their tests (``--durations``)."""

_UNITS: Final = {f"tests/{module}": f"tests/{unit[0]}" for unit in TOGETHER for module in unit}
_RANKS: Final = {f"tests/{module}": rank for rank, module in enumerate(LONGEST_FIRST)}


class Schedule(LoadFileScheduling):
    """That of ``--dist loadfile``, which takes the modules in the order of `put_in_order`."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """The module whose worker takes a test."""
    module = nodeid.partition("::")[0]
    return _UNITS.get(module, module)


def put_in_order(items: list[pytest.Item]) -> None:
    """The units that take longest first, then those of the most tests."""
    sizes = Counter(unit_of(item.nodeid) for item in items)

    def place(item: pytest.Item) -> tuple[int, int]:
        unit = unit_of(item.nodeid)
        return _RANKS.get(unit, len(_RANKS)), -sizes[unit]

    items.sort(key=place)
