"""Makes what the embedded store begins with: ``python -m benchmarks.dictionary FILE``.

It is made of generated lines and of those of the tests, with their fields, so that it knows the
names of fields and the usual texts.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import zstandard

from benchmarks.generate import generate
from mailingest.config import Settings
from mailingest.wiring import build_pipeline

_SIZE: Final = 32_768
_LINES: Final = 4000
_LOGS: Final = Path(__file__).parent.parent / "tests" / "data"
_NUMBER: Final = 1


def main() -> None:
    """Write the dictionary."""
    settings = Settings.model_validate({"syslog": {"timezone": "UTC"}})
    pipeline = build_pipeline(settings, live=False)
    reference = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    lines = list(generate(_LINES, 7, style="iso", start="2026-03-02T00:00:00+00:00", rate=1.6))
    for path in sorted(_LOGS.rglob("*.log")):
        lines += path.read_bytes().splitlines()[:200]
    events = (one for line in lines for one in pipeline.feed(line.rstrip(b"\n"), reference))
    made = zstandard.train_dictionary(
        _SIZE, [one.body for one in events], k=256, d=8, dict_id=_NUMBER
    )
    Path(sys.argv[1]).write_bytes(made.as_bytes())


if __name__ == "__main__":
    main()
