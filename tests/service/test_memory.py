"""What the service does not keep: heaps of threads, and what reloads have replaced."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from mailingest.config import load
from mailingest.service import reload
from mailingest.service.daemon import Daemon as InProcess
from tests.support.lab.daemon import Daemon
from tests.support.lab.polling import PATIENCE, until, wait_until
from tests.support.site import LIFE, Site, listens_at

# glibc's HEAP_MAX_SIZE: what it sets aside for the heap of a thread, and where that begins.
_HEAP_BYTES = 64 * 1024 * 1024

# The rooms of what a reload makes anew.  Expressions of `re` are not counted by themselves: each is
# held by an alternative of a pattern, and modules that are imported meanwhile have some as well.
_REPLACED = (
    *(f"mailingest.{room}" for room in ("config", "grok", "inputs", "pipeline", "postfix")),
    *("mailingest.stores", "mailingest.syslog"),
)

_THREADS = """\
import threading
from mailingest.service.heap import use_one_arena
{call}
barrier = threading.Barrier(4)
def work():
    kept = bytes(100_000)
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
print(open("/proc/self/maps").read())
[thread.join() for thread in threads]
"""


def heaps_of_threads(maps: str) -> int:
    """How many there are in the memory of a process, by its table of mappings."""
    parts: list[tuple[int, int, str]] = []
    for line in filter(None, maps.splitlines()):
        places, access, *_ = line.split()
        begin, end = (int(place, 16) for place in places.split("-"))
        parts.append((begin, end, access))
    return sum(
        begin % _HEAP_BYTES == 0
        and (access, rest) == ("rw-p", "---p")
        and end == reserved
        and last == begin + _HEAP_BYTES
        for (begin, end, access), (reserved, last, rest) in pairwise(parts)
    )


@pytest.mark.parametrize(("call", "most"), [("", 4), ("use_one_arena()", 0)])
def test_threads_have_no_heaps_of_their_own(call: str, most: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _THREADS.format(call=call)], capture_output=True, check=True
    )
    found = heaps_of_threads(done.stdout.decode())
    assert found == 0 if not most else 0 < found <= most


def test_the_service_has_one_heap(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with Daemon(site.config) as daemon:
        site.send_tcp(*LIFE)
        wait_until(lambda: site.count_stored() == len(LIFE), "threads have stored something")
        assert heaps_of_threads(Path(f"/proc/{daemon.pid}/maps").read_text()) == 0


def living(*modules: str) -> Counter[str]:
    """The objects of the classes of these modules, by class."""
    gc.collect()
    classes = Counter(type(one) for one in gc.get_objects())
    return Counter(
        {
            f"{one.__module__}.{one.__qualname__}": count
            for one, count in classes.items()
            if str(one.__module__).startswith(modules)
        }
    )


async def test_reloads_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "configure", lambda _log: None)  # it is that of the tests as well
    patterns = tmp_path / "patterns"
    patterns.mkdir()
    site = Site(tmp_path, f'[grok]\npatterns_dirs = ["{patterns}"]\n')
    daemon = InProcess(load(site.config))
    serving = asyncio.create_task(daemon.main())
    await until(lambda: listens_at(site.tcp), "the listener is open")
    await asyncio.to_thread(site.hand_over, *LIFE)
    await until(lambda: site.count_stored() == len(LIFE), "all is stored, and its file is open")

    async def reload_with(number: int) -> None:
        (patterns / "own.grok").write_text(f"OWN{number} [a-z]+\n")
        outcome = await daemon._reload_asked_for()
        assert outcome["refused"] is None, outcome

    await reload_with(0)
    before = living(*_REPLACED)
    for number in range(1, 13):
        await reload_with(number // 7)
    assert living(*_REPLACED) - before == Counter()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(serving, PATIENCE) == 0
