"""ReDoS payloads for the shipped patterns: ``python -m benchmarks.redos [--limit MS] [--size N]``.

For every program, lines of N characters are made from what its patterns look for: one piece at the
beginning, then another one repeated, so that a match can be tried from each place.  Printed is the
slowest line of each program; the exit code is 1 if one took longer than the limit.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.measure import show
from mailingest.config import Settings
from mailingest.postfix.parser import EventParser
from mailingest.postfix.programs import COMPANIONS, PROGRAMS
from mailingest.syslog.records import Record
from mailingest.syslog.timestamps import moment_of
from mailingest.wiring import read_definitions

_QUEUE_ID: Final = "4F2A11E0ABC: "
_CLIENT: Final = "mail.example.org[192.0.2.5]"
_DELIVERY: Final = "to=<b@x>, relay=none, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent ("
_TLS: Final = "TLSv1.3 with cipher C (256/256 bits)"
# What lines begin with; behind each a line is filled up.
_BEGINNINGS: Final = (
    "",
    *("warning: ", f"warning: {_CLIENT}: SASL ", f"warning: {_QUEUE_ID}", "connect from "),
    *(f"disconnect from {_CLIENT}", "lost connection after ", "statistics: max ", "cache "),
    *(f"{_QUEUE_ID}to=<", f'{_QUEUE_ID}to=<"', f"{_QUEUE_ID}{_DELIVERY}", f"{_QUEUE_ID}from=<"),
    *(f"{_QUEUE_ID}message-id=", f"{_QUEUE_ID}message-id=<", f"{_QUEUE_ID}client={_CLIENT}"),
    *(f"{_QUEUE_ID}uid=0 from=<", f"{_QUEUE_ID}warning: header ", f"{_QUEUE_ID}prepend: body "),
    *(f"{_QUEUE_ID}milter-reject: ", f"{_QUEUE_ID}milter-reject: END-OF-MESSAGE from {_CLIENT}: "),
    *(f"NOQUEUE: reject: RCPT from {_CLIENT}: ", f"{_QUEUE_ID}host {_CLIENT} said: "),
    *(f"{_QUEUE_ID}{_CLIENT}: ", f"{_QUEUE_ID}host ", f"{_QUEUE_ID}enabling PIX workarounds: "),
    *(f"{_QUEUE_ID}passing <", f"{_QUEUE_ID}client=", "proxy-accept: END-OF-MESSAGE: "),
    *("NOQUEUE: reject: RCPT from [192.0.2.5]:25: 550 ", "COMMAND PIPELINING from [::1]:1 after "),
    *("PREGREET 1 after 0 from [::1]:1: ", "addr ::1 listed by domain ", "PASS OLD "),
    *(f"Trusted TLS connection established from {_CLIENT}: {_TLS}", "reject: ETRN ", "TLSRPT: "),
    *("hostname ", "warning: hostname ", "certificate verification failed for ", _CLIENT),
    *("statistics: max connection rate 1/60s for (", "SASL authentication ", "TLS SNI x from "),
    *("daemon started -- version ", "improper command pipelining after DATA from ", "table "),
)
# What patterns look for within, and what they pass over.
_PIECES: Final = (
    *("a", "1", " ", ":", ".", ",", ";", "<", ">", '"', "\\", "(", ")", "[", "]", "=", "-", "/"),
    *("\n", "\u00e9", ": ", "; ", ", ", "> ", ">: ", ">, ", "ab: ", "(a", "a)", "A-", "1.1"),
    *("; from=<", "; from=<a> to=<b> proto=SMTP helo=<h>", "; proto=SMTP", "; helo=<", "to=<"),
    *("; proto=SMTP sasl_username=", " sasl_sender=", ", sasl_username=", ", sasl_sender="),
    *(", orig_queue_id=", f" from {_CLIENT}", f" from {_CLIENT};", f" from {_CLIENT}: ", " from "),
    *(f" for {_CLIENT}", f" for {_CLIENT}x", " (in reply to ", " (in reply to x command"),
    *(
        " said: ",
        " ehlo=1",
        " x=1/2",
        ", relay=",
        ", delay=1",
        " while ",
        " bytes) from ",
        "warning: ",
        " (1",
    ),
    *("'", "1/", "0:", "::", "%", "; from=<a>, to=<b>, proto=SMTP, helo=<", " as ", "[1", "]:1"),
    *(" key-exchange X", " server-signature Y", "Ab", " limit exceeded: ", "queued as ", "id="),
    *('"a', '\\"', '" <', "> to transport=", "discarded ", ", failure_reason=", "verify", "http"),
)


def _lines(size: int) -> Iterator[str]:
    for begin, piece in itertools.product(_BEGINNINGS, _PIECES):
        text = begin + piece * ((size - len(begin)) // len(piece))
        yield text
        # Nothing fits at the very end: what has matched so far is tried in all other ways.
        yield text[:-1] + "\0"


def _milliseconds(parser: EventParser, program: str, text: str) -> float:
    record = Record(moment_of(0), "mx1", program, "1", text, text)
    began = time.perf_counter()
    parser.parse(record)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redos", description=__doc__)
    parser.add_argument("program", metavar="PROGRAM", nargs="*", help="a tag (else all)")
    parser.add_argument("--size", type=int, default=65_536, help="characters in a line")
    parser.add_argument("--limit", type=float, default=50.0, help="milliseconds for a line")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    events = EventParser(read_definitions(Settings()))
    rows = []
    programs = options.program or [
        *("postfix", *(f"postfix/{name}" for name in PROGRAMS if name)),
        *("postfix/my-transport", *COMPANIONS),
    ]
    for program in programs:
        worst, text = 0.0, ""
        for line in _lines(options.size):
            took = _milliseconds(events, program, line)
            if took > worst:
                # Once more, for others on the machine can only make it slower.
                took = min(took, _milliseconds(events, program, line))
            if took > worst:
                worst, text = took, line
        shown = f"{text[:70]!r} ... {text[-25:]!r}"
        rows.append({"program": program, "worst ms": round(worst, 2), "line": shown})
    rows.sort(key=lambda row: -float(row["worst ms"]))
    show(f"ReDoS payloads of {options.size:,} characters", rows, as_json=options.json)
    if float(rows[0]["worst ms"]) > options.limit:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
