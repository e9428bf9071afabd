"""The totals of pflogsumm, and of our report, of the same log.

By how much the two differ is counted in the lines, by what such a line has in it.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from mailingest.report.report import Report
from mailingest.report.tally import Tally
from mailingest.report.values import values
from tests.support.logs import documents_of

PROGRAM: Final = "/usr/sbin/pflogsumm"
SCENARIOS: Final = Path(__file__).parents[1] / "data" / "scenarios" / "mail.log.gz"

# Why a total is another one.
GIVEN_BACK: Final = "given back by a filter, or requeued"
ON_THE_WAY: Final = "to a filter, or discarded"
MILTER_REJECTS: Final = "milter-reject of smtpd"
PROXY_REJECTS: Final = "proxy-reject"
SOFT_BOUNCES: Final = "SOFTBOUNCE (soft_bounce = yes)"
NOT_READ: Final = "lines that pflogsumm does not read"

# The names of our totals, in the order of theirs.
_KEYS: Final = (
    *("received", "delivered", "forwarded", "deferred", "bounced", "rejected", "held"),
    *("received_bytes", "delivered_bytes"),
)
_ROW: Final = re.compile(r"^ *(\d+)([ km]) {2}([a-z]+(?: [a-z]+)?)", re.MULTILINE)
_DEFERRALS: Final = re.compile(r"\((\d+) +deferrals\)")
# Its pattern for programs: `postfix`, or two of the usual services before the daemon.
_READ: Final = re.compile(rb" postfix(?:/(?:smtps|submission))?/(?!qmqpd)[a-z]+\[\d+\]: ")
# It takes an address to end at the first `>`, also in a quoted local part.
_QUOTED: Final = re.compile(rb'(?:from|to)=<[^>]*"')

# What pflogsumm counts and the report does not, or in another place.
_GIVEN_BACK: Final = re.compile(
    rb"smtpd\[\d+\]: [0-9A-Za-z]+: client=(?:localhost\[127\.0\.0\.1\]|.*orig_queue_id=)"
    rb"|: NOQUEUE: client=|pickup\[\d+\]: [0-9A-Za-z]+: uid=.* orig_id="
)
_ON_THE_WAY: Final = re.compile(
    rb"relay=(?!none)[^,]*(?:127\.0\.0\.1|::1)\].*status=sent \((?!.*forwarded as)"
    rb"|postfix/discard\[\d+\]: .*status=sent |delivered to file: /dev/null"
    rb"|status=sent \(.*\bdiscarded\b"
)
_MILTER_REJECT: Final = re.compile(rb"smtpd\[\d+\]: \w+: milter-reject: ")
_PROXY_REJECT: Final = re.compile(rb": proxy-reject: ")
_SOFT_BOUNCE: Final = re.compile(rb" status=SOFTBOUNCE ")
_QUEUE_ID: Final = re.compile(rb"\]: ([0-9A-Za-z]+): ")
_SIZE: Final = re.compile(rb"\]: ([0-9A-Za-z]+): from=<.*>, size=(\d+), nrcpt=")


def pflogsumm(path: Path) -> dict[str, str]:
    """Its grand totals, as it writes them."""
    done = subprocess.run([PROGRAM, path], capture_output=True, check=True, env={"LC_ALL": "C"})
    head, _, _ = done.stdout.decode("latin-1").partition("Summary")
    totals = {name: f"{count}{unit}".strip() for count, unit, name in _ROW.findall(head)}
    deferrals = _DEFERRALS.search(head)
    return {**totals, "deferrals": deferrals[1] if deferrals else "0"}


def as_theirs(count: int) -> str:
    """A number as pflogsumm writes it."""
    if count > 512 * 1024**2:
        return f"{count // 1024**2}m"
    return f"{count // 1024}k" if count > 512 * 1024 else str(count)


def report(lines: Iterable[bytes]) -> dict[str, int]:
    """Ours."""
    tally = Tally()
    for document in documents_of(lines):
        tally.add(document.fields)
    counted = values(Report(tally.counts(), tally.breakdown, ZoneInfo("UTC"), ""))
    totals: dict[str, int] = counted["totals"]
    return totals


def number(pattern: re.Pattern[bytes], lines: Iterable[bytes]) -> int:
    return sum(pattern.search(line) is not None for line in lines)


@dataclass(frozen=True, slots=True)
class Total:
    """A total of pflogsumm (``theirs``, as it writes it), and that of the report.

    ``causes`` say by how much theirs is larger, and why.
    """

    name: str
    theirs: str
    ours: int
    causes: Mapping[str, int]

    @property
    def is_explained(self) -> bool:
        return self.theirs == as_theirs(self.ours + sum(self.causes.values()))


def compared(log: Iterable[bytes], directory: Path) -> list[Total]:
    """The totals of a log; what is counted otherwise is looked for in the lines."""
    every = list(log)
    lines = [line for line in every if _READ.search(line) and not _QUOTED.search(line)]
    path = directory / "mail.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    theirs, ours, whole = pflogsumm(path), report(lines), report(every)
    given_back = [line for line in lines if _GIVEN_BACK.search(line)]
    on_the_way = [line for line in lines if _ON_THE_WAY.search(line)]
    causes: dict[str, dict[str, int]] = {
        "received": {GIVEN_BACK: len(given_back)},
        "delivered": {ON_THE_WAY: len(on_the_way)},
        "forwarded": {},
        "deferrals": {SOFT_BOUNCES: -number(_SOFT_BOUNCE, lines)},
        "bounced": {},
        "rejected": {
            MILTER_REJECTS: -number(_MILTER_REJECT, lines),
            PROXY_REJECTS: -number(_PROXY_REJECT, lines),
        },
        "held": {},
        "bytes received": {GIVEN_BACK: sizes(given_back, lines)},
        "bytes delivered": {ON_THE_WAY: sizes(on_the_way, lines)},
    }
    found = []
    for name, (key, why) in zip(_KEYS, causes.items(), strict=True):
        why[NOT_READ] = ours[name] - whole[name]
        causes_of_it = {cause: count for cause, count in why.items() if count}
        found.append(Total(key, theirs[key], whole[name], causes_of_it))
    return found


def assert_totals_of_pflogsumm(log: Iterable[bytes], directory: Path) -> None:
    """Compare the totals of a log, with what is counted otherwise."""
    found = compared(log, directory)
    assert int(found[0].theirs) > 100
    differences = [one for one in found if not one.is_explained]
    assert not differences, differences


def sizes(some: Iterable[bytes], lines: Iterable[bytes]) -> int:
    """The sum of the sizes of the mails that lines are about."""
    found = (_SIZE.search(line) for line in lines)
    by_id = {match[1]: int(match[2]) for match in found if match is not None}
    ids = (_QUEUE_ID.search(line) for line in some)
    return sum(by_id.get(match[1], 0) for match in ids if match is not None)
