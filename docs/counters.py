"""The declaration of the counters -> their table in monitoring.md: `python -m docs.counters`."""

from pathlib import Path
from typing import Final

from mailingest.service.counters import COUNTERS, Counter
from mailingest.service.exposition import metric_name

FILE: Final = Path(__file__).parent / "monitoring.md"
_BEGIN: Final = "| counter | metric | kind | meaning |\n"


def document(text: str) -> str:
    """The text of the file with the table as it has to be."""
    before, _, rest = text.partition(_BEGIN)
    after = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
    rows = ["|---|---|---|---|", *map(_row, COUNTERS)]
    return before + _BEGIN + "\n".join(rows) + after


def _row(counter: Counter) -> str:
    labels = f"{{{', '.join(counter.labels)}}}" if counter.labels else ""
    return (
        f"| `{counter.name}` | `{metric_name(counter)}{labels}` | {counter.kind} | {counter.help} |"
    )


if __name__ == "__main__":
    FILE.write_text(document(FILE.read_text("utf-8")), "utf-8")
