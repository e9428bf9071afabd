"""In what order several workers take the modules of the tests, and which ones one worker takes.

pytest-xdist begins with the modules of the most tests.  Those that take longest have few: they
would come last, and the other workers would idle.  And what a worker makes once, a corpus or a
laboratory, should not be made by each.  Nor should each start the servers: as long as there are
other modules, only half of the workers take those that ask servers.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.support.servers import KINDS, OPTIONAL_KINDS

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
    "stores/elastic/test_logstash_days.py",
    "system/test_faults.py",
    "service/test_edge.py",
    "trace/test_corpus_verdicts.py",
    "system/test_compiled.py",
    "system/test_debian_package.py",
    "docs/test_blocks.py",
    "service/test_holding.py",
    "web/test_browser.py",
    "commands/test_trace.py",
    "system/test_systemd.py",
    "web/test_access.py",
    "web/test_phones.py",
    "web/test_limited_users.py",
    "service/test_daemon.py",
    "service/test_endless_patterns.py",
    "commands/test_replay_workers.py",
    "system/test_end_to_end.py",
    "system/test_packaging.py",
    "trace/test_paging.py",
    "trace/test_windows.py",
    "system/test_journald.py",
    "system/test_shippers.py",
    "system/test_upgrade.py",
    "system/test_power.py",
    "system/test_make_run.py",
    "system/test_damaged_spool.py",
    "system/test_reload.py",
    "system/test_backup.py",
    "report/test_stores.py",
    "stores/elastic/test_holding.py",
    "stores/elastic/test_partial.py",
    "stores/victorialogs/test_writer.py",
    "trace/test_wrapped_logs.py",
    "trace/test_told_once.py",
    "spool/test_damage.py",
    "web/test_live.py",
    "service/test_times_from_outside.py",
    "service/test_followed.py",
    "service/test_lost_directory.py",
    "service/test_full_disk.py",
    "service/test_ending.py",
    "service/test_peers.py",
    "support/servers/test_servers.py",
    "commands/test_replay.py",
    "commands/test_pattern_guard.py",
    "commands/test_redos_probe.py",
    "commands/test_types.py",
    "docs/test_runbook.py",
    "logs/test_limit.py",
    "watching/test_days.py",
    "web/test_links.py",
)
"""Modules below ``tests`` that take long for the number of their tests (``--durations``).

What takes more than ten seconds for less than fifty tests is here: begun last, it would be the only
one that still runs.
"""

_UNITS: Final = {f"tests/{module}": f"tests/{unit[0]}" for unit in TOGETHER for module in unit}
_RANKS: Final = {f"tests/{module}": rank for rank, module in enumerate(LONGEST_FIRST)}
# The names of the secured kinds begin with these.
_SERVERS: Final = tuple(str(kind) for kind in (*KINDS, *OPTIONAL_KINDS))


class Schedule(LoadFileScheduling):
    """That of ``--dist loadfile``, which takes the modules in the order of `put_in_order`."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Assign the unit that `next_unit` chooses: the super class takes the first one."""
        have_servers = {
            each
            for each, units in self.assigned_work.items()
            if any(map(asks_servers, units.values()))
        }
        may_start = len(have_servers) < max(1, len(self.nodes) // 2)
        unit = next_unit(self.workqueue, has_servers=node in have_servers, may_start=may_start)
        self.workqueue.move_to_end(unit, last=False)
        super()._assign_work_unit(node)


def asks_servers(tests: Collection[str]) -> bool:
    """Whether one of the tests, which are given by their ids, is for a kind of server."""
    return any(kind in test for test in tests for kind in _SERVERS)


def next_unit(queue: Mapping[str, Collection[str]], *, has_servers: bool, may_start: bool) -> str:
    """The unit that a worker takes: the first one that suits it, or else the first one.

    Those with servers take what asks them, while there is any, and others only if they
    ``may_start`` some.
    """
    for unit, tests in queue.items():
        if (asks_servers(tests) and (has_servers or may_start)) or not (
            has_servers or asks_servers(tests)
        ):
            return unit
    return next(iter(queue))


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
