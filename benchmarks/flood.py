"""Memory under floods of made-up values: ``python -m benchmarks.flood [--lines N]``.

Each kind of flood has a process of its own, which feeds the pipeline lines in which one thing is
never the same twice, and reads what is resident after each tenth.  Where memory is bounded, the
curve is flat in the end.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

from benchmarks.measure import resident_bytes, show
from mailingest.config import Settings
from mailingest.config.sections import Correlation
from mailingest.wiring import build_pipeline

_PARTS: Final = 10
_PEER: Final = "192.0.2.1"
_QMGR: Final = "from=<{}@example.org>, size=1, nrcpt=1 (queue active)"


def _line(number: int, host: str = "mx1", tag: str = "postfix/qmgr[1]", text: str = "") -> bytes:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    return f"<22>{stamp} {host} {tag}: {text or f'{number:012X}: {_QMGR.format(number)}'}".encode()


_FLOODS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "queue IDs": lambda n: _line(n),
    "hosts": lambda n: _line(n, host=f"host{n}.example.org"),
    "programs": lambda n: _line(n, tag=f"postfix/p{n}[{n}]"),
    "instances": lambda n: _line(n, tag=f"postfix-{n}/qmgr[1]"),
    "foreign programs": lambda n: _line(n, tag=f"program{n}[{n}]", text="hello"),
    "clients": lambda n: _line(
        n, tag="postfix/smtpd[1]", text=f"{n:012X}: client=c{n}.example.org[192.0.2.9]"
    ),
    "sessions": lambda n: _line(
        n,
        tag=f"postfix/smtpd[{n}]",
        text=f"Anonymous TLS connection established from c{n}.example.org[192.0.2.9]:"
        " TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
    ),
    "facts of 1,000 characters": lambda n: _line(
        n, text=f"{n:012X}: {_QMGR.format(f'{n}' + 'x' * 1000)}"
    ),
    "facts of 60 KB": lambda n: _line(
        n, tag="postfix/cleanup[1]", text=f"{n:012X}: message-id=<{n}{'x' * 60_000}@example.org>"
    ),
    "deliveries that wait, of 60 KB": lambda n: _line(
        n,
        tag="postfix/smtp[1]",
        text=f"{n:012X}: to=<bob@example.net>, relay=none, delay=1, delays=0/0/0/1, dsn=4.0.0,"
        f" status=deferred ({'x' * 60_000})",
    ),
}


def _flood(kind: str, lines: int, max_bytes: int, result: Connection) -> None:
    settings = Settings(correlation=Correlation(max_bytes=max_bytes))
    pipeline = build_pipeline(settings, live=True)
    make = _FLOODS[kind]
    size = lines // _PARTS
    for part in range(_PARTS):
        for number in range(part * size, (part + 1) * size):
            pipeline.feed(make(number), time.time(), _PEER)
        result.send(resident_bytes())


def _measure(kind: str, lines: int, max_bytes: int) -> list[int]:
    # A new interpreter: a fork would fill memory that this process has already.
    context = get_context("spawn")
    result, report = context.Pipe(duplex=False)
    process = context.Process(target=_flood, args=(kind, lines, max_bytes, report))
    process.start()
    report.close()
    try:
        return [int(result.recv()) for _ in range(_PARTS)]
    finally:
        process.join()


def main() -> None:
    """Measure each kind and print its curve in MB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=400_000, help="of each kind")
    parser.add_argument("--max-bytes", type=int, default=64 << 20, help="correlation.max_bytes")
    parser.add_argument("--json", action="store_true", help="one JSON object, for scripts")
    options = parser.parse_args()
    rows = []
    for kind in _FLOODS:
        lines = options.lines // 20 if "60 KB" in kind else options.lines
        curve = _measure(kind, lines, options.max_bytes)
        sizes = {f"{part}/{_PARTS}": round(size / 1e6) for part, size in enumerate(curve, 1)}
        rows.append({"flood": kind, "lines": lines, **sizes})
    show("Resident, in MB, after each part of the lines", rows, as_json=options.json)


if __name__ == "__main__":
    main()
